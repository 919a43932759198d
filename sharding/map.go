package sharding

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"runtime"
	"sync"
)

// maxMapShards is the largest MapConfig.Shards.
const maxMapShards = 1 << 16

// MapConfig configures a [Map]. The zero value is usable.
type MapConfig struct {
	// Shards is the number of parts, each with a lock of its own. It is rounded up to a power of two and must not be above
	// 65536. Default: 8 times GOMAXPROCS.
	Shards int
}

// Map is a map for concurrent use, divided into shards by the hash of the key, each with a lock.
//
// It suits state that is written as much as it is read, by many goroutines, to different keys: sessions, counters, the in-process shard of a
// store. For keys that are written once and read often sync.Map is faster, and for the highest rates xsync.MapOf is: both
// read without a lock. With few cores or few writers a plain map with a sync.RWMutex does as well: measure with go test -bench Map -cpu.
//
// Its hash is seeded anew in each process: it is no placement. Use NewMap to make one.
type Map[K comparable, V any] struct {
	seed   maphash.Seed
	shift  uint
	shards []mapShard[K, V]
}

type mapShard[K comparable, V any] struct {
	mu      sync.RWMutex
	entries map[K]entry[V]
	version uint64   // of the last change
	_       [64]byte // so that the locks of two shards do not share a cache line
}

type entry[V any] struct {
	value   V
	version uint64 // of the change that made it
}

// NewMap makes an empty map.
func NewMap[K comparable, V any](cfg MapConfig) (*Map[K, V], error) {
	if cfg.Shards < 0 || cfg.Shards > maxMapShards {
		return nil, fmt.Errorf("%w: MapConfig.Shards is %d, it must be from 1 to %d", ErrSize, cfg.Shards, maxMapShards)
	}
	if cfg.Shards == 0 {
		cfg.Shards = min(8*runtime.GOMAXPROCS(0), maxMapShards)
	}
	log := bits.Len(uint(cfg.Shards - 1))
	m := &Map[K, V]{seed: maphash.MakeSeed(), shift: uint(64 - log), shards: make([]mapShard[K, V], 1<<log)}
	for i := range m.shards {
		m.shards[i].entries = make(map[K]entry[V])
	}
	return m, nil
}

// shard is the one that has the key. It panics, like any map, if K is an interface and the key's type cannot be compared.
func (m *Map[K, V]) shard(key K) *mapShard[K, V] {
	return &m.shards[maphash.Comparable(m.seed, key)>>m.shift]
}

func (s *mapShard[K, V]) set(key K, value V) {
	s.version++
	s.entries[key] = entry[V]{value, s.version}
}

// Load is the value of the key, and whether there is one.
func (m *Map[K, V]) Load(key K) (value V, ok bool) {
	s := m.shard(key)
	s.mu.RLock()
	e, ok := s.entries[key]
	s.mu.RUnlock()
	return e.value, ok
}

// Store sets the value of the key.
func (m *Map[K, V]) Store(key K, value V) {
	s := m.shard(key)
	s.mu.Lock()
	s.set(key, value)
	s.mu.Unlock()
}

// LoadOrStore is the value of the key if there is one, which loaded tells; otherwise it sets the value and returns that.
func (m *Map[K, V]) LoadOrStore(key K, value V) (actual V, loaded bool) {
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[key]; ok {
		return e.value, true
	}
	s.set(key, value)
	return value, false
}

// LoadAndDelete deletes the key and returns the value that it had, and whether there was one.
func (m *Map[K, V]) LoadAndDelete(key K) (value V, loaded bool) {
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	delete(s.entries, key)
	return e.value, ok
}

// Delete deletes the key.
func (m *Map[K, V]) Delete(key K) { m.LoadAndDelete(key) }

// Compute sets the value of the key to what f makes of the value that is there, or deletes the key if f returns keep false. It returns the new
// value and whether there is one.
//
// It is atomic: if another goroutine has changed the key while f ran, f is called again with what is there then. So f must have no effects but
// its results, and must not change this key, or it is called for ever; it may use the map otherwise. A long f on a key that others change often can
// starve: Compute returns only when the key has stayed as it was while f ran. f runs on the caller's goroutine, without a lock; a panic in it goes to the caller and
// changes nothing.
func (m *Map[K, V]) Compute(key K, f func(old V, loaded bool) (value V, keep bool)) (value V, ok bool) {
	s := m.shard(key)
	for {
		s.mu.RLock()
		old, loaded := s.entries[key]
		s.mu.RUnlock()
		value, keep := f(old.value, loaded)
		if s.replace(key, old.version, loaded, value, keep) {
			if !keep {
				var none V
				return none, false
			}
			return value, true
		}
	}
}

// replace makes the change if the entry is still that of the version, or still absent.
func (s *mapShard[K, V]) replace(key K, version uint64, loaded bool, value V, keep bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, ok := s.entries[key]; ok != loaded || now.version != version {
		return false
	}
	if keep {
		s.set(key, value)
	} else {
		delete(s.entries, key)
	}
	return true
}

// Range calls f for each key and value until f returns false. The keys and values of one shard are those of one moment, different shards
// are of different moments; a key that is there all the time is seen exactly once. f runs without a lock and may use the map. Range
// copies one shard at a time. It is an iterator: for key, value := range m.Range.
func (m *Map[K, V]) Range(f func(key K, value V) bool) {
	type pair struct {
		key   K
		value V
	}
	var pairs []pair
	for i := range m.shards {
		s := &m.shards[i]
		pairs = pairs[:0]
		s.mu.RLock()
		for key, e := range s.entries {
			pairs = append(pairs, pair{key, e.value})
		}
		s.mu.RUnlock()
		for _, p := range pairs {
			if !f(p.key, p.value) {
				return
			}
		}
	}
}

// Len is the number of keys. Shards are counted one after the other.
func (m *Map[K, V]) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		n += len(s.entries)
		s.mu.RUnlock()
	}
	return n
}

// Clear deletes all keys, one shard after the other.
func (m *Map[K, V]) Clear() {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		clear(s.entries)
		s.mu.Unlock()
	}
}
