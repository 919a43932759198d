// Package featurestore_test compares how 100 of 1,000 entities with 50 features each are read: from memory, and from a Redis server on the same machine.
//
// What differs: the maps in memory are one view of float32, read in the order in which they are kept. map-loop sets value by value, as a loop that converted or
// checked each would, and looks whether the row is there; map-copy copies the row; neither knows how old a row is or what is missing in it. map-checked has for each row
// an event time that it heeds and marks of what is there that it copies, and a lock for writers: it is the one of the three that does what one reads features for. Ours
// has besides other types, versions of a view and statistics, and checks the request. From Redis all read the same hashes with HMGETs in one pipeline, and make the same floats of the
// same values. Ours makes the keys and reads the event time, without which nobody knows whether a row is there or how old it is; rueidis and go-redis have the names
// of the hashes already and read the values alone, and rueidis-event-time the event time too. Ours copes with values of other types and rows that are missing, heeds
// TTLs and marks what is there. Its bytes beyond those of rueidis-event-time are for the most part the names of the hashes, which who has identifiers must make. Ours
// runs on rueidis.
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
