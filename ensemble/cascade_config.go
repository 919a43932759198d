package ensemble

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Stage is one model of a [Cascade].
type Stage[Req, Resp any] struct {
	// Name is the stage's name in errors, results and statistics. Names must differ. Default: "stage " and its position, from 0.
	Name string

	// Do asks the model: any model, any other pattern's Do. It runs on the goroutine of the caller of Cascade.Do, and must return soon after its context
	// ends: Cascade.Do waits for it in any case. Required.
	Do Func[Req, Resp]

	// Threshold is the confidence from which the stage's answer is taken. A confidence under it, or NaN, goes on to the next stage. It is required
	// (not 0) for every stage but the last; math.Inf(-1) takes every answer whose confidence is a number,
	// math.Inf(1) none (but one of confidence +Inf). For the last stage it is
	// required if CascadeConfig.Abstain is set; without Abstain it only decides whether the answer counts as [StopConfident]. See [FitThresholds].
	Threshold float64

	// Confidence is the confidence of an answer of this stage, if it differs from the one of [WithConfidence]: each model has its own [Calibrator].
	// It runs on the caller's goroutine.
	Confidence func(Resp) float64

	// Timeout bounds one call of Do, by its context. A Do that answers all the same when it is over is believed. Default: 0, no bound but the caller's.
	Timeout time.Duration

	// Latency is the time that the stage is expected to take. A stage is skipped if there is an answer already and the caller's deadline, less
	// CascadeConfig.Reserve, leaves less than that; so the first never is.
	// Default: 0, the time is learned: the mean plus twice the mean deviation of the stage's calls, both moving averages. It may not exceed Timeout.
	Latency time.Duration

	// ErrorPolicy says what a failure of the stage does: an error, or the Timeout. Default: [StageErrorContinues].
	ErrorPolicy StageErrorPolicy
}

// StageErrorPolicy says what a failure of a stage does to the request.
type StageErrorPolicy uint8

// The policies.
const (
	// StageErrorContinues goes on to the next stage. After the last, the latest answer of an earlier stage stands; if there is none Do
	// returns the errors of all stages.
	StageErrorContinues StageErrorPolicy = iota

	// StageErrorEnds makes Do return the error at once, also if an earlier stage has answered.
	StageErrorEnds
)

// String returns the policy's name in lower case.
func (p StageErrorPolicy) String() string {
	switch p {
	case StageErrorContinues:
		return "continues"
	case StageErrorEnds:
		return "ends"
	}
	return fmt.Sprintf("StageErrorPolicy(%d)", uint8(p))
}

// CascadeConfig is what the stages have in common. The zero value is usable.
type CascadeConfig struct {
	// Abstain makes Do return a *[AbstainError] instead of an answer that is under the threshold of its stage: the last stage's, or one that would
	// stand because the stages after it were skipped or failed. An answer without an error then always has reached its threshold.
	// Default: false, the last answer is taken whatever its confidence.
	Abstain bool

	// Reserve is kept back from the caller's deadline when there is an answer already: later stages get a deadline that is so much earlier, and
	// are skipped if they are expected to need more. It is what the caller needs in order to use the answer in time.
	// Default: 0; an answer that stands because a stage ran into the deadline then comes when the deadline has passed.
	Reserve time.Duration

	// OnResult, if not nil, is called at the end of each Do that has run a stage, on the caller's goroutine, unless a callback or a stage panics. Calls
	// overlap. It may call anything; a panic in it goes on to the caller.
	OnResult func(CascadeEvent)
}

func (c CascadeConfig) check() error {
	if c.Reserve < 0 {
		return fmt.Errorf("ensemble: CascadeConfig.Reserve is negative: %v", c.Reserve)
	}
	return nil
}

// checkStages checks the stages and fills in their defaults.
func checkStages[Req, Resp any](stages []Stage[Req, Resp], fallback func(Resp) float64) error {
	if len(stages) == 0 {
		return errors.New("ensemble: NewCascade: no stages")
	}
	names := make(map[string]bool, len(stages))
	for i := range stages {
		s := &stages[i]
		if s.Name == "" {
			s.Name = fmt.Sprintf("stage %d", i)
		}
		if s.Confidence == nil {
			s.Confidence = fallback
		}
		last := i == len(stages)-1
		switch {
		case names[s.Name]:
			return fmt.Errorf("ensemble: NewCascade: two stages are named %q", s.Name)
		case s.Do == nil:
			return fmt.Errorf("ensemble: NewCascade: stage %q has no Do", s.Name)
		case s.Timeout < 0:
			return fmt.Errorf("ensemble: NewCascade: Timeout of stage %q is negative: %v", s.Name, s.Timeout)
		case s.Latency < 0:
			return fmt.Errorf("ensemble: NewCascade: Latency of stage %q is negative: %v", s.Name, s.Latency)
		case s.Timeout > 0 && s.Latency > s.Timeout:
			return fmt.Errorf("ensemble: NewCascade: Latency %v of stage %q is more than its Timeout %v", s.Latency, s.Name, s.Timeout)
		case s.ErrorPolicy > StageErrorEnds:
			return fmt.Errorf("ensemble: NewCascade: stage %q has an unknown ErrorPolicy: %v", s.Name, s.ErrorPolicy)
		case s.Confidence == nil && (!last || s.Threshold != 0):
			return fmt.Errorf("ensemble: NewCascade: stage %q has a threshold to reach and no Confidence; see WithConfidence", s.Name)
		}
		names[s.Name] = true
	}
	return nil
}

// checkThreshold checks the threshold of one stage. 0 is what is left out: taken as a number it would accept any probability, and the stages
// after it would never be asked.
func checkThreshold(name string, threshold float64, required bool) error {
	if math.IsNaN(threshold) {
		return fmt.Errorf("ensemble: the threshold of stage %q is NaN", name)
	}
	if threshold == 0 && required {
		return fmt.Errorf("ensemble: stage %q has no threshold; math.Inf(-1) takes every answer", name)
	}
	return nil
}
