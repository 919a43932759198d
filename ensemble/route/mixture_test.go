package route_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/route"
)

type expert = route.Expert[[]float64, float64]
type part = route.Part[float64]

// theScores is a gate that returns the request.
func theScores(_ context.Context, scores []float64) ([]float64, error) { return scores, nil }

// constant is an expert that answers with a value.
func constant(name string, value float64) expert {
	return expert{Name: name, Do: func(context.Context, []float64) (float64, error) { return value, nil }}
}

func does(name string, do func(ctx context.Context) (float64, error)) expert {
	return expert{Name: name, Do: func(ctx context.Context, _ []float64) (float64, error) { return do(ctx) }}
}

func after(name string, d time.Duration, value float64, err error) expert {
	return does(name, func(ctx context.Context) (float64, error) {
		select {
		case <-time.After(d):
			return value, err
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	})
}

// keep is a combine function that keeps the parts.
func keep(parts *[]part) func([]part) (float64, error) {
	var mu sync.Mutex
	return func(p []part) (float64, error) {
		mu.Lock()
		defer mu.Unlock()
		*parts = slices.Clone(p)
		return route.CombineValues(p)
	}
}

func newMixture(t testing.TB, parts *[]part, cfg route.MixtureConfig, experts ...expert) *route.Mixture[[]float64, float64] {
	t.Helper()
	m, err := route.NewMixture(theScores, experts, keep(parts), cfg)
	require.NoError(t, err)
	return m
}

func names(parts []part) (all []string) {
	for _, p := range parts {
		all = append(all, p.Expert)
	}
	return all
}

func checkExperts(t testing.TB, m *route.Mixture[[]float64, float64]) {
	t.Helper()
	for _, e := range m.Stats().Experts {
		require.Zero(t, e.InFlight, e.Name)
		require.Equal(t, e.Calls, e.Answered+e.Failed+e.Cancelled, e.Name)
	}
}

func TestMixtureCombinesTheTopK(t *testing.T) {
	var parts []part
	m := newMixture(t, &parts, route.MixtureConfig{TopK: 2}, constant("a", 10), constant("b", 20), constant("c", 30))
	answer, err := m.Do(t.Context(), []float64{1, -5, 2})
	require.NoError(t, err)
	assert.Equal(t, []string{"c", "a"}, names(parts))
	w := 1 / (1 + math.Exp(-1)) // the softmax over 2 and 1
	assert.InDelta(t, w, parts[0].Weight, 1e-12)
	assert.InDelta(t, 1-w, parts[1].Weight, 1e-12)
	assert.InDelta(t, 30*w+10*(1-w), answer, 1e-12)

	_, err = m.Do(t.Context(), []float64{7, 7, 7})
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, names(parts), "ties go to the earlier")

	_, err = m.Do(t.Context(), []float64{1e308, -1e308, math.Inf(-1)})
	require.NoError(t, err)
	assert.Equal(t, []part{{"a", 1, 10}, {"b", 0, 20}}, parts, "no overflow")

	_, err = m.Do(t.Context(), []float64{math.Inf(-1), 3, math.Inf(-1)})
	require.NoError(t, err)
	assert.Equal(t, []part{{"b", 1, 20}}, parts, "minus infinity excludes")
	checkExperts(t, m)
	assert.InDelta(t, 4, m.Stats().Experts[0].Importance+m.Stats().Experts[1].Importance+m.Stats().Experts[2].Importance, 1e-12)
}

func TestMixtureWeightsAreSharedOutAmongThoseThatAnswered(t *testing.T) {
	var parts []part
	down := does("b", func(context.Context) (float64, error) { return 0, errDown })
	m := newMixture(t, &parts, route.MixtureConfig{TopK: 3}, constant("a", 10), down, constant("c", 30))
	// The one that fails has all of the weight but what a float cannot hold: dividing the weights among all three would be 0/0.
	answer, err := m.Do(t.Context(), []float64{0, 2000, 0})
	require.NoError(t, err)
	assert.Equal(t, []part{{"a", 0.5, 10}, {"c", 0.5, 30}}, parts)
	assert.InDelta(t, 20, answer, 1e-12)
	assert.Equal(t, uint64(1), m.Stats().Experts[1].Failed)
	checkExperts(t, m)
}

