package session_test

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool/session"
)

func TestAffinity(t *testing.T) {
	bubble(t, session.Config{Min: 4}, func(t *testing.T, p *pool, b *backend) {
		at := map[string]int{}
		perSession := make([]int, 4)
		for round := range 5 {
			for i := range 8 {
				key := fmt.Sprint("conversation ", i)
				got := answered(t, async(t.Context(), p, req{key: key, takes: ms}))
				if round == 0 {
					at[key] = got
					perSession[got]++
				}
				require.Equal(t, at[key], got)
			}
		}
		require.Equal(t, []int{2, 2, 2, 2}, perSession, "new keys go where the fewest are")
		s := p.Stats()
		require.Equal(t, [3]uint64{8, 32, 0}, [3]uint64{s.NewKeys, s.AffinityHits, s.AffinityMisses})
		require.InDelta(t, 1.0, s.AffinityRate(), 0)
	}, session.WithKey(byKey))
}

// A hot key does not pile up at its session while others are idle, but may wait as far as the bound allows.
func TestImbalanceIsBounded(t *testing.T) {
	for _, c := range []struct {
		imbalance float64
		want      time.Duration // for 8 requests of a second each
	}{
		{0, 2 * time.Second}, // DefaultImbalance
		{1, 2 * time.Second},
		{2, 4 * time.Second},
		{math.Inf(1), 8 * time.Second},
	} {
		bubble(t, session.Config{Min: 4, Imbalance: c.imbalance}, func(t *testing.T, p *pool, b *backend) {
			answered(t, async(t.Context(), p, req{key: "hot"}))
			var outs []<-chan outcome
			for range 8 {
				outs = append(outs, async(t.Context(), p, req{key: "hot", takes: time.Second}))
			}
			for _, out := range outs {
				answered(t, out)
			}
			require.LessOrEqual(t, time.Since(b.start), c.want, "imbalance %v", c.imbalance)
			if math.IsInf(c.imbalance, 1) {
				require.EqualValues(t, 8, p.Stats().AffinityHits)
			}
		}, session.WithKey(byKey))
	}
}

// Under load, when all have to wait anyway, requests wait for their own session.
func TestAffinityUnderLoad(t *testing.T) {
	bubble(t, session.Config{Min: 4}, func(t *testing.T, p *pool, b *backend) {
		const keys, rounds = 16, 20
		var callers []<-chan int
		for k := range keys {
			done := make(chan int, 1)
			callers = append(callers, done)
			go func() {
				hits := 0
				last := -1
				for range rounds {
					s, err := p.Do(t.Context(), req{key: fmt.Sprint(k), takes: 10 * ms})
					if err != nil {
						panic(err)
					}
					if s == last {
						hits++
					}
					last = s
				}
				done <- hits
			}()
		}
		total := 0
		for _, done := range callers {
			total += <-done
		}
		s := p.Stats()
		require.EqualValues(t, total, s.AffinityHits)
		require.Greater(t, s.AffinityRate(), 0.9)
		require.Less(t, time.Since(b.start), keys*rounds*10*ms/4*11/10, "the sessions are busy")
	}, session.WithKey(byKey))
}

// When all are busy, each waits for its own.
func TestAffinityOfThoseThatWait(t *testing.T) {
	bubble(t, session.Config{Min: 2}, func(t *testing.T, p *pool, b *backend) {
		require.Equal(t, 0, answered(t, async(t.Context(), p, req{key: "a"})))
		require.Equal(t, 1, answered(t, async(t.Context(), p, req{key: "b"})))
		async(t.Context(), p, req{key: "a", takes: 2 * time.Second})
		async(t.Context(), p, req{key: "b", takes: time.Second})
		a := async(t.Context(), p, req{key: "a", takes: 3 * time.Second})
		b2 := async(t.Context(), p, req{key: "b", takes: 3 * time.Second})
		require.Equal(t, 0, answered(t, a))
		require.Equal(t, 1, answered(t, b2))
	}, session.WithKey(byKey))
}

