package cache

import (
	"context"
	"errors"
)

// Func is the one shape by which patterns compose: what every Do has.
type Func[Req, Resp any] = func(ctx context.Context, req Req) (Resp, error)

// BulkFunc loads the values of many keys in one call: value i belongs to request i. It returns as many values as it was given requests, or an
// error for all of them, or [ItemErrors] with one for each. The slice of requests is the function's own.
type BulkFunc[Req, Resp any] = func(ctx context.Context, reqs []Req) ([]Resp, error)

// Cache keeps the answers of a load function by their requests, which are their own keys. All methods are safe for concurrent use.
type Cache[K comparable, V any] struct {
	c core[K, K, V]
}

// New makes a Cache over load. load is called on a goroutine of the cache (but see Config.LoadInline), for one request at a time, by as many at once as
// there are keys missed. Its context has the values of the context of the caller that began the load, and neither its deadline nor its end: it is
// cancelled when all who wait for the load have gone (unless Config.FinishLoads), when a Set makes it needless, and by Close. A value that it returns beside
// an error is dropped.
//
// The cache starts nothing: goroutines exist only while something is loaded or swept. Call Close when it is no longer needed.
func New[K comparable, V any](load Func[K, V], cfg Config, opts ...Option) (*Cache[K, V], error) {
	if load == nil {
		return nil, errors.New("cache: nil load function")
	}
	return newCache(callbacks[K, K, V]{load: load}, cfg, opts)
}

// NewBulk makes a Cache over a function that loads many keys in one call. What different callers miss goes to it together: while
// as many calls run as Config.BulkConcurrency allows, misses gather for the next. The context of a call has no values of any
// caller's; it is cancelled when all who wait for its keys have gone. See New for the rest.
func NewBulk[K comparable, V any](load BulkFunc[K, V], cfg Config, opts ...Option) (*Cache[K, V], error) {
	if load == nil {
		return nil, errors.New("cache: nil load function")
	}
	return newCache(callbacks[K, K, V]{loadAll: load}, cfg, opts)
}

func newCache[K comparable, V any](cb callbacks[K, K, V], cfg Config, opts []Option) (*Cache[K, V], error) {
	c := &Cache[K, V]{}
	if err := c.c.init(cb, cfg, opts); err != nil {
		return nil, err
	}
	return c, nil
}

// Do returns the value of key, from the cache or by loading it.
//
// If the value is not there and another caller's load of key is under way, Do waits for that one; one load runs for a key
// at a time. When ctx ends while it waits, Do returns context.Cause(ctx) at once, and the load goes on for the others. An answer from the cache is
// returned even if ctx has ended already; nothing is loaded then.
//
// The errors are those of the load function, unchanged and the same for all who waited, *PanicError, ErrGoexit and ErrResultCount, and those
// that mean that no work began: ErrClosed, ErrReentrant, ErrBadKey. A Do that waits when Close is called gets ErrClosed too. Who may be served
// an old value instead of an error (Config.StaleIfError) gets that instead of ErrClosed.
func (c *Cache[K, V]) Do(ctx context.Context, key K) (V, error) { return c.c.do(ctx, key, key) }

// GetAll returns the values of keys, in the same order; a key may come more than once. Only what is neither in the cache nor being loaded is
// loaded: with a bulk loader in one call (or as many as Config.MaxBulk makes necessary), which keys that others miss may share; otherwise with one
// call of the load function for each key, all at once, which is what a batcher behind it needs.
//
// If some keys failed the error is ItemErrors, with an entry for each key, and the values of the others are valid. When
// ctx ends, GetAll returns nil and context.Cause(ctx), unless all answers are there.
func (c *Cache[K, V]) GetAll(ctx context.Context, keys []K) ([]V, error) {
	return c.c.getAll(ctx, keys, keys)
}

// Get returns the value of key if it is in the cache and Do would serve it at once. It loads and refreshes nothing.
func (c *Cache[K, V]) Get(key K) (V, bool) { return c.c.get(key, key) }

// Set stores a value. A load of key that is under way does not replace it: those who wait for it get this value at once.
// The value is not stored if WithTTL or WithWeight say so; the old one is removed even then. The error is ErrBadKey or nil.
func (c *Cache[K, V]) Set(key K, value V) error { return c.c.set(key, key, value) }

// Delete removes the value or remembered error of key. A load of key that is under way still answers those who wait for it by now, but its
// value is not stored, and the next Do begins another. A load or a refresh that nobody waits for is cancelled.
func (c *Cache[K, V]) Delete(key K) { c.c.remove(key) }

// Invalidate removes all entries of a namespace, at the same cost however many they are: from when it returns none is served, nor the value of a
// load that began before. Their room is freed in the background. Other namespaces keep theirs. It is an error if the cache has no WithNamespace; that
// nothing is in the namespace is none.
func (c *Cache[K, V]) Invalidate(ns Namespace) error { return c.c.invalidate(ns) }

// InvalidateAll removes everything, as Invalidate does.
func (c *Cache[K, V]) InvalidateAll() { c.c.invalidateAll() }

// Config returns the configuration, with the defaults filled in.
func (c *Cache[K, V]) Config() Config { return c.c.cfg }

// Stats returns the counters and gauges.
func (c *Cache[K, V]) Stats() Stats { return c.c.snapshot() }

// Shutdown rejects new loads with ErrClosed and waits until those under way are over. When ctx ends first it returns context.Cause(ctx) and
// the rest goes on: call Close to stop it. What is in the cache is served even afterwards, and what needs no load goes on to work, Set too. It may
// be called several times. It must not be called from the load function or OnLoad, which it would wait for.
func (c *Cache[K, V]) Shutdown(ctx context.Context) error { return c.c.shutdown(ctx) }

// Close rejects new loads with ErrClosed, cancels those under way, returns ErrClosed to those who wait for them, and waits until the
// load functions have returned. What is in the cache is served even afterwards. It always returns nil. It may be called several times, also
// during Shutdown. It must not be called from the load function or OnLoad, which it would wait for.
func (c *Cache[K, V]) Close() error { return c.c.close() }

var errNoNamespaces = errors.New("cache: Invalidate needs WithNamespace")

func (c *core[K, Req, V]) invalidate(ns Namespace) error {
	if c.namespaces.of == nil {
		return errNoNamespaces
	}
	if c.namespaces.invalidate(ns) {
		c.sweep()
	}
	return nil
}

func (c *core[K, Req, V]) invalidateAll() {
	c.namespaces.invalidateAll()
	c.sweep()
}

func (c *core[K, Req, V]) snapshot() Stats {
	s := c.counters.snapshot()
	s.Entries, s.Weight = c.engine.size()
	c.life.mu.Lock()
	s.Loading = c.life.loading
	c.life.mu.Unlock()
	return s
}
