package limiter_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

// FuzzOperations plays a program of operations, one after the other, against a limiter in a bubble. After each, when all is quiet, it
// compares the limiter with a naive model, which steps through time in whole numbers.
func FuzzOperations(f *testing.F) {
	fuzzPrograms(f, 300, func(t *testing.T, program program) {
		(&fuzzPlay{t: t, program: program}).play(t)
	})
}

// program is what remains of a program.
type program []byte

// next is the next byte of the program modulo n.
func (p *program) next(n int) int {
	if len(*p) == 0 {
		return 0
	}
	v := int((*p)[0]) % n
	*p = (*p)[1:]
	return v
}

// fuzzPrograms plays programs in bubbles, beginning with n random ones.
func fuzzPrograms(f *testing.F, n uint64, play func(t *testing.T, p program)) {
	random := rand.New(rand.NewPCG(1, n))
	for range n {
		p := make([]byte, 40+random.IntN(360))
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		synctest.Test(t, func(t *testing.T) { play(t, p[:min(len(p), 400)]) })
	})
}

// fuzzPlay is one program at play.
type fuzzPlay struct {
	program
	t     *testing.T
	start time.Time
	l     *intLimiter
	m     *fuzzModel
	calls []*fuzzCall
	log   []string

	requestsPer, costPer time.Duration

	mu sync.Mutex // guards what the calls write
}

func (p *fuzzPlay) play(t *testing.T) {
	p.t, p.start, p.m = t, time.Now(), new(fuzzModel)
	cfg := p.config()
	p.note("%+v", cfg)
	l, err := limiter.New(echo, cfg, limiter.WithCost(one))
	if err != nil {
		t.Fatal(err)
	}
	p.l, p.m = l, newFuzzModel(cfg)
	for len(p.program) > 0 && !t.Failed() {
		p.step()
		p.check()
	}
	for _, c := range p.calls {
		c.cancel(c.cause)
		p.m.leave(func(q *fuzzCall) bool { return q == c }, "cancelled")
		synctest.Wait()
	}
	p.check()
	if !l.TimerStopped() {
		t.Error("a timer runs though nobody waits")
	}
	if t.Failed() {
		t.Log(strings.Join(p.log, "\n"))
	}
}

func (p *fuzzPlay) note(format string, args ...any) {
	p.log = append(p.log, fmt.Sprintf("%8v ", time.Since(p.start))+fmt.Sprintf(format, args...))
}

// step does the next operation of the program, to the limiter and to the model.
func (p *fuzzPlay) step() {
	switch op := p.next(40); {
	case op < 16:
		p.acquire()
	case op < 20:
		if c := p.pick(func(c *fuzzCall) bool { return c.queued }); c != nil {
			p.note("cancel %v", c.cause)
			c.cancel(c.cause)
			p.m.leave(func(q *fuzzCall) bool { return q == c }, "cancelled")
		}
	case op < 26:
		if c := p.pick(func(c *fuzzCall) bool { return c.permit != nil }); c != nil {
			actual := p.next(40) - 4
			p.note("settle %v: %d", c.cause, actual)
			c.permit.Settle(actual)
			c.permit.Cancel()
			p.m.settle(c, actual)
			c.permit, c.err = nil, errSettled
		}
	case op < 34:
		d := 1 + p.next(8)*p.next(8)
		p.note("sleep %d", d)
		time.Sleep(time.Duration(d) * ms)
		p.m.elapse(d)
	case op < 36:
		d := p.next(60) - 5
		p.note("pause %d", d)
		p.l.Pause(time.Duration(d) * ms)
		if d > 0 {
			p.m.paused = max(p.m.paused, p.m.now+d)
		}
		p.m.settleQueue()
	case op < 37:
		p.note("resume")
		p.l.Resume()
		p.m.paused = 0
		p.m.settleQueue()
	case op < 38:
		requests, cost := p.next(6)-1, p.next(16)-1
		p.note("lower %d %d", requests, cost)
		p.l.Lower(requests, cost)
		p.m.lower(requests, cost)
	default:
		cfg := p.config()
		p.note("reconfigure %+v", cfg)
		if err := p.l.Reconfigure(cfg); err != nil {
			p.t.Fatal(err)
		}
		p.m.configure(cfg)
	}
}

var errSettled = errors.New("let through, and settled")

