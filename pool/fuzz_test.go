package pool_test

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

	"github.com/scalable-ai/patterns/pool"
)

// FuzzOperations plays a program of operations, one after the other, against a pool in a bubble. After each, when all is
// quiet, it compares the pool with a naive model that knows only the requests in the order of arrival and what the function has seen.
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

// fuzzCall is one request and what became of it.
type fuzzCall struct {
	id, class int
	script    int // what the function does
	takes     time.Duration
	ctx       context.Context
	cancel    context.CancelCauseFunc // nil: it cannot be cancelled
	cause     error                   // of ctx, if it ends
	future    *pool.Future[int]       // of Go
	submit    bool                    // its outcome is told to nobody

	gone     error // what it must return because it was cancelled, or has reached its deadline
	admitted bool
	accepted bool // Submit has said so
	started  bool
	over     bool
	resp     int
	err      error
}

// forget is for what ends a call that came by Submit: nobody will tell.
func (c *fuzzCall) forget() {
	if c.accepted {
		c.over = true
	}
}

func (c *fuzzCall) waits() bool { return c.admitted && !c.started && !c.over }

// fuzzModel is the model, and what it is compared with.
type fuzzModel struct {
	t       *testing.T
	p       *pool.Pool[*fuzzCall, int]
	program []byte
	cfg     pool.Config
	wide    bool // there is room enough for lanes
	log     []string

	mu       sync.Mutex
	size     int
	calls    []*fuzzCall
	running  int
	panics   uint64 // that Config.OnPanic has seen
	draining bool
	closed   bool
}

func playFuzz(t *testing.T, program []byte) {
	m := &fuzzModel{t: t, program: program}
	m.wide = m.next(3) == 0
	m.cfg = pool.Config{Size: m.nextSize(), MaxQueue: 1 + m.next(5), RejectWhenFull: m.next(2) == 0, ClassTurn: 1 + m.next(4)}
	m.size = m.cfg.Size
	m.cfg.OnPanic = m.panicked
	var err error
	if m.p, err = pool.New(m.run, m.cfg); err != nil {
		t.Fatal(err)
	}
	m.p.HastenLanes()
	for len(m.program) > 0 && !t.Failed() {
		m.step()
		m.check()
	}
	m.stop(true)
	m.check()
	time.Sleep(time.Second) // longer than anything takes
	m.check()
	s := m.p.Stats()
	if s.Queued+s.Blocked+s.Running+s.Inside+s.Busy+s.Workers != 0 {
		m.failf("closed, but %+v", s)
	}
	checkBooks(t, s)
	if s.Panics != m.panics {
		m.failf("OnPanic has seen %d panics of %d", m.panics, s.Panics)
	}
	for _, c := range m.calls {
		if !c.over {
			m.failf("closed, but call %d waits", c.id)
		}
		if c.cancel != nil {
			c.cancel(nil)
		}
	}
	if t.Failed() {
		m.cfg.OnPanic = nil
		t.Logf("%+v\n%s", m.cfg, strings.Join(m.log, "\n"))
	}
}

func (m *fuzzModel) failf(format string, args ...any) {
	m.t.Errorf(format, args...)
}

func (m *fuzzModel) note(format string, args ...any) {
	m.log = append(m.log, time.Now().Format("05.0000 ")+fmt.Sprintf(format, args...))
}

// panicked is the pool's OnPanic.
func (m *fuzzModel) panicked(err *pool.PanicError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.panics++
	if !errors.Is(err, errModel) {
		m.failf("OnPanic: %v", err)
	}
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

// nextSize is a size for the pool.
func (m *fuzzModel) nextSize() int {
	if m.wide {
		return 4 + m.next(9)
	}
	return 1 + m.next(5)
}

// The scripts. A call that does none of these answers.
const (
	scriptError = iota + 1
	scriptPanic
	scriptGoexit
	scriptContext // waits for its context
	scriptNested  // has a call inside
	scriptNestedPanic
	scripts = 12
)

// run is the function of the pool.
func (m *fuzzModel) run(ctx context.Context, c *fuzzCall) (int, error) {
	if c.id < 0 { // inside of another
		if c.script == scriptNestedPanic {
			panic(errModel)
		}
		return 1, nil
	}
	m.mu.Lock()
	m.running++
	switch {
	case m.running > m.size:
		m.failf("call %d starts as number %d, size %d", c.id, m.running, m.size)
	case c.started || c.over || c.gone != nil:
		m.failf("call %d is executed: %+v", c.id, c)
	case m.closed:
		m.failf("call %d starts after Close", c.id)
	}
	c.started = true
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.running--
		if c.submit {
			c.over = true
		}
		m.mu.Unlock()
	}()
	time.Sleep(c.takes)
	switch c.script {
	case scriptError:
		return 0, errModel
	case scriptPanic:
		panic(errModel)
	case scriptGoexit:
		runtime.Goexit()
	case scriptContext:
		select {
		case <-ctx.Done():
			return 0, errModel
		case <-time.After(50 * ms):
		}
	case scriptNested, scriptNestedPanic:
		if _, err := m.p.Do(ctx, &fuzzCall{id: -1, script: c.script}); err != nil {
			return 0, err
		}
	}
	return c.id * 10, nil
}

