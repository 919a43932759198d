package featurestore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/scalable-ai/patterns/cache"
	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

// counted counts the calls of Read, as if each were a journey over a network.
type counted struct {
	fs.Store
	reads int
}

func (c *counted) Read(ctx context.Context, lookups []fs.Lookup) error {
	c.reads++
	return c.Store.Read(ctx, lookups)
}

// A cache of package cache before a store. Rows stay for a minute, the knowledge that there is none for a second.
func ExampleNewReadThrough() {
	registry, _ := fs.NewRegistry("shop")
	err := registry.Apply(fs.Definitions{
		Entities: []fs.Entity{{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}}},
		Views:    []fs.View{{Name: "orders", Entity: "user", Features: []fs.Feature{{Name: "count", Kind: fs.Int64}}}},
	})
	if err != nil {
		panic(err)
	}
	orders, _ := registry.View("orders")
	mem, _ := memstore.New(memstore.Config{})
	remote := &counted{Store: mem}

	load, err := fs.NewLoader(remote, orders)
	if err != nil {
		panic(err)
	}
	l1, err := cache.NewBulk(load, cache.Config{Size: 100_000}, cache.WithTTL(func(_ fs.Key, r *fs.Record) time.Duration {
		if r == nil {
			return time.Second
		}
		return time.Minute
	}))
	if err != nil {
		panic(err)
	}
	defer l1.Close()
	store, err := fs.NewReadThrough(remote, orders, l1.GetAll, fs.WithInvalidate(l1.Delete))
	if err != nil {
		panic(err)
	}

	ctx := context.Background()
	read := func() {
		l := fs.Lookup{View: orders, Features: []int{0}, Keys: []fs.Key{fs.IntKey(7), fs.IntKey(8)}, Rows: make([]*fs.Record, 2)}
		if err := store.Read(ctx, []fs.Lookup{l}); err != nil {
			panic(err)
		}
		for i, r := range l.Rows {
			if r == nil {
				fmt.Print("user ", i+7, ": no row; ")
			} else {
				fmt.Print("user ", i+7, ": ", orders.Value(r, 0), "; ")
			}
		}
		fmt.Println("reads of the store:", remote.reads)
	}
	read()
	read()
	row := orders.NewRecord(time.Now())
	_ = orders.SetValue(row, 0, fs.Int64Value(3))
	if err := store.Write(ctx, orders, []fs.Row{{Key: fs.IntKey(7), Record: row}}, make([]fs.Outcome, 1)); err != nil {
		panic(err)
	}
	read()
	// Output:
	// user 7: no row; user 8: no row; reads of the store: 1
	// user 7: no row; user 8: no row; reads of the store: 1
	// user 7: 3; user 8: no row; reads of the store: 2
}
