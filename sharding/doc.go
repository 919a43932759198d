// Package sharding decides which node owns which key, says what moves when nodes change, and carries the move out without a pause.
//
// A [Placement] is made of nodes and does not change:
//
//	before, err := sharding.NewRendezvous(nodes, sharding.RendezvousConfig{})
//	...
//	node := sharding.Owner(before, "user:42")
//	replicas := sharding.Owners(before, "user:42", 3) // spread over the zones
//
// When nodes come or go, another is made of the new list. [Diff] says what share of the keys moves from whom to whom, and a
// [Migration] reads and writes both places until it has moved. [Bounded] keeps a hot key from overloading its owner. [Ramp] brings a node in
// or out by its weight. The sub-package scatter asks many shards at once.
//
// # Which placement
//
//	Rendezvous  the default: weights, moves the minimum, the same time for any number of nodes
//	Ring        the same, less even; for who must agree with Envoy's ring_hash, or have replicas in the order of a ring
//	Maglev      the most even with weights, but moves some keys for nothing; for load balancing, and to agree with Envoy's maglev
//	Jump        exactly even, no memory; for numbered shards that only grow or shrink at the end
//	Table       decided, not calculated: for data that follows an operator, and is saved
//
// The fullest of 1,000 nodes of equal weight has this much of the mean, with the default sizes
// (go test -run BalanceOfThousandNodes -v ./sharding):
//
//	Rendezvous 1.14   Ring 1.21   Maglev 1.01   Table 1.04   Jump 1.00
//
// Names decide, not addresses of memory or positions in a list (but for Jump). A node that comes back under its name gets its old keys
// back. Weights are capacities relative to each other; a weight that would get nothing is an error.
// A placement of your own goes wherever these go; [Check] tests it.
//
// # Versioned
//
// Placement is a promise about data: a function that changes between releases loses it silently. PLACEMENT.md describes version 1 of the
// functions byte by byte, with test vectors, so that other languages can have the same; [Version] names it, tests hold it by golden
// values, and Fingerprint tells whether two peers have the same placement. Everything is calculated in integers, and so alike on each
// machine. Keys are hashed by XXH64 ([Hash], [NewHasher]), without allocation. This is no defence against keys that are chosen to collide.
//
// # When not to use it
//
// Not to spread requests that any replica answers equally well: round robin or least load does that better. Not to find a shard of a database that
// knows its own (Redis Cluster, Cassandra, Vitess): ask its client. Not to agree on the list of nodes: that takes a consensus or a
// configuration service; peers whose lists differ disagree about the keys of the difference, and Fingerprint only tells that they do.
// Not for a map within one process whose keys are mostly read: see [Map].
//
// # Order of layers
//
// Placement comes where the choice of a node is made: outside of the client, breaker and limiter of each node, of which there is one for each, and
// inside of a cache and a retry. A retry that is to reach another node asks for the next of Owners.
//
// # Cost
//
// Owner takes a table look-up (Jump: a loop of about ln(n) steps) and does not allocate; neither does Owners for up to some tens of
// owners. To build a placement takes from microseconds to some hundred milliseconds for 1,000 nodes, and 2 to 18 bytes for
// each slot or point. No goroutine runs. go test -bench . shows all of it beside naive code.
//
// # Sources
//
// Karger et al., STOC 1997 (ring); Thaler and Ravishankar, IEEE/ACM ToN 1998 (rendezvous); Lamping and Veach, arXiv 1406.2294 (jump);
// Eisenbud et al., NSDI 2016 (Maglev); Mirrokni, Thorup and Zadimoghaddam, SODA 2018 (bounded loads).
package sharding
