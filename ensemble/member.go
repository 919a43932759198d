package ensemble

import "context"

// work is a goroutine of a call: it runs member i, and others for which there was no place, one after the other.
func (c *call[Req, In, Out]) work(i int) {
	for i >= 0 {
		i = c.ask(i)
	}
}

// ask runs one member and returns the next for this goroutine, -1 if there is none.
func (c *call[Req, In, Out]) ask(i int) (next int) {
	e, m := c.e, &c.e.members[i]
	ctx := c.ctx
	if c.shared != nil {
		ctx = c.shared
	} else if m.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, m.Timeout, ErrTimeout)
		defer cancel()
	}
	var value In
	var err error
	returned := false
	defer func() {
		exits := false
		if !returned {
			if r := recover(); r != nil {
				err = newPanicError(r)
			} else {
				err, exits = ErrGoexit, true
			}
		}
		next = c.finish(ctx, i, value, err)
		if exits && next >= 0 {
			go c.slots[next].start() // in the place of this goroutine, which ends
		}
	}()
	if err = ctx.Err(); err == nil && c.decided.Load() { // before this goroutine got its turn
		err = ErrNotNeeded
	}
	if err == nil {
		value, err = m.Do(ctx, c.req)
	}
	if err == nil && e.combiner.Check != nil {
		err = e.combiner.Check(value)
	}
	if err == nil && e.check != nil {
		err = e.check(value)
	}
	returned = true
	return next
}

// finish takes what a member has returned. The call belongs to others when it returns -1.
func (c *call[Req, In, Out]) finish(ctx context.Context, i int, value In, err error) (next int) {
	now := c.e.now()
	status := Answered
	if err != nil {
		status, err = c.classify(ctx, err)
	}
	next = -1
	c.mu.Lock()
	wake := c.decided.Load() // a caller that reaps looks who is left
	s := &c.slots[i]
	s.gone = true
	expired := !s.running // and its place has gone to another
	if !expired && !c.decided.Load() && status != NotCalled {
		s.took = now - s.began
		if err == nil {
			s.value = value
		}
		c.settle(i, status, err)
		next = c.admit(now)
		wake = c.decided.Load() || next >= 0 && c.e.timeouts // the new one may be the next to time out
	}
	if c.released {
		c.e.abandon(i, -1)
	}
	last := false
	if next < 0 {
		c.holders--
		last = c.holders == 0
	}
	wake = wake && c.waiting // otherwise it looks before it waits
	c.mu.Unlock()
	if wake {
		// If the caller has left meanwhile the token may be for the next call that uses c, whose caller looks and finds nothing.
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	if last {
		c.recycle()
	}
	return next
}

// classify tells an error of the member from one that comes of the end of its context. NotCalled stands for a call that is about to be decided by its
// deadline or its caller: that is left to the caller's goroutine, which has been woken by the same end of a context.
func (c *call[Req, In, Out]) classify(ctx context.Context, err error) (Status, error) {
	switch {
	case ctx.Err() == nil:
		return Failed, err
	case c.ctx.Err() == nil:
		return TimedOut, ErrTimeout // its own context is the only one that has ended
	}
	return NotCalled, err
}
