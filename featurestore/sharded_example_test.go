package featurestore_test

import (
	"context"
	"fmt"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
	"github.com/scalable-ai/patterns/sharding"
)

// Users over three stores, each in two of them, placed by rendezvous hashing.
func ExampleNewSharded() {
	registry, _ := fs.NewRegistry("shop")
	err := registry.Apply(fs.Definitions{
		Entities: []fs.Entity{{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}}},
		Views:    []fs.View{{Name: "orders", Entity: "user", Features: []fs.Feature{{Name: "count", Kind: fs.Int64}}}},
	})
	if err != nil {
		panic(err)
	}
	orders, _ := registry.View("orders")
	placement, err := sharding.NewRendezvous([]sharding.Node{{Name: "a"}, {Name: "b"}, {Name: "c"}}, sharding.RendezvousConfig{})
	if err != nil {
		panic(err)
	}
	var stores []fs.Store
	for range placement.Nodes() {
		s, _ := memstore.New(memstore.Config{})
		stores = append(stores, s)
	}
	store, err := fs.NewSharded(stores, placement.Owner, fs.ShardedConfig{
		ShardTimeout: time.Second, Replicas: 2, HedgeQuantile: 0.95,
	}, fs.WithOwners(placement.Owners))
	if err != nil {
		panic(err)
	}

	ctx := context.Background()
	var rows []fs.Row
	for id := range int64(100) {
		row := orders.NewRecord(time.Now())
		_ = orders.SetValue(row, 0, fs.Int64Value(id*10))
		rows = append(rows, fs.Row{Key: fs.IntKey(id), Record: row})
	}
	if err := store.Write(ctx, orders, rows, make([]fs.Outcome, len(rows))); err != nil {
		panic(err)
	}
	l := fs.Lookup{View: orders, Features: []int{0}, Keys: []fs.Key{fs.IntKey(1), fs.IntKey(50)}, Rows: make([]*fs.Record, 2)}
	if err := store.Read(ctx, []fs.Lookup{l}); err != nil {
		panic(err)
	}
	fmt.Println(orders.Value(l.Rows[0], 0), orders.Value(l.Rows[1], 0))
	// Output:
	// 10 500
}