func (p *fuzzPlay) acquire() {
	c := &fuzzCall{
		cost: p.next(5) * p.next(5), try: p.next(6) == 0, served: -1, deadline: forever,
		arrived: p.m.now, cause: fmt.Errorf("call %d", len(p.calls)),
	}
	var ctx context.Context
	ctx, c.cancel = context.WithCancelCause(context.Background())
	if p.next(3) == 0 {
		d := p.next(100)
		c.deadline = p.m.now + d
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, time.Duration(d)*ms+ms/2, c.cause)
		context.AfterFunc(ctx, stop)
	}
	exact, simple, full := p.m.exact(c.cost), p.m.simple(), len(p.m.queue) >= p.m.cfg.MaxQueue
	p.calls = append(p.calls, c)
	go func() {
		acquire := func() (*limiter.Permit, error) { return p.l.Acquire(ctx, c.cost) }
		if c.try {
			acquire = func() (*limiter.Permit, error) { return p.l.TryAcquire(c.cost) }
		}
		permit, err := acquire()
		p.mu.Lock()
		defer p.mu.Unlock()
		c.permit, c.err, c.over, c.at = permit, err, true, time.Since(p.start)
	}()
	synctest.Wait()
	p.note("%v: cost %d, try %t, until %d: over %t, %v", c.cause, c.cost, c.try, c.deadline, c.over, c.err)
	var l *limiter.LimitedError
	over, maxWait := exact >= forever, int(p.m.cfg.MaxWait/ms)
	switch rejected := errors.As(c.err, &l); {
	case c.cost > p.m.maxCost():
		c.fate = "too large"
	case exact == 0 && len(p.m.queue) == 0:
		p.m.serve(c)
	case !simple && rejected && (l.Reason == limiter.ReasonNever && over || // what the estimate, which may be too short, may say
		l.Reason == limiter.ReasonDeadline && p.m.now+exact > c.deadline ||
		l.Reason == limiter.ReasonMaxWait && maxWait > 0 && exact > maxWait):
		c.fate = l.Reason.String()
	case simple && over:
		c.fate = "never refilled"
	case c.try || p.m.cfg.NoWait:
		c.fate = "no wait"
	case simple && p.m.late(c, exact) != "":
		c.fate = p.m.late(c, exact)
	case full:
		c.fate = "queue full"
	default:
		c.queued = true
		p.m.queue = append(p.m.queue, c)
	}
	if l == nil {
		return
	}
	if l.Wait <= 0 || exact < forever && l.Wait > time.Duration(max(exact, 1))*ms || simple && exact < forever && (l.Wait-time.Duration(exact)*ms).Abs() > 100 {
		p.t.Errorf("%v: RetryAfter %v, would wait %d ms", c.cause, l.Wait, exact)
	}
}

// check compares everything that can be seen.
func (p *fuzzPlay) check() {
	synctest.Wait()
	for _, c := range p.calls {
		if c.err == errSettled { //nolint:errorlint // set by step itself
			continue
		}
		p.m.agree(p.t, c)
	}
	level := p.l.Level()
	for _, b := range []struct {
		name  string
		level float64
		want  *modelBucket
	}{{"requests", level.Requests, &p.m.requests}, {"cost", level.Cost, &p.m.cost}} {
		want := float64(b.want.level) / whole
		if b.want.none() {
			want = math.Inf(1)
		}
		if b.level != want && math.Abs(b.level-want) > 1e-4 { // 100 ns late is 1e-4
			p.t.Errorf("level of %s %v, want %v", b.name, b.level, want)
		}
	}
	got, want := p.l.Stats(), p.m.stats
	r := got.Rejected
	if n := got.Admitted + r.Sum() + got.Cancelled + got.Expired + uint64(got.Queued); n != uint64(len(p.calls)) {
		p.t.Errorf("the books do not add up, %d calls: %+v", len(p.calls), got)
	}
	if (got.QueueWait - want.QueueWait).Abs() > time.Microsecond {
		p.t.Errorf("QueueWait %v, want %v", got.QueueWait, want.QueueWait)
	}
	got.QueueWait, got.Rejected, want.QueueWait = 0, limiter.Rejections{}, 0
	fates := map[string]uint64{}
	for _, c := range p.calls {
		fates[c.fate]++
		if c.queued {
			want.Queued++
			want.QueuedCost += int64(c.cost)
		}
	}
	want.Cancelled, want.Expired = fates["cancelled"], fates["expired"]
	if got != want {
		p.t.Errorf("stats\n%+v, want\n%+v", got, want)
	}
	if r != (limiter.Rejections{NoWait: fates["no wait"], MaxWait: fates["max wait"], Deadline: fates["deadline"], QueueFull: fates["queue full"], Never: fates["never refilled"], TooLarge: fates["too large"]}) {
		p.t.Errorf("rejections %+v, want %v", r, fates)
	}
}

// pick is one of the calls for which it holds.
func (p *fuzzPlay) pick(holds func(*fuzzCall) bool) *fuzzCall {
	var some []*fuzzCall
	for _, c := range p.calls {
		if holds(c) {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[p.next(len(some))]
}

// limit makes a limit. The period is another only if the level is whole, so that it and the time stay so.
func (p *fuzzPlay) limit(per *time.Duration, b *modelBucket) limiter.Limit {
	if b.level%whole == 0 {
		*per = [...]time.Duration{ms, 2 * ms, 5 * ms, 10 * ms}[p.next(4)]
	}
	switch p.next(8) {
	case 0, 1:
		return limiter.Limit{}
	case 2:
		return limiter.Limit{Burst: 1 + p.next(20)}
	case 3:
		return limiter.PerMinute(0)
	}
	return limiter.Limit{Events: 1, Per: *per, Burst: 1 + p.next(16)}
}

func (p *fuzzPlay) config() limiter.Config {
	cfg := limiter.Config{Requests: p.limit(&p.requestsPer, &p.m.requests), Cost: p.limit(&p.costPer, &p.m.cost), NoWait: p.next(8) == 0}
	if !cfg.NoWait {
		cfg.MaxQueue = 1 + p.next(8)
		if p.next(3) == 0 {
			cfg.MaxWait = time.Duration(1+p.next(80)) * ms
		}
	}
	if (cfg.Cost != limiter.Limit{}) {
		cfg.Borrow, cfg.MaxDebt = p.next(4) == 0, p.next(30)
	}
	return cfg
}
