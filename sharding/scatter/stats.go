package scatter

import (
	"sync/atomic"

	"github.com/scalable-ai/patterns/sharding"
)

// Stats are the counters and gauges of a [Scatter].
type Stats struct {
	Calls      uint64 // of Do that got as far as to have shards to call
	Keys       uint64 // in these, duplicates included
	Duplicates uint64 // keys that were asked for again in the same Do
	Partial    uint64 // calls of Do that returned a PartialError

	// Of calls to shards that were made. Those that the end of the caller's context has prevented are in the PartialError, not here.
	ShardCalls         uint64
	ShardCallsFailed   uint64 // of these; timeouts and ends of the caller's context included
	ShardCallsTimedOut uint64 // of these; by Config.ShardTimeout

	Stragglers int         // calls to shards that Do has given up and that have not returned yet
	Nodes      []NodeStats // of the placement, by index
}

// NodeStats are the counters and gauges of a node. They are kept when the placement changes, as long as the node is in it.
type NodeStats struct {
	Node     sharding.Node
	InFlight int    // calls that have not returned, abandoned ones included
	Calls    uint64 // that were made
	Failed   uint64 // of these
}

type counters struct {
	calls, keys, duplicates, partial         atomic.Uint64
	shardCalls, shardFailures, shardTimeouts atomic.Uint64
	abandoned                                atomic.Int64
}

type nodeCounters struct {
	inFlight        atomic.Int64
	calls, failures atomic.Uint64
}

// Stats are the counters and gauges at this moment.
func (s *Scatter[K, V]) Stats() Stats {
	st := Stats{
		Calls: s.count.calls.Load(), Keys: s.count.keys.Load(), Duplicates: s.count.duplicates.Load(), Partial: s.count.partial.Load(),
		ShardCalls: s.count.shardCalls.Load(), ShardCallsFailed: s.count.shardFailures.Load(), ShardCallsTimedOut: s.count.shardTimeouts.Load(),
		Stragglers: int(s.count.abandoned.Load()),
	}
	cluster := s.cluster.Load()
	for i, c := range cluster.counters {
		st.Nodes = append(st.Nodes, NodeStats{
			Node: cluster.nodes[i], InFlight: int(c.inFlight.Load()), Calls: c.calls.Load(), Failed: c.failures.Load(),
		})
	}
	return st
}
