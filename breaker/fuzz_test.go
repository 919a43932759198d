package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scalable-ai/patterns/breaker"
)

// FuzzOperations plays a program of operations, one after the other, against a breaker in a bubble, and compares what it does with a naive
// model that keeps every call and looks at all of them each time.
func FuzzOperations(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		program := make([]byte, 40+random.IntN(560))
		for i := range program {
			program[i] = byte(random.Uint32())
		}
		f.Add(program)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		synctest.Test(t, func(t *testing.T) { playFuzz(t, program[:min(len(program), 600)]) })
	})
}

// playFuzz plays a program: its first bytes are the configuration.
func playFuzz(t *testing.T, program []byte) {
	p := &player{t: t, program: program}
	p.m = newModel(p.config(), p.fail)
	cfg := p.m.cfg
	cfg.OnStateChange = func(e breaker.StateEvent) { p.m.got = append(p.m.got, e) }
	b, err := breaker.New(p.next, cfg, breaker.WithClassify(func(c *fuzzCall, _ int, _ error) breaker.Outcome { return c.outcome }))
	if err != nil {
		t.Fatal(err)
	}
	p.b = b
	for len(p.program) > 0 && !t.Failed() {
		p.step()
		if p.pick(2) > 0 { // a look at it moves it on, so it must not always be looked at
			p.check()
		}
	}
	p.check()
	if t.Failed() {
		t.Logf("%+v\n%s", p.m.cfg, strings.Join(p.log, "\n"))
	}
}

type player struct {
	t       *testing.T
	program []byte
	b       *breaker.Breaker[*fuzzCall, int]
	m       *model
	permits []*fuzzPermit
	entered *modelCall // by the Do under way
	log     []string
}

type fuzzPermit struct {
	permit *breaker.Permit
	call   *modelCall
}

// fuzzCall is a request: what the back-end does, and what is made of it.
type fuzzCall struct {
	takes   time.Duration
	err     error
	die     int
	outcome breaker.Outcome
}

func (p *player) pick(n int) int {
	if len(p.program) == 0 {
		return 0
	}
	v := p.program[0]
	p.program = p.program[1:]
	return int(v) % n
}

func (p *player) fail(format string, args ...any) {
	p.t.Errorf(format, args...)
}

func (p *player) note(format string, args ...any) {
	p.log = append(p.log, fmt.Sprintf("%8v ", time.Since(p.m.base))+fmt.Sprintf(format, args...))
}

func (p *player) config() breaker.Config {
	rates := []float64{0.1, 0.3, 0.5, 0.7, 1}
	cfg := breaker.Config{
		FailureRate:   rates[p.pick(5)],
		OpenFor:       time.Duration(1+p.pick(5)) * sec,
		Jitter:        rates[p.pick(5)],
		MaxRetryAfter: time.Duration(1+p.pick(30)) * sec,
		Probes:        1 + p.pick(5),
		ProbeRatio:    rates[p.pick(5)],
		ProbeLease:    time.Duration(1+p.pick(8)) * sec,
		MinCalls:      1 + p.pick(6),
	}
	cfg.ProbeConcurrency = 1 + p.pick(cfg.Probes)
	cfg.MaxOpenFor = cfg.OpenFor * time.Duration(1+p.pick(10))
	if p.pick(2) == 0 {
		cfg.Window = cfg.MinCalls + p.pick(10)
	} else {
		cfg.WindowTime = time.Duration(1+p.pick(4)) * sec
	}
	if p.pick(3) > 0 {
		cfg.SlowAfter, cfg.SlowRate = time.Duration(1+p.pick(3))*sec, rates[p.pick(5)]
	}
	return cfg
}

