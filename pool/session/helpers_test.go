package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool/session"
)

const ms = time.Millisecond

var (
	errModel = errors.New("model: out of memory")
	errGone  = errors.New("the caller gave up")
)

// sess is a session of a backend.
type sess struct {
	id, slot, device int
	running, most    int
	uses             int
	closed           bool
}

// req is a request: it takes its time in fn and then returns err, or panics, or whatever do does.
type req struct {
	takes time.Duration
	cost  int
	key   string
	err   error
	do    func(ctx context.Context, s *sess)
}

// backend makes sessions and keeps the books. Its fields may be changed between calls.
type backend struct {
	mu          sync.Mutex
	all         []*sess
	exist, most int   // sessions that exist, and the most that did; those being opened included
	opening     []int // by device
	mostOpening []int
	openTakes   time.Duration
	closeTakes  time.Duration
	openErr     error
	tries       []time.Duration // when open was called
	start       time.Time
}

func newBackend() *backend {
	return &backend{opening: make([]int, 8), mostOpening: make([]int, 8), start: time.Now()}
}

func (b *backend) open(ctx context.Context) (*sess, error) {
	slot, device, ok := session.SlotOf(ctx)
	if !ok {
		panic("open has no slot")
	}
	b.mu.Lock()
	b.tries = append(b.tries, time.Since(b.start))
	b.exist++
	b.most = max(b.most, b.exist)
	b.opening[device]++
	b.mostOpening[device] = max(b.mostOpening[device], b.opening[device])
	takes := b.openTakes
	b.mu.Unlock()
	var err error
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opening[device]--
	if err == nil {
		err = b.openErr
	}
	if err != nil {
		b.exist--
		return nil, err
	}
	s := &sess{id: len(b.all), slot: slot, device: device}
	b.all = append(b.all, s)
	return s, nil
}

func (b *backend) close(s *sess) {
	if b.closeTakes > 0 {
		time.Sleep(b.closeTakes)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.closed || s.running > 0 {
		panic("a session is closed twice, or while it is used")
	}
	s.closed = true
	b.exist--
}

// fn answers with the number of the session.
func (b *backend) fn(ctx context.Context, s *sess, r req) (int, error) {
	b.mu.Lock()
	if s.closed {
		panic("a closed session is used")
	}
	s.uses++
	s.running += max(r.cost, 1)
	s.most = max(s.most, s.running)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		s.running -= max(r.cost, 1)
		b.mu.Unlock()
	}()
	if r.takes > 0 {
		select {
		case <-time.After(r.takes):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	if r.do != nil {
		r.do(ctx, s)
	}
	return s.id, r.err
}

func (b *backend) sessions() []*sess {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*sess(nil), b.all...)
}

// attempts are the times of the calls of open.
func (b *backend) attempts() []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]time.Duration(nil), b.tries...)
}

func (b *backend) isClosed(id int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all[id].closed
}

type pool = session.Pool[*sess, req, int]

func byCost(r req) int   { return max(r.cost, 1) }
func byKey(r req) string { return r.key }

// outcome is what a Do returned, and when.
type outcome struct {
	session int
	err     error
	at      time.Time
}

// async starts a Do, waits until it is blocked or over, and returns where its outcome comes.
func async(ctx context.Context, p *pool, r req) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		o := outcome{err: errors.New("Do did not return")}
		defer func() {
			if v := recover(); v != nil {
				o.err = v.(error)
			}
			o.at = time.Now()
			out <- o
		}()
		o.session, o.err = p.Do(ctx, r)
	}()
	synctest.Wait()
	return out
}

// pending asserts that the outcomes have not come yet.
func pending(t *testing.T, outs ...<-chan outcome) {
	t.Helper()
	synctest.Wait()
	for i, out := range outs {
		require.Empty(t, out, "request %d has an outcome already", i)
	}
}

// answered asserts that the request was answered, and returns by which session.
func answered(t *testing.T, out <-chan outcome) int {
	t.Helper()
	o := <-out
	require.NoError(t, o.err)
	return o.session
}

// bubble runs the test in a synctest bubble with a pool, which is closed at the end, when the books must be right.
func bubble(t *testing.T, cfg session.Config, test func(t *testing.T, p *pool, b *backend), opts ...session.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBackend()
		p, err := session.New(b.open, b.close, b.fn, cfg, opts...)
		require.NoError(t, err)
		synctest.Wait()
		test(t, p, b)
		require.NoError(t, p.Close())
		checkBooks(t, p, b)
	})
}

// checkBooks checks what must be true of a pool that is closed.
func checkBooks(t *testing.T, p *pool, b *backend) {
	t.Helper()
	s, cfg := p.Stats(), p.Config()
	checkSums(t, s)
	require.Zero(t, s.Queued+s.Blocked+s.Running+s.Load+s.Sessions+s.Opening+s.Leaving, "%+v", s)
	c := s.Closes
	require.Equal(t, s.Opened, c.Uses+c.Age+c.Idle+c.Bad+c.Panic+c.Check+c.Shutdown, "%+v", s)
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Zero(t, b.exist, "sessions are left open")
	require.LessOrEqual(t, b.most, cfg.Max)
	for _, s := range b.all {
		require.True(t, s.closed)
		require.LessOrEqual(t, s.most, cfg.PerSession)
	}
	for _, most := range b.mostOpening {
		require.LessOrEqual(t, most, cfg.MaxOpening)
	}
}

func checkSums(t *testing.T, s session.Stats) {
	t.Helper()
	require.Equal(t, s.Accepted, s.Answered+s.Failed+s.Abandoned+uint64(s.Running+s.Queued+s.Blocked)+
		s.Drops.Cancelled+s.Drops.Expired+s.Drops.Closed+s.Drops.Unopened, "%+v", s)
}
