package pool

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
)

// MapConfig says how much [Map] and [MapUnordered] may do at once. The zero value is usable. A negative or contradictory value
// is the error that the sequence of results consists of.
type MapConfig struct {
	// Workers is the number of items that may be worked on at the same time. Default: runtime.GOMAXPROCS(0), or Buffer if that is less.
	Workers int

	// Buffer is the number of items that may be anywhere between the input and the consumer: read from the input and waiting, worked on, or
	// finished and waiting for the consumer to ask for the next. One more may have been read, and wait for a place. It must be at least Workers. Map profits from
	// more when items differ much in their cost: while one of them takes long, Buffer-1 others can be finished.
	// Default: 4 times Workers, and 64 at least.
	Buffer int

	// ContinueOnError makes the first error one result among others. Default: it is the last result, and stops the rest.
	ContinueOnError bool
}

func (c MapConfig) withDefaults() (MapConfig, error) {
	switch {
	case c.Workers < 0:
		return c, fmt.Errorf("pool: MapConfig.Workers is negative: %d", c.Workers)
	case c.Buffer < 0:
		return c, fmt.Errorf("pool: MapConfig.Buffer is negative: %d", c.Buffer)
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
		if c.Buffer > 0 {
			c.Workers = min(c.Workers, c.Buffer)
		}
	}
	if c.Buffer == 0 {
		c.Buffer = max(64, c.Workers)
		if c.Workers <= 1<<20 {
			c.Buffer = max(64, 4*c.Workers)
		}
	}
	if c.Buffer < c.Workers {
		return c, fmt.Errorf("pool: MapConfig.Buffer %d is less than Workers %d: some could never work", c.Buffer, c.Workers)
	}
	return c, nil
}

// Map calls fn for each item of the input, several at a time, and returns the results in the order of the input. It is what the loop
//
//	for item := range in {
//		if out, err := fn(ctx, item); !yield(out, err) || err != nil {
//			return
//		}
//	}
//
// does, only sooner. Nothing happens before the results are ranged over; each range over them starts anew.
//
// However the range ends, be it by break, return, a panic or a Goexit in its body, no goroutine of Map is left when it
// is over: what runs has its context cancelled and is waited for. Waited for is the input too: one that blocks (because it reads from a
// channel, say) must end its wait by itself, or by a context that is cancelled.
//
// The input is consumed on a goroutine of its own, so by one goroutine only, which is not that of the caller, and it is read up to
// Buffer items ahead. fn is called on other goroutines. Its context is derived from ctx, ends with the range, and is meant
// for the time of the call. Items are begun in the order of the input, and a result can be consumed as soon as it and, for Map, those before it are there.
// So fn may wait for what the consumption of earlier results releases; but with Map and several workers an item that comes later may
// get that first, and then both wait for ever.
//
// # Errors
//
// They come as the second value:
//
//   - fn's error, with what else it returned; a *PanicError when it panicked, ErrGoexit when it called runtime.Goexit. Without
//     MapConfig.ContinueOnError the first in the order of the input is the last result. What comes before it is finished and yielded,
//     what comes after it is not started, or cancelled when the error is yielded.
//   - context.Cause(ctx), as the last result, when ctx has ended. Results that wait to be consumed are then dropped.
//   - ErrInput together with the *PanicError or ErrGoexit, as the last result, when the input panicked or called runtime.Goexit. The
//     results of what came before are yielded first.
//   - an error as the only result for a configuration that makes no sense.
//
// To have the work bounded by a [Pool] that others use too, pass its Do as fn.
func Map[In, Out any](ctx context.Context, in iter.Seq[In], fn Func[In, Out], cfg MapConfig) iter.Seq2[Out, error] {
	return mapping(ctx, in, fn, cfg, true)
}

// MapUnordered is like [Map], but returns each result as soon as it is there. Without ContinueOnError the first error in the order of time is the
// last result; when it occurs nothing more is started, and what runs is cancelled when it is yielded.
func MapUnordered[In, Out any](ctx context.Context, in iter.Seq[In], fn Func[In, Out], cfg MapConfig) iter.Seq2[Out, error] {
	return mapping(ctx, in, fn, cfg, false)
}

func mapping[In, Out any](ctx context.Context, in iter.Seq[In], fn Func[In, Out], cfg MapConfig, ordered bool) iter.Seq2[Out, error] {
	cfg, invalid := cfg.withDefaults()
	switch {
	case in == nil:
		invalid = errors.New("pool: nil input")
	case fn == nil:
		invalid = errors.New("pool: nil function")
	}
	return func(yield func(Out, error) bool) {
		err := invalid // of this range: several may go on at once
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			var none Out
			yield(none, err)
			return
		}
		m := newMapper(ctx, fn, cfg, ordered)
		defer m.stop() // also when the consumer panics
		m.begin(in)
		m.consume(ctx, yield)
	}
}
