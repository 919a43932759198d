package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/breaker/bulkhead"
	"github.com/scalable-ai/patterns/breaker/limiter"
)

var show = flag.Bool("report", false, "print the tables of TestEffects, which are those of a machine that is never late")

// What each layer buys, in virtual time: all of it is real but the clock.
func TestEffects(t *testing.T) {
	w := testWorld(t)
	p := newPlan(testOptions, w)
	trials := map[string]*trial{}
	var all []*trial
	for _, v := range variants {
		synctest.Test(t, func(t *testing.T) {
			run := newTrial(v, p)
			require.NoError(t, run.run(t.Context(), w, func(*trial) {}))
			trials[v.key] = run
			all = append(all, run)
		})
	}
	if *show {
		fmt.Println(picture(all[0], false) + report(all, p))
	}
	users := func(key string, from, to int) float64 { return trials[key].share(isUser, from, to) }
	whole := trials[""]
	assert.Len(t, whole.calls, len(p.arrivals))
	for key, trial := range trials {
		assert.Zero(t, trial.count(broken), key)
		assert.Zero(t, trial.count(unfinished), key)
		assert.Zero(t, trial.failedOutside(), key)
		assert.Positive(t, trial.swapped, key)
		assert.Len(t, trial.columns, width, key)
	}
	assert.Greater(t, users("", 0, phases), 0.8)
	assert.Less(t, users("cache", 0, phases), users("", 0, phases)-0.2)
	assert.Less(t, users("limiter", peak, fall), users("", peak, fall)-0.05)
	assert.Less(t, users("three", 0, phases), users("", 0, phases)-0.2)
	assert.Less(t, users("deadline", slow, outage), users("", slow, outage)-0.1)
	assert.Less(t, users("batcher", 0, phases), users("", 0, phases)-0.2)
	assert.Less(t, users("pool", 0, phases), users("", 0, phases)-0.1)
	assert.Less(t, users("any", 0, phases), 0.1)
	assert.Greater(t, trials["bulkhead"].mostOpen, whole.mostOpen)
	assert.Greater(t, trials["breaker"].outageRuns, whole.outageRuns)
	assert.Greater(t, trials["limiter"].share(isImporter, 0, phases), whole.share(isImporter, 0, phases))
}

func TestInterruptedTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testWorld(t)
		why := errors.New("enough")
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { stop(why) })
		run := newTrial(variants[0], newPlan(testOptions, w))
		err := run.run(ctx, w, func(*trial) {})
		assert.ErrorIs(t, err, why)
		assert.NotEmpty(t, run.calls)
		assert.Less(t, len(run.calls), len(run.plan.arrivals))
		assert.Less(t, run.count(unfinished), len(run.calls)/2)
		assert.Contains(t, report([]*trial{run, newTrial(variants[1], run.plan)}, run.plan), "the whole chain")
	})
}

func TestResults(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want result
	}{
		{t.Context(), nil, inTime},
		{t.Context(), &limiter.LimitedError{}, limited},
		{t.Context(), &bulkhead.RejectedError{}, full},
		{t.Context(), &breaker.OpenError{}, open},
		{t.Context(), &batching.DeadlineError{}, hopeless},
		{t.Context(), fmt.Errorf("wrapped: %w", errDevice), failed},
		{t.Context(), context.DeadlineExceeded, late},
		{t.Context(), errors.New("other"), broken},
		{ended, context.Canceled, unfinished},
		{ended, &breaker.OpenError{}, open},
	} {
		assert.Equal(t, c.want, resultOf(c.ctx, c.err), "%v", c.err)
	}
	for r := range results {
		assert.Equal(t, r == limited || r == full || r == open || r == hopeless, r.rejected())
	}
}
