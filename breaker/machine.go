package breaker

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"
)

// machine is gobreaker's state machine, used for what it is good at: closed, open for a time, half-open, and a generation guard. It is driven
// by verdicts that are reached elsewhere: one of its requests stands for a whole window of calls or a whole round of
// probes, so that none of its own counts matter. Calls do not pass through it while it is closed.
//
// gobreaker's open time is fixed when it is made, so each open period gets a new one. All methods are called under core.mu.
type machine struct {
	gb      *gobreaker.TwoStepCircuitBreaker[struct{}] // nil before the first open period: closed
	verdict func(error)                                // ends the round of probes; nil if there is none
}

var errVerdict = errors.New("breaker: verdict: open")

// open makes it open for d, which is at least two nanoseconds, whatever it was.
func (m *machine) open(d time.Duration) {
	m.gb = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		// gobreaker is half-open when more than Timeout has passed. Callers are told to come back after d, and may
		// come back just then.
		Timeout:     d - 1,
		ReadyToTrip: func(gobreaker.Counts) bool { return true },
	})
	done, err := m.gb.Allow()
	if err != nil {
		panic(err) // it is new: closed
	}
	done(errVerdict)
	m.verdict = nil
}

// over reports whether the open time has passed: it is half-open.
func (m *machine) over() bool { return m.gb.State() == gobreaker.StateHalfOpen }

// probe begins a round of probes. It must be half-open.
func (m *machine) probe() {
	done, err := m.gb.Allow()
	if err != nil {
		panic(err) // half-open, and this is its first request
	}
	m.verdict = done
}

// close ends the round of probes with success: it is closed.
func (m *machine) close() { m.verdict(nil) }

// reset makes it closed, whatever it was.
func (m *machine) reset() { *m = machine{} }
