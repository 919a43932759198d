// Package bulkhead bounds how much runs at the same time in front of something that can only do so much: calls to a model server, tokens in
// its cache, bytes of memory. What is over the bound waits in a bounded queue or is rejected at once.
//
//	guard, err := bulkhead.New(model.Predict, bulkhead.Config{Capacity: 32, MaxQueue: 64, MaxWait: time.Second})
//	...
//	answer, err := guard.Do(ctx, request)
//
// Requests may differ in cost (see [WithCost]): the capacity is then a sum of costs. A permit held by hand ([Bulkhead.Acquire]) serves what is
// not one call, such as a stream, and what costs something else than was thought ([Permit.Settle]). The capacity can be
// changed while calls run ([Bulkhead.Resize]).
//
// # Who goes next
//
// A call that finds room goes at once, unless others wait. The queue is in order of arrival, each step of priority ([WithPriority])
// being worth a head start of Config.Ageing. The first in that order is the head. Whenever something changes:
//
//   - If the head fits into what is free, it goes, and the next is the head.
//   - If not, the first one in order that does fit goes before it, provided that the head has been passed less than
//     Config.MaxOvertakes times while it was the head. This holds for a call that has just come, too.
//   - After that nobody passes, and what becomes free is kept until it is enough for the head.
//
// So light requests use what a heavy one leaves, and yet do not starve it: at the head it is passed at most MaxOvertakes times, and those of a
// higher priority come before it only until its age makes up for that. A waiter whose context ends, or whose time is
// up, leaves at once, and nobody waits on its account any longer.
//
// # Rejection instead of hopeless waits
//
// The bulkhead learns how long capacity is held: the mean over recent calls, weighted by cost. While all is in use, capacity then becomes
// free at the rate of Capacity per mean holding time (Little's law), and the expected wait of a caller is
//
//	(what waits in its priority and above + its own cost - what is free) · holding time / Capacity
//
// A caller that would have to wait longer than its deadline or Config.MaxWait allows is rejected at once, without having
// spent its time and a place in the queue. Before eight calls have been timed nobody is rejected for that. The estimate is also in the error, as
// RetryAfter() time.Duration. Two things can make it wrong: single calls that differ greatly from the mean, and a change that no call
// has lived through yet. Config.NoEstimate turns the rejection off.
//
// # When not to use it
//
// Not to bound a rate: ten calls at a time may be ten thousand a second. That is a rate limiter. Not where the right bound is unknown and
// changes: a limit that adapts finds it, and can drive Resize. Not around work that calls the same bulkhead again from inside: callers may then
// wait for each other. Not to make single calls faster: a queue only moves the wait, so keep it short (a
// few times what runs) and let the rest fail while it can still go elsewhere.
//
// # Order of layers
//
// A cache goes outside, so that hits hold nothing. So does a retry, which should wait for RetryAfter, and which should hold no permit while
// it waits. A rate limiter goes outside of the bulkhead and a circuit breaker inside, next to what it judges: a rejection by the bulkhead
// is then no failure of the back-end, and a call that the breaker rejects holds its permit only for a moment. The bulkhead times these
// moments too: while the breaker is open the mean holding time falls, and until some calls have been through after it has closed, the
// expected wait is too short and callers may wait in vain. A timeout goes inside if it is meant for the work and outside if the wait shall
// count.
//
// # Cost
//
// A call that need not wait costs two atomic operations on one word, no timer and no allocation: go test -bench Uncontended shows it beside
// golang.org/x/sync/semaphore. While half of the capacity or more is free, and that is 2 units of cost or more for each stripe, calls on different processors use
// different words: up to 16 stripes, of 64 bytes each. Most such calls take no lock. Those that are timed, one in 64 and, but in the stripes, all that leave no room for another like
// them, read the clock twice and lock for a moment when they are released; one in 64 locks for a moment when it is admitted, to carry a
// counter over. All who wait lock, and so does a release while somebody waits. A call that waits parks on a pooled channel, with a pooled
// timer if MaxWait or ServiceTime bounds its wait; a rejection costs its error. A Permit is allocated only if it leaves the function that
// calls Acquire. The bulkhead has no goroutine, and needs no Close.
//
// # Sources
//
// The name is that of Nygard, Release It! (2007), chapter 5. Head-of-line blocking in a weighted semaphore: golang/go#56910; resizing
// one: golang/go#29721. The mean rate at which capacity becomes free: Little, A Proof for the Queuing Formula L = λW,
// Operations Research 9 (1961).
package bulkhead
