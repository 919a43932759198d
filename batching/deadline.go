package batching

import (
	"math"
	"sort"
	"time"
)

// This file is the policy Deadline: which requests a batch takes, which are lost, and when a free slot may wait. The ideas are those of
// Nexus (Shen et al., SOSP 2019: drop the requests whose deadlines would force inefficient batches), Clockwork (Gujarati et
// al., OSDI 2020: predict how long a run takes, and do not begin what comes too late) and Symphony (Chen et al., 2023: defer a batch while
// no deadline is at risk).

func (c *core[K, Req, Resp]) deadlines() bool { return c.cfg.Policy.kind == policyDeadline }

// sizeLimit is the number of requests that a batch may have now.
func (c *core[K, Req, Resp]) sizeLimit() int {
	switch c.cfg.Policy.kind {
	case policyAIMD:
		return c.aimd.limit(c.cfg.MaxSize)
	case policyDeadline:
		return min(c.cfg.MaxSize, c.latency.largest())
	}
	return c.cfg.MaxSize
}

// selection is a batch that is being put together.
type selection struct {
	now    time.Duration
	n      int
	weight int64
	first  time.Duration // the earliest deadline among them
}

// choose takes the requests for a batch from the lane, and gives each to add. The lane is not empty, and none of its requests is lost.
//
// In the highest class it looks for the largest number of requests, such that there are as many whose deadline is no earlier
// than the end of a batch of that size. More would make the most urgent of them late; with fewer the model does less in the time it has. Those
// with earlier deadlines are passed over: they may have their turn if fewer requests come, and are lost otherwise. Then the
// lower classes fill up what that leaves, without making anybody late.
//
// How many have their deadline at a given time or later is one walk down the class's tree, so all of this costs O(log n · log MaxSize).
//
// It begins with the class at the given place in the lane's list.
func (c *core[K, Req, Resp]) choose(l *lane[K, Req, Resp], now time.Duration, first int, add func(*item[K, Req, Resp]) bool) {
	s := selection{now: now, first: noDeadline}
	for i := first; i < len(l.q.list); {
		cl := &l.q.list[i]
		n, weight, from := c.best(cl, s)
		if n == 0 && s.n == 0 {
			n, weight, from = 1, math.MaxInt64, cl.byTime.first() // nobody is sure to be in time: try the most urgent
		}
		level := cl.level
		for it := from; it != nil && n > 0 && (weight >= it.weight || s.n == 0); {
			next := following(it)
			itWeight, target := it.weight, it.target
			if !add(it) {
				return
			}
			s.n++
			s.weight += itWeight
			s.first = min(s.first, target)
			n--
			weight -= itWeight
			it = next
		}
		if first > 0 {
			i, first = 0, 0 // the others in their order; of this one nothing fits a second time
		} else if i < len(l.q.list) && l.q.list[i].level == level { // otherwise the class is empty, and gone
			i++
		}
	}
}

// best is how many requests of a class, of what weight together, may be added to the selection, from which on.
func (c *core[K, Req, Resp]) best(cl *class[K, Req, Resp], s selection) (n int, weight int64, from *item[K, Req, Resp]) {
	most := min(c.sizeLimit()-s.n, cl.q.n)
	if most <= 0 {
		return 0, 0, nil
	}
	if c.latency.byWeight {
		w := c.heaviest(cl, s)
		if w < 0 {
			return 0, 0, nil
		}
		if _, _, from = cl.byTime.from(s.now + c.latency.safe(float64(s.weight+w))); from == nil {
			return 0, 0, nil
		}
		return most, w, from
	}
	fits := func(n int) bool {
		takes := c.safeSize(s.n + n)
		there, _, _ := cl.byTime.from(s.now + takes)
		return there >= n && s.now+takes <= s.first
	}
	n = c.mostEfficient(s.n, sort.Search(most, func(i int) bool { return !fits(i + 1) }))
	if s.n+n == 0 {
		return 0, 0, nil
	}
	// Places that would be padding cost nothing: they go to whoever may be in time with luck.
	size := c.cfg.paddedSize(s.n + n)
	there, _, _ := cl.byTime.from(s.now + c.latency.fast(float64(size)))
	if n = max(n, min(size-s.n, most, there)); n == 0 {
		return 0, 0, nil
	}
	// If there are more than go, the ones that are almost sure to be in time are the better choice: the others would be lost next time.
	if there, _, from = cl.byTime.from(s.now + c.latency.sure(float64(size))); there < n {
		from = cl.byTime.nthLast(n)
		if from.target == cl.byTime.last.target { // all the same: those who came first
			_, _, from = cl.byTime.from(from.target)
		}
	}
	return n, math.MaxInt64, from
}

