// Package sharding_test compares how long placements take to say which of 100 nodes owns a key.
//
// What differs: hashring has 160 points a node and MD5 as its hash; go-rendezvous scores all nodes for each key; jump hashing knows no names, so its nodes can
// only be added and removed at the end. Ours hash the key with xxHash64 in each way; Ring has 128 points a node, Rendezvous and Maglev look in a table.
package sharding_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/dgryski/go-jump"
	"github.com/dgryski/go-rendezvous"
	"github.com/serialx/hashring"

	"github.com/scalable-ai/patterns/sharding"
)

const nodes = 100

// BenchmarkOwner looks keys up by turns.
func BenchmarkOwner(b *testing.B) {
	var (
		names   []string
		members []sharding.Node
		keys    [1024]string
	)
	for i := range nodes {
		names = append(names, fmt.Sprintf("node-%d", i))
		members = append(members, sharding.Node{Name: names[i]})
	}
	for i := range keys {
		keys[i] = "user:" + strconv.Itoa(i*7919)
	}
	run := func(name string, owner func(key string)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				owner(keys[i%len(keys)])
			}
		})
	}
	rendezvousTable, err1 := sharding.NewRendezvous(members, sharding.RendezvousConfig{})
	ring, err2 := sharding.NewRing(members, sharding.RingConfig{})
	maglev, err3 := sharding.NewMaglev(members, sharding.MaglevConfig{})
	jumps, err4 := sharding.NewJump(members)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			b.Fatal(err)
		}
	}
	run("patterns-rendezvous", func(key string) { sharding.Owner(rendezvousTable, key) })
	run("patterns-ring", func(key string) { sharding.Owner(ring, key) })
	run("patterns-maglev", func(key string) { sharding.Owner(maglev, key) })
	run("patterns-jump", func(key string) { sharding.Owner(jumps, key) })

	theirs := hashring.New(names)
	run("serialx-hashring", func(key string) { theirs.GetNode(key) })
	scores := rendezvous.New(names, xxhash.Sum64String)
	run("dgryski-rendezvous", func(key string) { scores.Lookup(key) })
	run("dgryski-jump", func(key string) { _ = jump.Hash(xxhash.Sum64String(key), nodes) })
}
