package ensemble_test

import (
	"context"
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

var ratio = flag.Bool("ratio", false, "measure the cost of Do beside a hand-written fan-out, interleaved")

// TestRatio alternates between the two and logs the median of the ratios: go test -run TestRatio -v ./ensemble -ratio.
func TestRatio(t *testing.T) {
	if !*ratio {
		t.Skip("a report: run it with -ratio")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	models := freeModels(5)
	for _, c := range []struct {
		name string
		cfg  ensemble.Config
	}{
		{"all", ensemble.Config{}},
		{"quorum", ensemble.Config{Policy: ensemble.Quorum}},
		{"partial", ensemble.Config{Policy: ensemble.Partial, Deadline: 1e9}},
		{"timeouts", ensemble.Config{MemberTimeout: 1e9}},
	} {
		e, err := ensemble.New(freeMembers(5), ensemble.Mean[float64](), c.cfg)
		require.NoError(t, err)
		var ratios []float64
		for range 201 {
			a := timed(500, func() { _, _ = byHand(ctx, models, 1) })
			b := timed(500, func() { _, _ = e.Do(ctx, 1) })
			ratios = append(ratios, float64(b)/float64(a))
		}
		slices.Sort(ratios)
		t.Logf("%-8s median %.2f of the hand-written, quartiles %.2f to %.2f", c.name, ratios[100], ratios[50], ratios[150])
	}
}

func timed(n int, f func()) time.Duration {
	start := time.Now()
	for range n {
		f()
	}
	return time.Since(start)
}
