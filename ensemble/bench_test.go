package ensemble_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/scalable-ai/patterns/ensemble"
)

// free is a model that costs nothing, so that what is measured is the machinery.
func free(_ context.Context, x float64) (float64, error) { return x + 1, nil }

func freeMembers(n int) []ensemble.Member[float64, float64] {
	members := make([]ensemble.Member[float64, float64], n)
	for i := range members {
		members[i] = ensemble.Member[float64, float64]{Name: fmt.Sprint("m", i), Do: free}
	}
	return members
}

// byHand is the fan-out that one writes. It waits for all members, whatever they do, and knows no quorum and no partial answer.
func byHand(ctx context.Context, models []ensemble.Func[float64, float64], x float64) (float64, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	group, ctx := errgroup.WithContext(ctx)
	results := make([]float64, len(models))
	for i, model := range models {
		group.Go(func() error {
			y, err := model(ctx, x)
			if err != nil {
				return err
			}
			results[i] = y
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	sum := 0.0
	for _, y := range results {
		sum += y
	}
	return sum / float64(len(results)), nil
}

func freeModels(n int) []ensemble.Func[float64, float64] {
	models := make([]ensemble.Func[float64, float64], n)
	for i := range models {
		models[i] = free
	}
	return models
}

// BenchmarkDo asks five members that cost nothing, with a context that can be cancelled as that of a server's request can.
func BenchmarkDo(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	models := freeModels(5)
	b.Run("errgroup", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := byHand(ctx, models, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, cfg := range map[string]ensemble.Config{
		"all":        {},
		"quorum":     {Policy: ensemble.Quorum},
		"partial":    {Policy: ensemble.Partial, Deadline: 1e9},
		"timeouts":   {MemberTimeout: 1e9},
		"one by one": {Concurrency: 1},
	} {
		e, err := ensemble.New(freeMembers(5), ensemble.Mean[float64](), cfg)
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Do(ctx, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestDoAllocatesNoMoreThanByHand(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	models := freeModels(5)
	hand := testing.AllocsPerRun(500, func() { _, _ = byHand(t.Context(), models, 1) })
	e, err := ensemble.New(freeMembers(5), ensemble.Mean[float64](), ensemble.Config{})
	require.NoError(t, err)
	ours := testing.AllocsPerRun(500, func() { _, _ = e.Do(t.Context(), 1) })
	t.Logf("by hand %v, Do %v", hand, ours)
	assert.Less(t, ours, hand)
	// The context and its cancel function, and what the parent keeps of them.
	assert.LessOrEqual(t, ours, 4.0)
}
