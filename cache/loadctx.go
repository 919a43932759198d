package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// loading is the context of a load: the values of the caller's that began it, an end of its own, and a mark by which what the load function asks of the cache is
// recognised. It is for one flight or, with a bulk loader, for a whole call, and a part of them.
//
// What a context needs that can end is made by the context package, when somebody looks for more than the mark: many a load function computes its value
// without a look at its context.
type loading struct {
	values context.Context
	cache  any // the core, by which each cache recognises its own
	within *loading
	over   atomic.Bool // the load is over, though its context may still be in use

	made  atomic.Bool // inner is there and does not change: a look takes no lock then, many may look all the time
	mu    sync.Mutex
	inner context.Context // what does the work; nil until it is needed
	stop  context.CancelCauseFunc
	ended bool
	cause error // why it has ended, if it has
}

// need makes the context that does the work. It must be what answers every question but that for the mark, or the answer could be of one of the
// contexts around: the context package asks by Value for what it has made.
func (l *loading) need() context.Context {
	if l.made.Load() {
		return l.inner
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner == nil {
		l.inner, l.stop = context.WithCancelCause((*valuesOf)(l))
		if l.ended {
			l.stop(l.cause)
		}
		l.made.Store(true)
	}
	return l.inner
}

// end ends the context. When it returns that has ended, and what was made of it, even if another began to end it. No lock may be held.
func (l *loading) end(cause error) {
	l.mu.Lock()
	if !l.ended {
		l.ended, l.cause = true, cause
	}
	stop, cause := l.stop, l.cause
	l.mu.Unlock()
	if stop != nil {
		stop(cause) // which waits for one who is at it
	}
}

// String keeps those who print a context from reading what may change.
func (*loading) String() string { return "cache.loading" }

func (l *loading) Deadline() (time.Time, bool) { return time.Time{}, false }
func (l *loading) Done() <-chan struct{}       { return l.need().Done() }
func (l *loading) Err() error                  { return l.need().Err() }

func (l *loading) Value(key any) any {
	if key == l.cache {
		return l
	}
	return l.need().Value(key)
}

// hasEnded says whether the context has ended, and why, without making one for the answer.
func (l *loading) hasEnded() (cause error, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause, l.ended
}

// valuesOf is what the context that does the work is made of: the values alone.
type valuesOf loading

func (*valuesOf) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*valuesOf) Done() <-chan struct{}       { return nil }
func (*valuesOf) Err() error                  { return nil }
func (v *valuesOf) Value(key any) any         { return v.values.Value(key) }
