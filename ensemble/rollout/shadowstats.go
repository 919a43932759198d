package rollout

import (
	"context"
	"fmt"
	"time"
)

// ShadowOption sets a callback. Its type arguments are inferred.
type ShadowOption[Req, Resp any] func(*shadowOptions[Req, Resp]) error

type shadowOptions[Req, Resp any] struct {
	cloneReq  func(Req) Req
	cloneResp func(Resp) Resp
	agree     func(req Req, primary, shadow Resp) bool
	result    func(context.Context, ShadowResult[Req, Resp])
}

// ShadowResult is what a shadow has answered.
type ShadowResult[Req, Resp any] struct {
	Request         Req
	Primary, Shadow Resp
	Err             error         // of the shadow; a *PanicError if it has panicked, ErrGoexit if it has called runtime.Goexit
	Took            time.Duration // the shadow
	Compared        bool          // there is a WithCompare and the shadow has not failed
	Agree           bool          // if Compared
}

// WithCompare says whether two answers to a request are the same, for Stats and WithResult. It runs on the goroutine of the shadow and takes its place there. A panic in it is counted, and
// the answers are not compared.
func WithCompare[Req, Resp any](agree func(req Req, primary, shadow Resp) bool) ShadowOption[Req, Resp] {
	return func(o *shadowOptions[Req, Resp]) error {
		if agree == nil {
			return fmt.Errorf("rollout: WithCompare: nil function")
		}
		o.agree = agree
		return nil
	}
}

// WithResult is called with what a shadow has answered: to keep differences, or to feed a gate of a Canary with [Canary.Agreed]. It runs on the goroutine of the shadow and takes its place there; ctx is
// that of the shadow and may have ended. A panic in it is counted and goes no further.
func WithResult[Req, Resp any](hook func(ctx context.Context, r ShadowResult[Req, Resp])) ShadowOption[Req, Resp] {
	return func(o *shadowOptions[Req, Resp]) error {
		if hook == nil {
			return fmt.Errorf("rollout: WithResult: nil function")
		}
		o.result = hook
		return nil
	}
}

// WithClone copies what the shadow gets: for requests or answers that are changed after Do has returned, pooled buffers for example. Either may be nil. They run on the caller's goroutine, the first before the primary is
// called, and only if the shadow has room. A panic in them is counted, and the shadow does not see the request. They must not call runtime.Goexit: it would end the caller.
func WithClone[Req, Resp any](request func(Req) Req, answer func(Resp) Resp) ShadowOption[Req, Resp] {
	return func(o *shadowOptions[Req, Resp]) error {
		o.cloneReq, o.cloneResp = request, answer
		return nil
	}
}

// ShadowStats are the counters and gauges of a Shadow.
type ShadowStats struct {
	Calls            uint64 // of Do
	Sampled          uint64 // of these
	Dropped          uint64 // of these: answered, but the shadow was busy or closed, or a copy panicked
	Begun            uint64 // shadows that have begun
	Failed           uint64 // of these; panics, Goexits and time-outs included
	TimedOut         uint64 // of the failed
	Panics           uint64 // of shadows and callbacks
	Agreed, Differed uint64 // answers that were compared

	Running, Queued int
}

// Stats are the counters and gauges at this moment.
func (s *Shadow[Req, Resp]) Stats() ShadowStats {
	c := &s.count
	st := ShadowStats{
		Calls: c.calls.Load(), Sampled: c.sampled.Load(), Dropped: c.dropped.Load(), Begun: c.run.Load(), Failed: c.failed.Load(),
		TimedOut: c.timeouts.Load(), Panics: c.panics.Load(), Agreed: c.agree.Load(), Differed: c.differ.Load(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Running, st.Queued = s.running, s.queued
	return st
}
