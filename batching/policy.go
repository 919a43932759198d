package batching

import (
	"fmt"
	"time"
)

type policyKind uint8

const (
	policyWindow policyKind = iota
	policyAIMD
	policyDeadline
)

// Policy decides when a batch goes and which of the waiting requests it takes. It is made by [Window], [AIMD] or [Deadline]; the
// zero value is Window.
type Policy struct {
	kind   policyKind
	target time.Duration
}

// Window is the default policy: a batch takes the requests that have waited longest, of the highest class first, up to MaxSize and MaxWeight, when a slot is
// free and it is full or its oldest request has waited MaxWait. It is what Triton, TensorFlow Serving and most others
// do. It does not look at the time that a batch takes: when more requests come than the model can serve, the queue grows until all
// answers are late.
func Window() Policy { return Policy{} }

// AIMD is Window with a size that adapts to the time that batches take: after a full batch that took at most target the largest
// size grows by one, after one that took longer it shrinks by a tenth (Crankshaw et al., Clipper, NSDI 2017). Config.MaxSize bounds it, and it
// starts at 1. target is the time of a run; a request may have to wait for another one first, so half of what callers
// accept is a good choice. It keeps the time of a run at bay but not the queue: under overload answers are late as with Window.
func AIMD(target time.Duration) Policy { return Policy{policyAIMD, target} }

// Deadline holds goodput (the rate of answers in time) at what the model can do when more requests come than it can serve. An answer is in time if it comes
// before the request's deadline: that of its context, or the time of its arrival plus slo, whichever is earlier.
//
// It learns how long batches take, and then takes for each batch those requests, of the highest class first, that make the most answers in
// time for the time it takes: the largest number of which even the most urgent can be answered before its deadline. What cannot make
// its deadline any more is dropped with [ErrDeadline] and not executed, as is, at once, what could not make it even if it were next. An
// answer that comes late in spite of that is still given to its caller, and counted in [Stats].Late.
//
// With one slot a batch goes as soon as the slot is free. With several, while others are busy, requests wait
// for company in the free ones, but together no longer than one run's fixed cost, and not if a deadline is at risk; MaxWait, if it is set, bounds that.
//
// When no batch has begun or ended for as long as a request may take, it is executed however bad its prospects: that is how the policy
// learns that the model has recovered. A run function that heeds its context teaches too, by runs that are cut short.
func Deadline(slo time.Duration) Policy { return Policy{policyDeadline, slo} }

// String names the policy.
func (p Policy) String() string {
	switch p.kind {
	case policyAIMD:
		return fmt.Sprintf("AIMD(%v)", p.target)
	case policyDeadline:
		return fmt.Sprintf("Deadline(%v)", p.target)
	}
	return "Window"
}

func (p Policy) check() error {
	if p.kind != policyWindow && p.target <= 0 {
		return fmt.Errorf("batching: Config.Policy %v: the time must be positive", p)
	}
	return nil
}

// targetOf is when an answer to the request becomes late.
func (p Policy) targetOf(arrived, deadline time.Duration) time.Duration {
	if p.kind == policyDeadline && deadline > arrived && deadline-arrived > p.target { // neither sum overflows
		return arrived + p.target
	}
	return deadline
}

// aimd is the size that AIMD has arrived at.
type aimd struct{ size float64 }

func (a *aimd) limit(most int) int { return min(max(int(a.size), 1), most) }

func (a *aimd) observe(n, most int, took, target time.Duration) {
	switch limit := a.limit(most); {
	case took > target:
		a.size = max(float64(limit)*0.9, 1)
	case n >= limit:
		a.size = min(max(a.size, 1)+1, float64(most))
	}
}
