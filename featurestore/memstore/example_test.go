package memstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

// A row that comes late does not replace a newer one.
func Example() {
	ctx := context.Background()
	registry, _ := featurestore.NewRegistry("shop")
	err := registry.Apply(featurestore.Definitions{
		Entities: []featurestore.Entity{{Name: "user", JoinKeys: []featurestore.JoinKey{{Name: "user_id", Kind: featurestore.Int64}}}},
		Views: []featurestore.View{{
			Name: "user_stats", Entity: "user", Features: []featurestore.Feature{{Name: "clicks", Kind: featurestore.Int64}},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	view, _ := registry.View("user_stats")
	store, err := memstore.New(memstore.Config{MaxRows: 1_000_000})
	if err != nil {
		log.Fatal(err)
	}

	noon, user := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), featurestore.IntKey(7)
	records := view.NewRecords(noon, 2)
	_ = view.SetValue(&records[0], 0, featurestore.Int64Value(12))
	records[1].SetEventNanos(noon.Add(-time.Minute).UnixNano())
	_ = view.SetValue(&records[1], 0, featurestore.Int64Value(11))
	outcomes := make([]featurestore.Outcome, 2)
	err = store.Write(ctx, view, []featurestore.Row{{Key: user, Record: &records[0]}, {Key: user, Record: &records[1]}}, outcomes)
	fmt.Println(outcomes, err)

	lookups := []featurestore.Lookup{{View: view, Features: []int{0}, Keys: []featurestore.Key{user}, Rows: make([]*featurestore.Record, 1)}}
	err = store.Read(ctx, lookups)
	fmt.Println(view.Value(lookups[0].Rows[0], 0), err)

	// Output:
	// [written stale] <nil>
	// 12 <nil>
}