// An idle session takes over what waits for a busy one, beyond the bound.
func TestStealing(t *testing.T) {
	bubble(t, session.Config{Min: 2, Imbalance: 1.5}, func(t *testing.T, p *pool, b *backend) {
		require.Equal(t, 0, answered(t, async(t.Context(), p, req{key: "a"})))
		require.Equal(t, 1, answered(t, async(t.Context(), p, req{key: "b"})))
		busy := async(t.Context(), p, req{key: "a", takes: 10 * time.Second})
		other := async(t.Context(), p, req{key: "b", takes: time.Second})
		waits := async(t.Context(), p, req{key: "a"})
		pending(t, busy, other, waits)
		require.Equal(t, 1, answered(t, other))
		require.Equal(t, 0, p.Stats().Queued, "no reason to wait for session 0 any more")
		require.Equal(t, 1, answered(t, waits))
		answered(t, busy)
		require.Equal(t, 1, answered(t, async(t.Context(), p, req{key: "a"})), "the key has moved")
	}, session.WithKey(byKey))
}

// Those that wait for a session that is given up go to another.
func TestAffinityToALostSession(t *testing.T) {
	bubble(t, session.Config{Min: 2, Imbalance: math.Inf(1)}, func(t *testing.T, p *pool, b *backend) {
		require.Equal(t, 0, answered(t, async(t.Context(), p, req{key: "a"})))
		b.mu.Lock()
		b.openTakes = time.Hour
		b.mu.Unlock()
		sick := async(t.Context(), p, req{key: "a", takes: time.Second, err: session.Bad(errModel)})
		var waits []<-chan outcome
		for range 3 {
			waits = append(waits, async(t.Context(), p, req{key: "a"}))
		}
		pending(t, waits...)
		require.ErrorIs(t, (<-sick).err, errModel)
		for _, out := range waits {
			require.Equal(t, 1, answered(t, out))
		}
		require.EqualValues(t, 1, p.Stats().AffinityMisses)
	}, session.WithKey(byKey))
}

func TestMaxKeys(t *testing.T) {
	bubble(t, session.Config{Min: 1, MaxKeys: 2}, func(t *testing.T, p *pool, b *backend) {
		for _, c := range []struct {
			key   string
			known bool
		}{{"a", false}, {"b", false}, {"a", true}, {"c", false}, {"a", true}, {"b", false}, {"c", false}} {
			before := p.Stats()
			answered(t, async(t.Context(), p, req{key: c.key}))
			require.Equal(t, c.known, p.Stats().AffinityHits > before.AffinityHits, "%v", c)
			require.Equal(t, !c.known, p.Stats().NewKeys > before.NewKeys, "%v", c)
		}
	}, session.WithKey(byKey))
}

func TestBadKeys(t *testing.T) {
	open := func(ctx3) (int, error) { return 0, nil }
	synctest.Test(t, func(t *testing.T) {
		p, err := session.New(open, func(int) {}, func(ctx3, int, any) (int, error) { return 1, nil }, session.Config{},
			session.WithKey(func(r any) any { return r }))
		require.NoError(t, err)
		for _, bad := range []any{math.NaN(), []int{1}} {
			_, err := p.Do(t.Context(), bad)
			require.ErrorIs(t, err, session.ErrBadRequest)
		}
		_, err = p.Do(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, p.Close())
	})
}

// A session that has room helps the one with most to do among those that it has room for: a large request at the head of another
// is not in the way.
func TestLargeRequestDoesNotHideOthers(t *testing.T) {
	cfg := session.Config{Min: 3, MaxOpening: 3, PerSession: 4, Imbalance: 1.4}
	bubble(t, cfg, func(t *testing.T, p *pool, b *backend) {
		ask := func(key string, cost int, takes time.Duration) <-chan outcome {
			return async(t.Context(), p, req{key: key, cost: cost, takes: takes})
		}
		home := map[string]int{}
		for _, key := range []string{"a", "b", "c"} {
			home[key] = answered(t, ask(key, 1, 0))
		}
		outs := []<-chan outcome{ask("a", 4, 10*time.Second), ask("b", 4, 10*time.Second), ask("c", 1, 10*time.Second)}
		short := ask("c", 3, time.Second)
		outs = append(outs, ask("a", 4, time.Second))
		var small []<-chan outcome
		for range 4 {
			small = append(small, ask("b", 1, time.Second))
		}
		pending(t, append(outs, small...)...)
		answered(t, short) // there is room for 3, both others have 8 to do, and may have 1.4*17/3
		first := <-small[0]
		require.NoError(t, first.err)
		require.Equal(t, 2*time.Second, first.at.Sub(b.start))
		require.Equal(t, home["c"], first.session)
		for _, out := range append(outs, small[1:]...) {
			answered(t, out)
		}
	}, session.WithKey(byKey), session.WithCost(byCost))
}
