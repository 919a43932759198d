package featurestore_test

import (
	"context"
	"fmt"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

// Rows from one partition of a log. They come out of order and twice, and the newest counts; the position says what may be committed.
func ExampleIngest() {
	registry, _ := fs.NewRegistry("shop")
	err := registry.Apply(fs.Definitions{
		Entities: []fs.Entity{{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}}},
		Views:    []fs.View{{Name: "orders", Entity: "user", Features: []fs.Feature{{Name: "count", Kind: fs.Int64}}}},
	})
	if err != nil {
		panic(err)
	}
	orders, _ := registry.View("orders")
	store, _ := memstore.New(memstore.Config{})
	in, err := fs.NewIngest(store, orders, fs.IngestConfig{}, fs.WithDeadLetter(func(d fs.DeadLetter) {
		fmt.Println("not stored:", d.Row.Key, d.Err) // a real one writes it to a file or a topic
	}))
	if err != nil {
		panic(err)
	}
	defer in.Close()

	partition := in.Source()
	ctx := context.Background()
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for i, event := range []struct {
		user, count int64
		minute      int
	}{{7, 1, 1}, {7, 3, 3}, {8, 1, 1}, {7, 2, 2}, {7, 3, 3}} {
		row := orders.NewRecord(noon.Add(time.Duration(event.minute) * time.Minute))
		_ = orders.SetValue(row, 0, fs.Int64Value(event.count))
		if err := partition.Send(ctx, int64(100+i), fs.Row{Key: fs.IntKey(event.user), Record: row}); err != nil {
			panic(err)
		}
	}
	if err := in.Shutdown(ctx); err != nil {
		panic(err)
	}
	l := fs.Lookup{View: orders, Features: []int{0}, Keys: []fs.Key{fs.IntKey(7), fs.IntKey(8)}, Rows: make([]*fs.Record, 2)}
	if err := store.Read(ctx, []fs.Lookup{l}); err != nil {
		panic(err)
	}
	position, _ := partition.Position()
	fmt.Println("orders of 7 and 8:", orders.Value(l.Rows[0], 0), orders.Value(l.Rows[1], 0))
	fmt.Println("done up to:", position)
	// Output:
	// orders of 7 and 8: 3 1
	// done up to: 104
}
