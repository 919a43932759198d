package limiter_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

// FuzzKeys plays a program against a Keyed with a few places, and compares it with a model that never forgets a key: they must agree in
// everything, except that the Keyed may reject a key when as many others have something to remember as there are places.
func FuzzKeys(f *testing.F) {
	fuzzPrograms(f, 200, func(t *testing.T, program program) {
		(&keysPlay{program: program}).play(t)
	})
}

const fuzzKeys = 6

// modelKey is one key, kept for ever.
type modelKey struct {
	requests, cost modelBucket
	paused         int
	filled         int // until when it may not have been noticed that a refund or Resume left nothing to remember
}

func (k *modelKey) full(now int) bool {
	return k.paused <= now && k.requests.level == whole*k.requests.limit.Burst && k.cost.level == whole*k.cost.limit.Burst
}

type modelPermit struct {
	*limiter.Permit
	key, cost int
}

type keysPlay struct {
	program
	k       *intKeyed
	keys    [fuzzKeys]modelKey
	places  int
	maxDebt int
	now     int
	permits []modelPermit
	extra   int // settlements into debt, each of which may bring an evicted key back
	log     []string
}

func (p *keysPlay) note(format string, args ...any) {
	p.log = append(p.log, fmt.Sprintf("%4d ms ", p.now)+fmt.Sprintf(format, args...))
}

func (p *keysPlay) play(t *testing.T) {
	requests := limiter.Limit{Events: 1, Per: 10 * ms, Burst: 1 + p.next(8)}
	cost := limiter.Limit{Events: 1, Per: 2 * ms, Burst: 1 + p.next(16)}
	p.places, p.maxDebt = 1+p.next(fuzzKeys), 1+p.next(30)
	for i := range p.keys {
		p.keys[i].requests.set(requests)
		p.keys[i].cost.set(cost)
	}
	cfg := limiter.KeyedConfig{Each: limiter.Config{Requests: requests, Cost: cost, MaxDebt: p.maxDebt}, MaxKeys: p.places}
	var err error
	if p.k, err = limiter.NewKeyed(hundreds, echo, cfg, limiter.WithCost(rest)); err != nil {
		t.Fatal(err)
	}
	p.note("%+v", cfg)
	for len(p.program) > 0 && !t.Failed() {
		p.step(t)
		for i := range p.keys {
			got, want := p.k.Level(i), &p.keys[i]
			if math.Abs(got.Requests-float64(want.requests.level)/whole)+math.Abs(got.Cost-float64(want.cost.level)/whole) > 1e-6 ||
				got.Paused != time.Duration(max(want.paused-p.now, 0))*ms {
				t.Errorf("key %d: %+v, want %+v", i, got, *want)
			}
		}
		if kept := p.k.Stats().Keys; kept > p.places+p.extra {
			t.Errorf("%d keys are kept, with %d places and %d that may have come back", kept, p.places, p.extra)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(p.log, "\n"))
	}
}

func (p *keysPlay) step(t *testing.T) {
	i := p.next(fuzzKeys)
	key := &p.keys[i]
	switch op := p.next(20); {
	case op < 9:
		cost := p.next(5) * p.next(4)
		permit, err := p.k.TryAcquire(i, cost)
		p.note("key %d, cost %d: %v", i, cost, err)
		if p.noRoom(t, i, err) {
			return
		}
		var l *limiter.LimitedError
		in := max(key.requests.in(1), key.cost.in(cost), key.paused-p.now)
		switch {
		case cost > key.cost.limit.Burst:
			if !errors.Is(err, limiter.ErrTooLarge) {
				t.Errorf("%v, want ErrTooLarge", err)
			}
		case in > 0:
			if !errors.As(err, &l) || l.Reason != limiter.ReasonNoWait || (l.Wait-time.Duration(in)*ms).Abs() > 100 {
				t.Errorf("%v, should wait %d ms", err, in)
			}
		default:
			if err != nil {
				t.Errorf("%v, want none", err)
				return
			}
			key.requests.add(-1)
			key.cost.add(-cost)
			p.permits = append(p.permits, modelPermit{permit, i, cost})
		}
	case op < 14:
		if len(p.permits) == 0 {
			return
		}
		n := p.next(len(p.permits))
		permit, actual := p.permits[n], p.next(30)-3
		p.note("settle key %d, cost %d: %d", permit.key, permit.cost, actual)
		permit.Settle(actual)
		key = &p.keys[permit.key]
		switch {
		case actual < 0:
			key.requests.add(1)
			key.cost.add(permit.cost)
		case actual <= permit.cost:
			key.cost.add(permit.cost - actual)
		}
		if actual > permit.cost {
			p.extra++
		}
		if actual < permit.cost {
			key.filled = p.now + int(time.Minute/ms)
		}
		for n := permit.cost; n < actual && key.cost.level-whole >= -whole*p.maxDebt; n++ {
			key.cost.add(-1)
		}
		p.permits = append(p.permits[:n], p.permits[n+1:]...)
	case op < 18:
		d := 1 + p.next(6)*p.next(6)
		p.note("sleep %d", d)
		time.Sleep(time.Duration(d) * ms)
		p.now += d
		for i := range p.keys {
			p.keys[i].requests.elapse(d)
			p.keys[i].cost.elapse(d)
		}
	case op < 19:
		d := p.next(30)
		err := p.k.Pause(i, time.Duration(d)*ms)
		p.note("pause key %d, %d: %v", i, d, err)
		if !p.noRoom(t, i, err) {
			key.paused = max(key.paused, p.now+d)
		}
	default:
		p.note("resume key %d", i)
		p.k.Resume(i)
		key.paused, key.filled = 0, p.now+int(time.Minute/ms)
	}
}

// noRoom reports whether the key was rejected because there is no room for it, and checks that this is so.
func (p *keysPlay) noRoom(t *testing.T, key int, err error) bool {
	var l *limiter.LimitedError
	if !errors.As(err, &l) || l.Reason != limiter.ReasonTooManyKeys {
		return false
	}
	remembering := 0
	for i := range p.keys {
		if k := &p.keys[i]; !k.full(p.now) || k.filled > p.now {
			remembering++
		}
	}
	if !p.keys[key].full(p.now) || remembering < p.places || l.Wait <= 0 || l.Wait > time.Minute {
		t.Errorf("no room for key %d, with %d of %d places used: %v", key, remembering, p.places, err)
	}
	return true
}
