package batching

import (
	"context"
	"errors"
	"fmt"
)

// Keyed is a Batcher that puts only requests of the same key (shape, model, adapter, tenant) into one batch. Each key has a queue of
// its own, which exists only while requests of that key wait; all share the slots and the bounds of
// the queue. When several keys have requests waiting for a slot, they get their turns by deficit round robin,
// by weight if there is a MaxWeight and by number otherwise, so that a busy key cannot starve the others. The
// batches of one key are dispatched in the order of arrival; with several slots they may run at the same time.
// All methods are safe for concurrent use.
type Keyed[K comparable, Req, Resp any] struct {
	c   *core[K, Req, Resp]
	key func(Req) (K, error)
}

// NewKeyed makes a Keyed that answers requests with run. key is called once for each request, on the caller's goroutine; a panic in
// it goes to the caller. A key that is not equal to itself (a NaN) or cannot be compared is ErrBadRequest. See RunFunc for run
// and New for the rest.
func NewKeyed[K comparable, Req, Resp any](
	key func(Req) K, run func(ctx context.Context, key K, reqs []Req) ([]Resp, error), cfg Config, opts ...Option[Req],
) (*Keyed[K, Req, Resp], error) {
	if key == nil || run == nil {
		return nil, errors.New("batching: nil key or run function")
	}
	c, err := newCore(run, true, cfg, opts)
	if err != nil {
		return nil, err
	}
	return &Keyed[K, Req, Resp]{c, func(req Req) (K, error) {
		k := key(req)
		return k, checkKey(k)
	}}, nil
}

// checkKey finds the keys that a map would lose (NaN) or panic at (an interface that holds a slice).
func checkKey[K comparable](key K) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: key: %v", ErrBadRequest, v)
		}
	}()
	if key != key { // a NaN
		return fmt.Errorf("%w: key %v is not equal to itself", ErrBadRequest, key)
	}
	return nil
}

// Do has req answered as a member of a batch of its key. See Batcher.Do.
func (b *Keyed[K, Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	key, err := b.key(req)
	if err != nil {
		var none Resp
		return none, err
	}
	return b.c.do(ctx, key, req)
}

// DoAll has all of reqs answered, which may be of different keys. See Batcher.DoAll.
func (b *Keyed[K, Req, Resp]) DoAll(ctx context.Context, reqs []Req) ([]Resp, error) {
	keys := make([]K, len(reqs))
	for i, req := range reqs {
		var err error
		if keys[i], err = b.key(req); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
	}
	return b.c.doAll(ctx, keys, reqs, true)
}

// Flush dispatches what waits for company. See Batcher.Flush.
func (b *Keyed[K, Req, Resp]) Flush() { b.c.flush() }

// Config returns the configuration in force, as it was given. See Batcher.Config.
func (b *Keyed[K, Req, Resp]) Config() Config { return b.c.config() }

// Reconfigure replaces the configuration. See Batcher.Reconfigure.
func (b *Keyed[K, Req, Resp]) Reconfigure(cfg Config) error { return b.c.reconfigure(cfg) }

// Stats returns the counters and gauges, over all keys.
func (b *Keyed[K, Req, Resp]) Stats() Stats { return b.c.snapshot() }

// Shutdown drains. See Batcher.Shutdown.
func (b *Keyed[K, Req, Resp]) Shutdown(ctx context.Context) error { return b.c.shutdown(ctx) }

// Close stops. See Batcher.Close.
func (b *Keyed[K, Req, Resp]) Close() error { return b.c.close() }