// heaviest is the weight that may be added to the selection, -1 if not even 0.
func (c *core[K, Req, Resp]) heaviest(cl *class[K, Req, Resp], s selection) int64 {
	most := cl.q.weight
	if c.cfg.MaxWeight > 0 {
		most = min(most, int64(c.cfg.MaxWeight)-s.weight)
	}
	low, high := int64(-1), most+1 // low fits, high does not
	for high-low > 1 {
		w := low + (high-low)/2
		takes := c.latency.safe(float64(s.weight + w))
		if _, there, _ := cl.byTime.from(s.now + takes); there >= w && s.now+takes <= s.first {
			low = w
		} else {
			high = w
		}
	}
	return low
}

// mostEfficient is how many of n requests join the have that are chosen already: n, or so many that the batch has one of the allowed
// sizes, or none, whatever makes the most requests for the time.
func (c *core[K, Req, Resp]) mostEfficient(have, n int) int {
	rate := func(n int) float64 { return float64(n) / c.latency.mean(float64(c.cfg.paddedSize(n))) }
	best, most := have+n, rate(have+n)
	try := func(size int) {
		if r := rate(size); r > most {
			best, most = size, r
		}
	}
	for _, size := range c.cfg.AllowedSizes {
		if have <= size && size < have+n {
			try(size)
		}
	}
	if have > 0 && len(c.cfg.AllowedSizes) > 0 {
		try(have)
	}
	return best - have
}

// safeSize is latency.safe for a number of requests.
func (c *core[K, Req, Resp]) safeSize(n int) time.Duration {
	return c.latency.safe(float64(c.cfg.paddedSize(n)))
}

// soonest is how soon a request of that weight may be answered if it is alone in its batch.
func (c *core[K, Req, Resp]) soonest(weight int64) time.Duration {
	return c.latency.fast(c.latency.size(c.cfg.paddedSize(1), weight))
}

// dropLost drops the requests of the lane that cannot be answered in time even if they went now. When no batch has begun or ended for as long as
// its caller is ready to wait, it keeps one whose deadline is still to come: if the model has become faster, that is how the policy finds out.
func (c *core[K, Req, Resp]) dropLost(l *lane[K, Req, Resp], now time.Duration) {
	var err error
	for i := len(l.q.list) - 1; i >= 0; i-- { // backwards: a class that becomes empty goes
		for cl := &l.q.list[i]; cl.q.n > 0; {
			it := cl.byTime.first()
			if it.target > now && it.target-now >= c.soonest(it.weight) {
				break
			}
			if it.target > now && l.q.n == 1 && c.free() && now-max(c.latency.last, c.begun) >= it.target-it.arrived {
				break
			}
			if err == nil {
				err = &DeadlineError{c.queueTime(now)}
			}
			last := cl.q.n == 1
			c.stats.Drops.Lost++
			c.fail(it, err)
			if last {
				break // cl is not valid any more
			}
		}
	}
}

