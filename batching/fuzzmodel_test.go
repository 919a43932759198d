package batching_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scalable-ai/patterns/batching"
)

// fuzzReq is one request, and what became of it.
type fuzzReq struct {
	id, key, weight int
	poison          bool // a run that has it fails
	call            *fuzzCall
	batch           *fuzzBatch // nil until it runs
	want            error      // of the last run that had it; nil: its answer, which is id
	panicked        bool       // want was the value of a panic
}

// fuzzCall is a Do or a DoAll.
type fuzzCall struct {
	reqs              []*fuzzReq
	all               bool
	ctx               context.Context
	cancel            context.CancelCauseFunc // nil: it cannot be cancelled
	cause             error                   // of ctx, if it ends
	cancelled         bool
	class             int
	arrived, deadline time.Time
	reject            error // on entry, whatever room there is
	admitted          bool
	over, gone        bool // it has returned; with its cause
	err               error
}

// fuzzBatch is a batch that the run function has seen.
type fuzzBatch struct {
	reqs                 []*fuzzReq
	ctx                  context.Context
	cfg                  batching.Config
	runs, padding        int
	active, wentByGoexit bool
}

// real are the requests without the padding at their end.
func (*fuzzBatch) real(reqs []*fuzzReq) []*fuzzReq {
	for len(reqs) > 1 && reqs[len(reqs)-1].id < 0 {
		reqs = reqs[:len(reqs)-1]
	}
	return reqs
}

// fuzzModel knows the requests in the order of arrival, and what the run function has seen of them.
type fuzzModel struct {
	t        *testing.T
	b        fuzzBatcher
	program  []byte
	script   []byte // what the runs do, in turn
	keys     int    // 0: not Keyed
	padded   bool
	classes  int  // of priority
	policies bool // others than Window may be in force
	log      []string

	mu               sync.Mutex
	cfg              batching.Config
	calls            []*fuzzCall
	reqs             []*fuzzReq // in the order of arrival
	batches          []*fuzzBatch
	active, runs     int
	newest           map[[2]int]int       // by key and class: the newest request that has run
	newestAt         map[[2]int]time.Time // and when its batch began
	draining, closed bool
	accepted         uint64
	rejected, shut   uint64
	refused          uint64
	last             batching.Stats // at the last check
	events, sizes    uint64         // what OnBatch was told
}

// strict reports whether the model knows who waits where: not with several classes, where later ones come first, nor with policies that drop.
func (m *fuzzModel) strict() bool { return m.classes == 1 && !m.policies }

func (m *fuzzModel) failf(format string, args ...any) {
	m.t.Helper()
	m.t.Errorf("%v: "+format, append([]any{time.Now().Format("05.0000")}, args...)...)
}

// run does what the script says, and notes what became of the requests.
func (m *fuzzModel) run(ctx context.Context, key int, reqs []*fuzzReq) (resps []int, err error) {
	m.mu.Lock()
	b := m.begin(ctx, key, reqs)
	n := m.runs
	m.runs++
	act := int(m.script[n%len(m.script)])
	m.mu.Unlock()

	whole := fmt.Errorf("run %d failed", n)
	each := make(batching.ItemErrors, len(reqs))
	kind, takes := act%16, [...]time.Duration{0, 0, ms, 2 * ms, 2 * ms, 5 * ms, 9 * ms, 40 * ms}[act/16%8]
	switch {
	case act < 128:
		time.Sleep(takes)
	case takes > 0:
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			kind = 6
		}
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	m.active--
	b.active = false
	for i, r := range reqs {
		if r.poison {
			kind = 6
		}
		resps = append(resps, r.id)
		if (r.id+n)%2 == 0 || kind == 8 {
			each[i] = fmt.Errorf("item %d failed in run %d", r.id, n)
		}
	}
	outcome := func(want func(i int) error) {
		for i, r := range reqs {
			r.want, r.panicked = want(i), kind == 9
		}
	}
	switch kind {
	case 6:
		outcome(func(int) error { return whole })
		return nil, whole
	case 7:
		outcome(func(i int) error { return each[i] })
		return resps, each
	case 8: // if all fail there need be no results
		outcome(func(i int) error { return each[i] })
		return nil, fmt.Errorf("wrapped: %w", each)
	case 9:
		outcome(func(int) error { return whole })
		panic(whole)
	case 10:
		b.wentByGoexit = true
		outcome(func(int) error { return batching.ErrGoexit })
		runtime.Goexit()
	case 11:
		outcome(func(int) error { return batching.ErrResultCount })
		return append(resps, 0), nil
	case 12:
		outcome(func(int) error { return batching.ErrResultCount })
		return resps, each[1:]
	case 13:
		each[len(b.real(reqs))-1] = nil // and there is no result for it
		outcome(func(int) error { return batching.ErrResultCount })
		return nil, each
	}
	outcome(func(int) error { return nil })
	return resps, nil
}

