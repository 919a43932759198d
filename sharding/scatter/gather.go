package scatter

import (
	"context"
	"errors"
	"time"
)

// gathering is one Do while it calls the shards. The caller's goroutine coordinates: it starts calls, takes what they return, and gives
// up those whose time is over. Each call has a goroutine of its own, so that one that hangs holds up nobody.
type gathering[K comparable, V any] struct {
	*Scatter[K, V]
	*request[K, V]
	ctx     context.Context
	oldest  int // the first wave with calls that run; waves end in their order
	next    int // the first call that is not started
	running int
	left    bool // there are calls that are settled and not done; they have the request
}

// wave are the calls that were started together, and so have one context.
type wave struct {
	ctx         context.Context
	cancel      context.CancelFunc
	first, last int // calls; last is not one of them
	left        int // that run
}

// gather returns when each call is settled.
func (g *gathering[K, V]) gather() {
	for {
		if g.next < len(g.calls) && g.running < g.cfg.MaxFanout {
			if g.ctx.Err() != nil { // a call that has returned and the end of the context may have come together
				g.end(context.Cause(g.ctx))
				return
			}
			g.start()
		}
		if g.running == 0 {
			return
		}
		select {
		case i := <-g.done:
			g.settle(int(i))
		case <-g.waves[g.oldest].ctx.Done():
			if g.ctx.Err() != nil {
				g.end(context.Cause(g.ctx))
				return
			}
			g.giveUp(ErrShardTimeout)
		}
	}
}

// start starts as many calls as may run.
func (g *gathering[K, V]) start() {
	w := wave{ctx: g.ctx, cancel: func() {}, first: g.next}
	if g.cfg.ShardTimeout > 0 {
		w.ctx, w.cancel = context.WithTimeoutCause(g.ctx, g.cfg.ShardTimeout, ErrShardTimeout)
	}
	w.last = min(len(g.calls), g.next+g.cfg.MaxFanout-g.running)
	w.left = w.last - w.first
	g.waves = append(g.waves, w)
	g.running += w.left
	g.next = w.last
	g.count.shardCalls.Add(uint64(w.left))
	for i := w.first; i < w.last; i++ {
		c := &g.calls[i]
		c.wave = len(g.waves) - 1
		c.counters.inFlight.Add(1)
		c.counters.calls.Add(1)
		go g.call(w.ctx, g.request, i)
	}
}

// call asks one shard, on a goroutine of its own. If Do has given it up meanwhile, nobody looks at what it leaves. The outcome is there for Do
// before the hook is called, so that a hook that takes its time cannot make an answer late.
func (s *Scatter[K, V]) call(ctx context.Context, r *request[K, V], i int) {
	c := &r.calls[i]
	ok := false
	var began time.Time
	defer func() {
		var took time.Duration
		if s.cfg.OnShard != nil {
			took = time.Since(began)
		}
		if !ok {
			c.values, c.err = nil, ErrGoexit
			if value := recover(); value != nil {
				c.err = newPanicError(value)
			}
		}
		c.counters.inFlight.Add(-1)
		if c.state.Swap(returned) == abandoned {
			s.count.abandoned.Add(-1)
		}
		if s.cfg.OnShard != nil {
			s.report(r, i, took)
			return
		}
		r.done <- int32(i)
	}()
	if s.cfg.OnShard != nil {
		began = time.Now()
	}
	c.values, c.err = s.fetch(ctx, c.node, c.keys)
	if c.err == nil && len(c.values) != len(c.keys) {
		c.err = ErrResultCount
	}
	ok = true
}

// report calls the hook. Do reads hookErr only of calls that have said that they are done.
func (s *Scatter[K, V]) report(r *request[K, V], i int, took time.Duration) {
	c := &r.calls[i]
	ok := false
	defer func() {
		if !ok {
			c.hookErr = ErrGoexit
			if value := recover(); value != nil {
				c.hookErr = newPanicError(value)
			}
		}
		r.done <- int32(i)
	}()
	s.cfg.OnShard(ShardEvent{Node: c.node, Keys: len(c.keys), Duration: took, Err: c.err})
	ok = true
}

// settle takes what a call that is done has left, unless it had been given up.
func (g *gathering[K, V]) settle(i int) {
	c := &g.calls[i]
	if c.settled {
		return
	}
	err := c.err
	if err == nil {
		err = c.hookErr
	}
	g.take(c, err)
}

// take takes the outcome of a call whose fetch has returned.
func (g *gathering[K, V]) take(c *call[K, V], err error) {
	if err != nil && g.ctx.Err() == nil && g.waves[c.wave].ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		err = ErrShardTimeout // the call has noticed by itself that its time was over
	}
	g.close(c, err)
}

// close notes the outcome of a call that ran.
func (g *gathering[K, V]) close(c *call[K, V], err error) {
	c.settled = true
	if err != nil {
		g.fail(c, err)
	}
	g.running--
	w := &g.waves[c.wave]
	if w.left--; w.left == 0 {
		w.cancel()
	}
	for g.oldest < len(g.waves) && g.waves[g.oldest].left == 0 {
		g.oldest++
	}
}

func (g *gathering[K, V]) fail(c *call[K, V], err error) {
	c.failure = err
	c.counters.failures.Add(1)
	g.count.shardFailures.Add(1)
	if errors.Is(err, ErrShardTimeout) {
		g.count.shardTimeouts.Add(1)
	}
}

// giveUp settles the oldest wave: it abandons the calls that have not returned. An answer that is there counts, however late it is looked at, and
// whether or not the hook has returned.
func (g *gathering[K, V]) giveUp(cause error) {
	n := g.oldest
	for i := g.waves[n].first; i < g.waves[n].last; i++ {
		c := &g.calls[i]
		if c.settled {
			continue
		}
		g.left = true
		g.count.abandoned.Add(1) // before the call can take it back
		if c.state.CompareAndSwap(running, abandoned) {
			g.close(c, cause)
		} else {
			g.count.abandoned.Add(-1)
			g.take(c, c.err)
		}
	}
}

// end settles all that is left when the caller's context has ended: the calls that run, and those that will not be made.
func (g *gathering[K, V]) end(cause error) {
	for g.running > 0 {
		g.giveUp(cause)
	}
	for ; g.next < len(g.calls); g.next++ {
		g.calls[g.next].failure = cause // no call was made, and none is counted
	}
}
