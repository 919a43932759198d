package ensemble

import (
	"fmt"
	"time"
)

// StopReason says why a cascade stopped where it did.
type StopReason uint8

// The reasons. With StopDeadline and StopFailure an answer is under its threshold and stands because there is no better one.
const (
	StopConfident StopReason = iota // the answer reached its stage's threshold
	StopLast                        // the answer is the last stage's and did not
	StopDeadline                    // the caller's deadline left no time for the stages after it
	StopFailure                     // the stages after it failed, or there is no answer because all did or one with StageErrorEnds
	StopEnded                       // the caller's context ended: there is no answer
)

// String returns the reason in words.
func (r StopReason) String() string {
	switch r {
	case StopConfident:
		return "confident"
	case StopLast:
		return "last stage"
	case StopDeadline:
		return "deadline"
	case StopFailure:
		return "failure"
	case StopEnded:
		return "context ended"
	}
	return fmt.Sprintf("StopReason(%d)", uint8(r))
}

// CascadeResult is an answer with its history, of [Cascade.DoResult].
type CascadeResult[Resp any] struct {
	// Answer is what Do returns. With an error it is, not annotated, what the last stage that answered has said, if there is one (Stage is not -1).
	Answer     Resp
	Stage      int     // whose answer it is, from 0; -1 if there is none
	Name       string  // of this stage
	Confidence float64 // of the answer
	Reason     StopReason
	// Failures has the failures of the stages that did not keep the cascade from answering, as *MemberError or *CascadeError.
	Failures error
	// Steps are the stages that were run or skipped, in their order.
	Steps []CascadeStep
}

// CascadeStep is what one stage did for one request.
type CascadeStep struct {
	Stage      int
	Name       string
	Confidence float64       // of its answer; 0 without one
	Duration   time.Duration // of the call
	Err        error         // a *MemberError, or why the caller's context or the Reserve has ended the call; nil if it has answered or was skipped
	Skipped    bool          // it was not called, because the caller's deadline was too near
}

// CascadeEvent describes one request, for [CascadeConfig].OnResult and [WithAnnotation].
type CascadeEvent struct {
	Stage      int     // whose answer it is, from 0; -1 if there is none
	Name       string  // of this stage
	Confidence float64 // of the answer
	Reason     StopReason
	Duration   time.Duration // of the request, up to the answer
	Failures   error         // of stages, as *MemberError or *CascadeError, also if another stage has answered
	Err        error         // that Do returns
}

// Fallback says that the answer is under its threshold and stands because later stages were skipped or failed. So it is false if Do returns an error.
func (e CascadeEvent) Fallback() bool {
	return e.Err == nil && e.Stage >= 0 && (e.Reason == StopDeadline || e.Reason == StopFailure)
}