// begin checks a batch, or a part of one that bisection runs again.
func (m *fuzzModel) begin(ctx context.Context, key int, reqs []*fuzzReq) *fuzzBatch {
	var b *fuzzBatch
	now, weight, pads := time.Now(), 0, len(reqs)-len(b.real(reqs))
	reqs = b.real(reqs)
	if i := slices.IndexFunc(m.batches, func(b *fuzzBatch) bool { return b.ctx == ctx }); i >= 0 {
		b = m.batches[i]
	} else {
		b = &fuzzBatch{ctx: ctx, cfg: m.cfg, reqs: reqs}
		m.batches = append(m.batches, b)
	}
	first := b.runs == 0
	b.runs++
	b.padding += pads
	b.active = true
	m.active++
	if reqs[0].id < 0 || len(b.cfg.AllowedSizes) == 0 && pads > 0 ||
		len(b.cfg.AllowedSizes) > 0 && !slices.Contains(b.cfg.AllowedSizes, len(reqs)+pads) {
		m.failf("run of %d requests and %d pads, allowed are %v", len(reqs), pads, b.cfg.AllowedSizes)
	}
	if b.runs-1 > b.cfg.MaxExtraRuns || m.active > m.cfg.Concurrency && first {
		m.failf("%d runs of a batch, %d batches: %+v", b.runs, m.active, b.cfg)
	}
	before, beforeAt := maps.Clone(m.newest), maps.Clone(m.newestAt)
	for i, r := range reqs {
		weight += r.weight
		if !first {
			if r.batch != b {
				m.failf("request %d runs again in another batch", r.id)
			}
			continue
		}
		if r.batch != nil || r.key != key {
			m.failf("request %d of key %d runs in a batch of key %d (ran before: %t)", r.id, r.key, key, r.batch != nil)
		}
		if c := r.call; c.cancelled || !c.deadline.IsZero() && c.deadline.Before(now) {
			m.failf("request %d runs though its context has ended", r.id)
		}
		// Batches that begin at one moment may overtake each other on their way to the run function.
		like := [2]int{key, r.call.class}
		if !m.policies && (r.id <= before[like] && (now.After(beforeAt[like]) || b.cfg.Concurrency == 1) ||
			i > 0 && r.call.class == reqs[i-1].call.class && r.id <= reqs[i-1].id) {
			m.failf("request %d overtook a request of its key and class", r.id)
		}
		r.batch = b
		m.newest[like], m.newestAt[like] = max(m.newest[like], r.id), now
	}
	if len(reqs) > b.cfg.MaxSize || b.cfg.MaxWeight > 0 && weight > b.cfg.MaxWeight && len(reqs) > 1 {
		m.failf("batch of %d requests that weigh %d: %+v", len(reqs), weight, b.cfg)
	}
	return b
}

