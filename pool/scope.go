package pool

import (
	"context"
	"sync"
	"sync/atomic"
)

// frame marks the context of a call of fn, so that a Do from inside is recognised. It stands for the place that this call has
// among those that may run: the calls made from inside use that place, one at a time.
type frame struct {
	owner  any         // the pool
	active atomic.Bool // a call has not returned yet
	used   atomic.Bool // there has been a call from inside
	once   sync.Once
	place  chan struct{} // has a token in it while a call from inside runs
}

// seat is the channel to which a token is sent to get the place, and from which it is taken to give it back.
func (f *frame) seat() chan struct{} {
	f.used.Store(true)
	f.once.Do(func() { f.place = make(chan struct{}, 1) })
	return f.place
}

// vacant reports whether nobody sits in the place of a call that has returned. Who comes later sees that the call is
// not active, and leaves it.
func (f *frame) vacant() bool {
	if !f.used.Load() {
		return true
	}
	select {
	case f.seat() <- struct{}{}:
		<-f.place
		return true
	default:
		return false
	}
}

// leave gives back the place in which a call from inside ran, f, as soon as it has left nobody behind in there.
func (f *frame) leave(seat <-chan struct{}) {
	if f == nil || f.vacant() {
		<-seat
		return
	}
	go func() {
		f.seat() <- struct{}{}
		<-f.place // for others who wait there, to find that the call is not active
		<-seat
	}()
}

// marked is a context with the mark of a call, as long as that has not returned.
type marked struct {
	context.Context
	frame *frame
}

func (m *marked) Value(key any) any {
	if key == m.frame.owner && m.frame.active.Load() {
		return m.frame
	}
	return m.Context.Value(key)
}

// scope is the context of one call of fn. It ends when the caller's does, when the Future is cancelled, on Close, and when fn has
// returned. One made by the context package would do, but costs five allocations instead of one.
//
// A Go with a context that says nothing gets the scope of its worker, which serves one request after the other as long as nobody
// asks it for its end. Otherwise, and when the worker goes, it ends too.
//
// Who waits for the caller's context passes its end on by cancel: a Do that leaves, or the AfterFunc of a Go.
type scope struct {
	context.Context        // the caller's
	frame           *frame // set before fn is called

	kept     atomic.Bool // somebody may wait for the end
	mu       sync.Mutex
	done     chan struct{} // made when it is asked for
	after    *afterFunc
	ended    ending
	returned bool // fn has
}

// ending says how a scope has ended: an error in one byte.
type ending uint8

const (
	notEnded ending = iota
	endCanceled
	endExpired
)

func (e ending) err() error { return [...]error{nil, context.Canceled, context.DeadlineExceeded}[e] }

type afterFunc struct {
	next *afterFunc
	f    func()
}

func (s *scope) Value(key any) any {
	if s.frame != nil && key == s.frame.owner && s.frame.active.Load() {
		s.mu.Lock()
		returned := s.returned
		s.mu.Unlock()
		if !returned {
			return s.frame
		}
	}
	return s.Context.Value(key)
}

func (s *scope) Done() <-chan struct{} {
	s.kept.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.ended != notEnded {
			close(s.done)
		}
	}
	return s.done
}

func (s *scope) Err() error {
	// Not to say less than the caller's own context would: whoever passes its end on may not have been scheduled yet.
	if err := s.Context.Err(); err != nil {
		s.cancel(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended.err()
}

// cancel ends the context with an error that is context.Canceled or context.DeadlineExceeded.
func (s *scope) cancel(err error) {
	how := endCanceled
	if expired(err) {
		how = endExpired
	}
	s.end(how, false)
}

func (s *scope) end(how ending, returned bool) {
	s.mu.Lock()
	s.returned = s.returned || returned
	if s.ended != notEnded {
		s.mu.Unlock()
		return
	}
	s.ended = how
	if s.done != nil {
		close(s.done)
	}
	after := s.after
	s.after = nil
	s.mu.Unlock()
	for ; after != nil; after = after.next {
		go after.f()
	}
}

// AfterFunc is what the context package looks for in a context that is not its own. Without it each context derived
// from this one would cost a goroutine.
func (s *scope) AfterFunc(f func()) (stop func() bool) {
	a := &afterFunc{f: f}
	s.kept.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != notEnded {
		go f()
		return func() bool { return false }
	}
	a.next, s.after = s.after, a
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for p := &s.after; *p != nil; p = &(*p).next {
			if *p == a {
				*p = a.next
				return true
			}
		}
		return false
	}
}
