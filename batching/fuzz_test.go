package batching_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scalable-ai/patterns/batching"
)

// FuzzOperations plays a program of operations, one after the other, against a batcher in a bubble. After each, when
// all is quiet, it compares the batcher with a naive model that knows only the requests in the order of arrival and
// what the run function has seen.
func FuzzOperations(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 250 {
		program := make([]byte, 40+random.IntN(360))
		for i := range program {
			program[i] = byte(random.Uint32())
		}
		f.Add(program)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		program = program[:min(len(program), 400)]
		synctest.Test(t, func(t *testing.T) { playFuzz(t, program) })
	})
}

// playFuzz plays a program: its first bytes are the configuration and what the runs do.
func playFuzz(t *testing.T, program []byte) {
	m := &fuzzModel{t: t, program: program, newest: map[[2]int]int{}, newestAt: map[[2]int]time.Time{}}
	m.keys, m.padded = max(0, m.next(6)-2), m.next(3) == 0
	m.classes, m.policies = max(1, m.next(8)-4), m.next(3) == 0
	first := m.config()
	m.cfg = first
	for range 8 {
		m.script = append(m.script, byte(m.next(256)))
	}
	opts := []batching.Option[*fuzzReq]{batching.WithWeight(func(r *fuzzReq) int { return r.weight })}
	if m.padded {
		opts = append(opts, batching.WithPad(func(*fuzzReq) *fuzzReq { return &fuzzReq{id: -1} }))
	}
	var err error
	if m.keys > 0 {
		m.b, err = batching.NewKeyed(func(r *fuzzReq) int { return r.key }, m.run, m.cfg, opts...)
	} else {
		m.b, err = batching.New(func(ctx context.Context, reqs []*fuzzReq) ([]int, error) { return m.run(ctx, 0, reqs) }, m.cfg, opts...)
	}
	if err != nil {
		t.Fatal(err)
	}
	for len(m.program) > 0 && !t.Failed() {
		m.step()
		m.check()
	}
	m.shutdown(func() error { return m.b.Close() }, true)
	m.check()
	time.Sleep(time.Second) // longer than any run
	m.check()
	if s := m.b.Stats(); s.Queued+s.Blocked+s.Running+s.InFlight+s.Keys != 0 || s.QueuedWeight != 0 {
		m.failf("closed, but %+v", s)
	}
	for _, c := range m.calls {
		if !c.over {
			m.failf("closed, but a call waits")
		}
		if c.cancel != nil {
			c.cancel(nil)
		}
	}
	if t.Failed() {
		t.Logf("%+v\n%s", first, strings.Join(m.log, "\n"))
	}
}

// step does the next operation of the program.
func (m *fuzzModel) step() {
	note := func(format string, args ...any) {
		m.log = append(m.log, time.Now().Format("05.0000 ")+fmt.Sprintf(format, args...))
	}
	switch op := m.next(40); {
	case op < 16:
		m.submit(false, 1)
		c := m.calls[len(m.calls)-1]
		note("%v: Do of key %d, weight %d, until %v, returned: %t %v",
			c.cause, c.reqs[0].key, c.reqs[0].weight, c.deadline.Format("05.0000"), c.over, c.err)
	case op < 20:
		m.submit(true, m.next(9))
		c := m.calls[len(m.calls)-1]
		note("%v: DoAll of %d, until %v, returned: %t %v", c.cause, len(c.reqs), c.deadline.Format("05.0000"), c.over, c.err)
	case op < 25:
		var waiting []*fuzzCall
		for _, c := range m.calls {
			if !c.over && c.cancel != nil {
				waiting = append(waiting, c)
			}
		}
		if len(waiting) > 0 {
			c := waiting[m.next(len(waiting))]
			note("%v", c.cause)
			c.cancelled = true
			c.cancel(c.cause)
		}
	case op < 34:
		note("sleep")
		time.Sleep(time.Duration(1+m.next(8)*m.next(8)) * ms / 2)
	case op < 36:
		note("Flush")
		m.b.Flush()
	case op < 38:
		cfg := m.config()
		note("Reconfigure %+v", cfg)
		m.mu.Lock()
		m.cfg = cfg
		m.mu.Unlock()
		if err := m.b.Reconfigure(cfg); err != nil {
			m.failf("%v", err)
		}
	case op < 39 && m.next(3) == 0:
		note("Shutdown")
		m.shutdown(func() error {
			ctx, cancel := context.WithTimeoutCause(context.Background(), 20*ms, errModel)
			defer cancel()
			return m.b.Shutdown(ctx)
		}, false)
	case op == 39 && m.next(4) == 0:
		note("Close")
		m.shutdown(m.b.Close, true)
	}
}

