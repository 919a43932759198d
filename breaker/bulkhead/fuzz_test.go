package bulkhead_test

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

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

// FuzzOperations plays a program of operations, one after the other, against a bulkhead in a bubble. After each, when all is
// quiet, it compares every call and all of Stats with a naive model.
func FuzzOperations(f *testing.F) { fuzzPrograms(f, false) }

// FuzzStripes does the same with stripes that are opened whenever there is room for it: nobody may see a difference, but for which
// calls are timed.
func FuzzStripes(f *testing.F) { fuzzPrograms(f, true) }

func fuzzPrograms(f *testing.F, striped bool) {
	f.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		program := make([]byte, 40+random.IntN(760))
		for i := range program {
			program[i] = byte(random.Uint32())
		}
		f.Add(program)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		program = program[:min(len(program), 800)]
		synctest.Test(t, func(t *testing.T) { playFuzz(t, program, striped) })
	})
}

// realCall is what has really become of a call.
type realCall struct {
	do      bool // by Do; else by Acquire or TryAcquire
	cancel  context.CancelFunc
	granted chan struct{}
	end     chan func() // what next does at its end, for Do
	done    chan struct{}
	p       *bulkhead.Permit
	err     error
}

type fuzzPlayer struct {
	t       *testing.T
	program []byte
	b       *bulkhead.Bulkhead[*fuzzCall, int]
	model   fuzzModel
	log     []string
	striped bool
}

// next returns a number below n from the program, 0 when that has ended.
func (f *fuzzPlayer) next(n int) int {
	if len(f.program) == 0 {
		return 0
	}
	v := int(f.program[0]) % n
	f.program = f.program[1:]
	return v
}

func playFuzz(t *testing.T, program []byte, striped bool) {
	f := &fuzzPlayer{t: t, program: program, striped: striped}
	cfg := bulkhead.Config{
		Capacity:     4 + f.next(12),
		MaxQueue:     f.next(7),
		MaxOvertakes: 1 + f.next(4),
		Ageing:       time.Duration(1+f.next(20)) * ms,
		NoEstimate:   f.next(3) == 0 || striped,
	}
	if f.next(4) == 0 {
		cfg.MaxOvertakes, cfg.NoOvertaking = 0, true
	}
	if cfg.MaxQueue > 0 {
		cfg.MaxWait = time.Duration(max(0, f.next(30)-10)) * ms
		if !cfg.NoEstimate {
			cfg.ServiceTime = time.Duration(max(0, f.next(10)-5)) * ms
		}
	}
	var err error
	f.b, err = bulkhead.New(f.run, cfg, bulkhead.WithCost(func(c *fuzzCall) int { return c.cost }))
	if err != nil {
		t.Fatal(err)
	}
	if striped {
		f.b.UseStripes(2)
	}
	f.model = fuzzModel{cfg: cfg, capacity: cfg.Capacity}
	for len(f.program) > 0 && !t.Failed() {
		f.step()
		f.check()
	}
	for _, c := range f.model.calls { // all goes, and all must be as before
		if c.state == callWaits && !t.Failed() {
			f.cancel(c)
			f.check()
		}
	}
	for _, c := range f.model.calls {
		f.release(c)
		if !t.Failed() {
			f.check()
		}
		if c.real.cancel != nil {
			c.real.cancel()
		}
	}
	if s := f.b.Stats(); s.InUse != 0 || s.Queued != 0 {
		t.Errorf("all is over, but %+v", s)
	}
	if t.Failed() {
		t.Logf("%+v\n%s", cfg, strings.Join(f.log, "\n"))
	}
}

// run is what the bulkhead wraps: it ends when it is told, and in the way that it is told.
func (f *fuzzPlayer) run(_ context.Context, c *fuzzCall) (int, error) {
	close(c.real.granted)
	(<-c.real.end)()
	return 0, nil
}

func (f *fuzzPlayer) note(format string, args ...any) {
	f.log = append(f.log, time.Now().Format("05.0000000 ")+fmt.Sprintf(format, args...))
}