// When too few can answer, those that are still at it are cancelled and waited for.
func TestMixtureMinAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var parts []part
		m := newMixture(t, &parts, route.MixtureConfig{TopK: 3, MinAnswers: 2}, constant("a", 1), after("b", time.Second, 0, errDown), after("c", 2*time.Second, 0, errBad), after("d", time.Hour, 4, nil))
		start := time.Now()
		_, err := m.Do(t.Context(), []float64{0, 1, 2, 3})
		assert.Equal(t, 2*time.Second, time.Since(start))
		var e *route.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, `route: 2 failed: "c": bad request; "b": down`, err.Error())
		assert.Equal(t, uint64(1), m.Stats().Experts[3].Cancelled)
		assert.Nil(t, parts)
		checkExperts(t, m)
	})
}

func TestMixtureEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var parts []part
		stubborn := does("c", func(ctx context.Context) (float64, error) { // answers although it is cancelled
			<-ctx.Done()
			time.Sleep(time.Second)
			return 3, nil
		})
		m := newMixture(t, &parts, route.MixtureConfig{TopK: 4, Enough: 2}, after("a", time.Second, 1, nil), after("b", 2*time.Second, 2, nil), stubborn, after("d", time.Hour, 4, nil))
		start := time.Now()
		_, err := m.Do(t.Context(), []float64{0, 0, 9, 0})
		require.NoError(t, err)
		assert.Equal(t, []part{{"a", 0.5, 1}, {"b", 0.5, 2}}, parts)
		assert.Equal(t, 3*time.Second, time.Since(start), "it is waited for")
		s := m.Stats()
		assert.Equal(t, uint64(1), s.Experts[2].Answered)
		assert.Equal(t, uint64(1), s.Experts[3].Cancelled)
		checkExperts(t, m)
	})
}

func TestMixtureTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var parts []part
		m := newMixture(t, &parts, route.MixtureConfig{TopK: 2, Timeout: 2 * time.Second}, after("a", time.Second, 1, nil), after("b", time.Minute, 2, nil))
		_, err := m.Do(t.Context(), []float64{0, 5})
		require.NoError(t, err)
		assert.Equal(t, []part{{"a", 1, 1}}, parts)
		assert.Equal(t, uint64(1), m.Stats().Experts[1].Failed)

		m = newMixture(t, &parts, route.MixtureConfig{TopK: 1, Timeout: 2 * time.Second}, after("b", time.Minute, 2, nil))
		_, err = m.Do(t.Context(), []float64{0})
		require.ErrorIs(t, err, route.ErrTimeout)
		checkExperts(t, m)
	})
}

func TestMixtureCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var parts []part
		m := newMixture(t, &parts, route.MixtureConfig{TopK: 2}, after("a", time.Second, 1, nil), after("b", time.Hour, 2, nil))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errBad)
		defer cancel()
		_, err := m.Do(ctx, []float64{1, 2})
		require.Equal(t, errBad, err)
		assert.Equal(t, uint64(1), m.Stats().Experts[1].Cancelled)
		_, err = m.Do(ctx, []float64{1, 2})
		require.Equal(t, errBad, err)
		assert.Equal(t, uint64(1), m.Stats().Calls)
		checkExperts(t, m)

		slow, err := route.NewMixture(func(ctx context.Context, _ []float64) ([]float64, error) { <-ctx.Done(); return nil, ctx.Err() }, []expert{constant("a", 1)}, keep(&parts), route.MixtureConfig{})
		require.NoError(t, err)
		ctx, cancel = context.WithTimeoutCause(t.Context(), time.Minute, errBad)
		defer cancel()
		_, err = slow.Do(ctx, nil)
		require.Equal(t, errBad, err)
	})
}

