package route

import (
	"context"
	"iter"
	"time"
)

// Streamer is a router for members that answer in chunks. It goes on to another member only until the first chunk: after that the consumer has
// part of an answer, which no other member can continue.
type Streamer[Req, Chunk any] struct {
	r *Router[Req, iter.Seq2[Chunk, error]]
}

// NewStream makes a router of streams. A member's Do opens its stream; its requests in flight are counted until the stream has ended, and its latency
// is the time to the first chunk, as is what Timeout bounds.
func NewStream[Req, Chunk any](table Table[Req, iter.Seq2[Chunk, error]], cfg Config, opts ...Option[Req]) (*Streamer[Req, Chunk], error) {
	r, err := New(table, cfg, opts...)
	if err != nil {
		return nil, err
	}
	return &Streamer[Req, Chunk]{r}, nil
}

// Do returns Stream, so that streams compose like everything else. The only error is the end of the caller's context.
func (s *Streamer[Req, Chunk]) Do(ctx context.Context, req Req) (iter.Seq2[Chunk, error], error) {
	if ctx.Err() != nil {
		s.r.calls.Add(1)
		return nil, context.Cause(ctx)
	}
	return s.Stream(ctx, req), nil
}

// Stream returns the chunks. Nothing happens before they are ranged over, and each range over them is a request of its own; all of it runs on the goroutine of
// the loop.
//
// The first chunk of a member is awaited; an error before it counts as the member's, and the request goes on to the next. If there is none, the one
// pair that is yielded has the error, which is as that of [Router.Do]. A stream that ends without chunk or error is an answer, of no chunks. After the first chunk everything is
// passed on as it is, the first error counts as the member's, and Timeout is over. A stream that ends without an error after the caller's context has ended may be part of
// an answer: the context's cause is yielded after it. A loop that is left stops the member: its context is
// cancelled and its own loop is told to stop, which counts as answered.
func (s *Streamer[Req, Chunk]) Stream(ctx context.Context, req Req) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		r := s.r
		r.calls.Add(1)
		err := s.stream(ctx, req, yield)
		if err != nil {
			var none Chunk
			yield(none, err)
		}
	}
}

// stream is an error if no chunk was yielded.
func (s *Streamer[Req, Chunk]) stream(ctx context.Context, req Req, yield func(Chunk, error) bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r := s.r
	t := r.start(req)
	for {
		m, l, err := r.next(ctx, req, t)
		if err != nil {
			r.finish(t)
			return err
		}
		a := streaming[Req, Chunk]{Router: r, l: &l, ctx: ctx, yield: yield}
		out, err := a.run(req, m)
		if out == answered {
			r.answered.Add(1)
		}
		if out == answered || l.answered {
			r.finish(t)
			return nil
		}
		if err = t.failed(ctx, m.Name, out, err); err != nil {
			r.finish(t)
			return err
		}
	}
}

// streaming is an attempt.
type streaming[Req, Chunk any] struct {
	*Router[Req, iter.Seq2[Chunk, error]]
	l     *lease
	ctx   context.Context // of the caller
	yield func(Chunk, error) bool
}

func (a *streaming[Req, Chunk]) run(req Req, m *Member[Req, iter.Seq2[Chunk, error]]) (out outcome, err error) {
	ctx, cancel := context.WithCancelCause(a.ctx)
	defer cancel(nil)
	stop := func() bool { return true }
	if m.Timeout > 0 {
		stop = time.AfterFunc(m.Timeout, func() { cancel(ErrTimeout) }).Stop
		defer stop()
	}
	returned, crash := false, gaveUp
	defer func() {
		if !returned {
			a.report(a.l.end(time.Now(), crash, ErrPanicked, 0))
		}
	}()
	a.report(a.l.event)
	crash = failed
	seq, err := m.Do(ctx, req)
	if err == nil {
		err = ErrNilStream
		if seq != nil {
			err = a.pass(ctx, seq, stop, &crash)
		}
	}
	crash = gaveUp
	if !a.l.answered && !stop() { // the timer has fired: its cause is there or about to be
		err = timeoutError(err)
	}
	out, retryAfter := a.judge(a.ctx, err)
	returned = true
	a.report(a.l.end(time.Now(), out, err, retryAfter))
	return out, err
}

// pass passes the chunks on. It returns the first error. While the consumer has the floor, crash is what a panic of it counts as.
func (a *streaming[Req, Chunk]) pass(ctx context.Context, seq iter.Seq2[Chunk, error], stop func() bool, crash *outcome) (failure error) {
	for chunk, err := range seq {
		if !a.l.answered {
			if err != nil {
				return err
			}
			if !stop() {
				return ErrTimeout // the chunk came with the end of its time, and its stream's context is dead
			}
			*crash = gaveUp
			a.report(a.l.first(time.Now()))
		}
		if failure == nil {
			failure = err
		}
		*crash = answered // a consumer that panics leaves the loop
		more := a.yield(chunk, err)
		*crash = failed
		if !more {
			return failure
		}
	}
	if failure == nil && ctx.Err() != nil { // it stopped because it was told to, not because its answer is at its end, as far as one can tell
		failure = context.Cause(ctx)
		if a.l.answered {
			var none Chunk
			*crash = answered
			a.yield(none, failure)
			*crash = failed
		}
	}
	return failure
}

// Update replaces the table, see [Router.Update]. Streams that have begun are finished by their members.
func (s *Streamer[Req, Chunk]) Update(change func(Table[Req, iter.Seq2[Chunk, error]]) Table[Req, iter.Seq2[Chunk, error]]) error {
	return s.r.Update(change)
}

// Stats returns counters and gauges.
func (s *Streamer[Req, Chunk]) Stats() Stats { return s.r.Stats() }
