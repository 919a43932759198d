package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/breaker/bulkhead"
	"github.com/scalable-ai/patterns/breaker/limiter"
)

// result is what became of a request.
type result int

const (
	unfinished result = iota // interrupted
	inTime                   // answered
	late                     // no answer in time
	failed                   // the device had failed
	broken                   // any other error; there should be none
	limited                  // rejected by the limiter
	full                     // by the bulkhead
	open                     // by the breaker
	hopeless                 // by the batcher, since its answer would have been late
	results
)

func (r result) rejected() bool { return r >= limited }

// resultOf tells what an error means. ctx is that of the run.
func resultOf(ctx context.Context, err error) result {
	switch {
	case err == nil:
		return inTime
	case errors.Is(err, limiter.ErrLimited):
		return limited
	case errors.Is(err, bulkhead.ErrRejected):
		return full
	case errors.Is(err, breaker.ErrOpen):
		return open
	case errors.Is(err, batching.ErrDeadline): // before DeadlineExceeded, which it also is
		return hopeless
	case errors.Is(err, errDevice):
		return failed
	case ctx.Err() != nil:
		return unfinished
	case errors.Is(err, context.DeadlineExceeded):
		return late
	}
	return broken
}

// call is a request that was made.
type call struct {
	arrival
	begun  time.Duration // when it was really made, since the run began
	took   time.Duration // until its result, from when it was due
	result result

	// Of an answer:
	version  string
	labelled bool // it is known what the image shows
	right    bool
	review   bool
}

// tally is what is known while a run goes on.
type tally struct {
	inFlight atomic.Int64
	count    [results]atomic.Int64
}

func (t *tally) counts() (counts [results]int64) {
	for i := range counts {
		counts[i] = t.count[i].Load()
	}
	return counts
}