func TestMixturePanicsAndGoexit(t *testing.T) {
	var parts []part
	boom := does("b", func(context.Context) (float64, error) { panic(errDown) })
	exits := does("c", func(context.Context) (float64, error) { runtime.Goexit(); return 0, nil })
	m := newMixture(t, &parts, route.MixtureConfig{TopK: 3}, constant("a", 1), boom, exits)
	_, err := m.Do(t.Context(), []float64{0, 0, 0})
	require.NoError(t, err)
	assert.Equal(t, []part{{"a", 1, 1}}, parts)
	checkExperts(t, m)

	m = newMixture(t, &parts, route.MixtureConfig{TopK: 2}, boom, exits)
	_, err = m.Do(t.Context(), []float64{0, 0})
	var p *route.PanicError
	require.ErrorAs(t, err, &p)
	require.ErrorIs(t, err, errDown)
	require.ErrorIs(t, err, route.ErrGoexit)
	assert.Contains(t, p.Error(), "mixture_test.go")

	// A single one runs on the caller's goroutine, where its panic goes on.
	m = newMixture(t, &parts, route.MixtureConfig{TopK: 1}, boom)
	assert.PanicsWithValue(t, errDown, func() { _, _ = m.Do(t.Context(), []float64{0}) })
	checkExperts(t, m)
}

func TestMixtureCapacity(t *testing.T) {
	for name, c := range map[string]struct {
		overflow route.Overflow
		want     []string // of a request while the best expert is full
	}{
		"next": {route.OverflowNext, []string{"b", "c"}},
		"drop": {route.OverflowDrop, []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var parts []part
				release := make(chan struct{})
				full := does("a", func(context.Context) (float64, error) { <-release; return 1, nil })
				// ⌈2 · 2/3 · 1.25⌉ = 2
				m := newMixture(t, &parts, route.MixtureConfig{TopK: 2, Concurrency: 2, CapacityFactor: 1.25, Overflow: c.overflow}, full, constant("b", 2), constant("c", 3))
				var group sync.WaitGroup
				for range 2 {
					group.Go(func() { _, _ = m.Do(t.Context(), []float64{9, 0, math.Inf(-1)}) })
				}
				synctest.Wait()
				_, err := m.Do(t.Context(), []float64{9, 8, 7})
				require.NoError(t, err)
				assert.Equal(t, c.want, names(parts))
				_, err = m.Do(t.Context(), []float64{9, math.Inf(-1), math.Inf(-1)})
				require.Equal(t, route.ErrOverflow, err)
				s := m.Stats()
				assert.Equal(t, uint64(2), s.Experts[0].Overflows)
				assert.Equal(t, uint64(1), s.Overflows)
				assert.Equal(t, uint64(3), s.Calls)
				close(release)
				group.Wait()
				checkExperts(t, m)
			})
		})
	}
}

func TestMixtureBadScores(t *testing.T) {
	var parts []part
	m := newMixture(t, &parts, route.MixtureConfig{MinAnswers: 2, TopK: 2}, constant("a", 1), constant("b", 2))
	for _, scores := range [][]float64{nil, {1}, {1, 2, 3}, {1, math.NaN()}, {math.Inf(1), 0}} {
		_, err := m.Do(t.Context(), scores)
		require.ErrorIs(t, err, route.ErrGate)
	}
	_, err := m.Do(t.Context(), []float64{1, math.Inf(-1)})
	require.ErrorIs(t, err, route.ErrNoMember)
	assert.Zero(t, m.Stats().Calls)
	own := errors.New("gate is down")
	broken, err := route.NewMixture(func(context.Context, int) ([]float64, error) { return nil, own }, []route.Expert[int, float64]{{Name: "a", Do: func(context.Context, int) (float64, error) { return 0, nil }}}, route.CombineValues[float64], route.MixtureConfig{})
	require.NoError(t, err)
	_, err = broken.Do(t.Context(), 0)
	require.Equal(t, own, err)
}

