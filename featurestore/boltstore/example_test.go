package boltstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/boltstore"
)

// Rows are there after the process has been started again.
func Example() {
	dir, err := os.MkdirTemp("", "features")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, path := context.Background(), filepath.Join(dir, "features.db")

	registry, _ := featurestore.NewRegistry("shop")
	err = registry.Apply(featurestore.Definitions{
		Entities: []featurestore.Entity{{Name: "user", JoinKeys: []featurestore.JoinKey{{Name: "user_id", Kind: featurestore.Int64}}}},
		Views: []featurestore.View{{
			Name: "user_stats", Entity: "user", Features: []featurestore.Feature{{Name: "clicks", Kind: featurestore.Int64}},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	view, _ := registry.View("user_stats")

	store, err := boltstore.Open(path, boltstore.Config{}, view)
	if err != nil {
		log.Fatal(err)
	}
	record := view.NewRecord(time.Now())
	_ = view.SetValue(record, 0, featurestore.Int64Value(12))
	outcomes := make([]featurestore.Outcome, 1)
	err = store.Write(ctx, view, []featurestore.Row{{Key: featurestore.IntKey(7), Record: record}}, outcomes)
	fmt.Println(outcomes[0], err) // it is on disk now
	_ = store.Close()

	store, err = boltstore.Open(path, boltstore.Config{}, view)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	lookups := []featurestore.Lookup{{View: view, Features: []int{0}, Keys: []featurestore.Key{featurestore.IntKey(7)}, Rows: make([]*featurestore.Record, 1)}}
	err = store.Read(ctx, lookups)
	fmt.Println(view.Value(lookups[0].Rows[0], 0), err)

	// Output:
	// written <nil>
	// 12 <nil>
}
