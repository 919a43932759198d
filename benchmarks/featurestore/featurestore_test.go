// Package featurestore_test compares how 100 of 1,000 entities with 50 features each are read: from memory, and from a Redis server on the same machine.
//
// What differs: a map of slices in memory knows no event times, no values that are missing, and no writers beside its readers; ours does. From Redis all read the
// same hashes with the same HMGETs in one pipeline, and make the same floats of the same values; ours reads the event time as well, copes with values
// of other types and rows that are missing, and puts the values into records first. Ours runs on rueidis; by hand there are rueidis and go-redis.
package featurestore_test

import (
	"testing"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
)

const (
	entities = 1000
	features = 50
	perCall  = 100

	view    = "profile"
	service = "model"
	joinKey = "user_id"
)

// value is what an entity has for a feature: of entity 0, the index of the feature.
func value(id int64, feature int) float32 { return float32(int(id)*features + feature) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// check looks at the corners of a matrix.
func check(b *testing.B, ids []int64, data []float32) {
	last := len(ids) - 1
	if len(data) != len(ids)*features || data[0] != value(ids[0], 0) || data[len(data)-1] != value(ids[last], features-1) {
		b.Fatal("the matrix is wrong")
	}
}

func define(b *testing.B) (*fs.Registry, *fs.Schema) {
	b.Helper()
	v := fs.View{Name: view, Entity: "user"}
	for i := range features {
		v.Features = append(v.Features, fs.Feature{Name: "f" + string(rune('a'+i/26)) + string(rune('a'+i%26)), Kind: fs.Float32})
	}
	registry := must(fs.NewRegistry("benchmark"))
	if err := registry.Apply(fs.Definitions{
		Project:  "benchmark",
		Entities: []fs.Entity{{Name: "user", JoinKeys: []fs.JoinKey{{Name: joinKey, Kind: fs.Int64}}}},
		Views:    []fs.View{v},
		Services: []fs.Service{{Name: service, Version: 1, Features: []string{view + ":*"}}},
	}); err != nil {
		b.Fatal(err)
	}
	return registry, must(registry.View(view))
}

// rows are what the store has of each entity.
func rows(schema *fs.Schema) []fs.Row {
	list := make([]fs.Row, entities)
	for id := range list {
		r := schema.NewRecord(time.Now())
		for j := range features {
			if err := schema.SetValue(r, j, fs.Float32Value(value(int64(id), j))); err != nil {
				panic(err)
			}
		}
		list[id] = fs.Row{Key: fs.IntKey(int64(id)), Record: r}
	}
	return list
}
