// Package sharding_test compares how long placements take to say which of 100 nodes owns a key, like with like: rings, rendezvous hashing, Maglev, jump
// hashing.
//
// What differs: both rings have 256 points a node. hashring has a map from points to nodes, and MD5 as its hash by default; the other contender of its name
// has xxHash64. go-rendezvous scores all nodes for each key, ours looks in a table that was made before. kkdai/maglev hashes with SipHash and has a
// lock, because its nodes can be changed; ours are replaced as a whole. Ours hash keys with xxHash64, and so do both of dgryski's here. go-jump gives a
// number, for which one looks in a list of one's own, as patterns-index does; else ours give a node by its key.
package sharding_test

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/dgryski/go-jump"
	"github.com/dgryski/go-rendezvous"
	"github.com/kkdai/maglev"
	"github.com/serialx/hashring"

	"github.com/scalable-ai/patterns/sharding"
)

const nodes = 100

func cluster() (names []string, members []sharding.Node) {
	for i := range nodes {
		names = append(names, fmt.Sprintf("node-%d", i))
		members = append(members, sharding.Node{Name: names[i]})
	}
	return names, members
}

// run looks keys up by turns.
func run[T any](b *testing.B, name string, owner func(key string) T) {
	b.Run(name, func(b *testing.B) {
		var keys [1024]string
		for i := range keys {
			keys[i] = "user:" + strconv.Itoa(i*7919)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			runtime.KeepAlive(owner(keys[i%len(keys)]))
		}
	})
}

// runOurs looks up in one of our placements the name of the owner, as the others return it.
func runOurs(b *testing.B, placement sharding.Placement, err error) {
	if err != nil {
		b.Fatal(err)
	}
	run(b, "patterns", func(key string) string { return sharding.Owner(placement, key).Name })
}

// point is a point of hashring on the ring.
type point uint64

func (p point) Less(other hashring.HashKey) bool { return p < other.(point) }

func BenchmarkRing(b *testing.B) {
	names, members := cluster()
	ring, err := sharding.NewRing(members, sharding.RingConfig{})
	runOurs(b, ring, err)
	weights := map[string]int{} // are the numbers of points
	for _, name := range names {
		weights[name] = sharding.DefaultVirtualNodes
	}
	theirs := hashring.NewWithWeights(weights)
	run(b, "serialx-hashring", func(key string) string { node, _ := theirs.GetNode(key); return node })
	fast := hashring.NewWithHashAndWeights(weights, func(key []byte) hashring.HashKey { return point(xxhash.Sum64(key)) })
	run(b, "serialx-hashring-xxhash", func(key string) string { node, _ := fast.GetNode(key); return node })
}

func BenchmarkRendezvous(b *testing.B) {
	names, members := cluster()
	table, err := sharding.NewRendezvous(members, sharding.RendezvousConfig{})
	runOurs(b, table, err)
	scores := rendezvous.New(names, xxhash.Sum64String)
	run(b, "dgryski-rendezvous", scores.Lookup)
}

func BenchmarkMaglev(b *testing.B) {
	names, members := cluster()
	table, err := sharding.NewMaglev(members, sharding.MaglevConfig{})
	runOurs(b, table, err)
	theirs, err := maglev.NewMaglev(names, sharding.DefaultMaglevSlots)
	if err != nil {
		b.Fatal(err)
	}
	run(b, "kkdai-maglev", func(key string) string { node, _ := theirs.Get(key); return node })
}

func BenchmarkJump(b *testing.B) {
	names, members := cluster()
	jumps, err := sharding.NewJump(members)
	runOurs(b, jumps, err)
	run(b, "patterns-index", func(key string) string { return names[jumps.Owner(sharding.Hash(key))] })
	run(b, "dgryski-jump", func(key string) string { return names[jump.Hash(xxhash.Sum64String(key), nodes)] })
}
