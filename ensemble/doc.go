// Package ensemble asks several models and makes one answer of theirs.
//
// An [Ensemble] calls its members in parallel and combines what they answer:
//
//	e, err := ensemble.New([]ensemble.Member[Photo, []float32]{
//		{Name: "resnet", Do: resnet.Do, Weight: 2},
//		{Name: "vit", Do: vit.Do, Weight: 3},
//		{Name: "convnext", Do: convnext.Do, Weight: 3},
//	}, ensemble.VectorWeightedMean[float32](), ensemble.Config{Policy: ensemble.Partial, Deadline: 50 * time.Millisecond})
//	...
//	probabilities, err := e.Do(ctx, photo)
//
// [Ensemble.Do] has the shape of all patterns; [Ensemble.Ask] also tells how far the members agree, who is missing, and why.
//
// A [Cascade] asks models one after the other, the cheapest first, and goes on only while the answer is not sure enough.
//
// # Who must answer, and by when
//
//	Policy    needs                        waits for
//	All       all that are not Optional    all
//	Quorum    Config.Quorum of them        the first that are enough; the others are cancelled
//	First     one                          the first that answers without an error
//	Partial   Config.Quorum of them        all, until the deadline
//
// In addition, members that are Required have to answer under each policy. At a deadline, Config.Deadline or that of the caller's context, a call is answered
// if it has what it needs, and fails otherwise. It fails before if it is certain that it cannot be answered any more. A member that
// returns an error or a bad answer, panics, or is out of time is missing; the weights of those that are there are scaled to the sum 1.
//
// # How answers are combined
//
//   - numbers: [Mean], [WeightedMean], [Median], [TrimmedMean], [GeometricMean], [StackLinear]
//   - vectors: [VectorMean], [VectorWeightedMean], [VectorMedian], [VectorTrimmedMean], [VectorGeometricMean]
//   - class probabilities: [SoftVote] for the class; [VectorWeightedMean], [LogPool], [StackLogistic] for probabilities
//   - labels: [MajorityVote], [WeightedVote]
//   - rankings: [ReciprocalRank], [Borda]
//   - anything: [Preferred], [Stack] and [VectorStack] with a meta-model of one's own, or a [Combiner] of one's own
//
// [FitLinear] and [FitLogistic] fit a meta-model from outputs of the members for samples whose answer is known.
//
// # Cascades
//
// A [Cascade] is worth it when a cheap model is right on most requests and knows when it is not. [EvaluateCalibration] says whether its confidence means something,
// [FitTemperature], [FitPlatt] and [FitIsotonic] make it mean more, and [FitThresholds] finds from labelled samples when to go on, for an accuracy or a
// budget, with a report of what that covers. It keeps the local answer when a remote model fails or the deadline is too near, and can abstain. A confident answer
// costs two readings of the clock and some atomic additions; nothing is allocated. It is not worth it when most requests go on: each of them then pays
// for both models.
//
// # What is promised
//
// A call ends at its deadline and with its caller's context, at the latest, whatever its members do: fail, panic, hang, or ignore their contexts. (A
// [Combiner] is not a member: it runs on the caller's goroutine, and is waited for.) The members that a decided call does not need are cancelled,
// and it waits until they have returned, for Config.Grace at most, so that none that heeds its context outlives the call. At a deadline, and when a member
// has timed out, there is no such wait: they see the end of their contexts in the same moment as the call. A member that ignores its context
// keeps its goroutine and the request until it returns, and is counted in [Stats]. Its answer goes nowhere, in particular into no later call.
//
// The outcome does not depend on the order in which answers come, but for which members are the first under Quorum and First: votes are
// in the order of the members.
//
// # When not to use it
//
// Not to spread load over copies of one model: each call asks all members, and costs as much as all. Not to hide failures of one model (a retry, a hedge or a
// fall-back asks a second time only if it must). Not if the members are alike: the gain of an ensemble comes from errors that they do not have in
// common. Where a cheap model is right most of the time a cascade costs less.
//
// # Order of layers
//
// A cache and a limiter go outside, around Do. What is for one model goes inside, around the member's Do: its batcher, breaker and retry. A breaker in a
// member makes it fail fast, which under Partial and Quorum leaves the answer to the others. A whole ensemble can be a member of another.
//
// Of errors, only the end of a context that had ended before Do began means that no work began.
//
// # Cost
//
// A goroutine for each member, and a context for all; each member with a Timeout adds a context, or one for all if they have the same. Everything else is used again. go
// test -bench Do shows it beside a hand-written fan-out with errgroup.
package ensemble
