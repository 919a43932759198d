package batching

import "context"

func (c *core[K, Req, Resp]) flush() {
	c.mu.Lock()
	defer c.unlock()
	c.dispatchAll(ReasonFlush)
}

func (c *core[K, Req, Resp]) config() Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.given.clone()
}

func (c *core[K, Req, Resp]) reconfigure(cfg Config) error {
	given := cfg.clone()
	cfg, err := c.opts.check(cfg)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.unlock()
	c.given = given
	c.adopt(cfg)
	c.dispatchAll(ReasonSlot)
	return nil
}

// adopt puts a configuration into force, and what is queued into the order of its policy.
func (c *core[K, Req, Resp]) adopt(cfg Config) {
	changed := c.cfg != nil && c.cfg.Policy != cfg.Policy
	c.cfg = &cfg
	if !c.deadlines() {
		c.latency = nil
	} else if c.latency == nil {
		c.latency = &latency{}
	}
	for _, l := range c.backlog.byDue {
		l.due = 0 // a bound that holds for every configuration; onTimer finds the true one
		for i := range l.q.list {
			if changed {
				l.q.list[i].order(cfg.Policy)
			}
		}
	}
}

// fail takes a queued request out of the queue and gives it an error. Its caller is told by unlock.
func (c *core[K, Req, Resp]) fail(it *item[K, Req, Resp], err error) {
	c.unqueue(it)
	it.err, it.answered = err, true
	it.state = stateOver
	c.failed.push(it)
}

// unlock releases mu and tells the callers whose requests have failed.
func (c *core[K, Req, Resp]) unlock() {
	it := c.failed.head
	c.failed = fifo[K, Req, Resp]{}
	c.mu.Unlock()
	for it != nil {
		next := it.next
		it.next, it.prev = nil, nil
		it.deliver()
		it = next
	}
}

func (c *core[K, Req, Resp]) snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Keys = len(c.lanes)
	s.SizeLimit = c.sizeLimit()
	if c.latency != nil {
		s.Latency = c.latency.stats()
	}
	return s
}

func (c *core[K, Req, Resp]) shutdown(ctx context.Context) error {
	c.mu.Lock()
	c.draining = true
	c.dispatchAll(ReasonClose)
	idle := c.whenIdle()
	c.unlock()
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
	for c.room.n > 0 {
		it := c.room.head()
		c.room.remove(it)
		c.stats.Blocked--
		c.stats.Drops.Closed++
		it.err, it.answered = ErrClosed, true
		it.state = stateOver
		c.failed.push(it)
	}
	for c.backlog.turn != nil {
		c.stats.Drops.Closed++
		c.fail(c.backlog.turn.q.head(), ErrClosed)
	}
	var cancels []context.CancelFunc
	for b := c.running; b != nil; b = b.next {
		cancels = append(cancels, b.cancel)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	idle := c.whenIdle()
	c.unlock()

	for _, cancel := range cancels {
		cancel()
	}
	<-idle
	return nil
}

// checkIdle tells Shutdown and Close when nothing is left.
func (c *core[K, Req, Resp]) checkIdle() {
	if c.idle != nil && c.workers == 0 && c.stats.Queued == 0 && c.room.n == 0 {
		close(c.idle)
		c.idle = nil
		if c.timer != nil {
			c.timer.Stop() // it keeps the run function, and all that this holds, from being freed
		}
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
