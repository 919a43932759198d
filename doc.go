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
//
// Planned, in the folders of the same names: ensemble, featurestore.
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
package patterns
