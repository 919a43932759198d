package batching_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

// withRun runs the test with a batcher whose run function is given.
func withRun(t *testing.T, run batching.RunFunc[int, int], cfg batching.Config, test func(t *testing.T, b *batching.Batcher[int, int]), opts ...batching.Option[int]) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := batching.New(run, cfg, opts...)
		require.NoError(t, err)
		test(t, b)
		require.NoError(t, b.Close())
		checkBooks(t, b.Stats())
	})
}

func TestItemErrors(t *testing.T) {
	run := func(_ context.Context, reqs []int) ([]int, error) {
		errs := make(batching.ItemErrors, len(reqs))
		resps := slices.Clone(reqs)
		for i, req := range reqs {
			if req < 0 {
				errs[i] = fmt.Errorf("%d: %w", req, errModel)
			}
		}
		return resps, fmt.Errorf("some failed: %w", errs)
	}
	withRun(t, run, batching.Config{MaxExtraRuns: 9}, func(t *testing.T, b *batching.Batcher[int, int]) {
		resps, err := b.DoAll(t.Context(), []int{1, -2, 3, -4})
		var each batching.ItemErrors
		require.ErrorAs(t, err, &each)
		require.ErrorIs(t, err, errModel)
		require.Len(t, each, 4)
		require.NoError(t, each[0])
		require.EqualError(t, each[1], "-2: model: out of memory")
		require.Equal(t, 3, resps[2])
		require.EqualError(t, err, "batching: 2 of 4 items failed; item 1: -2: model: out of memory")
		s := b.Stats()
		require.EqualValues(t, 2, s.Answered)
		require.EqualValues(t, 2, s.Failed)
		require.Zero(t, s.ExtraRuns, "the others have their answers: nothing to bisect")
	})
	require.EqualError(t, batching.ItemErrors{nil}, "batching: no item failed")
}

func TestItemErrorsNeedNoResultsIfAllFail(t *testing.T) {
	run := func(_ context.Context, reqs []int) ([]int, error) {
		return nil, batching.ItemErrors(slices.Repeat([]error{errModel}, len(reqs)))
	}
	withRun(t, run, batching.Config{}, func(t *testing.T, b *batching.Batcher[int, int]) {
		_, err := b.Do(t.Context(), 1)
		require.Equal(t, errModel, err)
	})
}

func TestWrongNumberOfResults(t *testing.T) {
	for name, run := range map[string]batching.RunFunc[int, int]{
		"none":       func(context.Context, []int) ([]int, error) { return nil, nil },
		"one less":   func(_ context.Context, reqs []int) ([]int, error) { return reqs[1:], nil },
		"one more":   func(_ context.Context, reqs []int) ([]int, error) { return append(reqs, 0), nil },
		"few errors": func(_ context.Context, reqs []int) ([]int, error) { return reqs, batching.ItemErrors{errModel} },
		"no results": func(_ context.Context, reqs []int) ([]int, error) { return nil, make(batching.ItemErrors, len(reqs)) },
	} {
		t.Run(name, func(t *testing.T) {
			withRun(t, run, batching.Config{}, func(t *testing.T, b *batching.Batcher[int, int]) {
				_, err := b.DoAll(t.Context(), []int{1, 2, 3})
				var each batching.ItemErrors
				require.ErrorAs(t, err, &each)
				for _, err := range each {
					require.ErrorIs(t, err, batching.ErrResultCount)
				}
			})
		})
	}
}

func TestRunErrorIsReturnedUntouched(t *testing.T) {
	run := func(context.Context, []int) ([]int, error) { return nil, errModel }
	withRun(t, run, batching.Config{}, func(t *testing.T, b *batching.Batcher[int, int]) {
		_, err := b.Do(t.Context(), 1)
		require.Equal(t, errModel, err)
	})
}

func TestPanic(t *testing.T) {
	run := func(_ context.Context, reqs []int) ([]int, error) {
		if slices.Contains(reqs, 13) {
			panic(errModel)
		}
		return reqs, nil
	}
	withRun(t, run, batching.Config{MaxSize: 2}, func(t *testing.T, b *batching.Batcher[int, int]) {
		resps, err := b.DoAll(t.Context(), []int{1, 13, 2, 3})
		var each batching.ItemErrors
		require.ErrorAs(t, err, &each)
		for _, err := range each[:2] {
			var p *batching.PanicError
			require.ErrorAs(t, err, &p)
			require.Equal(t, errModel, p.Value)
			require.Contains(t, string(p.Stack), "run_test.go")
			require.ErrorIs(t, err, errModel)
			require.ErrorContains(t, err, "out of memory")
		}
		require.Equal(t, []error{nil, nil}, []error(each[2:]))
		require.Equal(t, []int{2, 3}, resps[2:], "the batcher goes on")
		require.NoError(t, errors.Unwrap(&batching.PanicError{Value: "not an error"}))
	})
}

