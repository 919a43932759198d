package limiter

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Keyed is a Limiter with limits of its own for each key (tenant, user, model, back-end), which all have the same Config, and limits over all
// keys together. The number of keys is bounded, see KeyedConfig.MaxKeys; a key that is not kept has full buckets. For tenants on different plans,
// make a Keyed for each plan. All methods are safe for concurrent use.
//
// A request passes the limits of its key, then the total; while it waits at the second it holds what it took from the first. If the
// total does not let it through, its key gets that back.
type Keyed[K comparable, Req, Resp any] struct {
	next      Func[Req, Resp]
	key       func(Req) K
	callbacks callbacks[Req, Resp]
	table     table[K]
	total     core
}

// NewKeyed makes a Keyed in front of next. key is called once for each request whose context has not ended, on the caller's goroutine and outside locks; a panic in it
// goes to the caller. A key that is not equal to itself (a NaN) or cannot be compared is ErrBadRequest. See New for the rest.
func NewKeyed[K comparable, Req, Resp any](key func(Req) K, next Func[Req, Resp], cfg KeyedConfig, opts ...Option[Req]) (*Keyed[K, Req, Resp], error) {
	if key == nil || next == nil {
		return nil, errors.New("limiter: nil key or function")
	}
	callbacks, err := newCallbacks[Req, Resp](opts)
	if err != nil {
		return nil, err
	}
	k := &Keyed[K, Req, Resp]{next: next, key: key, callbacks: callbacks}
	given := cfg
	if cfg, err = cfg.withDefaults(callbacks.cost != nil); err != nil {
		return nil, err
	}
	k.table.start, k.table.given, k.table.each, k.table.maxKeys = time.Now(), given, &cfg.Each, cfg.MaxKeys
	k.table.entries = make(map[K]*entry[K])
	k.total.total = true
	k.total.init(&shared{start: k.table.start}, &cfg.Total)
	return k, nil
}

// Do calls next with req once the limits of its key and the total have room for it. See Limiter.Do.
func (k *Keyed[K, Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	var resp Resp
	if err := ended(ctx); err != nil {
		return resp, err
	}
	cost := k.callbacks.costOf(req)
	own, total, err := k.acquire(ctx, k.key(req), cost, false, k.callbacks.actual != nil)
	if err != nil {
		return resp, err
	}
	resp, err = k.next(ctx, req)
	k.callbacks.after(own, total, cost, req, resp, err)
	return resp, err
}

// Acquire takes one request and the cost from the limits of the key and from the total. See Limiter.Acquire.
func (k *Keyed[K, Req, Resp]) Acquire(ctx context.Context, key K, cost int) (*Permit, error) {
	return k.permit(ctx, key, cost, false)
}

// TryAcquire is Acquire without waiting. See Limiter.TryAcquire.
func (k *Keyed[K, Req, Resp]) TryAcquire(key K, cost int) (*Permit, error) {
	return k.permit(context.Background(), key, cost, true)
}

func (k *Keyed[K, Req, Resp]) permit(ctx context.Context, key K, cost int, try bool) (*Permit, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	own, total, err := k.acquire(ctx, key, cost, try, true)
	if err != nil {
		return nil, err
	}
	return &Permit{own: own, total: total, cost: cost}, nil
}

// acquire takes from the key, then from the total. What is not settled needs no receipt from the total.
func (k *Keyed[K, Req, Resp]) acquire(ctx context.Context, key K, cost int, try, settled bool) (own, total receipt, err error) {
	err = checkCost(cost)
	if err == nil {
		err = checkKey(key)
	}
	if err == nil {
		err = k.total.checkSize(cost)
	}
	if err == nil {
		own, err = k.table.acquire(ctx, key, cost, try)
	}
	if err != nil {
		return own, total, err
	}
	through := false // so it stays if the hook of the total panics
	defer func() {
		if !through {
			own.settle(cost, NeverRan)
		}
	}()
	if settled {
		total, err = k.total.acquire(ctx, cost, try)
	} else {
		err = k.total.pass(ctx, cost)
	}
	through = err == nil
	return own, total, err
}

// Pause pauses one key, which takes its place among the kept ones. The error is ErrBadRequest for a key that cannot be one, or a *LimitedError if
// there is no room for it. See Limiter.Pause.
func (k *Keyed[K, Req, Resp]) Pause(key K, d time.Duration) error {
	return k.table.change(key, func(c *core) { c.pause(d) })
}

// Resume ends the pause of one key, not that of all.
func (k *Keyed[K, Req, Resp]) Resume(key K) { k.table.resume(key) }

// PauseAll pauses all keys: for a Retry-After that concerns the account they share. The function that is wrapped may call it. See
// Limiter.Pause.
func (k *Keyed[K, Req, Resp]) PauseAll(d time.Duration) { k.total.pause(d) }

// ResumeAll ends what PauseAll began, not the pauses of single keys.
func (k *Keyed[K, Req, Resp]) ResumeAll() { k.total.resume() }

// Lower lowers the levels of one key. Its errors are those of Pause. See Limiter.Lower.
func (k *Keyed[K, Req, Resp]) Lower(key K, requests, cost int) error {
	return k.table.change(key, func(c *core) { c.lower(requests, cost) })
}

// LowerAll lowers the levels of the total. See Limiter.Lower.
func (k *Keyed[K, Req, Resp]) LowerAll(requests, cost int) { k.total.lower(requests, cost) }

// Level returns what the limits of the key have room for now. A key that is not kept is full.
func (k *Keyed[K, Req, Resp]) Level(key K) Level { return k.table.level(key) }

// All returns the keys that are kept, in no order, with what their limits have room for. Each level is of the moment when the loop comes to it; a
// key that was evicted since the loop began is full. The loop may call every method.
func (k *Keyed[K, Req, Resp]) All() iter.Seq2[K, Level] {
	return func(yield func(K, Level) bool) {
		for _, key := range k.table.keys() {
			if !yield(key, k.table.level(key)) {
				return
			}
		}
	}
}

// TotalLevel returns what the total has room for now.
func (k *Keyed[K, Req, Resp]) TotalLevel() Level { return k.total.level() }

// Config returns the configuration in force, as it was given: a zero field stands for its default.
func (k *Keyed[K, Req, Resp]) Config() KeyedConfig {
	k.table.mu.Lock()
	defer k.table.mu.Unlock()
	return k.table.given
}

// Reconfigure replaces the configuration, for all keys. With a lower MaxKeys the keys above it go when a new key comes and as they
// are full. See Limiter.Reconfigure.
func (k *Keyed[K, Req, Resp]) Reconfigure(cfg KeyedConfig) error {
	given := cfg
	cfg, err := cfg.withDefaults(k.callbacks.cost != nil)
	if err != nil {
		return err
	}
	k.table.reconfigure(given, &cfg)
	k.total.mu.Lock()
	k.total.renew(k.total.cfg, &cfg.Total)
	k.total.configure(&cfg.Total)
	k.total.unlock()
	return nil
}

// Stats returns the counters and gauges.
func (k *Keyed[K, Req, Resp]) Stats() KeyedStats {
	k.table.mu.Lock()
	s := KeyedStats{Each: k.table.stats, Keys: len(k.table.entries), Evicted: k.table.evicted}
	k.table.mu.Unlock()
	k.total.mu.Lock()
	s.Total = k.total.counters()
	k.total.mu.Unlock()
	return s
}