// step does the next operation of the program.
func (m *fuzzModel) step() {
	switch op := m.next(40); {
	case op < 20:
		m.submit()
	case op < 25:
		var open []*fuzzCall
		for _, c := range m.calls {
			if !c.over && c.gone == nil && (c.cancel != nil || c.future != nil) {
				open = append(open, c)
			}
		}
		if len(open) == 0 {
			return
		}
		c := open[m.next(len(open))]
		m.note("cancel %d", c.id)
		m.mu.Lock()
		c.gone = c.cause
		byFuture := c.future != nil && m.next(2) == 0 || c.cancel == nil
		if byFuture {
			c.gone = context.Canceled
		}
		c.forget()
		m.mu.Unlock()
		if byFuture {
			c.future.Cancel()
		} else {
			c.cancel(c.cause)
		}
	case op < 34:
		m.note("sleep")
		time.Sleep(time.Duration(1+m.next(8)*m.next(8)) * ms / 2)
	case op < 38:
		size := m.nextSize()
		m.note("Resize %d", size)
		m.mu.Lock()
		m.size = size
		m.mu.Unlock()
		if err := m.p.Resize(size); err != nil {
			m.failf("%v", err)
		}
	case m.next(5) == 0:
		m.stop(op == 39)
	}
}

// stop calls Shutdown or Close, and checks that nothing is left when that has returned.
func (m *fuzzModel) stop(closes bool) {
	m.note("stop, Close: %t", closes)
	m.mu.Lock()
	m.draining, m.closed = true, m.closed || closes
	for _, c := range m.calls {
		if closes && c.waits() {
			c.forget()
		}
	}
	m.mu.Unlock()
	go func() {
		ctx, cancel := context.WithTimeoutCause(context.Background(), 20*ms, errGaveUp)
		defer cancel()
		var err error
		if closes {
			err = m.p.Close()
		} else {
			err = m.p.Shutdown(ctx)
		}
		s := m.p.Stats()
		if left := s.Queued + s.Blocked + s.Running + s.Workers; err == nil && left > 0 || err != nil && (closes || !errors.Is(err, errGaveUp)) {
			m.failf("stopped: %v, but %+v", err, s)
		}
	}()
}

var errGaveUp = errors.New("the caller gave up")

// submit starts a call, lets it get as far as it can, and checks whether it should have been let in.
func (m *fuzzModel) submit() {
	c := &fuzzCall{
		id: len(m.calls) + 1, ctx: context.Background(), class: m.next(3) - 1, script: m.next(scripts),
		takes: time.Duration(m.next(10)) * ms, cause: fmt.Errorf("call %d gave up", len(m.calls)+1),
	}
	if c.class != 0 {
		c.ctx = pool.WithPriority(c.ctx, c.class)
	}
	mode, byGo := m.next(6), m.next(3)
	c.submit = byGo == 2
	if mode > 1 {
		c.ctx, c.cancel = context.WithCancelCause(c.ctx)
		switch mode {
		case 2:
			c.cancel(c.cause)
		case 3:
			// At a moment of its own: of what happens at the same one either may come first.
			after := time.Duration(1+m.next(30))*ms + time.Duration(c.id)*time.Microsecond
			time.AfterFunc(after, func() {
				m.mu.Lock()
				if !c.over && c.gone == nil {
					c.gone = c.cause
					c.forget()
				}
				m.mu.Unlock()
				c.cancel(c.cause)
			})
		}
	}
	waiting := 0
	var last *fuzzCall // of the lowest class the newest
	for _, other := range m.calls {
		if other.waits() {
			waiting++
			if last == nil || other.class <= last.class {
				last = other
			}
		}
	}
	lower := last != nil && last.class < c.class
	full := m.running >= m.size && waiting >= m.cfg.MaxQueue
	m.note("%s %+v, full: %t", [...]string{"Do", "Go", "Submit"}[byGo], c, full)

	m.mu.Lock()
	m.calls = append(m.calls, c)
	c.admitted = true // unless it turns out otherwise
	if full && m.cfg.RejectWhenFull && lower && mode != 2 && !m.draining {
		last.forget()
	}
	m.mu.Unlock()
	go func() {
		var resp int
		var err error
		switch byGo {
		case 2:
			if err := m.p.Submit(c.ctx, c); err != nil {
				m.returned(c, 0, err)
				return
			}
			m.mu.Lock()
			c.accepted = true
			m.mu.Unlock()
			return
		case 1:
			f := m.p.Go(c.ctx, c)
			m.mu.Lock()
			c.future = f
			m.mu.Unlock()
			resp, err = f.Wait(context.Background())
		default:
			if c.cancel == nil { // then it may be on this goroutine, which a Goexit ends
				resp, err = 0, pool.ErrGoexit
				defer func() { m.returned(c, resp, err) }()
				resp, err = m.p.Do(c.ctx, c)
				return
			}
			resp, err = m.p.Do(c.ctx, c)
		}
		m.returned(c, resp, err)
	}()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	var want error
	switch {
	case mode == 2:
		want = c.cause
	case m.draining:
		want = pool.ErrClosed
	case full && m.cfg.RejectWhenFull && !lower:
		want = pool.ErrQueueFull
	case c.over && errors.Is(c.err, pool.ErrQueueFull):
		m.failf("call %d rejected: %v", c.id, c.err)
	}
	if want != nil {
		c.admitted = false
		if !c.over || !errors.Is(c.err, want) {
			m.failf("call %d: over: %t, %v, want %v", c.id, c.over, c.err, want)
		}
	}
}