func TestMixtureBadConfig(t *testing.T) {
	two := []expert{constant("a", 1), constant("b", 2)}
	for name, cfg := range map[string]route.MixtureConfig{
		"TopK negative":     {TopK: -1},
		"TopK large":        {TopK: 3},
		"MinAnswers":        {MinAnswers: -1},
		"MinAnswers large":  {MinAnswers: 2, Enough: 1},
		"Enough":            {Enough: -1},
		"Enough large":      {Enough: 3},
		"Timeout":           {Timeout: -1},
		"Concurrency":       {Concurrency: -1},
		"Concurrency alone": {Concurrency: 1},
		"factor alone":      {CapacityFactor: 1},
		"factor NaN":        {CapacityFactor: math.NaN(), Concurrency: 1},
		"factor negative":   {CapacityFactor: -1, Concurrency: 1},
		"factor infinite":   {CapacityFactor: math.Inf(1), Concurrency: 1},
		"Overflow":          {Overflow: 9},
	} {
		_, err := route.NewMixture(theScores, two, route.CombineValues, cfg)
		require.ErrorContains(t, err, "route: ", name)
	}
	for name, experts := range map[string][]expert{"none": nil, "no name": {constant("", 1)}, "twice": {two[0], two[0]}, "no Do": {{Name: "a"}}} {
		_, err := route.NewMixture(theScores, experts, route.CombineValues, route.MixtureConfig{})
		require.ErrorContains(t, err, "route: ", name)
	}
	_, err := route.NewMixture(nil, two, route.CombineValues, route.MixtureConfig{})
	require.Error(t, err)
	_, err = route.NewMixture(theScores, two, nil, route.MixtureConfig{})
	require.Error(t, err)
}

func TestCombineVectors(t *testing.T) {
	type parts = []route.Part[[]float32]
	mean, err := route.CombineVectors(parts{{Expert: "a", Weight: 0.25, Answer: []float32{4, 0}}, {Expert: "b", Weight: 0.75, Answer: []float32{0, 4}}})
	require.NoError(t, err)
	assert.Equal(t, []float32{1, 3}, mean)
	_, err = route.CombineVectors(parts{{Expert: "a", Answer: []float32{4, 0}}, {Expert: "b", Answer: []float32{1}}})
	require.EqualError(t, err, `route: expert "b" answered with 1 numbers, "a" with 2`)
	mean, err = route.CombineVectors(parts{})
	require.NoError(t, err)
	assert.Empty(t, mean)
}

// Real goroutines: no answer is mixed up with another's, no place is lost.
func TestMixtureStress(t *testing.T) {
	var calls atomic.Uint64
	var experts []route.Expert[int, int]
	for i := range 5 {
		experts = append(experts, route.Expert[int, int]{Name: string(rune('a' + i)), Do: func(ctx context.Context, q int) (int, error) {
			calls.Add(1)
			for range (q + i) % 3 {
				runtime.Gosched()
			}
			switch (q*7 + i) % 13 {
			case 0:
				return 0, errDown
			case 1:
				panic("chaos")
			case 2:
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return q, nil
		}})
	}
	m, err := route.NewMixture(func(_ context.Context, q int) ([]float64, error) {
		return []float64{float64(q % 5), float64(q % 3), 1, float64(q % 7), math.Inf(-1)}, nil
	}, experts, func(parts []route.Part[int]) (int, error) {
		for _, p := range parts {
			if p.Answer != parts[0].Answer {
				return 0, errBad
			}
		}
		return parts[0].Answer, nil
	}, route.MixtureConfig{TopK: 3, Enough: 2, Timeout: time.Millisecond, Concurrency: 4, CapacityFactor: 1.5})
	require.NoError(t, err)
	var group sync.WaitGroup
	for caller := range 6 {
		group.Go(func() {
			for i := range 200 {
				q := caller*1000 + i
				func() {
					// With room for one expert only, that runs here, and so does its panic.
					defer func() { assert.Contains(t, []any{nil, "chaos"}, recover()) }()
					answer, err := m.Do(t.Context(), q)
					if err == nil {
						assert.Equal(t, q, answer)
					} else {
						assert.NotErrorIs(t, err, errBad)
					}
				}()
			}
		})
	}
	group.Wait()
	total := uint64(0)
	for _, e := range m.Stats().Experts {
		assert.Zero(t, e.InFlight)
		assert.Equal(t, e.Calls, e.Answered+e.Failed+e.Cancelled)
		total += e.Calls
	}
	assert.Equal(t, calls.Load(), total)
	assert.Zero(t, m.Stats().Experts[4].Calls)
}
