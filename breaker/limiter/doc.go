// Package limiter lets requests through to a function at a bounded rate, by number and by cost: the requests and the tokens per minute of a
// language model, the bytes per second of a disk, the money per day of an account.
//
//	chat, err := limiter.New(model.Chat, limiter.Config{
//		Requests: limiter.PerMinute(500),
//		Cost:     limiter.PerMinute(200_000),
//		MaxWait:  10 * time.Second,
//	},
//		limiter.WithCost(func(p Prompt) int { return p.Tokens + p.MaxTokens }),
//		limiter.WithActual(func(p Prompt, a Answer, err error) int {
//			if err != nil {
//				return p.Tokens // no answer was generated
//			}
//			return a.Usage
//		}))
//	...
//	answer, err := chat.Do(ctx, prompt)
//
// # What is promised
//
// A request takes from both limits or from neither. What was reserved for it is settled when its actual cost is known: the difference is given
// back, which may let others through at once, or is taken in addition, even into debt. The debt is bounded.
//
// Requests that are over the limits wait in the order of arrival or, if the Config says so, fail. Tokens are taken when a request is let
// through and not before: one that leaves while it waits takes nothing, and those behind it move up at once. (A reservation of x/time/rate has a
// fixed time; when the one before it is cancelled it waits on.) A heavy request at the head of the queue is not overtaken, so it is not starved.
//
// A request that could not be let through before its deadline, or within MaxWait, fails at once with a [*LimitedError] that says how long to
// wait: it can go elsewhere while there is time. One that a debt or a pause makes late while it waits fails when it gets to the head of the
// queue, or at its deadline. All this is reckoned from what is in the buckets and in the queue; refunds and requests that leave may make
// the wait shorter than it seemed.
//
// A back-end's own view is obeyed: [WithPause] and Pause stop everything for a Retry-After, Lower takes over what it says is left. The
// configuration may be replaced while requests wait.
//
// [Keyed] has limits for each key, and for all together. The number of keys is bounded, and only keys with full buckets make room
// for others, so nobody gets rid of a debt by making the limiter forget it.
//
// Callers who wait get the full rate also where the bucket is small and timers are late: each takes its tokens as of the moment when they were
// there. After a standstill, of the process or the machine, that makes up for at most 100 ms; see [Limit] for
// what that adds.
//
// # When not to use it
//
// A rate is the right bound where somebody counts a rate: a provider's quota, a tenant's plan. To protect a back-end of one's own from too much at
// a time, bound the concurrency instead (bulkhead): a rate that was right yesterday overloads a server that has become slow, and idles one that
// has become fast. The limits hold for one process; several that share an account each need their share, or a limiter on a shared store. An
// estimate far below the actual costs makes bursts that the limits cannot hold back; reserve the most that a request may cost.
//
// # Order of layers
//
// Inside of a cache and of a fallback, so that hits cost nothing and rejections lead elsewhere. Outside of a bulkhead, so that a request that waits for
// tokens does not hold a slot. Inside of a retry, so that each attempt is counted; the errors say that nothing was done and how long to
// wait. Several limits on different periods (a minute and a day) are limiters around each other, the longer period outside; let its
// WithActual return [NeverRan] for errors that are [ErrLimited], so that what the inner one rejects does not count in the outer one.
//
// # Cost
//
// No goroutine, and no timer while nobody waits. Do allocates nothing, Acquire its permit. A request that does not wait costs one mutex
// and one reading of the clock. Where it is not settled (no [WithActual], no permit), nobody waits, and the Burst is 1024 or more, one of up to
// 64 costs as much, and the others one compare-and-swap: they take from what that one has set apart, 1/1024 of the Burst at most, without looking whether more
// has come in. What they take is booked as if it was taken when somebody looks next, so no more is let through than the limits say, and at most
// what was set apart less. (A request counts as of when it read the clock. One that is kept from the mutex after that books with itself what was set
// apart then: so much more, at most, may go at once when it gets the mutex.) go test -bench . shows it beside x/time/rate. In a Keyed all keys share one mutex; keys are kept,
// whether used or not, until MaxKeys are and a new one comes.
//
// # Sources
//
// Token bucket: RFC 2697, section 3, in the form that golang.org/x/time/rate gave it: a level and the time that it is of. The tests check the
// buckets against that package.
package limiter
