package breaker_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scalable-ai/patterns/breaker"
)

// FuzzKeyed plays a program of operations against a Keyed of few breakers and many keys in a bubble. What each breaker does is
// FuzzOperations' matter; here it is that none goes that has to stay, and that the books are right.
func FuzzKeyed(f *testing.F) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		program := make([]byte, 500)
		for i := range program {
			program[i] = byte(random.Uint32())
		}
		f.Add(program)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		synctest.Test(t, func(t *testing.T) { playKeyedFuzz(t, program[:min(len(program), 1000)]) })
	})
}

type keyedPlayer struct {
	player
	g     *breaker.Keyed[int, step, int]
	cfg   breaker.Config
	must  map[int]breaker.State // what was forced
	until map[int]time.Time     // when an open time ends

	ended, rejected int  // calls
	forced          bool // something was: there may be more open than the bound
}

const keyedFuzzKeys = 8

func playKeyedFuzz(t *testing.T, program []byte) {
	p := &keyedPlayer{player: player{t: t, program: program}, must: map[int]breaker.State{}, until: map[int]time.Time{}}
	p.cfg = breaker.Config{
		MaxKeys: 1 + p.pick(5), MaxOpenShare: []float64{0, 0.3, 0.5, 0.7}[p.pick(4)],
		Window: 4, MinCalls: 1 + p.pick(3), OpenFor: sec, MaxOpenFor: 4 * sec, Probes: 2, ProbeLease: 2 * sec,
	}
	p.cfg.OnStateChange = func(e breaker.StateEvent) {
		if key, ok := e.Key.(int); ok {
			delete(p.until, key)
			if e.To == breaker.StateOpen {
				p.until[key] = time.Now().Add(e.OpenFor)
			}
		}
	}
	key := func(s step) int { return int(s.key[0] - '0') }
	var err error
	if p.g, err = breaker.NewKeyed(key, backend, p.cfg); err != nil {
		t.Fatal(err)
	}
	for len(p.program) > 0 && !t.Failed() {
		p.step()
		p.check()
	}
}

func (p *keyedPlayer) step() {
	key := p.pick(keyedFuzzKeys)
	switch op := p.pick(20); {
	case op < 14:
		s := step{key: string(rune('0' + key))}
		if op < 6 {
			s.err = errDown
		}
		if _, err := p.g.Do(context.Background(), s); errors.Is(err, breaker.ErrOpen) {
			p.rejected++
		} else {
			p.ended++
		}
	case op < 16:
		time.Sleep(time.Duration(p.pick(30)) * 100 * ms)
	case op < 17:
		p.forced = true
		if p.g.ForceOpen(key) == nil {
			p.must[key] = breaker.StateForcedOpen
		}
	case op < 18:
		if p.g.ForceClosed(key) == nil {
			p.must[key] = breaker.StateForcedClosed
		}
	default:
		p.g.Reset(key)
		delete(p.must, key)
	}
}

func (p *keyedPlayer) check() {
	open, keys := 0, 0
	for key, s := range p.g.All() {
		keys++
		if s.State != breaker.StateClosed && s.State != breaker.StateForcedClosed {
			open++
		}
		if key < 0 || key >= keyedFuzzKeys {
			p.fail("key %d", key)
		}
	}
	for key, want := range p.must {
		if got := p.g.State(key); got != want {
			p.fail("key %d was forced to be %v and is %v", key, want, got)
		}
	}
	for key, until := range p.until {
		if got := p.g.State(key); got != breaker.StateOpen && time.Now().Before(until) {
			p.fail("key %d is %v in its open time", key, got)
		}
	}
	s := p.g.Stats()
	if s.Keys != keys || keys > p.cfg.MaxKeys || s.Open != open {
		p.fail("%d keys, %d open: %+v", keys, open, s)
	}
	most := max(1, int(p.cfg.MaxOpenShare*float64(keys)))
	if p.cfg.MaxOpenShare > 0 && !p.forced && open > most {
		p.fail("%d open, at most %d may be: %+v", open, most, s)
	}
	if s.Calls+s.Neutral+s.Throttled+s.Late != uint64(p.ended) || s.Rejected != uint64(p.rejected) {
		p.fail("%d calls, %d rejected: %+v", p.ended, p.rejected, s)
	}
}
