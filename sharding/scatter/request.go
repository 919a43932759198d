package scatter

import (
	"context"
	"math/bits"
	"sync/atomic"

	"github.com/scalable-ai/patterns/sharding"
)

// request is what one Do works with. It is used again, for other keys, unless a call has been abandoned.
type request[K comparable, V any] struct {
	// Of the different keys, in the order of their first occurrence:
	hashes []uint64
	firsts []int32 // positions in the caller's keys
	shards []int32 // indexes into calls
	places []int32 // in the keys of their call

	uniques []int32 // of all keys: which of the different ones
	table   []int32 // a hash table of the different ones, numbered from 1
	callOf  []int32 // by node, numbered from 1

	calls []call[K, V]
	waves []wave
	done  chan int32 // calls that have returned; has room for all
}

// call is that of one shard.
type call[K comparable, V any] struct {
	node     sharding.Node
	counters *nodeCounters
	size     int
	keys     []K

	// Of the goroutine that runs it, until it has returned:
	values []V
	err    error
	state  atomic.Int32

	hookErr error // the same, until it is done

	// Of Do:
	wave    int
	settled bool
	failure error
	failed  int // among those that have
}

// The states of a call.
const (
	running int32 = iota
	returned
	abandoned
)

// stepsPerCheck is how many steps split takes between looks at the context.
const stepsPerCheck = 1024

// spread makes each bit of a hash count in the highest ones, where the slot is taken from: hashes that differ in few bits only, such as small
// integers or multiples of a power of two, would have few slots. Multiplication by 2^64 over the golden ratio is Fibonacci hashing (Knuth, The Art
// of Computer Programming, volume 3, section 6.4); it carries nothing down, so the upper half is folded on the lower one first.
func spread(hash uint64) uint64 { return (hash ^ hash>>32) * 0x9e3779b97f4a7c15 }

// split finds out which keys are different and who owns them, and prepares the calls. It ends early if the context does: with a hash that is equal
// for many keys, it takes a time that is quadratic in their number.
func (r *request[K, V]) split(ctx context.Context, c *cluster, hash func(K) uint64, keys []K) error {
	log := bits.Len(uint(len(keys))) + 1
	size, shift, steps := 1<<log, 64-log, 0
	r.table = zeroed(r.table, size)
	r.callOf = zeroed(r.callOf, len(c.nodes))
	r.uniques = zeroed(r.uniques, len(keys))
	for i, key := range keys {
		h := hash(key)
		slot := spread(h) >> shift
		for {
			if steps++; steps%stepsPerCheck == 0 && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			u := r.table[slot]
			if u == 0 {
				r.table[slot] = int32(len(r.firsts) + 1)
				r.uniques[i] = int32(len(r.firsts))
				if !r.add(c, h, int32(i)) {
					return ErrPlacement
				}
				break
			}
			if r.hashes[u-1] == h && keys[r.firsts[u-1]] == key {
				r.uniques[i] = u - 1
				break
			}
			slot = (slot + 1) & uint64(size-1)
		}
	}
	// The keys are not used again with the request: fetch may keep them.
	ordered := make([]K, len(r.firsts))
	for i := range r.calls {
		size := r.calls[i].size
		r.calls[i].keys, ordered = ordered[:size:size], ordered[size:]
	}
	for u, first := range r.firsts {
		r.calls[r.shards[u]].keys[r.places[u]] = keys[first]
	}
	if cap(r.done) < len(r.calls) {
		r.done = make(chan int32, max(16, len(r.calls)))
	}
	return nil
}

// add adds a different key to the call of its owner. It returns false if there is no such node.
func (r *request[K, V]) add(c *cluster, hash uint64, first int32) bool {
	owner := c.placement.Owner(hash)
	if uint(owner) >= uint(len(c.nodes)) {
		return false
	}
	shard := r.callOf[owner] - 1
	if shard < 0 {
		shard = int32(len(r.calls))
		r.callOf[owner] = shard + 1
		r.calls = append(r.calls, call[K, V]{node: c.nodes[owner], counters: c.counters[owner]})
	}
	r.hashes = append(r.hashes, hash)
	r.firsts = append(r.firsts, first)
	r.shards = append(r.shards, shard)
	r.places = append(r.places, int32(r.calls[shard].size))
	r.calls[shard].size++
	return true
}

// join puts the values where the caller has the keys, and returns an error if some are missing.
func (r *request[K, V]) join(values []V) *PartialError {
	var err *PartialError
	for i := range r.calls {
		if c := &r.calls[i]; c.failure != nil {
			if err == nil {
				err = &PartialError{Calls: len(r.calls), Keys: len(values)}
			}
			c.failed = len(err.Shards)
			err.Shards = append(err.Shards, ShardError{Node: c.node, Err: c.failure})
		}
	}
	for i, u := range r.uniques {
		c := &r.calls[r.shards[u]]
		if c.failure == nil {
			values[i] = c.values[r.places[u]]
			continue
		}
		missing := &err.Shards[c.failed].Keys
		*missing = append(*missing, i)
	}
	return err
}

// reset lets go of what belongs to the caller and to fetch.
func (r *request[K, V]) reset() {
	clear(r.calls)
	clear(r.waves)
	r.calls, r.waves = r.calls[:0], r.waves[:0]
	r.hashes, r.firsts, r.shards, r.places = r.hashes[:0], r.firsts[:0], r.shards[:0], r.places[:0]
}

// zeroed is a slice of n zeros, in the memory of s if it has room.
func zeroed(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n)
	}
	s = s[:n]
	clear(s)
	return s
}
