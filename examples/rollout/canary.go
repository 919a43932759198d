package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

// wrong is the gate that users' labels go to.
const wrong = "wrong answers"

// stepEvery is after how many requests one asks whether the ramp goes on.
const stepEvery = 100

// steps are the shares of the ramp. In earnest they would last for hours.
func steps() []rollout.Step { return []rollout.Step{{Share: 0.05}, {Share: 0.25}, {Share: 0.5}} }

// ramp is a canary while it runs, and what was counted.
type ramp struct {
	version, champion string
	t                 traffic
	canary            *rollout.Canary[request, answer]
	labels            feedback
	ended             atomic.Bool

	counts         [2]arm // of the champion and the challenger, in the ramp
	after          [2]atomic.Int64
	errors         atomic.Int64
	saw            []atomic.Bool // by user: has had an answer of the challenger
	began, endedAt atomic.Int64  // requests

	mu     sync.Mutex
	events []rampEvent
	steps  map[int]rollout.CanaryStats // the last reading of each
}

type arm struct{ answers, wrong atomic.Int64 }

// rampEvent is an event, at a request.
type rampEvent struct {
	rollout.CanaryEvent
	request int64
}

// users is how many have seen the challenger.
func (r *ramp) users() (n int) {
	for i := range r.saw {
		if r.saw[i].Load() {
			n++
		}
	}
	return n
}

// over is the event that has ended the ramp, if one has.
func (r *ramp) over() (rampEvent, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) > 0 && r.ended.Load() {
		return r.events[len(r.events)-1], true
	}
	return rampEvent{}, false
}

// read keeps the counters of the present step.
func (r *ramp) read() {
	st := r.canary.Stats()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps[st.Step] = st
}

// ramp has the challenger's alias as a canary beside the champion's, until it is promoted or rolled back, or there are no more requests. It goes on
// for a while after that, to see who answers then. What was counted is returned with an error too, once the ramp has begun.
func (f *fleet) ramp(ctx context.Context, t traffic, limit float64) (*ramp, error) {
	old, young := f.registry.Alias(champion), f.registry.Alias(challenger)
	r := &ramp{version: young.ID().Version, champion: old.ID().Version, t: t, saw: make([]atomic.Bool, t.o.users), steps: make(map[int]rollout.CanaryStats)}
	r.labels.delay = t.o.delay
	r.began.Store(f.log.now.Load())
	c, err := rollout.NewCanary(old.Do, young.Do, f.canaryConfig(r, limit), rollout.WithKey(key))
	if err != nil {
		return nil, err
	}
	r.canary = c
	extra := t.o.n / 20
	err = spread(ctx, t.o.callers, t.o.n+extra, func(ctx context.Context, i int) error {
		if ended := r.endedAt.Load(); ended == 0 && i >= t.o.n || ended > 0 && f.log.now.Load() >= ended+int64(extra) {
			return errEnough
		}
		f.log.now.Add(1)
		return r.serve(ctx, i)
	})
	if !r.ended.Load() {
		err = errors.Join(err, c.RollBack("no more requests"))
	}
	return r, err
}

// serve is one request, then the labels that have come meanwhile, and now and then a step of the ramp.
func (r *ramp) serve(ctx context.Context, i int) error {
	q := r.t.request(i)
	ended := r.ended.Load()
	a, err := r.canary.Do(ctx, q)
	if ctx.Err() != nil {
		return context.Cause(ctx) // and err is not the registry's
	}
	side := 0
	if a.version == r.version {
		side = 1
	}
	switch {
	case err != nil:
		r.errors.Add(1)
	case ended:
		r.after[side].Add(1)
	default:
		r.count(q, a, side)
	}
	for _, l := range r.labels.due(i) {
		x := 0.0
		if l.wrong {
			x = 1
		}
		if err := r.canary.Observe(wrong, x); err != nil {
			return err
		}
	}
	if i%stepEvery == 0 {
		r.read()
		if _, err := r.canary.Step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// count is of an answer in the ramp. What users will say to those of the challenger comes later.
func (r *ramp) count(q request, a answer, side int) {
	r.counts[side].answers.Add(1)
	if a.digit != q.digit {
		r.counts[side].wrong.Add(1)
	}
	if side == 1 {
		r.saw[q.user].Store(true)
		if q.labelled {
			r.labels.add(label{q.number, a.digit != q.digit})
		}
	}
}

func (f *fleet) canaryConfig(r *ramp, limit float64) rollout.CanaryConfig {
	return rollout.CanaryConfig{
		Bucket: rollout.BucketConfig{Salt: "digits " + r.version},
		Steps:  steps(),
		Gates: []rollout.Gate{
			{Metric: rollout.Errors, Margin: 0.02},
			{Name: wrong, Metric: rollout.Observed, Max: limit},
		},
		Promote: func(context.Context) error {
			return f.registry.CompareAndSetAlias(champion, id(r.champion), id(r.version), "canary: all gates have passed")
		},
		OnEvent: func(e rollout.CanaryEvent) {
			now := f.log.now.Load()
			f.log.add("canary", describe(e))
			r.mu.Lock()
			r.events = append(r.events, rampEvent{e, now})
			r.mu.Unlock()
			if e.Kind == rollout.CanaryPromoted || e.Kind == rollout.CanaryRolledBack {
				r.read()
				r.endedAt.Store(now)
				r.ended.Store(true)
			}
		},
	}
}

func describe(e rollout.CanaryEvent) string {
	what := e.Kind.String()
	if e.Gate != "" {
		what += fmt.Sprintf(" by %q", e.Gate)
	}
	return fmt.Sprintf("%s, share %s (%s)", what, percent(e.Share, 1), e.Why)
}

// settle takes the challenger out of the traffic, and unloads what is not needed any more. After a roll-back the alias is not set to none at
// once but to the champion: a request that was on its way to the challenger is answered all the same.
func (f *fleet) settle(ctx context.Context) error {
	if _, err := f.registry.SetAlias(challenger, f.registry.Alias(champion).ID(), "the canary is over"); err != nil {
		return err
	}
	return f.registry.Sweep(ctx, "after the canary")
}

// label is what a user says to an answer of the challenger.
type label struct {
	number int
	wrong  bool
}

// feedback keeps labels until so many requests later.
type feedback struct {
	delay int
	mu    sync.Mutex
	queue []label
}

func (f *feedback) add(l label) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, l)
}

// due are the labels that have come when a request is made.
func (f *feedback) due(number int) []label {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for n < len(f.queue) && f.queue[n].number+f.delay <= number {
		n++
	}
	come := f.queue[:n]
	f.queue = f.queue[n:]
	return come
}
