package batching

import (
	"context"
	"slices"
)

func (c *core[K, Req, Resp]) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dispatchAll(ReasonFlush)
}

func (c *core[K, Req, Resp]) config() Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	cfg := *c.cfg
	cfg.AllowedSizes = slices.Clone(cfg.AllowedSizes)
	return cfg
}

func (c *core[K, Req, Resp]) reconfigure(cfg Config) error {
	cfg, err := c.opts.check(cfg)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cfg = &cfg
	for _, l := range c.backlog.byDue {
		l.due = 0 // a bound that holds for every MaxWait; onTimer finds the true one
	}
	c.dispatchAll(ReasonSlot)
	return nil
}

func (c *core[K, Req, Resp]) snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Keys = len(c.lanes)
	return s
}

func (c *core[K, Req, Resp]) shutdown(ctx context.Context) error {
	c.mu.Lock()
	c.draining = true
	c.dispatchAll(ReasonClose)
	idle := c.whenIdle()
	c.mu.Unlock()
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

func (c *core[K, Req, Resp]) close() error {
	c.mu.Lock()
	c.draining = true
	var failed []*item[K, Req, Resp]
	for c.backlog.turn != nil {
		it := c.backlog.turn.q.head
		c.unqueue(it)
		failed = append(failed, it)
	}
	for c.room.n > 0 {
		it := c.room.head
		c.room.remove(it)
		c.stats.Blocked--
		failed = append(failed, it)
	}
	for _, it := range failed {
		it.err, it.answered = ErrClosed, true
		it.state.Store(stateDone)
	}
	c.stats.Drops.Closed += uint64(len(failed))
	var cancels []context.CancelFunc
	for b := c.running; b != nil; b = b.next {
		cancels = append(cancels, b.cancel)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	idle := c.whenIdle()
	c.mu.Unlock()

	for _, cancel := range cancels {
		cancel()
	}
	for _, it := range failed {
		it.deliver()
	}
	<-idle
	return nil
}

// checkIdle tells Shutdown and Close when nothing is left.
func (c *core[K, Req, Resp]) checkIdle() {
	if c.idle != nil && c.workers == 0 && c.stats.Queued == 0 && c.room.n == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// whenIdle returns a channel that is closed when nothing is queued or running. It is called when draining.
func (c *core[K, Req, Resp]) whenIdle() <-chan struct{} {
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.checkIdle()
	return idle
}