// submit starts a call, lets it get as far as it can, and checks whether it should have been let in.
func (m *fuzzModel) submit(all bool, n int) {
	c := &fuzzCall{all: all, ctx: context.Background(), arrived: time.Now(), cause: fmt.Errorf("call %d gave up", len(m.calls))}
	c.class = m.next(m.classes)
	if c.class > 0 {
		c.ctx = batching.WithPriority(c.ctx, c.class)
	}
	var total, heaviest int
	for range n {
		r := &fuzzReq{id: len(m.reqs) + 1, weight: 1 + m.next(4)*m.next(4), poison: m.next(16) == 0, call: c}
		if m.keys > 0 {
			r.key = m.next(m.keys)
		}
		total, heaviest = total+r.weight, max(heaviest, r.weight)
		c.reqs, m.reqs = append(c.reqs, r), append(m.reqs, r)
	}
	if mode := m.next(8); mode > 2 {
		c.ctx, c.cancel = context.WithCancelCause(c.ctx)
		if takes := time.Duration(m.next(24)) * ms; mode > 4 && takes > 0 {
			c.deadline = c.arrived.Add(takes)
			var stop context.CancelFunc
			c.ctx, stop = context.WithDeadlineCause(c.ctx, c.deadline, c.cause)
			context.AfterFunc(c.ctx, stop)
		}
		if mode == 3 && m.next(4) == 0 {
			c.cancelled = true
			c.cancel(c.cause)
		}
	}
	switch {
	case c.cancelled:
		c.reject = c.cause
	case n > 0 && m.draining:
		c.reject = batching.ErrClosed
	case m.cfg.MaxWeight > 0 && heaviest > m.cfg.MaxWeight, m.cfg.MaxQueueWeight > 0 && heaviest > m.cfg.MaxQueueWeight:
		c.reject = batching.ErrTooLarge
	}
	before := m.b.Stats()
	fits := before.Blocked == 0 && before.Queued+n <= m.cfg.MaxQueue &&
		(m.cfg.MaxQueueWeight == 0 || before.QueuedWeight+int64(total) <= int64(m.cfg.MaxQueueWeight))
	m.calls = append(m.calls, c)
	go func() {
		if c.all {
			resps, err := m.b.DoAll(c.ctx, c.reqs)
			m.returned(c, resps, err)
			return
		}
		resp, err := m.b.Do(c.ctx, c.reqs[0])
		m.returned(c, []int{resp}, err)
	}()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	full := m.b.Stats().Drops.Rejected > before.Drops.Rejected
	refused := m.b.Stats().Drops.Refused > before.Drops.Refused
	switch {
	case c.reject != nil:
		if !c.over || !errors.Is(c.err, c.reject) {
			m.failf("call of %d returned %v, want %v", n, c.err, c.reject)
		}
		return
	case refused:
		m.refused += uint64(n)
		if !c.over || !errors.Is(c.err, batching.ErrDeadline) || !m.policies {
			m.failf("call of %d returned %v, but was refused", n, c.err)
		}
		return
	case full:
		m.rejected += uint64(n)
		if !c.over || !errors.Is(c.err, batching.ErrQueueFull) || errors.Is(c.err, batching.ErrEvicted) {
			m.failf("call of %d returned %v, but was rejected", n, c.err)
		}
		if !m.cfg.RejectWhenFull || fits {
			m.failf("call of %d rejected though there was room: %+v", n, before)
		}
		return
	case m.strict() && m.cfg.RejectWhenFull && !fits && n > 0 && (before.InFlight >= m.cfg.Concurrency || before.Blocked > 0):
		m.failf("call of %d admitted though there was no room: %+v", n, before)
	}
	c.admitted = true
	m.accepted += uint64(n)
}

// shutdown calls Shutdown or Close, and checks that nothing is left when it returns.
func (m *fuzzModel) shutdown(stop func() error, closes bool) {
	m.mu.Lock()
	if closes {
		m.shut += uint64(len(m.waiting()))
	}
	m.draining, m.closed = true, m.closed || closes
	m.mu.Unlock()
	go func() {
		err := stop()
		s := m.b.Stats()
		if left := s.Queued + s.Blocked + s.Running + s.InFlight; err == nil && left > 0 || err != nil && (closes || !errors.Is(err, errModel)) {
			m.failf("stopped: %v, but %+v", err, s)
		}
	}()
}

func (m *fuzzModel) config() batching.Config {
	cfg := batching.Config{
		MaxSize:        1 + m.next(6),
		MaxWeight:      max(0, m.next(20)-6),
		MaxWait:        [...]time.Duration{0, 0, ms, 4 * ms, 20 * ms, time.Hour}[m.next(6)],
		Concurrency:    1 + m.next(3),
		RejectWhenFull: m.next(3) == 0,
		MaxExtraRuns:   max(0, m.next(12)-4),
		ClassTurn:      m.next(4),
		OnBatch: func(e batching.BatchEvent) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.events++
			m.sizes += uint64(e.Size)
		},
	}
	if m.policies {
		times := time.Duration(1+m.next(40)) * ms
		cfg.Policy = []batching.Policy{batching.Window(), batching.AIMD(times), batching.Deadline(times), batching.Deadline(times)}[m.next(4)]
	}
	cfg.MaxQueue = cfg.MaxSize + m.next(9)
	if m.next(2) == 0 {
		cfg.MaxQueueWeight = cfg.MaxWeight + 1 + m.next(16)
	}
	if m.padded {
		cfg.AllowedSizes = [][]int{{cfg.MaxSize}, {1, cfg.MaxSize + 1}, {2, 4, 8}}[m.next(3)]
	}
	return cfg
}

// next is the next byte of the program modulo n.
func (m *fuzzModel) next(n int) int {
	if len(m.program) == 0 {
		return 0
	}
	v := int(m.program[0]) % n
	m.program = m.program[1:]
	return v
}

type fuzzBatcher interface {
	Do(context.Context, *fuzzReq) (int, error)
	DoAll(context.Context, []*fuzzReq) ([]int, error)
	Flush()
	Config() batching.Config
	Reconfigure(batching.Config) error
	Stats() batching.Stats
	Shutdown(context.Context) error
	Close() error
}