// returned judges the outcome of a call.
func (m *fuzzModel) returned(c *fuzzCall, resps []int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.over, c.err = true, err
	if errors.Is(err, c.cause) {
		c.gone = true
		if c.ctx.Err() == nil {
			m.failf("request %d returned the cause of a context that goes on", c.reqs[0].id)
		}
		return
	}
	if !c.admitted && (c.reject != nil || errors.Is(err, batching.ErrQueueFull) || errors.Is(err, batching.ErrDeadline)) { // submit looks into that
		return
	}
	each, _ := err.(batching.ItemErrors) //nolint:errorlint // DoAll promises the type itself
	if c.all && (len(resps) != len(c.reqs) || err != nil && len(each) != len(c.reqs)) {
		m.failf("DoAll returned %d results and %v for %d requests", len(resps), err, len(c.reqs))
		return
	}
	for i, r := range c.reqs {
		if each != nil {
			err = each[i]
		}
		var p *batching.PanicError
		switch {
		case err == nil:
			if r.batch == nil || r.want != nil || resps[i] != r.id {
				m.failf("request %d was answered %d, want %v", r.id, resps[i], r.want)
			}
		case errors.Is(err, batching.ErrClosed):
			if !m.closed || r.batch != nil {
				m.failf("request %d got ErrClosed (closed: %t, ran: %t)", r.id, m.closed, r.batch != nil)
			}
		case r.batch == nil && m.policies && errors.Is(err, batching.ErrDeadline):
		case r.batch == nil && m.classes > 1 && errors.Is(err, batching.ErrEvicted):
		case r.batch == nil:
			m.failf("request %d got %v but did not run", r.id, err)
		case errors.Is(err, batching.ErrGoexit) && r.batch.wentByGoexit && r.want != nil:
		case !errors.Is(err, r.want) || r.panicked && !errors.As(err, &p):
			m.failf("request %d got %v, want %v", r.id, err, r.want)
		}
	}
}

// waiting are the requests that must be queued or blocked, in the order of arrival.
func (m *fuzzModel) waiting() (reqs []*fuzzReq) {
	for _, r := range m.reqs {
		if r.call.admitted && !r.call.over && r.batch == nil && !m.closed {
			reqs = append(reqs, r)
		}
	}
	return reqs
}

