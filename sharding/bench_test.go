package sharding_test

import (
	"fmt"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/scalable-ai/patterns/sharding"
)

// benchKeys are like the keys of users: 13 bytes.
var benchKeys = func() []string {
	keys := make([]string, 1<<12)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%08d", i)
	}
	return keys
}()

// naiveRing is the ring that one writes first: a sorted slice, a map to the names, a search.
type naiveRing struct {
	points []uint64
	names  map[uint64]string
}

func newNaiveRing(nodes []sharding.Node) *naiveRing {
	r := &naiveRing{names: map[uint64]string{}}
	for _, n := range nodes {
		for i := range sharding.DefaultVirtualNodes {
			at := xxhash.Sum64String(n.Name + "_" + strconv.Itoa(i))
			r.points = append(r.points, at)
			r.names[at] = n.Name
		}
	}
	sort.Slice(r.points, func(i, j int) bool { return r.points[i] < r.points[j] })
	return r
}

func (r *naiveRing) owner(key string) string {
	h := xxhash.Sum64String(key)
	i := sort.Search(len(r.points), func(i int) bool { return r.points[i] >= h })
	return r.names[r.points[i%len(r.points)]]
}

// naiveRendezvous compares all nodes for each key.
func naiveRendezvous(ids []uint64, key string) int {
	h := xxhash.Sum64String(key)
	best, most := 0, uint64(0)
	for i, id := range ids {
		v := (h ^ id) * 0xbf58476d1ce4e5b9
		if v ^= v >> 32; v > most {
			best, most = i, v
		}
	}
	return best
}

var sink int

func BenchmarkOwner(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		nodes := makeNodes(n)
		run := func(name string, f func(key string)) {
			b.Run(fmt.Sprintf("%s/nodes=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					f(benchKeys[i%len(benchKeys)])
					i++
				}
			})
		}
		ring := newNaiveRing(nodes)
		ids := make([]uint64, n)
		for i, node := range nodes {
			ids[i] = xxhash.Sum64String(node.Name)
		}
		run("hash only", func(key string) { sink += int(sharding.Hash(key)) })
		run("naive ring", func(key string) { sink += len(ring.owner(key)) })
		run("naive rendezvous", func(key string) { sink += naiveRendezvous(ids, key) })
		for _, p := range allPlacements(b, nodes) {
			run(placementName(p), func(key string) { sink += p.Owner(sharding.Hash(key)) })
		}
	}
}

func BenchmarkOwners(b *testing.B) {
	for _, p := range allPlacements(b, makeNodes(100)) {
		b.Run(placementName(p), func(b *testing.B) {
			b.ReportAllocs()
			room := make([]int, 0, 3)
			i := 0
			for b.Loop() {
				room = p.Owners(room[:0], sharding.Hash(benchKeys[i%len(benchKeys)]), 3)
				i++
			}
		})
	}
}

// BenchmarkNew is what a change of nodes costs.
func BenchmarkNew(b *testing.B) {
	nodes := makeNodes(1000)
	for _, p := range allPlacements(b, nodes) {
		b.Run(placementName(p), func(b *testing.B) {
			for b.Loop() {
				rebuild(b, p, nodes)
			}
		})
	}
}

type hashedKey struct {
	Tenant uint32
	User   string
}

func BenchmarkHash(b *testing.B) {
	hasher, err := sharding.NewHasher[hashedKey]()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("xxhash of a string", func(b *testing.B) {
		for b.Loop() {
			sink += int(xxhash.Sum64String(benchKeys[0]))
		}
	})
	b.Run("string", func(b *testing.B) {
		for b.Loop() {
			sink += int(sharding.Hash(benchKeys[0]))
		}
	})
	b.Run("int", func(b *testing.B) {
		for b.Loop() {
			sink += int(sharding.Hash(b.N))
		}
	})
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink += int(hasher(hashedKey{7, benchKeys[0]}))
		}
	})
	b.Run("struct, printed first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink += int(xxhash.Sum64String(fmt.Sprintf("%d/%s", 7, benchKeys[0])))
		}
	})
}

func BenchmarkBounded(b *testing.B) {
	for _, p := range allPlacements(b, makeNodes(100))[:2] {
		bounded, err := sharding.NewBounded(p, sharding.BoundedConfig{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(placementName(p), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					lease := bounded.Acquire(sharding.Hash(benchKeys[i%len(benchKeys)]))
					lease.Release()
				}
			})
		})
	}
}

// BenchmarkMap has one write for each read.
func BenchmarkMap(b *testing.B) {
	run := func(name string, load func(string) bool, store func(string, int)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var start atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for i := int(start.Add(997)); pb.Next(); i++ {
					key := benchKeys[i%len(benchKeys)]
					if i%2 == 0 {
						store(key, i)
					} else {
						load(key)
					}
				}
			})
		})
	}
	var mu sync.RWMutex
	plain := map[string]int{}
	run("map and RWMutex",
		func(key string) bool { mu.RLock(); _, ok := plain[key]; mu.RUnlock(); return ok },
		func(key string, v int) { mu.Lock(); plain[key] = v; mu.Unlock() })
	var synced sync.Map
	run("sync.Map",
		func(key string) bool { _, ok := synced.Load(key); return ok },
		func(key string, v int) { synced.Store(key, v) })
	m, err := sharding.NewMap[string, int](sharding.MapConfig{})
	if err != nil {
		b.Fatal(err)
	}
	run("sharding.Map", func(key string) bool { _, ok := m.Load(key); return ok }, m.Store)
}
