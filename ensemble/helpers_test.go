package ensemble_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

const ms = time.Millisecond

type (
	member = ensemble.Member[int, float64]
	does   = ensemble.Func[int, float64]
)

var (
	errModel = errors.New("model error")
	nan      = math.NaN()
)

// after answers x after a while, unless its context ends first.
func after(d time.Duration, x float64) does {
	return func(ctx context.Context, _ int) (float64, error) { return x, sleep(ctx, d) }
}

// fails returns errModel after a while.
func fails(d time.Duration) does {
	return func(ctx context.Context, _ int) (float64, error) { return 0, errors.Join(sleep(ctx, d), errModel) }
}

// deaf answers x after a while, whatever its context says.
func deaf(d time.Duration, x float64) does {
	return func(context.Context, int) (float64, error) { time.Sleep(d); return x, nil } // in a bubble
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// of makes members a, b, c and so on.
func of(all ...does) []member {
	members := make([]member, len(all))
	for i, do := range all {
		members[i] = member{Name: string(rune('a' + i)), Do: do}
	}
	return members
}

func newMean(t testing.TB, cfg ensemble.Config, members ...member) *ensemble.Ensemble[int, float64, float64] {
	t.Helper()
	e, err := ensemble.New(members, ensemble.WeightedMean[float64](), cfg)
	require.NoError(t, err)
	return e
}

// statuses are those of an answer, in the order of the members.
func statuses[Out any](a ensemble.Answer[Out]) []ensemble.Status {
	var all []ensemble.Status
	for _, m := range a.Members {
		all = append(all, m.Status)
	}
	return all
}
