package featurestore

import (
	"context"
	"sync/atomic"
	"time"
)

// shardCall is a call to one store. All that the store is given is the call's own: when the call is given up the store may go on to use it, and
// the call is left to it. Otherwise the memory is used again.
type shardCall struct {
	s     *Sharded
	shard int
	op    op
	do    func() // run, as a value: a go statement with it does not allocate

	// Of a read; keys of a delete too.
	lookups  []Lookup
	of       []int // the caller's lookups that they are parts of
	starts   []int // of their keys in keys
	features []int
	keys     []Key
	rows     []*Record

	// Of a write.
	view     *Schema
	write    []Row
	outcomes []Outcome

	flat []int32 // of each key or row: its number among all of the caller's

	ctx     context.Context
	cancel  context.CancelFunc // nil if ctx is the caller's
	results chan *shardCall
	state   atomic.Int32

	// Of the store's goroutine, until it has returned:
	err     error
	took    time.Duration
	tainted bool // the method has not returned: what it has begun may go on

	// Of the caller's goroutine:
	began    time.Time
	deadline time.Time // zero: none
	hedgeAt  time.Time // zero: no hedge, or none any more
	hedge    bool      // it is one
}

type op uint8

const (
	opRead op = iota
	opWrite
	opDelete
)

// The states of a call.
const (
	callRuns int32 = iota
	callReturned
	callAbandoned
)

func newShardCall(s *Sharded) *shardCall {
	c := &shardCall{s: s}
	c.do = c.run
	return c
}

// run is on a goroutine of its own.
func (c *shardCall) run() {
	returned := false
	defer func() {
		if !returned {
			c.err, c.tainted = ErrGoexit, true
			if value := recover(); value != nil {
				c.err = newPanicError(value)
			}
		}
		c.took = time.Since(c.began)
		c.s.shards[c.shard].inFlight.Add(-1)
		if c.state.CompareAndSwap(callRuns, callReturned) {
			c.results <- c // whoever did not abandon it receives it
		}
	}()
	store := c.s.stores[c.shard]
	switch c.op {
	case opRead:
		c.err = store.Read(c.ctx, c.lookups)
	case opWrite:
		c.err = store.Write(c.ctx, c.view, c.write, c.outcomes)
	case opDelete:
		c.err = store.Delete(c.ctx, c.view, c.keys)
	}
	returned = true
}

// add adds a key of the caller's lookup l to a read.
func (c *shardCall) add(l int, lookup *Lookup, key Key, flat int) {
	if n := len(c.of); n == 0 || c.of[n-1] != l {
		from := len(c.features)
		c.features = append(c.features, lookup.Features...) // an abandoned call may use them when they are the caller's again
		c.lookups = append(c.lookups, Lookup{View: lookup.View, Features: c.features[from:len(c.features):len(c.features)]})
		c.of, c.starts = append(c.of, l), append(c.starts, len(c.keys))
	}
	c.keys, c.flat = append(c.keys, key), append(c.flat, int32(flat))
}

// seal gives the lookups of a read their keys and rows, which do not move any more.
func (c *shardCall) seal() {
	if cap(c.rows) < len(c.keys) {
		c.rows = make([]*Record, len(c.keys))
	}
	c.rows = c.rows[:len(c.keys)]
	for j := range c.lookups {
		from, to := c.part(j)
		c.lookups[j].Keys, c.lookups[j].Rows = c.keys[from:to:to], c.rows[from:to:to]
	}
}

// part is where the keys of lookup j are.
func (c *shardCall) part(j int) (from, to int) {
	if j+1 < len(c.starts) {
		return c.starts[j], c.starts[j+1]
	}
	return c.starts[j], len(c.keys)
}

// release lets go of all that is the caller's and keeps the memory. The call must have returned, or never have been started.
func (c *shardCall) release() {
	if c.tainted {
		return
	}
	clear(c.lookups)
	clear(c.keys)
	clear(c.rows)
	clear(c.write)
	clear(c.outcomes)
	c.lookups, c.of, c.starts, c.features = c.lookups[:0], c.of[:0], c.starts[:0], c.features[:0]
	c.keys, c.rows, c.flat = c.keys[:0], c.rows[:0], c.flat[:0]
	c.view, c.write, c.outcomes = nil, c.write[:0], c.outcomes[:0]
	c.ctx, c.cancel, c.err, c.results = nil, nil, nil, nil
	c.began, c.deadline, c.hedgeAt, c.hedge = time.Time{}, time.Time{}, time.Time{}, false
	c.state.Store(callRuns)
	c.s.calls.Put(c)
}
