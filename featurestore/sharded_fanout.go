package featurestore

import (
	"context"
	"errors"
	"slices"
	"time"
)

// fanout runs calls, some at a time, for one caller, on whose goroutine all its methods run.
type fanout struct {
	s       *Sharded
	ctx     context.Context
	queue   []*shardCall
	at      int          // of queue: the next to be started
	live    []*shardCall // that run and are not abandoned
	places  int          // of MaxFanout, taken
	results chan *shardCall
	timer   *time.Timer
}

func newFanout(s *Sharded) fanout { return fanout{s: s, results: make(chan *shardCall, 16)} }

// event is what next returns: a call is over, or it is time for a hedge.
type event struct {
	call      *shardCall
	err       error
	hedge     bool
	abandoned bool // the store has the call's memory
}

// start starts a call.
func (f *fanout) start(c *shardCall) {
	c.began, c.ctx, c.results = time.Now(), f.ctx, f.results
	if timeout := f.s.cfg.ShardTimeout; timeout > 0 {
		c.deadline = c.began.Add(timeout)
		c.ctx, c.cancel = context.WithTimeoutCause(f.ctx, timeout, ErrShardTimeout)
	} else if c.op == opRead && f.s.cfg.Replicas > 1 {
		c.ctx, c.cancel = context.WithCancel(f.ctx)
	}
	if c.op == opRead && !c.hedge {
		f.s.budget.earn()
	}
	if c.op == opRead {
		if delay := f.s.hedgeDelay(c.shard); delay > 0 {
			c.hedgeAt = c.began.Add(delay)
		}
	}
	if !c.hedge {
		f.places++
	}
	f.s.shards[c.shard].begin()
	f.live = append(f.live, c)
	go c.do()
}

// hedgeDelay is how long a read waits for a shard before it asks another; 0: for as long as it takes.
func (s *Sharded) hedgeDelay(shard int) time.Duration {
	if learned := s.shards[shard].latency.learned.Load(); learned > 0 {
		return time.Duration(learned)
	}
	return s.cfg.HedgeAfter
}

// next starts calls as there are places for them and waits for something to happen. It returns false when nothing is left.
func (f *fanout) next() (event, bool) {
	for {
		for f.at < len(f.queue) && f.places < f.s.cfg.MaxFanout {
			c := f.queue[f.at]
			f.at++
			if f.ctx.Err() != nil {
				return event{call: c, err: context.Cause(f.ctx)}, true
			}
			f.start(c)
		}
		if len(f.live) == 0 {
			return event{}, false
		}
		var tick <-chan time.Time
		if c, at := f.due(); c != nil {
			wait := time.Until(at)
			if wait <= 0 {
				return f.expire(c), true
			}
			if f.timer == nil {
				f.timer = time.NewTimer(wait)
			} else {
				f.timer.Reset(wait)
			}
			tick = f.timer.C
		}
		select {
		case c := <-f.results:
			return f.take(c), true
		case <-f.ctx.Done():
			return f.abandon(f.live[0], context.Cause(f.ctx)), true
		case <-tick:
		}
	}
}

// due is the call for which something is to be done first, other than to wait, and when; nil if there is none.
func (f *fanout) due() (first *shardCall, at time.Time) {
	for _, c := range f.live {
		for _, t := range [...]time.Time{c.deadline, c.hedgeAt} {
			if !t.IsZero() && (first == nil || t.Before(at)) {
				first, at = c, t
			}
		}
	}
	return first, at
}

// expire does what is due.
func (f *fanout) expire(c *shardCall) event {
	if !c.hedgeAt.IsZero() && (c.deadline.IsZero() || c.hedgeAt.Before(c.deadline)) {
		c.hedgeAt = time.Time{}
		return event{call: c, hedge: true}
	}
	return f.abandon(c, ErrShardTimeout)
}

// abandon gives a call up; or, if it has returned, takes one that has.
func (f *fanout) abandon(c *shardCall, err error) event {
	if !c.state.CompareAndSwap(callRuns, callAbandoned) {
		return f.take(<-f.results)
	}
	f.s.count.abandoned.Add(1)
	f.remove(c)
	return event{call: c, err: err, abandoned: true}
}

// take takes a call that has returned.
func (f *fanout) take(c *shardCall) event {
	err := c.err
	switch {
	case err == nil:
	case f.ctx.Err() != nil && errors.Is(err, f.ctx.Err()):
		err = context.Cause(f.ctx)
	case c.ctx.Err() != nil && f.ctx.Err() == nil && errors.Is(err, c.ctx.Err()):
		err = context.Cause(c.ctx) // it has noticed by itself that its time was over
	}
	f.remove(c)
	return event{call: c, err: err}
}

func (f *fanout) remove(c *shardCall) {
	i := slices.Index(f.live, c)
	last := len(f.live) - 1
	f.live[i], f.live[last] = f.live[last], nil
	f.live = f.live[:last]
	if !c.hedge {
		f.places--
	}
	if c.cancel != nil {
		c.cancel()
	}
}

// fail counts the failure of a call, if it ran, and returns its error.
func (f *fanout) fail(ev event) *ShardError {
	if !ev.call.began.IsZero() {
		f.s.shards[ev.call.shard].fail(errors.Is(ev.err, ErrShardTimeout))
	}
	return &ShardError{ev.call.shard, ev.err}
}

// give gives up a call whose answer is not needed any more. It returns false if the call has returned: its result waits to be taken then.
func (f *fanout) give(c *shardCall) bool {
	if !c.state.CompareAndSwap(callRuns, callAbandoned) {
		return false
	}
	f.s.count.abandoned.Add(1)
	f.s.shards[c.shard].latency.observe(time.Since(c.began))
	f.remove(c)
	return true
}

// end gives up what still runs and lets go of all.
func (f *fanout) end() {
	for len(f.live) > 0 {
		if f.give(f.live[0]) {
			continue
		}
		ev := f.take(<-f.results)
		if ev.err == nil {
			f.s.shards[ev.call.shard].latency.observe(ev.call.took)
		}
		ev.call.release()
	}
	if f.timer != nil {
		f.timer.Stop()
	}
	clear(f.queue)
	f.queue, f.at, f.ctx = f.queue[:0], 0, nil
}