// check compares the batcher with the model when all is quiet.
func (m *fuzzModel) check() {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	s, now, waiting := m.b.Stats(), time.Now(), m.waiting()
	fail := func(what string, args ...any) {
		m.failf("%s\n%+v\n%+v", fmt.Sprintf(what, args...), s, m.cfg)
	}

	// Callers.
	var answered, failed, gone, unknown, running int
	for _, c := range m.calls {
		if c.ctx.Err() != nil && !c.over {
			fail("a call's context has ended, but it waits")
		}
		left := 0
		for _, r := range c.reqs {
			over := r.batch != nil && !r.batch.active || m.closed && r.batch == nil
			if !over {
				left++
			}
			switch {
			case !c.admitted:
			case c.gone && c.all:
				unknown++
			case c.gone:
				gone++
			case r.batch == nil:
			case r.batch.active:
				running++
			case r.want != nil:
				failed++
			default:
				answered++
			}
		}
		if left == 0 != c.over && c.admitted && !c.gone && (m.strict() || left == 0) {
			fail("a call of %d with %d left (returned: %t)", len(c.reqs), left, c.over)
		}
	}

	// Batches.
	var ran, items, padding, extra int
	for _, b := range m.batches {
		if !b.active {
			ran, items, padding, extra = ran+1, items+len(b.reqs), padding+b.padding, extra+b.runs-1
			continue
		}
		abandoned := !slices.ContainsFunc(b.reqs, func(r *fuzzReq) bool { return !r.call.over })
		if ended := b.ctx.Err() != nil; ended != (abandoned || m.closed) {
			fail("a batch's context has ended: %t, all callers have gone: %t, closed: %t", ended, abandoned, m.closed)
		}
	}

	// The books.
	between := func(v uint64, from, more int) bool { return uint64(from) <= v && v <= uint64(from+more) }
	if !between(s.Answered, answered, unknown) || !between(s.Failed, failed, unknown) ||
		!between(s.Abandoned+s.Drops.Cancelled+s.Drops.Expired, gone, unknown) ||
		s.Accepted != m.accepted || s.Drops.Rejected != m.rejected || s.Drops.Refused != m.refused ||
		s.Drops.Closed > m.shut || s.Drops.Closed < m.shut && m.strict() || s.Late > s.Answered ||
		s.Drops.Evicted > 0 && m.classes == 1 || s.Drops.Lost > 0 && !m.policies ||
		s.Accepted != s.Answered+s.Failed+s.Abandoned+s.Drops.Cancelled+s.Drops.Expired+s.Drops.Closed+s.Drops.Evicted+s.Drops.Lost+
			uint64(s.Queued+s.Blocked+s.Running) {
		fail("%d accepted, %d answered, %d failed, %d gone, %d unknown, %d rejected, %d closed",
			m.accepted, answered, failed, gone, unknown, m.rejected, m.shut)
	}
	f := s.Flushes
	if s.Batches != uint64(ran) || s.Items != uint64(items) || s.Padding != uint64(padding) || s.ExtraRuns != uint64(extra) ||
		s.Batches != f.Size+f.Weight+f.Wait+f.Slot+f.Deadline+f.Flush+f.Close || m.events != s.Batches || m.sizes != s.Items {
		fail("%d batches, %d items, %d pads, %d extra runs, %d events", ran, items, padding, extra, m.events)
	}
	if s.InFlight != m.active || s.Running != running {
		fail("%d batches run, with %d requests", m.active, running)
	}

	// The queue.
	limit := int64(m.cfg.MaxQueueWeight)
	if s.Queued < 0 || s.Blocked < 0 || s.Queued+s.Blocked > len(waiting) || s.Queued+s.Blocked < len(waiting) && m.strict() {
		fail("%d requests wait", len(waiting))
		return
	}
	if s.Queued > max(m.cfg.MaxQueue, m.last.Queued) || limit > 0 && s.QueuedWeight > max(limit, m.last.QueuedWeight) && s.Queued > 1 {
		fail("the queue is over its bounds")
	}
	m.last = s
	if !m.strict() {
		if s.InFlight == 0 && s.Queued > 0 && (m.cfg.MaxWait == 0 || m.draining) {
			fail("nothing runs, but requests wait")
		}
		return
	}
	var weight int64
	size, load := map[int]int{}, map[int]int{}
	for _, r := range waiting[:s.Queued] {
		weight += int64(r.weight)
		size[r.key]++
		load[r.key] += r.weight
	}
	if s.QueuedWeight != weight || m.keys > 0 && s.Keys != len(size) {
		fail("%d keys wait, weight %d", len(size), weight)
	}
	if s.Blocked > 0 && s.Queued < m.cfg.MaxQueue && (limit == 0 || weight+int64(waiting[s.Queued].weight) <= limit || s.Queued == 0) {
		fail("requests are blocked though there is room")
	}
	if s.InFlight >= m.cfg.Concurrency {
		return
	}
	if s.Blocked > 0 || s.Queued > 0 && (m.cfg.MaxWait == 0 || m.draining || s.Queued >= m.cfg.MaxQueue || limit > 0 && weight >= limit) {
		fail("a slot is free, but requests wait")
	}
	for _, r := range waiting[:s.Queued] {
		wait := m.cfg.MaxWait
		if !r.call.deadline.IsZero() {
			wait = min(wait, r.call.deadline.Sub(r.call.arrived)/2)
		}
		if size[r.key] >= m.cfg.MaxSize || m.cfg.MaxWeight > 0 && load[r.key] >= m.cfg.MaxWeight || !now.Before(r.call.arrived.Add(wait)) {
			fail("a slot is free, but request %d waits, since %v", r.id, now.Sub(r.call.arrived))
		}
	}
}
