package scatter

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/scalable-ai/patterns/sharding"
)

// Func is the shape of all patterns: one request, one answer. A Scatter's Do is a Func[[]K, []V].
type Func[Req, Resp any] = func(ctx context.Context, req Req) (Resp, error)

// Scatter asks the owners of many keys at once. Use New to make one. It is safe for concurrent use, and has no goroutine
// between calls.
type Scatter[K comparable, V any] struct {
	fetch    func(ctx context.Context, node sharding.Node, keys []K) ([]V, error)
	cfg      Config
	hash     func(K) uint64
	setting  sync.Mutex // held by SetPlacement
	cluster  atomic.Pointer[cluster]
	count    counters
	requests sync.Pool // of *request
}

// cluster is a placement with the counters of its nodes. It does not change.
type cluster struct {
	placement sharding.Placement
	nodes     []sharding.Node
	counters  []*nodeCounters
}

// New makes a Scatter over a placement. fetch asks one shard for the values of some keys, which are all different, and returns them in the
// order of the keys. It runs on a goroutine of its own and should return when its context ends; it may keep the slice of keys.
//
// It is an error if fetch is nil, if the placement is nil, a nil pointer, or without nodes (sharding.ErrNoNodes), if the configuration makes no sense, and if
// keys have no stable hash and there is no WithHash (sharding.ErrKeyType).
func New[K comparable, V any](
	placement sharding.Placement, fetch func(ctx context.Context, node sharding.Node, keys []K) ([]V, error), cfg Config, opts ...Option[K],
) (*Scatter[K, V], error) {
	if fetch == nil {
		return nil, errors.New("scatter: New: nil function")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	var o options[K]
	for _, opt := range opts {
		if opt == nil {
			return nil, errors.New("scatter: New: nil option")
		}
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	if o.hash == nil {
		if o.hash, err = sharding.NewHasher[K](); err != nil {
			return nil, err
		}
	}
	s := &Scatter[K, V]{fetch: fetch, cfg: cfg, hash: o.hash}
	s.requests.New = func() any { return new(request[K, V]) }
	if err := s.SetPlacement(placement); err != nil {
		return nil, err
	}
	return s, nil
}

// SetPlacement replaces the placement. Calls of Do that run go on with the one with which they began. The error is
// sharding.ErrNoNodes; then nothing has changed.
func (s *Scatter[K, V]) SetPlacement(p sharding.Placement) error {
	if p == nil {
		return sharding.ErrNoNodes
	}
	if v := reflect.ValueOf(p); v.Kind() == reflect.Pointer && v.IsNil() { // such as that of a constructor whose error was not looked at
		return sharding.ErrNoNodes
	}
	nodes := p.Nodes()
	if len(nodes) == 0 {
		return sharding.ErrNoNodes
	}
	s.setting.Lock()
	defer s.setting.Unlock()
	known := make(map[string]*nodeCounters)
	if old := s.cluster.Load(); old != nil {
		for i, n := range old.nodes {
			known[n.Name] = old.counters[i]
		}
	}
	next := &cluster{placement: p, nodes: nodes}
	for _, n := range next.nodes {
		c := known[n.Name]
		if c == nil {
			c = new(nodeCounters)
		}
		next.counters = append(next.counters, c)
	}
	s.cluster.Store(next)
	return nil
}

// Placement is the current placement.
func (s *Scatter[K, V]) Placement() sharding.Placement { return s.cluster.Load().placement }

// Do returns the values of the keys, in their order. A key that occurs more than once is fetched once.
//
// If shards fail, it returns the values of the others, a zero value for each key without an answer, and a *[PartialError] that says which these are
// and why. If ctx ends it returns at once with what is there, also as a PartialError, which is then context.Cause(ctx) too. If ctx has ended
// before Do begins, or while it divides the keys, the error is context.Cause(ctx) itself; then, and for ErrPlacement, no shard has been called and there are no values.
//
// A shard that does not return when its context ends costs no one their answer, but its goroutine stays until it does; Stats.Stragglers counts these.
func (s *Scatter[K, V]) Do(ctx context.Context, keys []K) ([]V, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	values := make([]V, len(keys))
	if len(keys) == 0 {
		return values, nil
	}
	r := s.requests.Get().(*request[K, V])
	if err := r.split(ctx, s.cluster.Load(), s.hash, keys); err != nil {
		r.reset()
		s.requests.Put(r)
		return nil, err
	}
	s.count.calls.Add(1)
	s.count.keys.Add(uint64(len(keys)))
	s.count.duplicates.Add(uint64(len(keys) - len(r.firsts)))
	g := gathering[K, V]{Scatter: s, request: r, ctx: ctx}
	g.gather()
	err := r.join(values)
	if err != nil {
		s.count.partial.Add(1)
		if ctx.Err() != nil {
			err.cause = context.Cause(ctx)
		}
	}
	if !g.left { // otherwise calls that still run, or their hooks, have it
		r.reset()
		s.requests.Put(r)
	}
	if err != nil {
		return values, err
	}
	return values, nil
}