// next is the back-end.
func (p *player) next(ctx context.Context, c *fuzzCall) (int, error) {
	p.entered = p.m.enter(ctx, nil)
	if c.takes > 0 {
		select {
		case <-time.After(c.takes):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	switch c.die {
	case 1:
		panic(errDown)
	case 2:
		runtime.Goexit()
	}
	return 0, c.err
}

func (p *player) outcome() (breaker.Outcome, error) {
	o := breaker.Outcome(p.pick(6))
	if p.pick(4) > 0 {
		o = breaker.Default
	}
	switch p.pick(8) {
	case 0, 1, 2:
		return o, errDown
	case 3:
		return o, fmt.Errorf("wrapped: %w", later{time.Duration(p.pick(30)) * sec})
	}
	return o, nil
}

func (p *player) context() (context.Context, context.CancelFunc) {
	d := time.Duration(p.pick(40)) * 100 * ms
	switch p.pick(6) {
	case 0:
		return context.WithTimeout(context.Background(), d)
	case 1:
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(d, cancel)
		return ctx, func() { timer.Stop(); cancel() }
	}
	return context.Background(), func() {}
}

func (p *player) step() {
	switch op := p.pick(20); {
	case op < 6:
		p.do()
	case op < 10:
		ctx, cancel := p.context()
		p.t.Cleanup(cancel)
		synctest.Wait()
		permit, err := p.b.Allow(ctx)
		c := p.m.enter(ctx, err)
		p.note("Allow: %v %+v", err, c)
		if (permit != nil) != (err == nil) {
			p.fail("Allow returned %v, %v", permit, err)
		}
		if permit != nil && c != nil {
			p.permits = append(p.permits, &fuzzPermit{permit, c})
		}
	case op < 15 && len(p.permits) > 0:
		i := p.pick(len(p.permits)) // it may be settled already
		o, err := p.outcome()
		synctest.Wait()
		p.note("settle %d: %v %v", i, o, err)
		p.permits[i].permit.Settle(o, err)
		p.m.leave(p.permits[i].call, o, err)
	case op < 16 && len(p.permits) > 0:
		i := p.pick(len(p.permits))
		p.note("first token of %d", i)
		p.permits[i].permit.FirstToken()
		p.m.firstToken(p.permits[i].call)
	case op < 18:
		d := time.Duration(p.pick(8)*p.pick(8)) * 100 * ms
		p.note("sleep %v", d)
		time.Sleep(d)
	case p.pick(4) > 0:
	default:
		switch p.pick(3) {
		case 0:
			p.note("ForceOpen")
			p.b.ForceOpen()
			p.m.force(breaker.StateForcedOpen, breaker.ReasonForced)
		case 1:
			p.note("ForceClosed")
			p.b.ForceClosed()
			p.m.force(breaker.StateForcedClosed, breaker.ReasonForced)
		default:
			p.note("Reset")
			p.b.Reset()
			p.m.force(breaker.StateClosed, breaker.ReasonReset)
		}
	}
}

// do is a Do. It runs on a goroutine of its own, which a Goexit may end.
func (p *player) do() {
	ctx, cancel := p.context()
	defer cancel()
	call := &fuzzCall{die: max(0, p.pick(12)-9)}
	if takes := p.pick(30); takes > 0 {
		call.takes = time.Duration(takes)*100*ms + 50*ms // never just when ctx ends
	}
	call.outcome, call.err = p.outcome()
	synctest.Wait()
	p.entered = nil
	err := errors.New("did not return")
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer func() { _ = recover() }()
		_, err = p.b.Do(ctx, call)
	}()
	<-over
	p.note("Do: %v %+v %+v", err, call, p.entered)
	switch {
	case p.entered == nil:
		p.m.enter(ctx, err)
	case call.die > 0 && !errors.Is(err, ctx.Err()):
		p.m.leave(p.entered, breaker.Failure, nil)
	default:
		p.m.leave(p.entered, call.outcome, err)
	}
}

func (p *player) check() {
	if state := p.b.State(); state != p.m.now() {
		p.fail("state %v, the model has %v", state, p.m.state)
	}
	got, want := p.b.Stats(), p.m.stats()
	if got.State == breaker.StateOpen {
		if got.RetryAfter != p.m.until-time.Since(p.m.base) {
			p.fail("retry after %v, the model has %v", got.RetryAfter, p.m.until-time.Since(p.m.base))
		}
		got.RetryAfter = 0
	}
	if got != want {
		p.fail("the breaker has\n%+v, the model\n%+v", got, want)
	}
	if len(p.m.got) > 0 {
		p.fail("the model did not change: %+v", p.m.got)
	}
}