// refuse is the error for a request with the given deadline, if it could not be answered before that even if it were the next.
func (c *core[K, Req, Resp]) refuse(target, now time.Duration, weight int64) error {
	if !c.deadlines() || !c.latency.known() || c.free() {
		return nil
	}
	left := target - now - c.soonest(weight)
	if left >= c.longest {
		return nil // no batch that runs can be so far from its end
	}
	wait := time.Duration(math.MaxInt64)
	for b := c.running; b != nil && wait > left; b = b.next {
		wait = min(wait, max(b.soonest-now, 0))
	}
	if wait <= left {
		return nil
	}
	return &DeadlineError{c.queueTime(now)}
}

// queueTime is about how long it takes until all is answered that is queued and runs now.
func (c *core[K, Req, Resp]) queueTime(now time.Duration) time.Duration {
	if !c.latency.known() {
		return 0
	}
	var busy time.Duration
	for b := c.running; b != nil; b = b.next {
		busy += max(b.soonest-now, 0)
	}
	waiting := float64(c.stats.Queued + c.stats.Blocked)
	size := min(waiting, float64(c.sizeLimit()))
	if size > 0 {
		one := c.latency.mean(c.latency.size(c.cfg.paddedSize(int(size)), c.stats.QueuedWeight*int64(size)/int64(max(c.stats.Queued, 1))))
		busy += time.Duration(one * math.Ceil(waiting/size))
	}
	return busy / time.Duration(c.cfg.Concurrency)
}

// hold is until when the lane may wait for company though a slot is free. Waiting pays as long as the requests have waited less,
// all together, than one run costs whatever its size: that is the time of the model which the next request saves by
// joining them. (It is the rule of the online acknowledgement problem, Dooly, Goldman and Scott, STOC 1998.)
func (c *core[K, Req, Resp]) hold(l *lane[K, Req, Resp], now time.Duration) (time.Duration, Reason) {
	n := l.q.n
	waited := time.Duration(n)*now - l.q.arrived // right even where the two terms overflow
	until, reason := now+(c.latency.fixed()-waited)/time.Duration(n), ReasonWait
	takes := c.latency.safe(c.latency.size(c.cfg.paddedSize(n+1), l.q.weight))
	for i := range l.q.list {
		cl := &l.q.list[i]
		if c.cfg.MaxWait > 0 {
			until = min(until, after(cl.q.head.arrived, c.cfg.MaxWait))
		}
		if safe := cl.byTime.first().target - takes; safe < until {
			until, reason = safe, ReasonDeadline
		}
	}
	return until, reason
}

// loses is when the first request of the lane is lost.
func (c *core[K, Req, Resp]) loses(l *lane[K, Req, Resp]) time.Duration {
	at := noDeadline
	for i := range l.q.list {
		it := l.q.list[i].byTime.first()
		if it.target != noDeadline {
			at = min(at, it.target-c.soonest(it.weight))
		}
	}
	return at
}

// learn takes in how long a batch took. A run that failed says nothing about that, unless it was cut short by its context (callers with
// time-outs, and a run function that heeds them): it would have taken at least so long.
func (c *core[K, Req, Resp]) learn(b *batch[K, Req, Resp], now time.Duration) {
	if b.event.ExtraRuns > 0 || b.failed && !b.cut {
		return
	}
	took := b.event.RunTime
	switch policy := c.cfg.Policy; policy.kind {
	case policyAIMD:
		if b.failed && took <= policy.target {
			return
		}
		before := c.sizeLimit()
		c.aimd.observe(b.event.Size, c.cfg.MaxSize, took, policy.target)
		if c.sizeLimit() < before {
			for _, l := range c.backlog.byDue {
				l.due = 0 // it may be full now
			}
		}
	case policyDeadline:
		size := b.event.Size + b.event.Padding
		if b.failed && float64(took) <= c.latency.mean(c.latency.size(size, b.event.Weight)) {
			return
		}
		c.latency.observe(b.event.Size, size, b.event.Weight, c.opts.weight != nil, took, now)
		c.longest = c.latency.safe(c.latency.size(c.cfg.paddedSize(c.sizeLimit()), max(int64(c.cfg.MaxWeight), b.event.Weight)))
	}
}
