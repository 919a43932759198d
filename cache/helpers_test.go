package cache_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

const ms = time.Millisecond

var (
	errModel  = errors.New("model: out of memory")
	errAbsent = errors.New("model: no such thing")
	errGaveUp = errors.New("caller: gave up")
)

// model is a load function that takes its time and answers with 1000 times the key, plus how often it was asked for that key. Everything in it may be
// changed between calls.
type model struct {
	mu      sync.Mutex
	asked   map[int]int
	calls   [][]int // the keys of each call
	ctxs    []context.Context
	running int
	most    int // that ran at once

	takes time.Duration
	deaf  bool // it does not look at its context
	err   error
	fail  map[int]error
}

func newModel(takes time.Duration) *model {
	return &model{takes: takes, asked: map[int]int{}, fail: map[int]error{}}
}

func (m *model) load(ctx context.Context, key int) (int, error) {
	values, err := m.loadAll(ctx, []int{key})
	if err != nil {
		var each cache.ItemErrors
		if errors.As(err, &each) {
			return 0, each[0]
		}
		return 0, err
	}
	return values[0], nil
}

func (m *model) loadAll(ctx context.Context, keys []int) ([]int, error) {
	m.mu.Lock()
	m.calls = append(m.calls, keys)
	m.ctxs = append(m.ctxs, ctx)
	m.running++
	m.most = max(m.most, m.running)
	takes, deaf := m.takes, m.deaf
	values := make([]int, len(keys))
	for i, key := range keys {
		m.asked[key]++
		values[i] = 1000*key + m.asked[key]
	}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.running--
		m.mu.Unlock()
	}()
	if takes > 0 {
		wait := ctx.Done()
		if deaf {
			wait = nil
		}
		select {
		case <-time.After(takes):
		case <-wait:
			return nil, context.Cause(ctx)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	var errs cache.ItemErrors
	for i, key := range keys {
		if err := m.fail[key]; err != nil {
			if errs == nil {
				errs = make(cache.ItemErrors, len(keys))
			}
			errs[i] = err
		}
	}
	if errs != nil {
		return values, errs
	}
	return values, nil
}

// set changes the model while it may be running.
func (m *model) set(change func(m *model)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *model) count(key int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked[key]
}

func (m *model) seen() [][]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([][]int(nil), m.calls...)
}

// context returns the context of a call.
func (m *model) context(call int) context.Context {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ctxs[call]
}

type intCache = cache.Cache[int, int]

// bubble runs the test in a synctest bubble with a cache over a model that takes 10 ms.
func bubble(t *testing.T, cfg cache.Config, test func(t *testing.T, c *intCache, m *model), opts ...cache.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newModel(10 * ms)
		c, err := cache.New(m.load, cfg, opts...)
		require.NoError(t, err)
		test(t, c, m)
		finish(t, c)
	})
}

// bulkBubble is bubble with the model as a bulk loader.
func bulkBubble(t *testing.T, cfg cache.Config, test func(t *testing.T, c *intCache, m *model), opts ...cache.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newModel(10 * ms)
		c, err := cache.NewBulk(m.loadAll, cfg, opts...)
		require.NoError(t, err)
		test(t, c, m)
		finish(t, c)
	})
}

func finish(t *testing.T, c *intCache) {
	t.Helper()
	require.NoError(t, c.Close())
	s := c.Stats()
	require.Zero(t, s.Loading+s.Refreshing, "%+v", s)
	synctest.Wait()
}

// outcome is what a Do returned, and when.
type outcome struct {
	value int
	err   error
	at    time.Time
}

// async starts a Do, waits until it is blocked or over, and returns where its outcome comes.
func async(ctx context.Context, do cache.Func[int, int], key int) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		value, err := do(ctx, key)
		out <- outcome{value, err, time.Now()}
	}()
	synctest.Wait()
	return out
}

// pending asserts that the outcomes have not come yet.
func pending(t *testing.T, outs ...<-chan outcome) {
	t.Helper()
	synctest.Wait()
	for i, out := range outs {
		select {
		case o := <-out:
			t.Fatalf("request %d has an outcome already: %+v", i, o)
		default:
		}
	}
}

// want asserts that Do returns the value.
func want(t *testing.T, c *intCache, key, value int) {
	t.Helper()
	got, err := c.Do(context.Background(), key)
	require.NoError(t, err)
	require.Equal(t, value, got)
}
