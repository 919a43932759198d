package cache

import (
	"context"
	"errors"
)

// Keyed is a Cache for requests that are not keys themselves: a tensor, an image, a prompt with its parameters. A function makes the
// key of a request, usually a hash; two requests with the same key get the same answer, see WithEqual. All methods are safe for
// concurrent use.
type Keyed[K comparable, Req, V any] struct {
	c   core[K, Req, V]
	key func(Req) K
}

// NewKeyed makes a Keyed over load. key is called once for each request, on the caller's goroutine; a panic in it goes to
// the caller. A request must not be changed while it is loaded. See New for the rest.
func NewKeyed[K comparable, Req, V any](key func(Req) K, load Func[Req, V], cfg Config, opts ...Option) (*Keyed[K, Req, V], error) {
	if key == nil || load == nil {
		return nil, errors.New("cache: nil key or load function")
	}
	c := &Keyed[K, Req, V]{key: key}
	if err := c.c.init(callbacks[K, Req, V]{load: load}, cfg, opts); err != nil {
		return nil, err
	}
	return c, nil
}

// NewKeyedBulk makes a Keyed over a function that loads many requests in one call. See NewKeyed and NewBulk.
func NewKeyedBulk[K comparable, Req, V any](key func(Req) K, load BulkFunc[Req, V], cfg Config, opts ...Option) (*Keyed[K, Req, V], error) {
	if key == nil || load == nil {
		return nil, errors.New("cache: nil key or load function")
	}
	c := &Keyed[K, Req, V]{key: key}
	if err := c.c.init(callbacks[K, Req, V]{loadAll: load}, cfg, opts); err != nil {
		return nil, err
	}
	return c, nil
}

// Do returns the answer to req, from the cache or by loading it. See Cache.Do.
func (c *Keyed[K, Req, V]) Do(ctx context.Context, req Req) (V, error) {
	return c.c.do(ctx, c.key(req), req)
}

// GetAll returns the answers to reqs. See Cache.GetAll.
func (c *Keyed[K, Req, V]) GetAll(ctx context.Context, reqs []Req) ([]V, error) {
	keys := make([]K, len(reqs))
	for i, req := range reqs {
		keys[i] = c.key(req)
	}
	return c.c.getAll(ctx, keys, reqs)
}

// Get returns the answer to req if it is in the cache. See Cache.Get.
func (c *Keyed[K, Req, V]) Get(req Req) (V, bool) { return c.c.get(c.key(req), req) }

// Set stores the answer to req. See Cache.Set; with WithEqual those who wait for a load of the same key wait on.
func (c *Keyed[K, Req, V]) Set(req Req, value V) error { return c.c.set(c.key(req), req, value) }

// Delete removes what has the key of req. See Cache.Delete.
func (c *Keyed[K, Req, V]) Delete(req Req) { c.c.remove(c.key(req)) }

// DeleteKey removes what has that key.
func (c *Keyed[K, Req, V]) DeleteKey(key K) { c.c.remove(key) }

// Invalidate removes all entries of a namespace. See Cache.Invalidate.
func (c *Keyed[K, Req, V]) Invalidate(ns Namespace) error { return c.c.invalidate(ns) }

// InvalidateAll removes everything.
func (c *Keyed[K, Req, V]) InvalidateAll() { c.c.invalidateAll() }

// Config returns the configuration, with the defaults filled in.
func (c *Keyed[K, Req, V]) Config() Config { return c.c.cfg }

// Stats returns the counters and gauges.
func (c *Keyed[K, Req, V]) Stats() Stats { return c.c.snapshot() }

// Shutdown drains. See Cache.Shutdown.
func (c *Keyed[K, Req, V]) Shutdown(ctx context.Context) error { return c.c.shutdown(ctx) }

// Close stops. See Cache.Close.
func (c *Keyed[K, Req, V]) Close() error { return c.c.close() }
