package session_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scalable-ai/patterns/pool/session"
)

// FuzzOperations plays a program of operations, one after the other, against a pool in a bubble. After each, when all is
// quiet, it compares the pool with a naive model that knows only the calls in the order of arrival, and what open, fn and close have seen.
func FuzzOperations(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		program := make([]byte, 40+random.IntN(260))
		for i := range program {
			program[i] = byte(random.Uint32())
		}
		f.Add(program)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		program = program[:min(len(program), 300)]
		synctest.Test(t, func(t *testing.T) { playFuzz(t, program) })
	})
}

type fuzzCall struct {
	id        int
	leased    bool // by Acquire
	cancel    context.CancelCauseFunc
	over      bool
	cancelled bool
	outcomes  int
	err       error
	lease     *session.Lease[*sess]
}

type fuzzModel struct {
	t       *testing.T
	program []byte
	cfg     session.Config
	keyed   bool
	costs   bool
	p       *pool
	b       *backend
	log     []string

	mu       sync.Mutex
	calls    []*fuzzCall
	draining bool
	closed   bool
}

func (m *fuzzModel) next(n int) int {
	if len(m.program) == 0 {
		return 0
	}
	v := int(m.program[0]) % n
	m.program = m.program[1:]
	return v
}

func (m *fuzzModel) failf(format string, args ...any) {
	m.t.Helper()
	m.t.Errorf(format, args...)
}

func (m *fuzzModel) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf("%8v ", time.Since(m.b.start))+fmt.Sprintf(format, args...))
}

func playFuzz(t *testing.T, program []byte) {
	m := &fuzzModel{t: t, program: program, b: newBackend()}
	m.b.openTakes, m.b.closeTakes = time.Duration(m.next(3))*5*ms, time.Duration(m.next(3))*3*ms
	cfg := session.Config{
		Min: m.next(3), MaxQueue: 1 + m.next(8), RejectWhenFull: m.next(3) == 0, LockThread: m.next(4) == 0,
		MaxUses: m.next(4) * m.next(4), MaxAge: time.Duration(m.next(3)*m.next(40)) * ms, Devices: 1 + m.next(2), MaxOpening: 1 + m.next(2),
		TargetDelay: 2 * ms, Interval: 5 * ms, Cooldown: 10 * ms, IdleTimeout: 30 * ms, Backoff: 10 * ms, MaxBackoff: 30 * ms,
	}
	cfg.Max = max(cfg.Min, cfg.Devices) + m.next(3)
	if !cfg.LockThread {
		cfg.PerSession = 1 + m.next(3)
	}
	var opts []session.Option
	if m.keyed = m.next(2) == 0; m.keyed {
		opts = append(opts, session.WithKey(byKey))
		cfg.MaxKeys = 1 + m.next(4)
	}
	if m.costs = m.next(2) == 0; m.costs {
		opts = append(opts, session.WithCost(byCost))
	}
	checked := m.next(3) == 0
	if checked {
		cfg.CheckEvery = 20 * ms
		checks := 0
		opts = append(opts, session.WithCheck(func(context.Context, *sess) error {
			time.Sleep(ms)
			m.mu.Lock()
			defer m.mu.Unlock()
			if checks++; checks%5 == 0 {
				return errModel
			}
			return nil
		}))
	}
	var err error
	if m.p, err = session.New(m.b.open, m.b.close, m.b.fn, cfg, opts...); err != nil {
		t.Fatal(err)
	}
	m.cfg = m.p.Config()
	for len(m.program) > 0 && !t.Failed() {
		m.step()
		synctest.Wait()
		m.check(checked)
	}
	m.stop(true)
	synctest.Wait()
	for _, c := range m.calls {
		if c.lease != nil {
			c.lease.Release(nil)
			c.over = true
		}
	}
	time.Sleep(10 * time.Second) // longer than any call
	synctest.Wait()
	m.check(checked)
	for _, c := range m.calls {
		if !c.over || c.outcomes != 1 {
			m.failf("call %d has %d outcomes", c.id, c.outcomes)
		}
		c.cancel(nil)
	}
	checkBooks(t, m.p, m.b)
	if t.Failed() {
		t.Logf("%+v\n%s", m.cfg, strings.Join(m.log, "\n"))
	}
}

func (m *fuzzModel) step() {
	switch op := m.next(32); {
	case op < 16:
		m.submit()
	case op < 20:
		m.mu.Lock()
		var open []*fuzzCall
		for _, c := range m.calls {
			if !c.over {
				open = append(open, c)
			}
		}
		m.mu.Unlock()
		if len(open) > 0 {
			c := open[m.next(len(open))]
			m.note("cancel or release %d", c.id)
			if c.lease != nil {
				err := []error{nil, errModel, session.Bad(errModel)}[m.next(3)]
				c.over = true
				c.lease.Release(err)
				return
			}
			c.cancelled = true
			c.cancel(errGone)
		}
	case op < 28:
		pause := time.Duration(1+m.next(8)*m.next(8)) * ms
		m.note("sleep %v", pause)
		time.Sleep(pause)
	case op < 30:
		m.b.mu.Lock()
		if m.b.openErr == nil {
			m.b.openErr = errModel
		} else {
			m.b.openErr = nil
		}
		m.note("open fails: %v", m.b.openErr)
		m.b.mu.Unlock()
	case op == 30 && m.next(4) == 0:
		m.note("Shutdown")
		m.stop(false)
	case op == 31 && m.next(8) == 0:
		m.note("Close")
		m.stop(true)
	}
}

