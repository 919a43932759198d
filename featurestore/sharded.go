package featurestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"unsafe"
)

var _ Store = (*Sharded)(nil)

// Sharded is a [Store] that spreads entities over several stores. A key belongs to the store that the owner function names for its
// [ShardHash], for all views of its entity, or to several with replicas. Use NewSharded to make one. It is safe for concurrent use, and has goroutines only while calls run.
//
// When the owner function changes, rows stay where they are: what moves has to be copied, and both functions written to meanwhile.
type Sharded struct {
	stores []Store
	owner  func(hash uint64) int
	owners func(dst []int, hash uint64, k int) []int
	cfg    ShardedConfig
	shards []shardState
	budget *budget
	count  shardedCounters

	places sync.Pool // of *placing
	reads  sync.Pool // of *reading
	writes sync.Pool // of *writing
	calls  sync.Pool // of *shardCall
}

// NewSharded makes a Sharded over stores, which it does not own. owner is the index of the store of a hash, such as the method value Owner of a
// placement of package sharding whose nodes are in the order of the stores; it runs on the caller's goroutine. It may be nil with WithOwners, and is not used then.
func NewSharded(stores []Store, owner func(hash uint64) int, cfg ShardedConfig, opts ...ShardedOption) (*Sharded, error) {
	if len(stores) == 0 {
		return nil, errors.New("featurestore: NewSharded: no stores")
	}
	for i, s := range stores {
		if s == nil {
			return nil, fmt.Errorf("featurestore: NewSharded: store %d is nil", i)
		}
	}
	var o shardedOptions
	for _, opt := range opts {
		if opt == nil {
			return nil, errors.New("featurestore: NewSharded: nil option")
		}
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	if owner == nil && o.owners == nil {
		return nil, errors.New("featurestore: NewSharded: nil owner function")
	}
	cfg, err := cfg.withDefaults(&o)
	if err != nil {
		return nil, err
	}
	s := &Sharded{
		stores: append([]Store(nil), stores...), owner: owner, owners: o.owners, cfg: cfg,
		shards: make([]shardState, len(stores)), budget: newBudget(cfg.HedgeBudget),
	}
	for i := range s.shards {
		s.shards[i].latency.quantile = cfg.HedgeQuantile
	}
	s.places.New = func() any { return &placing{callOf: make([]int32, len(stores))} }
	s.reads.New = func() any { return &reading{fanout: newFanout(s)} }
	s.writes.New = func() any { return &writing{fanout: newFanout(s)} }
	s.calls.New = func() any { return newShardCall(s) }
	return s, nil
}

// Read reads from all shards that have keys, at the same time. If a shard fails its keys get a *ShardError by means of [Lookup].Fail; with replicas, when
// the last of them has failed, that one's. Only when all keys have failed it is an error of Read: context.Cause(ctx) if
// that has ended, else what the shards' errors are joined to. What shards have answered before ctx ended counts.
//
// The answer of a replica counts even if it has no row, or an older one, where another has a row: it does so while a row is being written, and after it
// was written to some replicas only. ErrOwner means that nothing was read.
//
// With one shard, no replicas and no ShardTimeout the store is called on the caller's goroutine, with the caller's lookups.
func (s *Sharded) Read(ctx context.Context, lookups []Lookup) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p := s.places.Get().(*placing)
	defer s.putPlaces(p)
	for i := range lookups {
		l := &lookups[i]
		if from, ok := sameKeys(lookups[:i], p.starts, l); ok {
			p.starts = append(p.starts, len(p.owners))
			p.owners = append(p.owners, p.owners[from:from+len(l.Keys)*s.cfg.Replicas]...)
			continue
		}
		p.starts = append(p.starts, len(p.owners))
		if err := s.place(p, &l.View.entity, l.Keys); err != nil {
			return err
		}
	}
	if len(p.owners) == 0 {
		return nil
	}
	if only, ok := s.direct(p); ok {
		return s.readDirect(ctx, only, lookups)
	}
	r := s.reads.Get().(*reading)
	err := r.read(ctx, p, lookups)
	s.reads.Put(r)
	return err
}

// sameKeys finds an earlier lookup of the same keys of the same entity: several views of one entity are the usual case. It returns where their owners are.
func sameKeys(earlier []Lookup, starts []int, l *Lookup) (int, bool) {
	for j := len(earlier) - 1; j >= 0; j-- {
		e := &earlier[j]
		if len(e.Keys) == len(l.Keys) && unsafe.SliceData(e.Keys) == unsafe.SliceData(l.Keys) && e.View.entity.Name == l.View.entity.Name {
			return starts[j], true
		}
	}
	return 0, false
}

// placing is where the keys of a call are.
type placing struct {
	owners []int32 // Replicas for each key, -1 where there are no more
	starts []int   // of each lookup, in owners
	room   []int
	callOf []int32 // by shard: the call that is being made up, numbered from 1
}

func (s *Sharded) putPlaces(p *placing) {
	p.owners, p.starts = p.owners[:0], p.starts[:0]
	s.places.Put(p)
}

// place appends the owners of keys.
func (s *Sharded) place(p *placing, entity *Entity, keys []Key) error {
	for _, k := range keys {
		if err := s.placeOne(p, entity, k); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sharded) placeOne(p *placing, entity *Entity, k Key) error {
	hash := ShardHash(entity, k)
	if s.owners == nil {
		owner := s.owner(hash)
		if uint(owner) >= uint(len(s.stores)) {
			return fmt.Errorf("%w: %d of %d", ErrOwner, owner, len(s.stores))
		}
		p.owners = append(p.owners, int32(owner))
		return nil
	}
	p.room = s.owners(p.room[:0], hash, s.cfg.Replicas)
	if len(p.room) == 0 {
		return fmt.Errorf("%w: none", ErrOwner)
	}
	for i := range s.cfg.Replicas {
		if i >= len(p.room) {
			p.owners = append(p.owners, -1)
			continue
		}
		if uint(p.room[i]) >= uint(len(s.stores)) {
			return fmt.Errorf("%w: %d of %d", ErrOwner, p.room[i], len(s.stores))
		}
		if slices.Contains(p.room[:i], p.room[i]) { // it would count twice for the quorum
			return fmt.Errorf("%w: %d twice", ErrOwner, p.room[i])
		}
		p.owners = append(p.owners, int32(p.room[i]))
	}
	return nil
}

// direct reports whether the caller's goroutine can do it all, with the one store that all keys are in.
func (s *Sharded) direct(p *placing) (int, bool) {
	if s.cfg.Replicas > 1 || s.cfg.ShardTimeout > 0 {
		return 0, false
	}
	for _, o := range p.owners[1:] {
		if o != p.owners[0] {
			return 0, false
		}
	}
	return int(p.owners[0]), true
}

func (s *Sharded) readDirect(ctx context.Context, shard int, lookups []Lookup) error {
	err := s.onCaller(ctx, shard, func() error { return s.stores[shard].Read(ctx, lookups) })
	if err != nil {
		return err
	}
	for i := range lookups {
		for j, err := range lookups[i].Errs {
			if err != nil {
				lookups[i].Errs[j] = &ShardError{shard, err}
			}
		}
	}
	return nil
}

// onCaller calls a store on the caller's goroutine, where its panics go to the caller.
func (s *Sharded) onCaller(ctx context.Context, shard int, call func() error) error {
	state := &s.shards[shard]
	failed := true
	state.begin()
	defer func() { state.end(failed) }()
	err := call()
	if err == nil {
		failed = false
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return &ShardError{shard, err}
}
