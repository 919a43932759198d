// Package patterns is the root of a library of scalable-AI design patterns: what a Go service needs that puts a model
// (a GPU server, an ONNX session, a hosted LLM, a gradient-boosted tree) behind live traffic and wants it to stay fast and
// correct when the traffic grows.
//
// The root package itself is empty. Import the one or two packages that you need; each stands alone.
//
//	batching           gathers the requests of concurrent callers into batches, plain or by key, and holds goodput under overload
//	breaker            keeps calls away from a back-end that fails or is too slow, one or one for each key
//	breaker/bulkhead   bounds what runs at the same time, by cost, with a bounded queue
//	breaker/limiter    lets requests through at a bounded rate, by number and by cost, with settlement; plain or by key
//	pool               bounds the calls of a function: worker pool, futures, parallel map and reduce
//	pool/session       holds stateful sessions that are costly to open, with health, recycling, affinity and growth by queue delay
//	sharding           says which node owns which key, what moves when nodes change, and moves it
//	sharding/scatter   asks the owners of many keys at once
//	cache              keeps a model's answers: coalesced and bulk loads, stale windows, namespaces
//	ensemble           asks several models and combines their answers; goes from a cheap model to a costly one only when it must
//	ensemble/route     sends each request to the model that should answer it, and elsewhere when that one fails
//	ensemble/rollout   brings a new version of a model live: registry with hot swap, canary, blue-green, shadow
//	featurestore       defines, writes and reads features: fresh, typed, as a dense matrix, the same in training and serving
//
// Below featurestore are its stores (memstore, boltstore on disk, redisstore), storetest, which checks a store of your own, and transform.
//
// # One shape
//
// Every pattern wraps, or is, a function of one shape, and has a method Do of that same shape:
//
//	func(ctx context.Context, req Req) (Resp, error)
//
// Method values are the glue, so patterns compose without knowing each other, and with functions of your own:
//
//	batcher, err := batching.New(model.PredictBatch, batching.Config{MaxSize: 64})
//	if err != nil {
//		return err
//	}
//	defer batcher.Close()
//
//	var predict batching.Func[Image, Label] = batcher.Do
//	predict = withTimeout(50*time.Millisecond, predict) // any func(next) next
//	label, err := predict(ctx, image)
//
// The rules that hold in every package:
//
//   - New(next, Config{...}, options...) returns an error for a configuration that makes no sense. Config is plain data; a zero field means its
//     documented default. Options carry the callbacks that depend on the request's type, which is inferred.
//   - Do honours the caller's context at every point where it waits. When the caller gave up it returns context.Cause(ctx).
//   - Errors of the wrapped function come back untouched. The docs say which errors mean that no work began.
//   - A panic in a goroutine of the library reaches those who wait for it as an error; the component survives.
//   - Whatever owns goroutines has Shutdown(ctx), which drains, and Close(), which stops. Nothing runs while idle.
//   - Stats() returns counters and gauges; Config hooks get small event structs. Nothing is logged.
//
// # Order of layers
//
// From the outside in: cache, limiter, bulkhead, breaker, batcher, sessions. A request meets first what can answer or refuse it at the least cost.
//
//   - The cache is outermost: a hit costs none of the others anything, and concurrent misses of one key are one request to them. Put a limiter outside of it only if
//     hits are to be counted too, because the limit is a price and not a protection.
//   - The limiter is outside of the bulkhead: who waits for the rate must not hold a place meanwhile.
//   - The bulkhead is outside of the breaker: its rejections say nothing about the back-end, so the breaker must not see them.
//   - The breaker is close to the back-end, and inside of whatever tries again, so that it sees each attempt and ends the attempts once it is open. Around a batcher's Do
//     it counts requests, around its run function batches.
//   - The batcher is outside of the sessions: a batch is what a session runs.
//   - A rollout alias goes where a version begins: outside of the batcher if versions may not share batches, inside otherwise, for a batch runs on one version in any case. A
//     cache outside of it needs the version in its key (Alias.ID), or hits go on giving the old one's answers. An ensemble, a route or a cascade goes around chains of this kind, one for each model.
//   - Features are read outside of the cache if they are part of what is asked, and then belong into its key; or by the function that
//     the cache wraps, if an answer with features of a minute ago will do.
//
// # Sizes
//
// Little's law: what is in the system on average is the rate of arrival times the time spent in it, whatever the distribution. Measure the time for a
// batch of n, which is close to a + b·n; the rest follows. Take a = 8 ms, b = 0.5 ms, an objective of 50 ms and 1,000 requests a second:
//
//   - A model that takes batches of n one at a time serves n/(a+b·n): 0.77 requests per ms with 10, 1.33 with 32, 1.6 with 64. At 1,000 a second batches of 16 are
//     just enough (16 in 16 ms), and form by themselves: what comes during a run is the next batch.
//   - A request waits for the run before its own, then for its own: two runs must fit in the objective. So a+b·n is at most 25 ms, n at most 34, and the
//     capacity 34/25 = 1.36 per ms. Batches of 64 serve more, but most answers are late. (This is what [batching.Deadline] finds out by itself.)
//   - In flight: 1,000/s × 32 ms (two runs of 16 ms) = 32. Give the bulkhead twice to three times that, so that it rejects when something is wrong, and
//     not by chance.
//   - Queue: what can still be answered in time, capacity × (objective − one run) = 1.36/ms × 25 ms = 34. A longer queue holds only answers that come too late.
//   - Cache: with a share h of hits the model gets 1,000·(1−h) a second. Size everything behind the cache for the load without it, or be sure that it is warm: after a
//     restart h is 0.
//   - Sessions: rate × time in a session. 200 calls a second of 40 ms each are 8 on average; 12 to wait seldom.
//
// # Errors and retries
//
// Each package's errors say whether work had begun. Those that mean "rejected before any work began" have a method Rejected() bool, by which the breaker
// knows that they say nothing of the back-end (session.ErrOpen has it not, for it does; nor has cache.ErrClosed, which may end a load). Those that know when to
// come again have RetryAfter() time.Duration. In short:
//
//   - Try again at once elsewhere, or later here: no work has begun. batching.ErrQueueFull (and ErrEvicted), ErrClosed; bulkhead.ErrRejected; breaker.ErrOpen;
//     pool.ErrQueueFull; session.ErrQueueFull and ErrOpen; route.ErrNoMember and ErrOverflow; rollout.ErrNoVersion. batching.DeadlineError, bulkhead.RejectedError, breaker.OpenError,
//     limiter.LimitedError and route.UnavailableError say when.
//   - Do not try again, nobody waits any more: batching.ErrDeadline, ensemble.ErrDeadline, route.ErrNoTime, and the cause of the caller's own context.
//   - Do not try again, the request cannot succeed: ErrTooLarge, ErrBadRequest, ErrBadKey, ErrNotCapable; featurestore.ErrKey, ErrRow and ErrRequest.
//   - Ask a person: ensemble.ErrAbstain; the best answer is in it.
//   - Try again only if doing it twice is harmless, for the work may have been done: errors of the wrapped function, a *PanicError, time-outs of a
//     member, shard or attempt (ErrTimeout, ErrShardTimeout, ErrStageTimeout). Writes of featurestore are harmless twice.
//   - A partial answer comes with what is there: scatter.PartialError, featurestore.PartialError, ensemble.Answer.
//   - Mend the program: ErrResultCount, ErrReentrant, ErrGoexit.
//
// Bound retries by a budget and not by a count alone: three attempts in each of three layers are 27 calls.
//
// # Stats
//
// Stats() takes no arguments, may be called at any time from any goroutine, and returns a plain struct: numbers to subtract from those of a minute ago and
// to hand to whatever metrics library the service has. The same word means the same thing in each of them:
//
//   - Counters since New. Accepted or Admitted: what was let in. Calls: what was asked for, in a part of a whole what was asked of that part; in a breaker what it has
//     counted, in a cache calls of the load function. Answered: got an answer. Failed: got an error. TimedOut: of the failed, by a bound of our own.
//     Cancelled and Expired: the caller's context was cancelled, or its deadline passed, before that (where one field counts both it is
//     Cancelled, and of members, experts and stages also that they were not needed any more). Rejected and Drops, with a field for each reason if there are several: no
//     work was begun. Abandoned: given up while it ran.
//   - What is counted are requests or calls; in featurestore and its stores rows and keys, and there Expired is a row whose TTL has passed.
//   - Gauges of now. Queued: waits for its turn. Blocked: waits for room in the queue. Running: is worked on. InFlight: calls under way, of a batcher batches.
//     Stragglers: calls that run on though nobody waits for them any more; if they grow, something does not heed its context.
//   - Sums of time. QueueWait, RunTime and the like; MeanQueueWait and MeanRunTime, where there are such, divide them by what they are summed over.
//   - A part of another counter may be called by both: LoadsFailed, ShardCallsTimedOut.
//
// What balances is said at the struct, where something does.
//
// # Before production
//
//   - Every request has a deadline, and the model heeds its context.
//   - Under twice the expected load (a test, not a thought) goodput stays, and memory too: each queue has a bound.
//   - The back-end was switched off under load, and made slow, and came back: how long until requests were refused at once, and until they were answered again?
//   - The instances together do not exceed what the back-end can take: bounds are for each process.
//   - Stats of each layer are exported. Alarm on goodput (what is answered in time), on what is turned away and on the time in the queue, not on the mean latency.
//   - Shutdown goes from the outside in: stop taking requests, Shutdown(ctx) of each layer that owns goroutines, then Close.
//   - A new version of the model was rolled out and back under load once, with the caches' namespaces.
//   - The keys of caches and stores hold the tenant, the model and its version where these matter.
package patterns
