package pool

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
)

// ReduceConfig says how [Reduce], [MapReduce] and [MapReduceKeyed] share the work out. The zero value is usable. A negative value is
// an error.
type ReduceConfig struct {
	// Workers is the number of goroutines. Default: runtime.GOMAXPROCS(0).
	Workers int

	// Chunk is the number of consecutive items that a worker takes at once and combines one after the other. More makes
	// cheap items cheaper: 1000 for the sum of numbers. Default: 1, for items that take some microseconds and more.
	Chunk int
}

// Reduce combines all items of the input into one, by several goroutines: the fold of a list, for a combine that is associative, so
// that it does not matter in which order the pairs are combined: (a+b)+c = a+(b+c). It need not be commutative, because the items keep
// their order: combine is always called with a left part and the right part next to it. It may change and return one of its arguments.
//
// Which pairs are combined depends on Chunk and the number of items only, not on time or Workers: combine is applied along a binary tree. So
// the result is the same each time, to the last bit of a floating point sum.
//
// Errors: ErrEmpty when there are no items; context.Cause(ctx); a *PanicError or ErrGoexit from combine; ErrInput, with one of these,
// from the input, which is consumed as that of [Map] is. When Reduce returns no goroutine of it is left.
func Reduce[T any](ctx context.Context, in iter.Seq[T], combine func(left, right T) T, cfg ReduceConfig) (T, error) {
	return MapReduce(ctx, in, func(_ context.Context, item T) (T, error) { return item, nil }, combine, cfg)
}

// MapReduce calls fn for each item of the input and combines the results, as [Reduce] does. The first error of fn stops
// the rest and is returned.
func MapReduce[In, Out any](
	ctx context.Context, in iter.Seq[In], fn Func[In, Out], combine func(left, right Out) Out, cfg ReduceConfig,
) (Out, error) {
	var none Out
	switch {
	case in == nil:
		return none, errors.New("pool: nil input")
	case fn == nil || combine == nil:
		return none, errors.New("pool: nil function")
	case cfg.Workers < 0:
		return none, fmt.Errorf("pool: ReduceConfig.Workers is negative: %d", cfg.Workers)
	case cfg.Chunk < 0:
		return none, fmt.Errorf("pool: ReduceConfig.Chunk is negative: %d", cfg.Chunk)
	}
	t := tree[Out]{combine: combine, parts: make(map[place]Out)}
	work := func(ctx context.Context, c chunk[In]) (struct{}, error) {
		var sum Out
		for i, item := range c.items {
			out, err := fn(ctx, item)
			switch {
			case err != nil:
				return struct{}{}, err
			case i == 0:
				sum = out
			default:
				sum = combine(sum, out)
			}
		}
		t.add(c.index, sum)
		return struct{}{}, nil
	}
	for _, err := range MapUnordered(ctx, chunks(in, max(1, cfg.Chunk)), work, MapConfig{Workers: cfg.Workers}) {
		if err != nil {
			return none, err
		}
	}
	if len(t.parts) == 0 {
		return none, ErrEmpty
	}
	var (
		all  Out
		err  error
		root sync.WaitGroup
	)
	root.Go(func() { t.root(&all, &err) }) // where Goexit in combine does not end the caller
	root.Wait()
	return all, err
}

// MapReduceKeyed is the classical MapReduce on one machine: fn emits any number of values for each item, each with a key, and the values of each key are
// combined as by [Reduce]. emit must be called by the goroutine of fn only, and not after fn has returned. The result of no items, or
// nothing emitted, is an empty map. A key that is not equal to itself (a NaN) is an error.
//
// The method is that of Dean and Ghemawat, "MapReduce: Simplified Data Processing on Large Clusters" (OSDI 2004), section 2; combining
// while mapping is their combiner function (4.3).
func MapReduceKeyed[In any, K comparable, V any](
	ctx context.Context, in iter.Seq[In], fn func(ctx context.Context, item In, emit func(K, V)) error,
	combine func(key K, left, right V) V, cfg ReduceConfig,
) (map[K]V, error) {
	if fn == nil || combine == nil {
		return nil, errors.New("pool: nil function")
	}
	byKey := func(ctx context.Context, item In) (map[K]V, error) {
		var (
			out = make(map[K]V)
			bad error
		)
		err := fn(ctx, item, func(key K, value V) {
			if key != key { // a NaN
				bad = fmt.Errorf("pool: MapReduceKeyed: key is not equal to itself: %v", key)
				return
			}
			if before, ok := out[key]; ok {
				value = combine(key, before, value)
			}
			out[key] = value
		})
		if err == nil {
			err = bad
		}
		return out, err
	}
	merge := func(left, right map[K]V) map[K]V {
		into, from, swapped := left, right, false
		if len(left) < len(right) {
			into, from, swapped = right, left, true
		}
		for key, value := range from {
			if other, ok := into[key]; !ok {
				into[key] = value
			} else if swapped {
				into[key] = combine(key, value, other)
			} else {
				into[key] = combine(key, other, value)
			}
		}
		return into
	}
	out, err := MapReduce(ctx, in, byKey, merge, cfg)
	if errors.Is(err, ErrEmpty) {
		return make(map[K]V), nil
	}
	return out, err
}

// chunk is consecutive items of the input.
type chunk[T any] struct {
	index int
	items []T
}

func chunks[T any](in iter.Seq[T], size int) iter.Seq[chunk[T]] {
	return func(yield func(chunk[T]) bool) {
		var c chunk[T]
		for item := range in {
			if c.items == nil {
				c.items = make([]T, 0, min(size, 1024))
			}
			if c.items = append(c.items, item); len(c.items) == size {
				if !yield(c) {
					return
				}
				c = chunk[T]{index: c.index + 1}
			}
		}
		if len(c.items) > 0 {
			yield(c)
		}
	}
}

// tree combines the results of chunks that come in any order along a binary tree whose leaves are the chunks. Whoever brings the second of two
// siblings combines them, and goes on with the result. A part waits there only while its sibling is being
// worked on, so there are few: for each chunk that is worked on or waits one on each level at most.
type tree[T any] struct {
	combine func(left, right T) T
	mu      sync.Mutex
	parts   map[place]T
}

// place is where a part is in the tree: it stands for the chunks from index<<level, 1<<level of them.
type place struct{ level, index int }

func (t *tree[T]) add(index int, part T) {
	for at := (place{0, index}); ; at = (place{at.level + 1, at.index >> 1}) {
		other, found := t.meet(at, part)
		switch {
		case !found:
			return
		case at.index&1 == 0:
			part = t.combine(part, other)
		default:
			part = t.combine(other, part)
		}
	}
}

// meet takes the sibling's part if that is there, and leaves this one for it otherwise.
func (t *tree[T]) meet(at place, part T) (T, bool) {
	sibling := place{at.level, at.index ^ 1}
	t.mu.Lock()
	defer t.mu.Unlock()
	other, found := t.parts[sibling]
	if found {
		delete(t.parts, sibling)
	} else {
		t.parts[at] = part
	}
	return other, found
}

// root combines what has no sibling: one part at most on each level, those of higher levels on the left.
func (t *tree[T]) root(all *T, err *error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		var none T
		*all, *err = none, ErrGoexit
		if v := recover(); v != nil {
			*err = newPanicError(v)
		}
	}()
	first := true
	for level := 0; len(t.parts) > 0; level++ {
		for at, part := range t.parts {
			if at.level != level {
				continue
			}
			delete(t.parts, at)
			if first {
				*all, first = part, false
			} else {
				*all = t.combine(part, *all)
			}
		}
	}
	returned = true
}