// step does the next operation of the program. Time goes on a little between operations, so that no two waits end
// at the same moment: which goes first would then be a matter of chance.
func (f *fuzzPlayer) step() {
	f.pass(100 * time.Nanosecond)
	switch op := f.next(24); {
	case op < 10:
		f.arrive()
	case op < 15:
		if holding := f.model.inState(callHolds); len(holding) > 0 {
			f.release(holding[f.next(len(holding))])
		}
	case op < 17:
		if waiting := f.model.inState(callWaits); len(waiting) > 0 {
			f.cancel(waiting[f.next(len(waiting))])
		}
	case op < 19:
		if len(f.model.calls) > 0 { // any: one that waits or is over must not mind
			c, actual := f.model.calls[f.next(len(f.model.calls))], f.next(16)-1
			f.note("settle %d at %d", c.id, actual)
			if err := c.real.p.Settle(actual); (err != nil) != (actual < 0 && c.real.p != nil) {
				f.t.Errorf("Settle: %v", err)
			}
			if c.real.p != nil {
				f.model.settle(c, actual)
			}
		}
	case op < 20:
		capacity := 2 + f.next(16)
		f.note("resize to %d", capacity)
		if err := f.b.Resize(capacity); err != nil {
			f.t.Error(err)
		}
		f.model.resize(capacity)
	default:
		d := time.Duration(1+f.next(8)*f.next(8)) * ms / 2
		f.note("sleep %v", d)
		f.pass(d)
	}
}

func (f *fuzzPlayer) pass(d time.Duration) {
	pass(d)
	f.model.pass(time.Now())
}

func (f *fuzzPlayer) arrive() {
	r := &realCall{granted: make(chan struct{}), end: make(chan func()), done: make(chan struct{})}
	c := &fuzzCall{id: len(f.model.calls), real: r}
	c.cost = f.next(5)*f.next(4) + f.next(3) - 1
	c.priority = max(0, f.next(10)-3) - 3
	mode := f.next(10)
	ctx := bulkhead.WithPriority(context.Background(), c.priority)
	switch {
	case mode < 2:
		c.try, c.priority = true, 0
		ctx = context.Background()
	case mode < 5:
		c.ctxEnds = time.Now().Add(time.Duration(f.next(30))*ms + ms/2)
		ctx, r.cancel = context.WithDeadline(ctx, c.ctxEnds)
	default:
		ctx, r.cancel = context.WithCancel(ctx)
	}
	r.do = mode%2 == 0 && !c.try
	f.note("call %d: cost %d, priority %d, until %v, try %t, do %t", c.id, c.cost, c.priority, c.ctxEnds.Format("05.0000000"), c.try, r.do)
	go func() {
		defer close(r.done)
		switch {
		case c.try:
			r.p, r.err = f.b.TryAcquire(c.cost)
		case r.do:
			defer func() { _ = recover() }()
			_, r.err = f.b.Do(ctx, c)
			return
		default:
			r.p, r.err = f.b.Acquire(ctx, c.cost)
		}
		if r.err == nil {
			close(r.granted)
		}
	}()
	synctest.Wait()
	f.model.arrive(c)
}

func (f *fuzzPlayer) release(c *fuzzCall) {
	f.note("release %d", c.id)
	if c.real.do && c.state == callHolds {
		c.real.end <- []func(){func() {}, func() { panic(errModel) }, runtime.Goexit}[c.id%3]
	}
	for range 1 + c.id%3 {
		c.real.p.Release()
	}
	f.model.release(c)
}

func (f *fuzzPlayer) cancel(c *fuzzCall) {
	f.note("cancel %d", c.id)
	if c.real.cancel != nil {
		c.real.cancel()
		f.model.endWait(c, context.Canceled)
	}
}

// check compares the bulkhead with the model.
func (f *fuzzPlayer) check() {
	synctest.Wait()
	for _, c := range f.model.calls {
		granted, over := isClosed(c.real.granted), isClosed(c.real.done)
		switch {
		case c.state == callWaits && (granted || over):
			f.t.Errorf("call %d should wait, but granted: %t, over: %t, %v", c.id, granted, over, c.real.err)
		case c.state == callHolds && !granted:
			f.t.Errorf("call %d should hold its cost, but over: %t, %v", c.id, over, c.real.err)
		case c.err != nil && (!over || granted || !errors.Is(c.real.err, c.err)):
			f.t.Errorf("call %d should have got %v, but granted: %t, over: %t, %v", c.id, c.err, granted, over, c.real.err)
		case c.err != nil && !f.striped:
			var rejected *bulkhead.RejectedError
			if errors.As(c.real.err, &rejected) && rejected.ExpectedWait != c.expected {
				f.t.Errorf("call %d should expect to wait %v, not %v", c.id, c.expected, rejected.ExpectedWait)
			}
		}
	}
	if f.striped {
		f.b.OpenStripes()
	}
	got, want := f.b.Stats(), f.model.snapshot()
	if f.striped { // other calls are timed
		got.HoldTime, want.HoldTime = 0, 0
	}
	if got != want {
		f.t.Errorf("Stats:\n%+v, should be\n%+v", got, want)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
