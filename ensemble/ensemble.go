package ensemble

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Ensemble asks several members and combines their answers. Use New to make one. It is safe for concurrent use, and has no goroutine
// between calls.
type Ensemble[Req, In, Out any] struct {
	members  []Member[Req, In]
	combiner Combiner[In, Out]
	check    func(In) error // of the option
	cfg      Config
	required int           // members
	needed   int           // members that have to answer, required ones included
	early    bool          // do not wait for more than are needed
	timeouts bool          // some member has one
	shared   time.Duration // the timeout of all members, if all begin together and have the same
	epoch    time.Time
	calls    sync.Pool // of *call
	books    []book
}

// New makes an ensemble of members whose answers are joined by a combiner:
//
//	e, err := ensemble.New([]ensemble.Member[Photo, []float32]{
//		{Name: "resnet", Do: resnet.Do, Weight: 2},
//		{Name: "vit", Do: vit.Do, Weight: 3, Timeout: 30 * time.Millisecond},
//	}, ensemble.SoftVote[float32](), ensemble.Config{Policy: ensemble.Partial, Quorum: 1, Deadline: 50 * time.Millisecond})
//
// Errors are those of members without a name, a Do, or with contradictory settings, of the combiner's parameters and of the configuration.
//
// Members run on goroutines of the ensemble. When a call is decided the context of those that still run is cancelled. None of these goroutines
// outlives a call by more than the member takes to notice that, and Config.Grace says how long the call waits for it. A member that ignores its context
// keeps its goroutine, and the request, until it returns; it costs no one their answer. Stats.Stragglers counts these.
func New[Req, In, Out any](members []Member[Req, In], combiner Combiner[In, Out], cfg Config, opts ...Option[In]) (*Ensemble[Req, In, Out], error) {
	cfg, err := cfg.withDefaults(len(members))
	if err != nil {
		return nil, err
	}
	members, err = checkMembers(members, cfg)
	if err != nil {
		return nil, err
	}
	if combiner.err != nil {
		return nil, combiner.err
	}
	if combiner.members > 0 && combiner.members != len(members) {
		return nil, fmt.Errorf("ensemble: New: %d members, the meta-model is for %d", len(members), combiner.members)
	}
	if combiner.Combine == nil {
		return nil, fmt.Errorf("ensemble: New: Combiner.Combine is nil")
	}
	var o options[In]
	for _, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("ensemble: New: nil option")
		}
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	e := &Ensemble[Req, In, Out]{
		members: members, combiner: combiner, check: o.check, cfg: cfg, needed: cfg.Quorum, epoch: time.Now(),
		early: cfg.Policy == Quorum || cfg.Policy == First, books: newBooks(len(members)),
	}
	for i := range members {
		if members[i].Required {
			e.required++
		}
		if members[i].Timeout > 0 {
			e.timeouts = true
		}
	}
	if cfg.Concurrency == len(members) && !slices.ContainsFunc(members, func(m Member[Req, In]) bool { return m.Timeout != members[0].Timeout }) {
		e.shared = members[0].Timeout
	}
	if cfg.Policy == All || cfg.Policy == First {
		e.needed = 1
	}
	e.needed = max(e.needed, e.required)
	e.calls.New = func() any { return newCall(e) }
	return e, nil
}

// Do asks the members and returns their combined answer.
//
// If too few have answered, or not the required ones, the error is a *[QuorumError]. If ctx is cancelled, or its deadline is reached and what is there does
// not suffice, Do returns context.Cause(ctx) at once, whatever the members do; but a call that had failed before, and only waits for the members that it has
// cancelled, says why it has failed. If ctx has ended before, no member has been called. An error of
// the combiner is returned as it is. A panic of the combiner goes on to the caller, one of a member is a *[PanicError] in that member's error.
func (e *Ensemble[Req, In, Out]) Do(ctx context.Context, req Req) (Out, error) {
	if ctx.Err() != nil {
		var none Out
		return none, context.Cause(ctx)
	}
	c := e.begin(ctx, req)
	defer c.release()
	c.run()
	value, _, err := c.conclude()
	return value, err
}

// Ask is Do with an account of the answer: how far the members agree, who is missing, and why. If there is an error the account is there all the
// same, unless ctx had ended before.
func (e *Ensemble[Req, In, Out]) Ask(ctx context.Context, req Req) (Answer[Out], error) {
	if ctx.Err() != nil {
		return Answer[Out]{}, context.Cause(ctx)
	}
	c := e.begin(ctx, req)
	defer c.release()
	c.run()
	value, agreement, err := c.conclude()
	return Answer[Out]{Value: value, Agreement: agreement, Members: c.outcomes()}, err
}

// now is the time since the ensemble was made, cheaper than time.Now.
func (e *Ensemble[Req, In, Out]) now() time.Duration { return time.Since(e.epoch) }
