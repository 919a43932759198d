package rollout

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of [ShadowConfig].
const (
	DefaultShadowConcurrency = 4
	DefaultShadowMaxQueue    = 64
	DefaultShadowTimeout     = 10 * time.Second
)

// ShadowConfig bounds what a shadow may take. The zero value is usable. What is negative or NaN is an error from NewShadow.
type ShadowConfig struct {
	// Sample is the share of the requests that the shadow sees too, up to 1. Default: 1, all.
	Sample float64

	// Concurrency is how many shadows run at a time. One that ignores the end of its context keeps its place until it returns. Default: DefaultShadowConcurrency.
	Concurrency int

	// MaxQueue is how many more may wait. When the queue is full, requests are dropped: they have been answered, only the shadow does not see them. Requests that come in bursts, as
	// from callers that never pause, need room for a burst. Default: DefaultShadowMaxQueue.
	MaxQueue int

	// Timeout is how long a shadow has, from its own beginning, before its context ends. Default: DefaultShadowTimeout.
	Timeout time.Duration
}

func (c ShadowConfig) withDefaults() (ShadowConfig, error) {
	if !(c.Sample >= 0 && c.Sample <= 1) {
		return c, fmt.Errorf("rollout: ShadowConfig.Sample must be up to 1: %v", c.Sample)
	}
	for _, f := range []struct {
		name  string
		value int64
	}{{"Concurrency", int64(c.Concurrency)}, {"MaxQueue", int64(c.MaxQueue)}, {"Timeout", int64(c.Timeout)}} {
		if f.value < 0 {
			return c, fmt.Errorf("rollout: ShadowConfig.%s is negative: %d", f.name, f.value)
		}
	}
	if c.Sample == 0 {
		c.Sample = 1
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultShadowConcurrency
	}
	if c.MaxQueue == 0 {
		c.MaxQueue = DefaultShadowMaxQueue
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultShadowTimeout
	}
	return c, nil
}

// Shadow answers requests by its primary, and gives a sample of them to a second model too, whose answers are compared and thrown away.
//
// The shadow runs on a goroutine of its own after the primary has answered, with a context that has the values of the caller's but not its end. Whatever it does (fail, panic, call
// runtime.Goexit, hang), the caller sees nothing of it; all that Do does is to put the request in a queue, or to drop it when that is full. What the shadow does take is processor time: on a
// machine without any to spare, sample less.
//
// Only requests that the primary has answered without an error are shadowed. Neither the request nor the answer may be changed after Do has returned, unless there is a [WithClone].
//
// Safe for concurrent use. It owns goroutines, none while idle: Shutdown or Close it.
type Shadow[Req, Resp any] struct {
	cfg             ShadowConfig
	primary, shadow Func[Req, Resp]
	opt             shadowOptions[Req, Resp]
	ending          context.Context // of all shadows, by Close
	end             context.CancelFunc
	count           shadowCounters

	mu      sync.Mutex
	queue   []task[Req, Resp]
	head    int // of the queue, a ring
	queued  int
	running int
	closed  bool
	settled bool          // idle is closed
	idle    chan struct{} // closed when closed and nothing runs
}

type task[Req, Resp any] struct {
	ctx  context.Context
	req  Req
	resp Resp
}

type shadowCounters struct {
	calls, sampled, dropped, run, failed, timeouts, panics, agree, differ atomic.Uint64
}

// NewShadow makes a Shadow.
func NewShadow[Req, Resp any](primary, shadow Func[Req, Resp], cfg ShadowConfig, opts ...ShadowOption[Req, Resp]) (*Shadow[Req, Resp], error) {
	if primary == nil || shadow == nil {
		return nil, fmt.Errorf("rollout: NewShadow: nil function")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Shadow[Req, Resp]{cfg: cfg, primary: primary, shadow: shadow, idle: make(chan struct{})}
	for _, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("rollout: nil ShadowOption")
		}
		if err := opt(&s.opt); err != nil {
			return nil, err
		}
	}
	s.ending, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Do answers the request by the primary, on the caller's goroutine. The errors are the cause of ctx if that has ended already, and those of the primary; a panic or a Goexit in it goes on to the
// caller. It works after Close too, without the shadow.
func (s *Shadow[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	if ctx.Err() != nil {
		var zero Resp
		return zero, context.Cause(ctx)
	}
	s.count.calls.Add(1)
	if s.cfg.Sample < 1 && rand.Float64() >= s.cfg.Sample {
		return s.primary(ctx, req)
	}
	s.count.sampled.Add(1)
	t := task[Req, Resp]{ctx: ctx, req: req}
	// Copies cost time, so they are made only if there is a place now; and that of the request before the primary might change it.
	send := true
	if s.opt.cloneReq != nil || s.opt.cloneResp != nil {
		send = s.room()
	}
	if send && s.opt.cloneReq != nil {
		send = s.guarded(func() { t.req = s.opt.cloneReq(req) })
	}
	resp, err := s.primary(ctx, req)
	if err != nil {
		return resp, err
	}
	t.resp = resp
	if send && s.opt.cloneResp != nil {
		send = s.guarded(func() { t.resp = s.opt.cloneResp(resp) })
	}
	if !send || !s.submit(t) {
		s.count.dropped.Add(1)
	}
	return resp, nil
}
