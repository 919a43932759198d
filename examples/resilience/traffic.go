package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/breaker/bulkhead"
	"github.com/scalable-ai/patterns/breaker/limiter"
	"github.com/scalable-ai/patterns/examples/internal/wait"
)

// result is what became of a call.
type result int

const (
	unfinished result = iota // interrupted
	answered                 // in time
	timedOut
	failed
	limited // rejected by the limiter
	full    // rejected by the bulkhead
	open    // rejected by the breaker
	results
)

func (r result) rejected() bool { return r == limited || r == full || r == open }

// asked is a call that was made.
type asked struct {
	due    time.Duration // when, since the run began
	late   time.Duration // how much later it was really made
	took   time.Duration // until its result, from when it was due
	result result
}

// arrivals returns the times of calls by independent callers (a Poisson process): on average rate per second, until the end.
func arrivals(rate int, end time.Duration, seed uint64) []time.Duration {
	random := rand.New(rand.NewPCG(seed, 0))
	var times []time.Duration
	for at := 0.0; ; {
		at += random.ExpFloat64() / float64(rate)
		if at >= end.Seconds() {
			return times
		}
		times = append(times, time.Duration(at*float64(time.Second)))
	}
}

// drive makes the calls when they are due, whatever became of the earlier ones: new callers do not know how the others fare.
// It returns when all have their results. When ctx ends it makes no more and interrupts those that are under way.
// progress is called after each call that was begun.
func drive(ctx context.Context, start time.Time, times []time.Duration, ask call, progress func(made int)) []asked {
	calls := make([]asked, len(times))
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, due := range times {
		if !wait.Until(ctx, start.Add(due)) {
			return calls[:i]
		}
		wg.Go(func() { calls[i] = callOnce(ctx, start, due, i, ask) })
		progress(i + 1)
	}
	return calls
}

func callOnce(ctx context.Context, start time.Time, due time.Duration, number int, ask call) asked {
	at := start.Add(due)
	late := time.Since(at)
	limit, cancel := context.WithDeadline(ctx, at.Add(timeout))
	defer cancel()
	_, err := ask(limit, number)
	took := time.Since(at)
	if err == nil && took > timeout {
		err = context.DeadlineExceeded
	}
	return asked{due: due, late: late, took: took, result: resultOf(ctx, err)}
}

// resultOf tells what a call's error means. ctx is that of the run.
func resultOf(ctx context.Context, err error) result {
	var rejected *bulkhead.RejectedError
	switch {
	case err == nil:
		return answered
	case errors.Is(err, limiter.ErrLimited):
		return limited
	case errors.As(err, &rejected):
		return full
	case errors.Is(err, breaker.ErrOpen):
		return open
	case ctx.Err() != nil:
		return unfinished
	case errors.Is(err, context.DeadlineExceeded):
		return timedOut
	}
	return failed
}
