package route_test

import (
	"context"
	"iter"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/route"
)

func constants(n int) []member {
	var members []member
	for i := range n {
		m := says(strconv.Itoa(i))
		m.Cost, m.Weight = float64(n-i), float64(i+1)
		members = append(members, m)
	}
	return members
}

var pickers = []struct {
	name string
	pick route.Picker
}{
	{"InOrder", route.InOrder()}, {"Weighted", route.Weighted()}, {"Cheapest", route.Cheapest()}, {"Fastest", route.Fastest()},
	{"TwoChoices", route.TwoChoices()}, {"Sticky", route.Sticky("salt")},
}

// naiveLoop is the fallback that one writes.
func naiveLoop(ctx context.Context, members []member, req string) (answer string, err error) {
	for i := range members {
		if answer, err = members[i].Do(ctx, req); err == nil {
			return answer, nil
		}
	}
	return "", err
}

// BenchmarkDo asks four members that answer at once: all of the time is the router's.
func BenchmarkDo(b *testing.B) {
	members := constants(4)
	byName := map[string]route.Func[string, string]{}
	for _, m := range members {
		byName[m.Name] = m.Do
	}
	b.Run("loop by hand", func(b *testing.B) {
		for b.Loop() {
			_, _ = naiveLoop(b.Context(), members, "2")
		}
	})
	b.Run("switch by hand", func(b *testing.B) {
		for b.Loop() {
			switch req := "2"; {
			case len(req) > 5:
				_, _ = members[0].Do(b.Context(), req)
			case req == "1":
				_, _ = members[1].Do(b.Context(), req)
			default:
				_, _ = members[2].Do(b.Context(), req)
			}
		}
	})
	b.Run("map by hand", func(b *testing.B) {
		for b.Loop() {
			_, _ = byName["2"](b.Context(), "2")
		}
	})
	for _, p := range pickers {
		b.Run(p.name, func(b *testing.B) {
			r, err := route.New(table{Members: members}, route.Config{Pick: p.pick}, route.WithKey(byKey))
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = r.Do(b.Context(), "2")
			}
		})
	}
	b.Run("Rules", func(b *testing.B) {
		r := ruled(b, members)
		b.ReportAllocs()
		for b.Loop() {
			_, _ = r.Do(b.Context(), "2")
		}
	})
	b.Run("InOrder parallel", func(b *testing.B) {
		r := newRouter(b, route.Config{}, members...)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = r.Do(b.Context(), "2")
			}
		})
	})
}

func ruled(t testing.TB, members []member) *router {
	r, err := route.New(table{Members: members, Rules: []route.Rule[string]{
		{When: func(q string) bool { return len(q) > 5 }, Use: []route.Share{{Member: "0"}}},
		{When: func(q string) bool { return q == "1" }, Use: []route.Share{{Member: "1"}}},
		{Use: []route.Share{{Member: "2"}, {Member: "3"}}},
	}}, route.Config{})
	require.NoError(t, err)
	return r
}

// BenchmarkFallback has a first member that always fails, at once: with the cool-down it is not asked.
func BenchmarkFallback(b *testing.B) {
	down := errDown
	members := []member{fails("a", &down), says("b")}
	b.Run("loop by hand", func(b *testing.B) {
		for b.Loop() {
			_, _ = naiveLoop(b.Context(), members, "")
		}
	})
	b.Run("Router", func(b *testing.B) {
		r := newRouter(b, route.Config{}, members...)
		b.ReportAllocs()
		for b.Loop() {
			_, _ = r.Do(b.Context(), "")
		}
	})
}

// BenchmarkStream passes 100 chunks on.
func BenchmarkStream(b *testing.B) {
	var seq iter.Seq2[string, error] = func(yield func(string, error) bool) {
		for range 100 {
			if !yield("chunk", nil) {
				return
			}
		}
	}
	b.Run("by hand", func(b *testing.B) {
		for b.Loop() {
			for _, err := range seq {
				_ = err
			}
		}
	})
	b.Run("Streamer", func(b *testing.B) {
		s := newStreamer(b, route.Config{}, source{Name: "a", Do: func(context.Context, string) (chunks, error) { return seq, nil }})
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range s.Stream(b.Context(), "") {
				_ = err
			}
		}
	})
}

// BenchmarkMixture asks two of eight experts that answer at once.
func BenchmarkMixture(b *testing.B) {
	var experts []expert
	for i := range 8 {
		experts = append(experts, constant(strconv.Itoa(i), float64(i)))
	}
	scores := []float64{1, 2, 3, 4, 5, 4, 3, 2}
	b.Run("by hand", func(b *testing.B) { // two goroutines and a channel
		for b.Loop() {
			sum := make(chan float64)
			for _, i := range []int{4, 3} {
				go func() { v, _ := experts[i].Do(b.Context(), scores); sum <- v / 2 }()
			}
			_ = <-sum + <-sum
		}
	})
	for _, k := range []int{1, 2} {
		b.Run("top"+strconv.Itoa(k), func(b *testing.B) {
			m, err := route.NewMixture(theScores, experts, route.CombineValues, route.MixtureConfig{TopK: k})
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = m.Do(b.Context(), scores)
			}
		})
	}
}

func TestDoDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	members := constants(4)
	for i := range members {
		members[i].Capabilities = []string{"text"}
		members[i].Accepts = func(q string) bool { return q != "" }
		members[i].CostOf = func(q string) float64 { return float64(len(q)) }
	}
	needs := []string{"text"}
	for _, p := range pickers {
		t.Run(p.name, func(t *testing.T) {
			r, err := route.New(table{Members: members}, route.Config{Pick: p.pick}, route.WithKey(byKey), route.WithNeeds(func(string) []string { return needs }))
			require.NoError(t, err)
			ctx := t.Context()
			// One more now and then, when the collector has emptied the pool.
			assert.Less(t, testing.AllocsPerRun(1000, func() { _, _ = r.Do(ctx, "request") }), 1.0)
		})
	}
	t.Run("rules", func(t *testing.T) {
		r, ctx := ruled(t, constants(4)), t.Context()
		assert.Less(t, testing.AllocsPerRun(1000, func() { _, _ = r.Do(ctx, "2") }), 1.0)
	})
	t.Run("while a member is put aside", func(t *testing.T) {
		var err error = retryError(1 << 40)
		r, ctx := newRouter(t, route.Config{}, fails("a", &err), says("b")), t.Context()
		_, _ = r.Do(ctx, "")
		assert.Less(t, testing.AllocsPerRun(1000, func() { _, _ = r.Do(ctx, "") }), 1.0)
	})
	t.Run("an expert alone", func(t *testing.T) {
		m, err := route.NewMixture(theScores, []expert{constant("a", 1), constant("b", 2)}, route.CombineValues, route.MixtureConfig{TopK: 1})
		require.NoError(t, err)
		ctx, scores := t.Context(), []float64{1, 2}
		assert.Less(t, testing.AllocsPerRun(1000, func() { _, _ = m.Do(ctx, scores) }), 1.0)
	})
}
