package rollout

import (
	"context"
	"errors"
	"time"
)

// room says whether a task would be taken now.
func (s *Shadow[Req, Resp]) room() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && (s.running < s.cfg.Concurrency || s.queued < s.cfg.MaxQueue)
}

// submit runs a task, or queues it, or says that there is no room.
func (s *Shadow[Req, Resp]) submit(t task[Req, Resp]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return false
	case s.running < s.cfg.Concurrency:
		s.running++
		go s.work(t)
		return true
	case s.queued == s.cfg.MaxQueue:
		return false
	}
	if s.queued == len(s.queue) { // full, but not yet as long as it may be
		grown := make([]task[Req, Resp], min(s.cfg.MaxQueue, max(8, 2*len(s.queue))))
		n := copy(grown, s.queue[s.head:])
		copy(grown[n:], s.queue[:s.head])
		s.queue, s.head = grown, 0
	}
	s.queue[(s.head+s.queued)%len(s.queue)] = t
	s.queued++
	return true
}

// next takes a task from the queue. If there is none the goroutine that asks must end.
func (s *Shadow[Req, Resp]) next() (t task[Req, Resp], ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queued == 0 {
		s.running--
		s.settle()
		return t, false
	}
	t = s.queue[s.head]
	s.queue[s.head] = task[Req, Resp]{}
	s.head = (s.head + 1) % len(s.queue)
	s.queued--
	return t, true
}

// settle tells those who wait in Shutdown and Close when there is nothing left. The lock is held.
func (s *Shadow[Req, Resp]) settle() {
	if s.closed && s.running == 0 && !s.settled {
		s.settled = true
		close(s.idle)
	}
}

// work runs tasks until there are none.
func (s *Shadow[Req, Resp]) work(t task[Req, Resp]) {
	ok := true
	defer func() {
		if !ok {
			return
		}
		// Something has called runtime.Goexit: this goroutine is at its end, and another takes its place.
		if t, ok := s.next(); ok {
			go s.work(t)
		}
	}()
	for ok {
		s.run(t)
		t, ok = s.next()
	}
}

// run lets the shadow answer, and compares.
func (s *Shadow[Req, Resp]) run(t task[Req, Resp]) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), s.cfg.Timeout)
	defer cancel()
	stop := context.AfterFunc(s.ending, cancel)
	defer stop()
	r := ShadowResult[Req, Resp]{Request: t.req, Primary: t.resp}
	began, returned := time.Now(), false
	s.count.run.Add(1)
	defer func() {
		if !returned {
			if v := recover(); v != nil {
				r.Err = newPanicError(v)
				s.count.panics.Add(1)
			} else {
				r.Err = ErrGoexit
			}
		}
		r.Took = time.Since(began)
		s.compare(ctx, r)
	}()
	r.Shadow, r.Err = s.shadow(ctx, t.req)
	returned = true
}

// compare looks at the answers and tells the hook.
func (s *Shadow[Req, Resp]) compare(ctx context.Context, r ShadowResult[Req, Resp]) {
	switch {
	case r.Err == nil && s.opt.agree != nil:
		r.Compared = s.guarded(func() { r.Agree = s.opt.agree(r.Request, r.Primary, r.Shadow) })
	case r.Err != nil:
		s.count.failed.Add(1)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.count.timeouts.Add(1)
		}
	}
	switch {
	case r.Compared && r.Agree:
		s.count.agree.Add(1)
	case r.Compared:
		s.count.differ.Add(1)
	}
	if s.opt.result != nil {
		s.guarded(func() { s.opt.result(ctx, r) })
	}
}

// guarded calls f and says whether it has returned. A panic in it is counted and goes no further.
func (s *Shadow[Req, Resp]) guarded(f func()) (returned bool) {
	defer func() {
		if !returned && recover() != nil {
			s.count.panics.Add(1)
		}
	}()
	f()
	return true
}

// Shutdown takes no more requests for the shadow, and waits until those that it has taken are done. Do goes on to answer. When ctx ends first it returns its cause, and what is
// left goes on; Close ends it.
func (s *Shadow[Req, Resp]) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.settle()
	s.mu.Unlock()
	select {
	case <-s.idle:
		return nil
	default:
	}
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close takes no more requests for the shadow, drops those that wait, ends the contexts of those that run, and waits for these, which may be long if they ignore that. Do goes on to
// answer. It always returns nil. Called from inside the shadow it waits for ever.
func (s *Shadow[Req, Resp]) Close() error {
	s.mu.Lock()
	s.closed = true
	s.count.dropped.Add(uint64(s.queued))
	s.queue, s.head, s.queued = nil, 0, 0
	s.settle()
	s.mu.Unlock()
	s.end()
	<-s.idle
	return nil
}
