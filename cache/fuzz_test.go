package cache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scalable-ai/patterns/cache"
)

// FuzzOperations plays programs of operations, one after the other, on a cache and on a map that knows when what was written expires. The first bytes
// are the configuration. Lifetimes are in seconds and loads take 10 ms, so that the model need not know which of two comes first.
func FuzzOperations(f *testing.F) {
	for seed := range 24 {
		program := make([]byte, 400)
		x := uint32(seed)*2654435761 + 1
		for i := range program {
			x ^= x << 13
			x ^= x >> 17
			x ^= x << 5
			program[i] = byte(x >> 8)
		}
		f.Add(program)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		synctest.Test(t, func(t *testing.T) { playFuzz(t, program) })
	})
}

// fuzzEntry is what the naive model knows of a key.
type fuzzEntry struct {
	value int
	err   error
	fresh time.Time
	retry time.Time
	epoch int // of its namespace
}

type fuzzModel struct {
	t       *testing.T
	program []byte
	cfg     cache.Config
	c       *intCache
	held    map[int]fuzzEntry
	epochs  [2]int
	loads   atomic.Int64
	fails   error // of the next loads
	log     []string
}

// namespaceOf makes even and odd keys a namespace each.
func namespaceOf(key int) cache.Namespace {
	return cache.Namespace{Model: "m", Version: fmt.Sprint(key % 2)}
}

func (m *fuzzModel) next(n int) int {
	if len(m.program) == 0 {
		return 0
	}
	v := int(m.program[0]) % n
	m.program = m.program[1:]
	return v
}

func (m *fuzzModel) load(_ context.Context, key int) (int, error) {
	time.Sleep(10 * ms)
	return 1_000_000*key + int(m.loads.Add(1)), m.fails
}

func playFuzz(t *testing.T, program []byte) {
	m := &fuzzModel{t: t, program: program, held: map[int]fuzzEntry{}}
	seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
	m.cfg = cache.Config{
		TTL:                  seconds(2 + m.next(20)),
		NegativeTTL:          seconds(1 + m.next(10)),
		StaleWhileRevalidate: seconds(max(0, m.next(30)-10)),
		StaleIfError:         seconds(max(0, m.next(30)-10)),
		RefreshAhead:         seconds(m.next(2)),
	}
	if m.cfg.StaleWhileRevalidate+m.cfg.StaleIfError+m.cfg.RefreshAhead > 0 {
		m.cfg.RetryAfter = seconds(1 + m.next(8))
	}
	opts := []cache.Option{
		cache.WithNegative(func(err error) bool { return errors.Is(err, errAbsent) }),
		cache.WithNamespace(namespaceOf),
	}
	var err error
	switch m.next(3) {
	case 0:
		m.c, err = cache.New(m.load, m.cfg, opts...)
	case 1:
		m.cfg.LoadInline = true
		m.c, err = cache.New(m.load, m.cfg, opts...)
	default:
		m.c, err = cache.NewBulk(func(ctx context.Context, keys []int) ([]int, error) {
			time.Sleep(10 * ms)
			values := make([]int, len(keys))
			errs := make(cache.ItemErrors, len(keys))
			for i, key := range keys {
				values[i], errs[i] = 1_000_000*key+int(m.loads.Add(1)), m.fails
			}
			return values, errs
		}, m.cfg, opts...)
	}
	if err != nil {
		t.Fatal(err)
	}
	for len(m.program) > 0 && !t.Failed() {
		m.step()
	}
	if err := m.c.Close(); err != nil {
		t.Error(err)
	}
	s := m.c.Stats()
	if s.Loading+s.Refreshing != 0 {
		t.Errorf("closed, but %+v", s)
	}
	if t.Failed() {
		t.Logf("%+v\n%s", m.cfg, strings.Join(m.log, "\n"))
	}
}

func (m *fuzzModel) step() {
	key := m.next(6)
	switch op := m.next(16); op {
	case 0, 1:
		value := int(m.loads.Add(1)) // like no other
		m.note("Set(%d, %d)", key, value)
		if err := m.c.Set(key, value); err != nil {
			m.t.Error(err)
		}
		m.held[key] = m.written(key, value, nil)
	case 2:
		m.note("Delete(%d)", key)
		m.c.Delete(key)
		delete(m.held, key)
	case 3:
		m.note("Invalidate %v", namespaceOf(key))
		if err := m.c.Invalidate(namespaceOf(key)); err != nil {
			m.t.Error(err)
		}
		m.epochs[key%2]++
	case 4, 5, 6:
		wait := time.Duration(1+m.next(6))*time.Second/2 + time.Millisecond // no two moments of interest coincide
		m.note("wait %v", wait)
		time.Sleep(wait)
	case 7:
		m.fails = [...]error{nil, nil, errModel, errAbsent}[m.next(4)]
		m.note("loads return %v", m.fails)
	case 8:
		value, ok := m.c.Get(key)
		m.note("Get(%d) = %d, %t", key, value, ok)
		e, _, serves := m.look(key)
		if serves = serves && e.err == nil; ok != serves || ok && value != e.value {
			m.t.Errorf("Get(%d) = %d, %t, want %d, %t", key, value, ok, e.value, serves)
		}
	case 9:
		keys := make([]int, m.next(5))
		for i := range keys {
			keys[i] = m.next(6)
		}
		m.getAll(keys)
	default:
		before := m.loads.Load()
		value, err := m.c.Do(context.Background(), key)
		m.note("Do(%d) = %d, %v", key, value, err)
		m.answered(key, value, err, int(m.loads.Load()-before))
	}
	synctest.Wait()
}

