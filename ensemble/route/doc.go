// Package route chooses which model answers a request: by rules, cost, latency, capability or key, with fallbacks for models that fail; also for
// answers that are streams, and by a gate whose best experts answer together.
//
//	r, err := route.New(route.Table[Prompt, Answer]{Members: []route.Member[Prompt, Answer]{
//		{Name: "small", Do: small.Do, Cost: 1},
//		{Name: "large", Do: large.Do, Cost: 20, Capabilities: []string{"vision"}},
//	}}, route.Config{Pick: route.Cheapest()})
//	...
//	answer, err := r.Do(ctx, prompt)
//
// There are few pieces, and each does one thing:
//
//   - A [Member] is a model with what is declared about it. A [Rule] restricts some requests to some members. A [Table] has both, and [Router.Update] replaces
//     it while requests run.
//   - A [Picker] chooses among the members that may be asked: [InOrder], [Weighted], [Cheapest], [Fastest], [TwoChoices], [Sticky], or your own.
//   - A [Router] asks the member that was picked, puts it aside when it fails too often, and goes on to others.
//   - A [Streamer] is a Router for members that answer in chunks.
//   - A [Mixture] asks several and combines their answers.
//
// # How a request is routed
//
// The first rule whose When is true says which members may answer, with which weights and by which picker; without one all may. Of these, the ones that lack a
// capability that the request needs, or do not accept it, are left out for good, and the ones that are put aside, or have been tried for this
// request, for now. The picker chooses one of the rest. If that fails, the picker chooses again, until MaxAttempts, the caller's context or the time that is left ends it, or
// nobody is left. So fallback works the same with each picker: with Sticky, for example, it is the key's next member.
//
// # Failures
//
// Config.Classify tells whose fault an error is: the member's, which counts; nobody's (it is full), which only sends the request on; or the request's, which is not sent
// on. The end of the caller's own context never counts: set a Timeout for members that hang.
//
// A member that has failed MaxFailures times within FailureWindow, or once with an error whose method RetryAfter() time.Duration asks for a wait, is put aside for a
// cool-down. After that one request probes it, while the others still go elsewhere: if it is answered the member is up, if it fails the cool-down is twice as
// long. A request for which every member is put aside fails at once with an [UnavailableError], which says for how long; or see Config.UseCooling. The outcome
// of a request that began before its member's state changed does not count.
//
// # What is promised
//
// A request is sent to each member once at most. Every attempt that has begun ends in one of the counters, whatever the member does: return, panic, or
// call runtime.Goexit. Errors name the members and wrap what each returned. A request sees one table from its beginning to its end.
//
// A Router and a Streamer run members on the caller's goroutine and own none, so a member must return when its context ends; one that does not holds up its
// caller beyond the deadline. A Mixture waits for the experts that it has cancelled.
//
// # When not to use it
//
// Not for replicas of one model behind a load balancer that knows more of them than this process. Not for retrying the same member: wrap it in a retry, inside. Not to
// learn which model is best (that is a bandit), and not for models that shall all answer, or answer in turn until one is sure (an ensemble, a cascade). Health is what
// this process has seen: processes do not share it, and members are not probed without a request.
//
// # Order of layers
//
// A cache and a batcher that serve all members go outside; what belongs to one member (its batcher, bulkhead, limiter, retry) goes inside. A breaker around a
// member would do much of what the cool-down does: use one of the two. What turns a request away before any work has begun (a full bulkhead or queue, a limiter, an open
// breaker) is [MemberBusy] by default: nobody is put aside for it. A Router is a member of another Router as it stands.
//
// # Cost
//
// A Do whose first member answers allocates nothing of its own; a Timeout adds a context, a stream a context and a few small objects, and a failure its
// error. It looks at all members that may be asked, each under its lock for a moment: it is meant for some tens of members. A Mixture that asks
// more than one expert starts a goroutine for each. Most of the rest is reading the clock. go test -bench . shows both beside what one writes by hand.
//
// # Sources
//
// Peak EWMA is that of Twitter's Finagle; cool-downs with allowed failures are those of LiteLLM's router. The papers are named at [Sticky], [TwoChoices] and [Mixture].
package route
