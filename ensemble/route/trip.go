package route

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/scalable-ai/patterns/internal/reject"
)

// trip is one request on its way from member to member. It sees one table from beginning to end.
type trip[Req, Resp any] struct {
	table    *compiled[Req, Resp]
	pick     Picker
	places   []place // that are capable and have not been tried
	eligible []int   // places of the candidates
	choice   Choice
	attempts []*MemberError
}

// start finds the members that the request may go to.
func (r *Router[Req, Resp]) start(req Req) *trip[Req, Resp] {
	t, _ := r.trips.Get().(*trip[Req, Resp])
	if t == nil {
		t = &trip[Req, Resp]{}
	}
	t.table = r.table.Load()
	places, pick := t.table.match(req)
	if pick == nil {
		pick = r.cfg.Pick
	}
	t.pick = pick
	var needs []string
	if r.opts.needs != nil {
		needs = r.opts.needs(req)
	}
	for _, p := range places {
		m := &t.table.Members[p.member]
		if m.can(needs) && (m.Accepts == nil || m.Accepts(req)) {
			t.places = append(t.places, p)
		}
	}
	if r.opts.key != nil {
		t.choice.Key = xxhash.Sum64String(r.opts.key(req))
	}
	return t
}

func (m *Member[Req, Resp]) can(needs []string) bool {
	for _, need := range needs {
		if !slices.Contains(m.Capabilities, need) {
			return false
		}
	}
	return true
}

// finish gives the trip's memory to the next. It is not called after a panic: the collector takes the trip then.
func (r *Router[Req, Resp]) finish(t *trip[Req, Resp]) {
	*t = trip[Req, Resp]{
		places:   t.places[:0],
		eligible: t.eligible[:0],
		choice:   Choice{Candidates: t.choice.Candidates[:0]},
	}
	r.trips.Put(t)
}

// next begins the next attempt, or says why there is none. The lease must be ended.
func (r *Router[Req, Resp]) next(ctx context.Context, req Req, t *trip[Req, Resp]) (*Member[Req, Resp], lease, error) {
	for {
		left, err := r.timeLeft(ctx)
		if err != nil {
			return nil, lease{}, t.end(err)
		}
		tried := len(t.attempts)
		if tried > 0 && (tried == r.cfg.MaxAttempts || len(t.places) == 0) {
			return nil, lease{}, t.end(nil)
		}
		if len(t.places) == 0 {
			r.unavailable.Add(1)
			return nil, lease{}, ErrNotCapable
		}
		now := time.Now()
		soonest, wait := r.look(req, t, now)
		var at int
		forced := len(t.eligible) == 0
		switch {
		case !forced:
			t.choice.Left, t.choice.Attempt = left, tried
			i := t.pick.Pick(&t.choice)
			if i < 0 || i >= len(t.eligible) {
				return nil, lease{}, t.end(ErrPick)
			}
			at = t.eligible[i]
		case tried > 0:
			return nil, lease{}, t.end(nil)
		case !r.cfg.UseCooling:
			r.unavailable.Add(1)
			return nil, lease{}, &UnavailableError{Wait: wait}
		default:
			at = soonest
		}
		member := t.places[at].member
		if l, ok := t.table.health[member].begin(now, forced, tried > 0); ok {
			t.places = slices.Delete(t.places, at, at+1)
			return &t.table.Members[member], l, nil
		}
		// Another request has put the member aside, or become its probe, since look: the next look sees it.
	}
}

// look collects the candidates, and the place of the member that recovers first.
func (r *Router[Req, Resp]) look(req Req, t *trip[Req, Resp], now time.Time) (soonest int, wait time.Duration) {
	t.eligible, t.choice.Candidates = t.eligible[:0], t.choice.Candidates[:0]
	wait = math.MaxInt64
	for i, p := range t.places {
		var c Candidate
		w, ok := t.table.health[p.member].look(now, &c)
		if !ok {
			if w < wait {
				soonest, wait = i, w
			}
			continue
		}
		m := &t.table.Members[p.member]
		c.Weight, c.Cost = p.weight, m.Cost
		if m.CostOf != nil {
			if c.Cost = m.CostOf(req); math.IsNaN(c.Cost) {
				c.Cost = math.Inf(1)
			}
		}
		t.eligible = append(t.eligible, i)
		t.choice.Candidates = append(t.choice.Candidates, c)
	}
	return soonest, wait
}

// timeLeft is an error if there is not enough for an attempt.
func (r *Router[Req, Resp]) timeLeft(ctx context.Context) (time.Duration, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return math.MaxInt64, nil
	}
	left := time.Until(deadline)
	if left <= 0 || left < r.cfg.MinTime {
		return 0, ErrNoTime
	}
	return left, nil
}

// end is the error when there is no further attempt.
func (t *trip[Req, Resp]) end(cause error) error {
	if len(t.attempts) == 0 {
		return cause
	}
	return &Error{Attempts: t.attempts, Cause: cause}
}

// judge says how an attempt ended, and what the error asks for. The context is the caller's.
func (r *Router[Req, Resp]) judge(ctx context.Context, err error) (out outcome, wait time.Duration) {
	if err == nil {
		return answered, 0
	}
	if ctx.Err() != nil {
		return gaveUp, 0
	}
	verdict := MemberFailed
	if r.cfg.Classify != nil {
		verdict = r.cfg.Classify(err)
	} else if reject.Is(err) {
		verdict = MemberBusy
	}
	switch verdict {
	case MemberBusy:
		return busy, 0
	case RequestFailed:
		return rejected, 0
	}
	return failed, retryAfter(err)
}

// failed notes a failed attempt. The error is not nil if it was the last.
func (t *trip[Req, Resp]) failed(ctx context.Context, member string, out outcome, err error) error {
	switch out {
	case gaveUp:
		return t.end(context.Cause(ctx))
	case rejected:
		return t.end(&MemberError{member, err})
	}
	t.attempts = append(t.attempts, &MemberError{member, err})
	return nil
}

// report tells of a change.
func (r *Router[Req, Resp]) report(e StateEvent) {
	if r.cfg.OnStateChange != nil && e.From != e.To {
		r.cfg.OnStateChange(e)
	}
}