func TestGoexit(t *testing.T) {
	run := func(_ context.Context, reqs []int) ([]int, error) {
		if slices.Contains(reqs, 13) {
			runtime.Goexit()
		}
		return reqs, nil
	}
	for _, extra := range []int{0, 10} {
		withRun(t, run, batching.Config{MaxSize: 2, MaxExtraRuns: extra}, func(t *testing.T, b *batching.Batcher[int, int]) {
			_, err := b.DoAll(t.Context(), []int{1, 13, 2, 3})
			var each batching.ItemErrors
			require.ErrorAs(t, err, &each)
			require.Equal(t, batching.ItemErrors{batching.ErrGoexit, batching.ErrGoexit, nil, nil}, each)
			_, err = b.Do(t.Context(), 4)
			require.NoError(t, err, "the slot is free again")
		})
	}
}

func TestGoexitInTheHook(t *testing.T) {
	cfg := batching.Config{MaxSize: 1, OnBatch: func(batching.BatchEvent) { runtime.Goexit() }}
	bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], _ *model) {
		_, err := b.DoAll(t.Context(), []int{1, 2, 3})
		require.NoError(t, err)
		synctest.Wait()
		require.Zero(t, b.Stats().InFlight)
	})
}

// poisoned fails every batch that holds a request from bad as a whole.
func poisoned(runs *int, bad ...int) batching.RunFunc[int, int] {
	return func(_ context.Context, reqs []int) ([]int, error) {
		*runs++
		for _, req := range reqs {
			if slices.Contains(bad, req) {
				return nil, fmt.Errorf("bad input %d", req)
			}
		}
		return reqs, nil
	}
}

func upTo(n int) []int {
	reqs := make([]int, n)
	for i := range reqs {
		reqs[i] = i
	}
	return reqs
}

func TestBisectIsolatesThePoison(t *testing.T) {
	for _, bad := range [][]int{{0}, {21}, {31}, {3, 17, 18}} {
		runs := 0
		withRun(t, poisoned(&runs, bad...), batching.Config{MaxExtraRuns: 64}, func(t *testing.T, b *batching.Batcher[int, int]) {
			_, err := b.DoAll(t.Context(), upTo(32))
			var each batching.ItemErrors
			require.ErrorAs(t, err, &each)
			for i, err := range each {
				if slices.Contains(bad, i) {
					require.EqualError(t, err, fmt.Sprintf("bad input %d", i))
				} else {
					require.NoError(t, err)
				}
			}
			s := b.Stats()
			require.EqualValues(t, runs-1, s.ExtraRuns)
			require.EqualValues(t, 1, s.Batches)
			require.LessOrEqual(t, runs, 1+2*5*len(bad))
		})
	}
}

func TestBisectIsBounded(t *testing.T) {
	for bound := range 8 {
		runs := 0
		withRun(t, poisoned(&runs, upTo(32)...), batching.Config{MaxExtraRuns: bound}, func(t *testing.T, b *batching.Batcher[int, int]) {
			_, err := b.DoAll(t.Context(), upTo(32))
			var each batching.ItemErrors
			require.ErrorAs(t, err, &each)
			require.Len(t, each.Unwrap(), 32)
			require.Equal(t, 1+bound, runs)
		})
	}
}

func TestBisectIsolatesAPanic(t *testing.T) {
	run := func(_ context.Context, reqs []int) ([]int, error) {
		if slices.Contains(reqs, 5) {
			panic("poison")
		}
		return reqs, nil
	}
	withRun(t, run, batching.Config{MaxExtraRuns: 10}, func(t *testing.T, b *batching.Batcher[int, int]) {
		_, err := b.DoAll(t.Context(), upTo(8))
		var each batching.ItemErrors
		require.ErrorAs(t, err, &each)
		require.Len(t, each.Unwrap(), 1)
		require.Error(t, each[5])
	})
}

// A run that answers wrongly as a whole leaves nothing of its item errors behind when its requests run again.
func TestBisectForgetsTheEarlierRun(t *testing.T) {
	runs := 0
	run := func(_ context.Context, reqs []int) ([]int, error) {
		runs++
		if runs == 1 {
			return nil, batching.ItemErrors{errModel, nil} // an error for one, and no result for the other
		}
		return reqs, nil
	}
	withRun(t, run, batching.Config{MaxExtraRuns: 2}, func(t *testing.T, b *batching.Batcher[int, int]) {
		resps, err := b.DoAll(t.Context(), upTo(2))
		require.NoError(t, err)
		require.Equal(t, upTo(2), resps)
		require.Equal(t, 3, runs)
	})
}

