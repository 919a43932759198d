package main

import (
	"time"

	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/breaker/bulkhead"
	"github.com/scalable-ai/patterns/breaker/limiter"
)

// timeout is how long a caller waits for its answer, with or without patterns.
const timeout = 250 * time.Millisecond

// layers says which patterns are used.
type layers struct {
	limiter, bulkhead, breaker bool
}

// protect puts the layers around ask, from the inside out. onState gets each new state of the breaker.
func protect(ask call, use layers, onState func(breaker.State)) (call, error) {
	if use.breaker {
		guard, err := breaker.New(ask, breakerConfig(onState))
		if err != nil {
			return nil, err
		}
		ask = guard.Do
	}
	if use.bulkhead {
		guard, err := bulkhead.New(ask, bulkheadConfig)
		if err != nil {
			return nil, err
		}
		ask = guard.Do
	}
	if use.limiter {
		guard, err := limiter.New(ask, limiterConfig)
		if err != nil {
			return nil, err
		}
		ask = guard.Do
	}
	return ask, nil
}

// maxWait is the longest that a call waits for its turn.
const maxWait = 100 * time.Millisecond

// limiterConfig lets through three quarters of what the back-end can answer, since queues grow without bound near all of it.
// Small bursts are welcome; who is over the limit learns it at once.
var limiterConfig = limiter.Config{
	Requests: limiter.Limit{Events: capacity * 3 / 4, Per: time.Second, Burst: capacity / 10},
	NoWait:   true,
}

// bulkheadConfig gives the back-end as much at a time as it works on, so that nothing waits there, where it could not be taken back.
// What waits does so here, and only if it will be answered in time.
var bulkheadConfig = bulkhead.Config{
	Capacity:    slots,
	MaxQueue:    2 * slots,
	MaxWait:     maxWait,
	ServiceTime: service,
}

// breakerConfig opens within a few calls, and asks often whether the back-end is back: a run has only seconds. In production the times
// would be those of the defaults.
func breakerConfig(onState func(breaker.State)) breaker.Config {
	return breaker.Config{
		Name:             "back-end",
		Window:           20,
		MinCalls:         10,
		FailureRate:      0.5,
		SlowAfter:        timeout - maxWait, // what a call has left if it waited as long as it may
		OpenFor:          200 * time.Millisecond,
		MaxOpenFor:       400 * time.Millisecond,
		Probes:           3,
		ProbeConcurrency: 3,
		ProbeLease:       time.Second,
		OnStateChange:    func(change breaker.StateEvent) { onState(change.To) },
	}
}
