// Package breaker keeps calls away from a back-end that fails or has become too slow, so that callers get their answer, if only an
// error, at once, and the back-end gets the time to recover.
//
//	guard, err := breaker.New(client.Predict, breaker.Config{SlowAfter: 2 * time.Second})
//	...
//	answer, err := guard.Do(ctx, request)
//	if errors.Is(err, breaker.ErrOpen) {
//		... // guard has not called the back-end
//	}
//
// [Breaker] is for one back-end, [Keyed] for many: one breaker for each replica, model or tenant, made when it is first needed.
//
// # States
//
//   - Closed: all calls go through. A window holds the outcomes of the latest calls (Config.Window: so many; Config.WindowTime: so long).
//     When it holds MinCalls and the share of failures reaches FailureRate, or that of slow calls SlowRate, the breaker opens.
//   - Open: all calls are rejected, for OpenFor. Each failed attempt to recover doubles that, up to MaxOpenFor.
//   - Half-open: a few calls go through as probes, ProbeConcurrency at once. As soon as ProbeRatio of Probes have succeeded, the breaker
//     closes; as soon as that has become impossible, it opens again.
//   - Forced open and forced closed, by hand, until Reset.
//
// There is no timer: what is due by the clock happens when somebody next calls or looks.
//
// # What counts
//
// Only calls that have come back count: a call that hangs tells nothing until it is given up, so give calls a deadline, or
// put a timeout inside. See [Default] for what is made of errors and of the end of the caller's context, and [WithClassify] to
// decide that by request, response and error. A panic or Goexit counts as a failure.
//
// A result that comes after the breaker has opened, closed or been reset since the call began is dropped: it says nothing about
// the back-end of now. A probe that has not come back within ProbeLease counts as failed, and its place is free.
//
// An error that implements [RetryAfterer] anywhere in its chain says when the back-end wants to be called again. If it is a failure the
// breaker, once open, stays so for at least that long; if it is classified as [Throttled] it opens at once, for that time.
// The package's own errors implement it as well.
//
// # When not to use it
//
// Not for errors that are the request's own fault: classify these as successes, or one caller can cut off all others. Not for a
// back-end behind a load balancer that ejects bad replicas by itself, unless all of them share what may fail. Not instead of a
// limit: a breaker reacts to damage, a bulkhead or a limiter prevents it. With a few calls a minute the window is mostly old
// news; a timeout and a retry do more there.
//
// # Order of layers
//
// A breaker goes close to the back-end: inside of a cache, whose hits need no back-end, and of retries and hedges, so that it sees
// each attempt; around a timeout, whose errors it must see. A limiter or bulkhead goes outside, as its rejections say nothing about
// the back-end; those that are inside say so by their errors (see [Rejecter]), and do not count. Around a batcher's run function it sees batches,
// around the batcher's Do single requests: a batch that fails is then as many failures as it has members, so MinCalls and Window should be multiples of
// that.
//
// # Cost
//
// While the breaker is closed, Do allocates nothing, and a call that succeeds usually takes no lock: it writes to one counter, which is
// split over cache lines so that processors do not wait for each other, and reads the clock only if SlowAfter (twice) or
// WindowTime (once) needs it. Failed and slow calls take a mutex. So do successes while the window holds a failed or slow call and fewer
// than MinCalls, because each may be the one that opens the breaker; and with WindowTime, of those of a step in time, the first and
// what ends at the same time. A rejection in the open time allocates nothing and takes no lock. In a Keyed, a call for a key that
// has no breaker yet takes the one mutex of the Keyed. go test -bench . shows all of it beside gobreaker.
//
// # Sources
//
// The pattern is that of Nygard, Release It! (2007). The state machine is github.com/sony/gobreaker/v2; windows, probes, forcing and
// events are around it. The rate of slow calls, and the two kinds of windows, follow resilience4j; the bound on the share that is
// open follows Envoy's outlier detection. The choice of the breaker to evict is the CLOCK algorithm; that a new entry starts
// unmarked is taken from SIEVE (Zhang et al., NSDI 2024).
package breaker
