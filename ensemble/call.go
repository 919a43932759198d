package ensemble

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// call is one Do. Members write what they return into its slots, and the one that decides the call wakes the caller. It is used again when the
// caller and all its goroutines are done with it; a member that ignores its context keeps it so long.
type call[Req, In, Out any] struct {
	e            *Ensemble[Req, In, Out]
	parent       context.Context // the caller's
	ctx          context.Context // the members'
	cancel       context.CancelFunc
	shared       context.Context // of members that begin together and have the same Timeout; otherwise nil, and each has its own
	cancelShared context.CancelFunc
	req          Req
	deadline     time.Duration // since the epoch; 0 is none
	wake         chan struct{} // holds a token when the caller should look; it may be one too many
	timer        *time.Timer   // of the caller
	votes        []Vote[In]
	alone        bool // no goroutine uses the call but the caller's, which knows

	mu       sync.Mutex
	slots    []slot[In]
	next     int         // the first member that has not been called
	holders  int         // goroutines that use the call, the caller included
	answered int         // members
	required int         // members that have answered
	ended    int         // members that have answered, failed or timed out
	decided  atomic.Bool // slots do not change any more, but for gone; set with the lock held
	good     bool        // there are enough answers
	byTime   bool        // decided by a deadline, or by the end of the caller's context
	waiting  bool        // the caller is about to wait for wake, or does
	released bool        // by the caller
}

// slot is a member in a call.
type slot[In any] struct {
	start   func() // runs the member, and those that come after it; made once, so that starting a goroutine allocates nothing
	value   In
	err     error
	began   time.Duration // since the epoch
	took    time.Duration
	status  Status
	running bool // called, and neither answered, failed nor timed out when the call was decided
	gone    bool // Do has returned, or was never called
}

func newCall[Req, In, Out any](e *Ensemble[Req, In, Out]) *call[Req, In, Out] {
	n := len(e.members)
	c := &call[Req, In, Out]{e: e, wake: make(chan struct{}, 1), slots: make([]slot[In], n), votes: make([]Vote[In], 0, n)}
	for i := range c.slots {
		c.slots[i].start = starter(c, i)
	}
	return c
}

// starter is what the goroutine of a member runs. For each goroutine the runtime looks through the name of its function, twice, and those of generic types are
// long: from a function that is neither generic nor inlined into one the closure has a short one.
//
//go:noinline
func starter(c interface{ work(member int) }, i int) func() { return func() { c.work(i) } }

// begin starts the members.
func (e *Ensemble[Req, In, Out]) begin(ctx context.Context, req Req) *call[Req, In, Out] {
	c := e.calls.Get().(*call[Req, In, Out])
	c.parent, c.req = ctx, req
	now := e.now()
	if d := e.cfg.Deadline; d > 0 {
		c.deadline = now + d
		c.ctx, c.cancel = context.WithTimeoutCause(ctx, d, ErrDeadline)
	} else {
		c.ctx, c.cancel = context.WithCancel(ctx)
	}
	if e.shared > 0 {
		c.shared, c.cancelShared = context.WithTimeoutCause(c.ctx, e.shared, ErrTimeout)
	}
	// No goroutine has the call yet, so that this needs no lock; they may run from the first go statement on.
	n := e.cfg.Concurrency
	c.next, c.holders = n, n+1
	for i := range c.slots {
		c.slots[i].gone = i >= n
		if i < n {
			c.slots[i].running, c.slots[i].began = true, now
		}
	}
	for i := range n {
		go c.slots[i].start()
	}
	return c
}

// run waits until the call is decided, and then for those that it has cancelled.
func (c *call[Req, In, Out]) run() {
	done := c.parent.Done()
	if c.deadline > 0 {
		done = c.ctx.Done() // ends with the parent too
	}
	runtime.Gosched() // members that are quick have answered when this returns, and parking and waking cost more
	for !c.look() {
		select {
		case <-c.wake:
		case <-c.alarm():
			c.expire()
		case <-done:
			c.end()
		}
	}
	c.cancel()
	if c.cancelShared != nil {
		c.cancelShared()
	}
	if !c.alone && c.leaving() {
		c.reap()
	}
}

// look says whether the call is decided, and notes whether the caller has it for itself.
func (c *call[Req, In, Out]) look() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	decided := c.decided.Load()
	c.alone, c.waiting = decided && c.holders == 1, !decided
	return decided
}

// alarm is a channel that is ready when the next member times out, nil if none can.
func (c *call[Req, In, Out]) alarm() <-chan time.Time {
	if !c.e.timeouts {
		return nil
	}
	at := time.Duration(-1)
	c.mu.Lock()
	for i := range c.slots {
		if t := c.e.members[i].Timeout; t > 0 && c.slots[i].running && (at < 0 || c.slots[i].began+t < at) {
			at = c.slots[i].began + t
		}
	}
	c.mu.Unlock()
	if at < 0 {
		return nil
	}
	return c.after(at - c.e.now())
}

