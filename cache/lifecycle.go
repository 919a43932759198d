package cache

import (
	"context"
	"sync"
	"sync/atomic"
)

// lifecycle knows the loads and sweeps under way, so that Shutdown can wait for them and Close can end them.
type lifecycle[K comparable, Req, V any] struct {
	mu       sync.Mutex
	closed   bool
	first    *flight[K, Req, V] // of a list of the flights: it costs no look-up to take one out
	loading  int                // how many they are
	sweeping bool
	again    bool          // sweep once more
	idle     chan struct{} // closed when nothing is under way; made by who waits for it

	nextSweep atomic.Int64 // when what has expired is swept next, at the earliest
}

// begin lets a flight in, unless the cache is closed.
func (l *lifecycle[K, Req, V]) begin(f *flight[K, Req, V]) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if f.next = l.first; f.next != nil {
		f.next.previous = f
	}
	l.first = f
	l.loading++
	return true
}

func (l *lifecycle[K, Req, V]) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (l *lifecycle[K, Req, V]) end(f *flight[K, Req, V]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.previous != nil {
		f.previous.next = f.next
	} else {
		l.first = f.next
	}
	if f.next != nil {
		f.next.previous = f.previous
	}
	f.previous, f.next = nil, nil
	l.loading--
	l.checkIdle()
}

// checkIdle must follow whatever ends. l.mu must be locked.
func (l *lifecycle[K, Req, V]) checkIdle() {
	if l.idle != nil && l.loading == 0 && !l.sweeping {
		close(l.idle)
		l.idle = nil
	}
}

// stop rejects new loads and returns a channel that is closed when nothing is under way, and what is.
func (l *lifecycle[K, Req, V]) stop() (<-chan struct{}, []*flight[K, Req, V]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	flights := make([]*flight[K, Req, V], 0, l.loading)
	for f := l.first; f != nil; f = f.next {
		flights = append(flights, f)
	}
	if l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	l.checkIdle()
	return idle, flights
}

func (c *core[K, Req, V]) shutdown(ctx context.Context) error {
	idle, _ := c.life.stop()
	select {
	case <-idle:
		return nil
	default:
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *core[K, Req, V]) close() error {
	idle, flights := c.life.stop()
	for _, f := range flights {
		s := f.shard
		s.mu.Lock()
		var value V
		err := ErrClosed
		if s.flights[f.key] == f {
			delete(s.flights, f.key)
			if !f.resolved && !f.ns.dead.Load() && c.rescue(f, c.engine.now()) {
				value, err = f.old.value, nil
			}
		}
		f.resolve(value, err)
		s.mu.Unlock()
		c.cancel(f, ErrClosed)
	}
	<-idle
	return nil
}