// A batch that failed because nobody waits for it any more is not run again.
func TestNoBisectForNobody(t *testing.T) {
	runs := 0
	run := func(ctx context.Context, _ []int) ([]int, error) {
		runs++
		<-ctx.Done()
		return nil, ctx.Err()
	}
	withRun(t, run, batching.Config{MaxExtraRuns: 10}, func(t *testing.T, b *batching.Batcher[int, int]) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
		defer cancel()
		_, err := b.DoAll(ctx, upTo(8))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.Equal(t, 1, runs)
	})
}

func TestPadding(t *testing.T) {
	var sizes []int
	run := func(_ context.Context, reqs []int) ([]int, error) {
		sizes = append(sizes, len(reqs))
		for _, req := range reqs {
			if req < 0 && req != -7 {
				return nil, errors.New("padding made from the wrong request")
			}
		}
		return reqs, nil
	}
	pad := func(like int) int { return -like }
	cfg := batching.Config{AllowedSizes: []int{1, 4, 8}}
	withRun(t, run, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		require.Equal(t, 8, b.Stats().SizeLimit)
		resps, err := b.DoAll(t.Context(), []int{0, 0, 0, 0, 0, 0, 0, 0, 3, 7})
		require.NoError(t, err)
		require.Equal(t, []int{0, 0, 0, 0, 0, 0, 0, 0, 3, 7}, resps)
		_, err = b.Do(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, []int{8, 4, 1}, sizes)
		require.EqualValues(t, 2, b.Stats().Padding)
		require.EqualValues(t, 11, b.Stats().Items)
	}, batching.WithPad(pad))

	withRun(t, run, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		_, err := b.DoAll(t.Context(), []int{1, 2})
		var p *batching.PanicError
		require.ErrorAs(t, err, &p)
	}, batching.WithPad(func(int) int { panic("no padding today") }))
}

// A run function may keep its requests: a model call that timed out may still read them.
func TestRunMayKeepTheRequests(t *testing.T) {
	var kept [][]int
	run := func(_ context.Context, reqs []int) ([]int, error) {
		kept = append(kept, reqs)
		return slices.Clone(reqs), nil
	}
	withRun(t, run, batching.Config{MaxSize: 3}, func(t *testing.T, b *batching.Batcher[int, int]) {
		_, err := b.DoAll(t.Context(), upTo(9))
		require.NoError(t, err)
		require.Equal(t, [][]int{{0, 1, 2}, {3, 4, 5}, {6, 7, 8}}, kept)
	})
}

func TestReentrantDo(t *testing.T) {
	var b *batching.Batcher[int, int]
	run := func(ctx context.Context, reqs []int) ([]int, error) {
		if reqs[0] == 0 {
			return reqs, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Hour)
		defer cancel()
		resp, err := b.Do(ctx, 0)
		if errors.Is(err, batching.ErrReentrant) {
			_, err = b.DoAll(ctx, []int{0})
		}
		return []int{resp}, err
	}
	synctest.Test(t, func(t *testing.T) {
		var err error
		b, err = batching.New(run, batching.Config{})
		require.NoError(t, err)
		_, err = b.Do(t.Context(), 1)
		require.ErrorIs(t, err, batching.ErrReentrant)

		// Another batcher inside run is no problem.
		outer, err := batching.New(func(ctx context.Context, reqs []int) ([]int, error) {
			return b.DoAll(ctx, reqs)
		}, batching.Config{})
		require.NoError(t, err)
		_, err = outer.Do(t.Context(), 0)
		require.NoError(t, err)
		require.NoError(t, outer.Close())
		require.NoError(t, b.Close())
	})
}

func TestOnBatch(t *testing.T) {
	var events []batching.BatchEvent
	cfg := batching.Config{MaxSize: 4, MaxWait: 10 * ms, MaxExtraRuns: 1, AllowedSizes: []int{4}}
	cfg.OnBatch = func(e batching.BatchEvent) { events = append(events, e) }
	bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.takes, m.err = 5*ms, errModel
		async(t.Context(), b.Do, 2)
		time.Sleep(4 * ms)
		_, err := b.DoAll(t.Context(), []int{3})
		require.Error(t, err)
		synctest.Wait()
		require.Equal(t, []batching.BatchEvent{{
			Size: 2, Weight: 5, Padding: 5, Reason: batching.ReasonWait, QueueWait: 10 * ms, RunTime: 10 * ms,
			ExtraRuns: 1, Failed: 2, Err: errModel,
		}}, events)
		s := b.Stats()
		require.Equal(t, 8*ms, s.MeanQueueWait())
		require.Equal(t, 10*ms, s.MeanRunTime())
		require.InDelta(t, 2, s.MeanBatchSize(), 0)
	}, batching.WithWeight(identity), batching.WithPad(func(int) int { return 0 }))
	var none batching.Stats
	require.Zero(t, none.MeanBatchSize())
	require.Zero(t, none.MeanQueueWait())
	require.Zero(t, none.MeanRunTime())
}
