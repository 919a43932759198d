package featurestore

import "sync/atomic"

// ShardedStats are the counters and gauges of a [Sharded].
type ShardedStats struct {
	Hedges       uint64 // calls to a further replica because the one before was slow
	HedgeWins    uint64 // of these, the ones that had an answer first
	HedgesDenied uint64 // not made: HedgeBudget
	Failovers    uint64 // calls to a further replica because the one before had failed
	Abandoned    uint64 // calls that were given up before the store returned: a time-out, the end of the caller's context, a faster replica

	Shards []ShardStats // in the order of the stores
}

// ShardStats are the counters and gauges of one store. A call to it is one of Read, Write or Delete.
type ShardStats struct {
	Calls    uint64
	Failed   uint64 // of these; those that were given up for a faster replica are none
	TimedOut uint64 // of the failures: ErrShardTimeout
	InFlight int    // calls that have not returned, abandoned ones included
}

type shardedCounters struct {
	hedges, hedgeWins, hedgesDenied, failovers, abandoned atomic.Uint64
}

// shardState is what is known about one store.
type shardState struct {
	latency latency

	calls, failures, timeouts atomic.Uint64
	inFlight                  atomic.Int64
}

func (st *shardState) begin() {
	st.calls.Add(1)
	st.inFlight.Add(1)
}

func (st *shardState) end(failed bool) {
	st.inFlight.Add(-1)
	if failed {
		st.failures.Add(1)
	}
}

// fail counts a failure of a call that may run on.
func (st *shardState) fail(timeout bool) {
	st.failures.Add(1)
	if timeout {
		st.timeouts.Add(1)
	}
}

// Stats are the counters and gauges at this moment.
func (s *Sharded) Stats() ShardedStats {
	st := ShardedStats{
		Hedges: s.count.hedges.Load(), HedgeWins: s.count.hedgeWins.Load(), HedgesDenied: s.count.hedgesDenied.Load(),
		Failovers: s.count.failovers.Load(), Abandoned: s.count.abandoned.Load(), Shards: make([]ShardStats, len(s.shards)),
	}
	for i := range s.shards {
		sh := &s.shards[i]
		st.Shards[i] = ShardStats{
			Calls: sh.calls.Load(), Failed: sh.failures.Load(), TimedOut: sh.timeouts.Load(), InFlight: int(sh.inFlight.Load()),
		}
	}
	return st
}
