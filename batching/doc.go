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
// # What is promised
//
// Every request has exactly one outcome: its answer, an error of the run function, the end of its caller's context, or an
// error of this package that says no work began. A request whose context ends while it waits leaves the queue at once, makes room for
// another and is not executed. A batch's context is cancelled when all its callers have gone. An error, a panic
// or a Goexit in the run function reaches the members of that batch, as does a wrong number of results; a
// run function can fail single members by [ItemErrors], and Config.MaxExtraRuns lets the others of a batch survive one that fails
// all. The queue is bounded, by number and by weight.
//
// The order of requests is kept: they join batches in the order of arrival (in [Keyed], of each key). A request that waits for
// room in a full queue is not overtaken.
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
// (Olston et al., 2017). The fair choice between keys is deficit round robin (Shreedhar and Varghese, SIGCOMM 1995).
package batching
