// Package session pools stateful sessions that are costly to make: an ONNX or llama session, a GPU stream, an interpreter, a
// connection to a model server that loads an adapter first.
//
// A pool is made of three functions: open makes a session, fn answers one request in it, close ends it.
//
//	func loadModel(ctx context.Context) (*Model, error)
//	func predict(ctx context.Context, m *Model, image Image) (Label, error)
//
//	pool, err := session.New(loadModel, (*Model).Free, predict, session.Config{Min: 1, Max: 4})
//	...
//	defer pool.Close()
//	answer, err := pool.Do(ctx, request)
//
// # Who gets which session
//
// A request gets a session at once if one has room: the one that has its key warm ([WithKey]) or the one with least to do. Otherwise
// it waits, in the order of arrival. With keys it waits for its own session as long as that has no more than its share of the work
// ([Config].Imbalance), so that under load conversations and adapters stay where they are, and a hot key does not leave the other
// sessions idle. Where a session works on several requests at once, [Config].PerSession is its capacity and [WithCost] what a
// request takes of it; a large request reserves one session until that has room, and is not overtaken there.
// [Pool.Acquire] leases a session for longer than a call.
//
// # The life of a session
//
// Sessions are opened in the background, a bounded number at a time on each device. A caller that gives up does not
// stop the opening: the session is there for the next. A session is given up after MaxUses requests, at MaxAge, when its
// check fails ([WithCheck]), and when fn panics or returns an error that is the session's own ([Bad], [WithBroken]). It then
// takes nobody new, answers those that are in it, is closed, and another takes its place.
//
// Where a session could not be opened, the device pauses, longer with each failure, and others are tried first. If there is no session at
// all, those that wait get an [OpenError], and so does who comes during the pause. While there is one session left, requests wait for that.
// A session that fails before it has worked once, and the next one too, counts as a failure to open.
//
// # How many sessions there are
//
// From Min to Max, by the delay of the queue and not by its length: when every request has waited longer than TargetDelay
// for an Interval, the pool grows by one, and not again before that one has been in service for the Cooldown. When the
// capacity of a whole session has been unused for IdleTimeout, the pool shrinks by one.
//
// # When not to use it
//
// Not for sessions that cost nothing to make or that may be used by any number of goroutines at once: one of them, and a
// bound on concurrency, is enough. Not for database connections, whose drivers pool them. Not to spread requests over
// machines: a load balancer sees more of these. If the model gains from batches, let its requests be the
// batches: give the pool's Do to a batcher as its run function.
//
// # Order of layers
//
// A cache and a batcher go outside of the pool. A circuit breaker goes outside too: it does not
// count the errors that mean that no work began, but counts ErrOpen, which tells of a sick back-end (see the errors). A retry goes outside; what failed for a sick session finds another.
//
// # Cost
//
// fn runs on its caller's goroutine. In the steady state a request costs one small allocation, its context, and two decisions under
// a mutex, which take time in proportion to the number of sessions (not of requests): go test -bench . shows it beside a
// channel of sessions, which does none of the above. With LockThread each request also changes threads twice, which costs ten times
// as much.
//
// # Sources
//
// Growing: CoDel (Nichols and Jacobson, ACM Queue 10(5), 2012; RFC 8289). The bound on affinity: consistent hashing with bounded
// loads (Mirrokni, Thorup and Zadimoghaddam, SODA 2018). That an opening outlives its caller: the habit of jackc/puddle.
package session