func (m *fuzzModel) note(format string, args ...any) {
	m.log = append(m.log, time.Now().Format("04:05.000 ")+fmt.Sprintf(format, args...))
}

func (m *fuzzModel) written(key, value int, err error) fuzzEntry {
	ttl := m.cfg.TTL
	if err != nil {
		ttl = m.cfg.NegativeTTL
	}
	return fuzzEntry{value: value, err: err, fresh: time.Now().Add(ttl), epoch: m.epochs[key%2]}
}

// look returns what the model holds of key, whether a refresh is due, and whether it is served without a load.
func (m *fuzzModel) look(key int) (e fuzzEntry, refresh, serves bool) {
	e, ok := m.held[key]
	now := time.Now()
	if !ok || e.epoch != m.epochs[key%2] {
		return e, false, false
	}
	if e.err != nil {
		return e, false, now.Before(e.fresh)
	}
	retrying := now.Before(e.retry)
	switch {
	case now.Before(e.fresh):
		return e, !retrying && !now.Before(e.fresh.Add(-m.cfg.RefreshAhead)), true
	case now.Before(e.fresh.Add(m.cfg.StaleWhileRevalidate)):
		return e, !retrying, true
	}
	return e, false, retrying && now.Before(e.fresh.Add(m.cfg.StaleIfError))
}

// answered checks what a Do of key returned, loads having ended meanwhile, and brings the model up to date.
func (m *fuzzModel) answered(key, value int, err error, loads int) {
	e, refresh, serves := m.look(key)
	switch {
	case serves && loads == 0 && value == e.value && errors.Is(err, e.err):
		if refresh {
			m.refreshed(key, e)
		}
	case serves:
		m.t.Errorf("Do(%d) = %d, %v after %d loads, want %d, %v", key, value, err, loads, e.value, e.err)
	case loads != 1:
		m.t.Errorf("Do(%d) made %d loads", key, loads)
	default:
		m.loadedOnDemand(key, e, value, err)
	}
}

// loadedOnDemand says what a load does whose outcome was value and err.
func (m *fuzzModel) loadedOnDemand(key int, old fuzzEntry, value int, err error) {
	_, held := m.held[key]
	rescued := held && old.err == nil && old.epoch == m.epochs[key%2] && time.Now().Before(old.fresh.Add(m.cfg.StaleIfError))
	switch {
	case m.fails == nil && err == nil && value == 1_000_000*key+int(m.loads.Load()):
		m.held[key] = m.written(key, value, nil)
	case errors.Is(m.fails, errAbsent) && errors.Is(err, errAbsent):
		m.held[key] = m.written(key, 0, err)
	case errors.Is(m.fails, errModel) && rescued && err == nil && value == old.value:
		old.retry = time.Now().Add(m.cfg.RetryAfter)
		m.held[key] = old
	case errors.Is(m.fails, errModel) && !rescued && errors.Is(err, errModel):
	default:
		m.t.Errorf("Do(%d) = %d, %v, but the load brought %v (rescued: %t)", key, value, err, m.fails, rescued)
	}
}

// refreshed waits until the refresh that has begun is over.
func (m *fuzzModel) refreshed(key int, old fuzzEntry) {
	time.Sleep(11 * ms)
	at := time.Now().Add(-ms)
	value := 1_000_000*key + int(m.loads.Load())
	e := old
	switch {
	case m.fails == nil:
		e = m.written(key, value, nil)
		e.fresh = e.fresh.Add(-ms)
	case errors.Is(m.fails, errAbsent):
		e = m.written(key, 0, m.fails)
		e.fresh = e.fresh.Add(-ms)
	default:
		e.retry = at.Add(m.cfg.RetryAfter)
	}
	m.held[key] = e
}

func (m *fuzzModel) getAll(keys []int) {
	// What is refreshed or rescued meanwhile is checked with Do: here only what is fresh or absent is asked for.
	var ask []int
	want := map[int]fuzzEntry{}
	for _, key := range keys {
		e, refresh, serves := m.look(key)
		_, held := m.held[key]
		if serves && !refresh || !held {
			ask, want[key] = append(ask, key), e
		}
	}
	values, err := m.c.GetAll(context.Background(), ask)
	m.note("GetAll(%v) = %v, %v", ask, values, err)
	var errs cache.ItemErrors
	if err != nil && !errors.As(err, &errs) || len(values) != len(ask) {
		m.t.Errorf("GetAll(%v) = %v, %v", ask, values, err)
		return
	}
	for i, key := range ask {
		var got error
		if errs != nil {
			got = errs[i]
		}
		if e, ok := m.held[key]; ok {
			if !errors.Is(got, e.err) || e.err == nil && values[i] != e.value {
				m.t.Errorf("GetAll: key %d is %d, %v, want %d, %v", key, values[i], got, e.value, e.err)
			}
			continue
		}
		switch {
		case !errors.Is(got, m.fails):
			m.t.Errorf("GetAll: key %d is %v, but the load brought %v", key, got, m.fails)
		case m.fails == nil:
			m.held[key] = m.written(key, values[i], nil)
		case errors.Is(got, errAbsent):
			m.held[key] = m.written(key, 0, got)
		}
	}
}