func (m *fuzzModel) stop(closes bool) {
	m.mu.Lock()
	m.draining, m.closed = true, m.closed || closes
	m.mu.Unlock()
	go func() {
		if closes {
			_ = m.p.Close()
		} else {
			ctx, cancel := context.WithTimeoutCause(context.Background(), 20*ms, errGone)
			defer cancel()
			if err := m.p.Shutdown(ctx); err != nil {
				if !errors.Is(err, errGone) {
					m.failf("Shutdown: %v", err)
				}
				return
			}
		}
		if s := m.p.Stats(); s.Queued+s.Blocked+s.Running+s.Load+s.Sessions+s.Opening+s.Leaving != 0 {
			m.failf("stopped, but %+v", s)
		}
	}()
}

func (m *fuzzModel) submit() {
	c := &fuzzCall{id: len(m.calls)}
	var ctx context.Context
	ctx, c.cancel = context.WithCancelCause(context.Background())
	r := req{takes: time.Duration(m.next(6)*m.next(6)) * ms, key: fmt.Sprint(m.next(5)), cost: 1}
	if m.costs {
		r.cost = 1 + m.next(m.cfg.PerSession)
	}
	kind := m.next(16)
	switch kind {
	case 0:
		r.err = errModel
	case 1:
		r.err = session.Bad(errModel)
	}
	r.do = func(context.Context, *sess) {
		switch kind {
		case 2:
			panic(errModel)
		case 3:
			runtime.Goexit()
		case 4:
			time.Sleep(5 * ms) // deaf
		}
	}
	c.leased = !m.cfg.LockThread && kind > 12
	m.note("submit %d: takes %v, key %v, cost %d, kind %d, lease %t", c.id, r.takes, r.key, r.cost, kind, c.leased)
	m.mu.Lock()
	m.calls = append(m.calls, c)
	m.mu.Unlock()
	before := m.p.Stats()
	go func() {
		err := errors.New("did not return")
		defer func() {
			v := recover()
			m.mu.Lock()
			defer m.mu.Unlock()
			if v != nil {
				err = v.(error)
			}
			c.outcomes++
			c.err = err
			c.over = !c.leased || err != nil
		}()
		if c.leased {
			var lease *session.Lease[*sess]
			if lease, err = m.p.Acquire(ctx, r); err == nil {
				m.mu.Lock()
				c.lease = lease
				m.mu.Unlock()
			}
			return
		}
		_, err = m.p.Do(ctx, r)
	}()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.draining:
		if !errors.Is(c.err, session.ErrClosed) {
			m.failf("call %d was let in after the end: %v", c.id, c.err)
		}
	case errors.Is(c.err, session.ErrQueueFull):
		if !m.cfg.RejectWhenFull || before.Queued < m.cfg.MaxQueue {
			m.failf("call %d was rejected, but %+v", c.id, before)
		}
	case errors.Is(c.err, session.ErrClosed):
		m.failf("call %d: %v", c.id, c.err)
	}
}

// check compares, when all is quiet.
func (m *fuzzModel) check(checked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.p.Stuck(); err != nil {
		m.failf("%v", err)
	}
	s := m.p.Stats()
	if sum := s.Answered + s.Failed + s.Abandoned + uint64(s.Running+s.Queued+s.Blocked) +
		s.Drops.Cancelled + s.Drops.Expired + s.Drops.Closed + s.Drops.Unopened; sum != s.Accepted {
		m.failf("the books do not add up: %+v", s)
	}
	open := 0
	for _, c := range m.calls {
		if !c.over {
			open++
		}
		switch err := c.err; {
		case c.outcomes > 1:
			m.failf("call %d has %d outcomes", c.id, c.outcomes)
		case err == nil, errors.Is(err, errModel), errors.Is(err, session.ErrQueueFull), errors.Is(err, session.ErrGoexit):
		case errors.Is(err, session.ErrOpen):
		case errors.Is(err, errGone) && c.cancelled:
		case (errors.Is(err, session.ErrClosed) || err == context.Canceled) && m.draining: //nolint:errorlint // the cause itself
		case err.Error() == "did not return":
		default:
			m.failf("call %d: %v", c.id, err)
		}
	}
	if open != s.Running+s.Queued+s.Blocked && s.Abandoned == 0 && !m.cfg.LockThread {
		m.failf("%d calls are open, but %+v", open, s)
	}
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	used := 0
	for _, se := range m.b.all {
		used += se.running
		if se.most > m.cfg.PerSession {
			m.failf("session %d had %d at once", se.id, se.most)
		}
		if m.cfg.MaxUses > 0 && se.uses > m.cfg.MaxUses {
			m.failf("session %d was used %d times", se.id, se.uses)
		}
	}
	if used > s.Load {
		m.failf("%d units are in use, but %+v", used, s)
	}
	if m.b.most > m.cfg.Max {
		m.failf("%d sessions at once", m.b.most)
	}
	for d, most := range m.b.mostOpening {
		if most > m.cfg.MaxOpening {
			m.failf("%d openings at once on device %d", most, d)
		}
	}
	waiting := s.Queued + s.Blocked
	if s.Blocked > 0 && s.Queued < m.cfg.MaxQueue {
		m.failf("there is room in the queue: %+v", s)
	}
	if waiting > 0 && s.Sessions+s.Opening+s.Leaving == 0 {
		m.failf("%d wait for nothing: %+v", waiting, s)
	}
	// Without keys and costs nobody waits beside a session that has room.
	if free := s.Sessions*m.cfg.PerSession - s.Load; waiting > 0 && !m.keyed && !m.costs && free > 0 && s.Leaving == 0 {
		m.failf("%d wait beside %d free places: %+v", waiting, free, s)
	}
	// With keys, at least not when nobody else has anything to do.
	if waiting > 0 && s.Load == 0 && s.Sessions > 0 {
		m.failf("%d wait, and nothing runs: %+v", waiting, s)
	}
}
