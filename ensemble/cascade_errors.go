package ensemble

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrAbstain is returned when no answer reached its stage's threshold and CascadeConfig.Abstain is set. It comes as a *[AbstainError].
	ErrAbstain = errors.New("ensemble: abstained")

	// ErrStageTimeout is the error of a stage that failed after its Timeout, wrapped together with what the stage returned. It is a
	// context.DeadlineExceeded too.
	ErrStageTimeout = fmt.Errorf("ensemble: stage timeout: %w", context.DeadlineExceeded)

	errReserve = fmt.Errorf("ensemble: the rest of the caller's time is kept for the answer in hand: %w", context.DeadlineExceeded)
)

// AbstainError is the [ErrAbstain] that a request got.
type AbstainError[Resp any] struct {
	// Answer is that of the last stage that answered, not annotated.
	Answer     Resp
	Confidence float64 // of Answer
	Threshold  float64 // that it did not reach
	Stage      int     // whose answer it is, from 0
	Name       string  // of this stage
	// Reason is StopLast, or StopDeadline or StopFailure if later stages were skipped or failed.
	Reason StopReason
	// Err has the failures of the stages, if any, as *MemberError or *CascadeError.
	Err error
}

// Error says whose answer was not taken, and why.
func (e *AbstainError[Resp]) Error() string {
	s := fmt.Sprintf("ensemble: abstained: confidence %.3g of stage %q is under %.3g (%v)", e.Confidence, e.Name, e.Threshold, e.Reason)
	if e.Err != nil {
		s += "; " + e.Err.Error()
	}
	return s
}

// Unwrap returns ErrAbstain and Err.
func (e *AbstainError[Resp]) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrAbstain}
	}
	return []error{ErrAbstain, e.Err}
}

// CascadeError is what Do returns when more than one stage failed and none answered. (If only one was there to fail it is that stage's *MemberError.)
type CascadeError struct {
	Stages []*MemberError // in the order of the stages
}

// Error names the number of stages and the last failure.
func (e *CascadeError) Error() string {
	if len(e.Stages) == 0 {
		return "ensemble: no stage failed"
	}
	return fmt.Sprintf("ensemble: %d stages failed; the last: %v", len(e.Stages), e.Stages[len(e.Stages)-1])
}

// Unwrap returns the errors of the stages.
func (e *CascadeError) Unwrap() []error {
	errs := make([]error, len(e.Stages))
	for i, s := range e.Stages {
		errs[i] = s
	}
	return errs
}

// joinStages is the error of the failures: nil, the only one, or a CascadeError.
func joinStages(failures []*MemberError) error {
	switch len(failures) {
	case 0:
		return nil
	case 1:
		return failures[0]
	}
	return &CascadeError{Stages: failures}
}
