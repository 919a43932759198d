package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/scalable-ai/patterns/cache"
	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
	"github.com/scalable-ai/patterns/sharding"
)

// backend is a store to be measured.
type backend struct {
	name  string
	open  func() (fs.Store, error)
	close func(context.Context) error // after open has succeeded
}

// backends are the stores that the flags ask for.
func backends(o options, registry *fs.Registry, w *world) []backend {
	none := func(context.Context) error { return nil }
	list := []backend{{"memory", func() (fs.Store, error) { return memstore.New(memstore.Config{}) }, none}}
	if o.shards > 0 {
		list = append(list, backend{fmt.Sprintf("%d shards", o.shards), func() (fs.Store, error) { return openShards(o.shards) }, none})
	}
	if o.redis != "" {
		var client rueidis.Client
		var store fs.Store
		list = append(list, backend{"redis",
			func() (_ fs.Store, err error) {
				client, store, err = openRedis(o.redis)
				return store, err
			},
			func(ctx context.Context) error {
				defer client.Close()
				return clean(ctx, store, registry, w)
			}})
	}
	return list
}

// openShards spreads entities over stores in memory, as if each were on a machine of its own.
func openShards(n int) (fs.Store, error) {
	stores, nodes := make([]fs.Store, n), make([]sharding.Node, n)
	for i := range stores {
		store, err := memstore.New(memstore.Config{})
		if err != nil {
			return nil, err
		}
		stores[i], nodes[i].Name = store, "store-"+strconv.Itoa(i)
	}
	placement, err := sharding.NewRendezvous(nodes, sharding.RendezvousConfig{})
	if err != nil {
		return nil, err
	}
	return fs.NewSharded(stores, placement.Owner, fs.ShardedConfig{})
}

func openRedis(addresses string) (rueidis.Client, fs.Store, error) {
	option := rueidis.ClientOption{InitAddress: strings.Split(addresses, ",")}
	if strings.Contains(addresses, "://") {
		var err error
		if option, err = rueidis.ParseURL(addresses); err != nil {
			return nil, nil, fmt.Errorf("-redis: %w", err)
		}
	}
	option.DisableCache = true // of the client: the cache of this example knows event times
	option.ConnWriteTimeout = redisstore.DefaultTimeout
	client, err := rueidis.NewClient(option)
	if err != nil {
		return nil, nil, fmt.Errorf("-redis %s: %w", addresses, err)
	}
	store, err := redisstore.New(client, redisstore.Config{KeyTTL: time.Hour}) // what a crash leaves behind goes by itself
	if err != nil {
		client.Close()
		return nil, nil, err
	}
	return client, store, nil
}

// clean removes all that the run may have written.
func clean(ctx context.Context, store fs.Store, registry *fs.Registry, w *world) error {
	for _, view := range viewNames {
		schema, err := registry.View(view)
		if err != nil {
			return err
		}
		keys := make([]fs.Key, 0, verifyRows)
		for id := range w.entities(view) {
			keys = append(keys, fs.IntKey(int64(id)))
			if len(keys) == cap(keys) || id == w.entities(view)-1 {
				if err := store.Delete(ctx, schema, keys); err != nil {
					return fmt.Errorf("removing the rows of %s: %w", view, err)
				}
				keys = keys[:0]
			}
		}
	}
	return nil
}

// tier is a cache for the rows of items before a store.
type tier struct {
	fs.Store
	caches []*cache.Cache[fs.Key, *fs.Record]
}

// newTier makes the cache: one for each view of items, for Size rows that stay for a minute.
func newTier(store fs.Store, registry *fs.Registry, size int) (*tier, error) {
	t := &tier{Store: store}
	for _, view := range []string{itemProfile, itemStats} {
		if err := t.add(store, registry, view, size); err != nil {
			t.close()
			return nil, err
		}
	}
	return t, nil
}

func (t *tier) add(store fs.Store, registry *fs.Registry, view string, size int) error {
	schema, err := registry.View(view)
	if err != nil {
		return err
	}
	load, err := fs.NewLoader(store, schema)
	if err != nil {
		return err
	}
	l1, err := cache.NewBulk(load, cache.Config{Size: size, TTL: time.Minute, Jitter: 0.1})
	if err != nil {
		return err
	}
	t.caches = append(t.caches, l1)
	t.Store, err = fs.NewReadThrough(t.Store, schema, l1.GetAll, fs.WithInvalidate(l1.Delete))
	return err
}

// hitRate is the share of look-ups of items that the caches have answered.
func (t *tier) hitRate() float64 {
	var hits, all float64
	for _, l1 := range t.caches {
		s := l1.Stats()
		hits, all = hits+float64(s.Hits), all+float64(s.Requests())
	}
	return hits / max(all, 1)
}

// close closes the caches, not the store.
func (t *tier) close() {
	for _, l1 := range t.caches {
		_ = l1.Close() // always nil
	}
}