// after is time.After with one timer for all calls that use c.
func (c *call[Req, In, Out]) after(d time.Duration) <-chan time.Time {
	if c.timer == nil {
		c.timer = time.NewTimer(d)
	} else {
		c.timer.Reset(d)
	}
	return c.timer.C
}

// expire gives up the members whose time is over, and lets others begin in their places.
func (c *call[Req, In, Out]) expire() {
	now := c.e.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.slots {
		s, t := &c.slots[i], c.e.members[i].Timeout
		if c.decided.Load() || !s.running || t == 0 || now < s.began+t {
			continue
		}
		s.took = now - s.began
		c.settle(i, TimedOut, ErrTimeout)
		if next := c.admit(now); next >= 0 {
			c.holders++ // the goroutine of the one that is over does not take the place
			go c.slots[next].start()
		}
	}
}

// end is the end of the caller's context, or the deadline.
func (c *call[Req, In, Out]) end() {
	own := c.parent.Err() == nil
	late := own || c.parent.Err() == context.DeadlineExceeded // the very value, as context.Context promises
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.decided.Load() {
		return
	}
	c.byTime = true
	c.good = late && c.suffices()
	c.decide()
	for i := range c.slots {
		if s := &c.slots[i]; s.running && late {
			s.status = Late
		}
	}
}

// decide closes the slots. It is called with the lock held.
func (c *call[Req, In, Out]) decide() {
	c.decided.Store(true)
	for i := range c.slots {
		if s := &c.slots[i]; s.running {
			s.status = Cancelled
		}
	}
}

func (c *call[Req, In, Out]) suffices() bool {
	return c.answered >= c.e.needed && c.required == c.e.required
}

// settle notes the outcome of a member and decides the call if that can be done now. It is called with the lock held.
func (c *call[Req, In, Out]) settle(i int, status Status, err error) {
	s, required := &c.slots[i], c.e.members[i].Required
	s.running, s.status, s.err = false, status, err
	c.ended++
	if status == Answered {
		c.answered++
		if required {
			c.required++
		}
	}
	possible := c.answered + len(c.slots) - c.ended
	switch {
	case status != Answered && required, possible < c.e.needed:
		c.decide()
	case c.suffices() && (c.e.early || c.ended == len(c.slots)):
		c.good = true
		c.decide()
	}
}

// admit returns the next member to call, -1 if there is none. It is called with the lock held.
func (c *call[Req, In, Out]) admit(now time.Duration) int {
	if c.decided.Load() || c.next == len(c.slots) || c.ctx.Err() != nil {
		return -1
	}
	i := c.next
	c.next++
	s := &c.slots[i]
	s.running, s.gone, s.began = true, false, now
	return i
}

// reap waits for the members that were cancelled by the decision; those that had timed out before have had their time.
func (c *call[Req, In, Out]) reap() {
	grace := c.e.cfg.Grace
	if c.deadline > 0 {
		grace = min(grace, c.deadline-c.e.now())
	}
	timeout := c.after(grace)
	for c.leaving() {
		select {
		case <-c.wake:
		case <-timeout:
			return
		case <-c.parent.Done():
			return
		}
	}
}

// leaving says whether a member that was cancelled has not returned.
func (c *call[Req, In, Out]) leaving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.slots {
		if s := &c.slots[i]; s.status == Cancelled && !s.gone {
			c.waiting = true
			return true
		}
	}
	return false
}

// release ends the caller's part.
func (c *call[Req, In, Out]) release() {
	if !c.alone && c.leave() {
		return // to the last member that returns
	}
	c.recycle()
}

// leave says whether there are others.
func (c *call[Req, In, Out]) leave() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holders--
	if c.holders == 0 {
		return false
	}
	c.released = true
	for i := range c.slots {
		if !c.slots[i].gone {
			c.e.abandon(i, 1)
		}
	}
	return true
}

// recycle lets go of what belongs to the caller and to the members.
func (c *call[Req, In, Out]) recycle() {
	if c.timer != nil {
		c.timer.Stop()
	}
	clear(c.votes[:cap(c.votes)])
	for i := range c.slots {
		c.slots[i] = slot[In]{start: c.slots[i].start}
	}
	var none Req
	c.parent, c.ctx, c.cancel, c.shared, c.cancelShared, c.req, c.deadline, c.votes = nil, nil, nil, nil, nil, none, 0, c.votes[:0]
	c.next, c.answered, c.required, c.ended = 0, 0, 0, 0
	c.alone, c.good, c.byTime, c.waiting, c.released = false, false, false, false, false
	c.decided.Store(false)
	c.e.calls.Put(c)
}
