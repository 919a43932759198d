package ensemble

import (
	"context"
	"errors"
	"fmt"
)

// CascadeOption sets a callback of a [Cascade] that depends on the type of the answers. Options are made by [WithConfidence], [WithAnnotation]
// and [WithReview], whose type arguments are inferred from the callback.
type CascadeOption[Resp any] func(*cascadeOptions[Resp]) error

type cascadeOptions[Resp any] struct {
	confidence func(Resp) float64
	annotate   func(Resp, CascadeEvent) Resp
	review     any // func(context.Context, Req, *AbstainError[Resp]); NewCascade knows Req and checks it
}

func newCascadeOptions[Resp any](opts []CascadeOption[Resp]) (cascadeOptions[Resp], error) {
	var o cascadeOptions[Resp]
	for _, opt := range opts {
		if opt == nil {
			return o, errors.New("ensemble: nil CascadeOption")
		}
		if err := opt(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// WithConfidence says how sure a stage is of its answer: the larger the surer, in the unit of Stage.Threshold. NaN is never sure. It is used
// for the stages that have no Confidence of their own. Confidences are best calibrated, see [Calibrator]; [MaxProbability],
// [ProbabilityMargin] and [EntropyConfidence] make one of a vector of probabilities.
// confidence runs on the caller's goroutine, once for each answer; a panic in it goes on to the caller.
func WithConfidence[Resp any](confidence func(Resp) float64) CascadeOption[Resp] {
	return func(o *cascadeOptions[Resp]) error {
		if confidence == nil {
			return errors.New("ensemble: WithConfidence: nil function")
		}
		o.confidence = confidence
		return nil
	}
}

// WithAnnotation lets the answer itself say how it came about, for those who see nothing but Do: which stage it is from, and whether it stands only
// because a better stage was skipped or failed (so that a cache does not keep it). annotate returns the answer that Do returns. It runs on
// the caller's goroutine for each answer without an error, before CascadeConfig.OnResult; a panic in it goes on to the caller.
func WithAnnotation[Resp any](annotate func(Resp, CascadeEvent) Resp) CascadeOption[Resp] {
	return func(o *cascadeOptions[Resp]) error {
		if annotate == nil {
			return errors.New("ensemble: WithAnnotation: nil function")
		}
		o.annotate = annotate
		return nil
	}
}

// WithReview is told of each request of which the cascade abstains, for a queue of reviews. It needs CascadeConfig.Abstain. review runs on the caller's
// goroutine, before CascadeConfig.OnResult and before Do returns the same error; it should be short. A panic in it goes on to the caller.
func WithReview[Req, Resp any](review func(ctx context.Context, req Req, abstained *AbstainError[Resp])) CascadeOption[Resp] {
	return func(o *cascadeOptions[Resp]) error {
		if review == nil {
			return errors.New("ensemble: WithReview: nil function")
		}
		o.review = review
		return nil
	}
}

func reviewOf[Req, Resp any](o cascadeOptions[Resp], abstain bool) (func(context.Context, Req, *AbstainError[Resp]), error) {
	if o.review == nil {
		return nil, nil
	}
	review, ok := o.review.(func(context.Context, Req, *AbstainError[Resp]))
	if !ok {
		return nil, fmt.Errorf("ensemble: WithReview: the function is %T, the stages need %T", o.review, review)
	}
	if !abstain {
		return nil, errors.New("ensemble: WithReview needs CascadeConfig.Abstain")
	}
	return review, nil
}
