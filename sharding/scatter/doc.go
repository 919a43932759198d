// Package scatter asks the owners of many keys at once: scatter-gather over the shards of a placement.
//
// A call of [Scatter.Do] has many keys. They are divided by owner, each owner is asked once for all of its keys, all owners in parallel, and
// the answers come back in the order of the keys:
//
//	s, err := scatter.New(placement, client.GetMany, scatter.Config{ShardTimeout: 20 * time.Millisecond})
//	...
//	values, err := s.Do(ctx, keys)
//
// # What is promised
//
// Each Do ends when its context does, at the latest, whatever the shards do: fail, panic, hang, or ignore their contexts. It returns either all
// answers, or a *[PartialError] that says which keys have none, on which shards, and why; the other answers are there beside it. An
// answer is never that of another key. A hung shard costs the others neither their answers nor their time: it is given up after
// Config.ShardTimeout, and its place among the Config.MaxFanout calls goes to the next.
//
// Keys that occur more than once are fetched once. The placement can be replaced while calls run; each call sees one of them from beginning to end.
//
// # When not to use it
//
// Not for one key: ask its owner. Not if the back-end's client does it already (Redis Cluster clients, Vitess). Not for queries that all
// shards have to answer, such as a search: there is nothing to divide. Where a partial answer is of no use, wrap fetch in a
// retry instead of repeating Do.
//
// # Order of layers
//
// A cache goes outside, so that only misses are scattered; what fetch does for one node (a breaker and a bulkhead for each node, a
// retry, a timeout of its own) goes inside. Errors of Do are not "rejected before any work began", but for the end of a context that had ended
// before and ErrPlacement.
//
// # Cost
//
// Beside what fetch needs, a Do allocates the values, the keys in their new order, and for each call of a shard what starting a goroutine takes; a
// ShardTimeout adds a context for all calls that start together. go test -bench . shows it beside a hand-written fan-out. Keys are compared by ==.
package scatter
