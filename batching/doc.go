// Package batching gathers the requests of concurrent callers into batches for a model that answers many requests
// in hardly more time than one: a GPU, a matrix product, a remote call, a bulk query.
//
// Each caller calls [Batcher.Do] with one request and gets one answer. In between, the requests of all callers are handed to a run
// function as a slice:
//
//	batcher, err := batching.New(model.PredictBatch, batching.Config{MaxSize: 64})
//	...
//	defer batcher.Close()
//	answer, err := batcher.Do(ctx, request)
//
// # When a batch goes
//
// There are as many slots as [Config].Concurrency, each of which runs one batch at a time.
//
//   - While all slots are busy, requests wait and the next batch grows until the moment when it runs (late binding). Once a
//     slot is free, all that wait go, up to MaxSize and MaxWeight.
//   - While a slot is free, a request goes at once; or, if there is a MaxWait, it waits that long for company at most, and goes sooner
//     when the batch is full.
//
// So with MaxWait 0, the default, batches form just when they are needed: an idle model answers single requests without any delay, a
// busy one gets large batches. Set MaxWait only if a batch is so much cheaper than its requests one by one that delaying an answer
// pays even while the model is idle. [Stats].Flushes tells which rule sent the batches.
//
// That is the policy [Window], the default. [AIMD] adapts the size to the time that batches take.
//
// # Under overload
//
// When more requests come than the model can serve, the queue of a window grows until every answer is late: the model is busy with requests
// that nobody waits for any more. The policy [Deadline] is for a service with an objective, such as an answer within 50 ms. It keeps
// answering as many requests in time as the model can, and tells the others early:
//
//	batching.Config{MaxSize: 64, Policy: batching.Deadline(50 * time.Millisecond)}
//
// It works in three steps.
//
//   - It learns how long a batch takes, l(n) = a + b·n, from those that ran: least squares with exponential forgetting, n being the number of
//     requests with their padding, or their weight if that fits better. A single slow batch is taken for an outlier; after three or so
//     that are off in the same direction the line is scaled to the new speed at once. (If the model was so slow that no request has a prospect, one is
//     run now and then all the same, to see whether it has recovered: three of these may take a while.) The quantiles of what the line does not explain are
//     the safety margin: a request that makes a batch longer by b is worth it if it is in time with a probability of
//     more than b·n/l(n), the share of the model's time that it takes from others. [Stats].Latency shows what was learnt.
//   - For each batch it looks for the largest n such that n requests have their deadline no earlier than the end of a batch of n. More would make
//     the most urgent late, fewer would use the model less well. Requests with earlier deadlines are passed over, even
//     if they could be answered in a small batch: that would cost more of the others. With
//     AllowedSizes it takes the size with the most requests for the time.
//   - It drops with [ErrDeadline] what is queued and cannot be in time any more, when that becomes certain, also while the model is busy; and refuses at once what
//     could not be in time even as the next request. The error says how long the queue is.
//
// The table is the share of requests that are answered within 50 ms by a model that takes 8 ms + 0.5 ms·n (5% noise, up to 64 requests), for Poisson
// arrivals and for bursts (the rate is 0.3 or 1.7 times the mean, for half a second on average). Load 1 is what batches of half the objective can serve. Bound is what would be possible if requests came evenly: for
// bursts, evenly at the rate of the moment; what waits when a burst ends is answered beside that. Window is the best
// of 21 pairs of size and wait, with callers that give up after 50 ms.
//
//	load   bound   Deadline   Window   AIMD    bursts: bound   Deadline   Window   AIMD
//	0.5    1.000   1.000      1.000    0.999           1.000   0.999      1.000    0.995
//	0.8    1.000   1.000      1.000    0.995           0.811   0.817      0.304    0.275
//	0.9    1.000   0.993      0.986    0.963           0.747   0.756      0.244    0.235
//	1      1.000   0.960      0.873    0.377           0.688   0.694      0.187    0.187
//	1.2    0.861   0.846      0.172    0.014           0.623   0.632      0.212    0.211
//	1.5    0.712   0.699      0.003    0.001           0.527   0.532      0.167    0.166
//	2      0.553   0.542      0.000    0.000           0.429   0.432      0.140    0.140
//
// This, other models and bursts, from the real Batcher in virtual time, takes some minutes: go test -run TestGoodput -v ./batching -goodput
//
// Do not use Deadline if late answers are as good as others, if requests must be answered in the order of arrival, or if the time of a run has nothing to
// do with the size or weight of the batch (behind a server with a queue of its own, say). A keyed batcher learns one line for all keys: give models of very
// different speed a batcher each.
//
// Requests can have priorities, see [WithPriority].
//
// # What is promised
//
// Every request has exactly one outcome: its answer, an error of the run function, the end of its caller's context, or an
// error of this package that says no work began. A request whose context ends while it waits leaves the queue at once, makes room for
// another and is not executed. A batch's context is cancelled when all its callers have gone. An error, a panic
// or a Goexit in the run function reaches the members of that batch, as does a wrong number of results; a
// run function can fail single members by [ItemErrors], and Config.MaxExtraRuns lets the others of a batch survive one that fails
// all. The queue is bounded, by number and by weight.
//
// The order of requests is kept: they join batches in the order of arrival (in [Keyed], of each key), unless they differ in priority or the
// policy is Deadline. A request that waits for room in a full queue is overtaken only by higher priority.
//
// # When not to use it
//
// Not in front of a model that gains nothing from batches: it makes the first member of a batch wait for the work of all others. Not in
// front of a server that batches by itself (Triton, vLLM, TensorFlow Serving): send it concurrent requests and bound these
// instead. Not for jobs that need not be answered (write them to a queue), and not to gather more requests
// than one process sees. Generating text token by token wants iteration-level scheduling, where members join and leave a
// batch that runs; that is another pattern.
//
// # Order of layers
//
// A cache goes outside of the batcher, so that hits do not wait for a slot. A circuit breaker or a limiter around Do sees single
// requests; around the run function it sees batches, which is where a breaker should count a dead back-end's failures. A retry goes
// outside, and should repeat only what was rejected before any work began (see the errors) or is safe to repeat.
//
// # Cost
//
// No goroutine runs while nothing is queued. In the steady state a request allocates nothing and a batch a few small objects,
// and the slice of requests. The price is mostly that of parking and waking the caller's goroutine: go test -bench Do
// shows it beside a hand-written loop over channels.
//
// # Sources
//
// Late binding, and the bounds on size, wait and queue, are those of NVIDIA's Triton and of TensorFlow Serving
// (Olston et al., 2017). The fair choice between keys is deficit round robin (Shreedhar and Varghese, SIGCOMM 1995). AIMD
// is that of Clipper (Crankshaw et al., NSDI 2017). Deadline stands on Nexus (Shen et al., SOSP 2019), which passes over the requests that would force
// small batches; on Clockwork (Gujarati et al., OSDI 2020), which predicts the time of a run and does not begin what comes too late; and on
// Symphony (Chen et al., 2023), which defers batches while no deadline is at risk.
package batching
