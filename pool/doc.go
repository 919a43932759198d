// Package pool runs work concurrently with a bound: a worker pool with futures, a parallel map over iterators, and a parallel
// reduce.
//
// A [Pool] stands in front of a function that not too many may call at once, because it computes, holds memory, or talks to a
// server that takes so many calls and no more:
//
//	p, err := pool.New(model.Predict, pool.Config{Size: 8})
//	...
//	defer p.Close()
//	answer, err := p.Do(ctx, request)          // wait for the answer
//	future := p.Go(ctx, request)               // or fetch it later
//	err = p.Submit(ctx, request)               // or never
//
// [Map] and [MapUnordered] do the same for a sequence of items, in order or as results come, without reading more of the input than a bounded number of items ahead:
//
//	for vector, err := range pool.Map(ctx, documents, embed, pool.MapConfig{Workers: 8}) {
//
// [Reduce], [MapReduce] and [MapReduceKeyed] fold a sequence into one value, or into one for each key: the MapReduce of one machine.
//
// # What is promised
//
// Every request that a Pool accepts has exactly one outcome: what the function returned, the end of its caller's context, or an error
// of this package that says no work began. No more than Size run at once; what runs inside of a request is part of it (a context
// that is kept past its call may add to that for a while, see Pool.Do). A request whose context ends while it waits leaves the queue at once,
// makes room for another and is not executed. A panic or a Goexit in the function is an error for the one who asked, and nobody else; only
// when it runs on the goroutine of its caller, a Goexit ends that (see Pool.Do). Those
// that wait for a place get it in the order of arrival within a priority class.
//
// A function may call its own pool with the context that it was given, whatever the Size: such a Do runs on the calling goroutine, in the place
// of the request that it belongs to (caller runs), and a [Future.Wait] executes what no worker has begun. See [Pool.Do] for
// what that means for contexts that come from elsewhere.
//
// A range over the results of Map that ends, how ever it ends, leaves no goroutine. Reduce combines along a tree that depends on the
// number of items only, so its result does not depend on the timing.
//
// # When not to use it
//
// Not for a handful of goroutines that belong together: errgroup does that. Not to bound calls of a function from
// goroutines that are there anyway, if you need neither a queue nor priorities nor that a caller gets away from a call that does not stop: a semaphore
// runs it on the caller's goroutine and costs less. Not for jobs that must survive the process. Not in front of a model
// that answers many requests in hardly more time than one: see the package batching. And not to share
// costly state among requests (a model session, a GPU stream): see pool/session.
//
// # Order of layers
//
// A cache goes outside of the pool, so that hits do not wait for a worker; so does a retry, which should repeat only what was
// rejected before any work began (see the errors) or is safe to repeat. A timeout for the answer goes outside, one for the work itself inside. A
// batcher goes outside when the pool bounds the batches that run, and inside when the pool bounds the callers.
//
// # Cost
//
// Nothing runs while a pool is idle: workers are goroutines that end when there is nothing to do, and are started again when there is, as
// many as the requests keep busy. While at least half of the places of a Pool with more than four are free, half of those are spread over lanes, more than there are
// processors: a Do then does not queue, seldom shares a lock with others, and costs what a goroutine and its answer cost, or less if it needs
// no goroutine. When there is not so much room all go through one queue. In the steady state a Do with context.Background allocates nothing; one with another
// context allocates one small object, the context that fn gets, which fn may keep and which therefore cannot be used again; a Submit with context.Background
// allocates nothing, a Go its Future; both allocate another when fn asks a context that comes from Background for its end, and
// some more to watch a context that can end. Map allocates once for all items, but for what fn and the input do. Run
//
//	go test -bench . ./pool
//
// to see them beside errgroup, plain goroutines and workers on a channel.
//
// # Sources
//
// Caller-runs for nested work is that of the fork/join framework (Lea, "A Java Fork/Join Framework", 2000), restricted to the
// task that is waited for. The combining tree and the keyed form are those of Dean and Ghemawat, "MapReduce" (OSDI 2004), on one machine. Map's workers take
// their items from the ring of Chase and Lev, "Dynamic Circular Work-Stealing Deque" (SPAA 2005).
package pool
