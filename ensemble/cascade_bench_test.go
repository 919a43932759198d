package ensemble_test

import (
	"context"
	"testing"

	"github.com/scalable-ai/patterns/ensemble"
)

// cascadeByHand is the chain of ifs that one writes. It counts nothing, has no care for deadlines and fails with the first stage that does.
func cascadeByHand(ctx context.Context, small, large ensemble.Func[int, verdict], req int) (verdict, error) {
	answer, err := small(ctx, req)
	if err != nil {
		return verdict{}, err
	}
	if answer.sure >= 0.7 {
		return answer, nil
	}
	return large(ctx, req)
}

// BenchmarkCascade has models that cost nothing, so that all of the time is that of the cascade.
func BenchmarkCascade(b *testing.B) {
	for _, bc := range []struct {
		name string
		sure float64
	}{{"confident", 0.9}, {"escalated", 0.1}} {
		small, large := says("small", bc.sure, 0.7), says("large", 1, 0)
		b.Run(bc.name+"/by hand", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = cascadeByHand(b.Context(), small.Do, large.Do, 1)
			}
		})
		b.Run(bc.name+"/cascade", func(b *testing.B) {
			c := newCascade(b, ensemble.CascadeConfig{}, small, large)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = c.Do(b.Context(), 1)
			}
		})
	}
}
