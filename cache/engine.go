package cache

import (
	"iter"
	"math"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// engine is the store below: a bounded map that decides what to evict (otter's adaptive W-TinyLFU: Einziger, Friedman and
// Manes, ACM Transactions on Storage 2017; Einziger et al., Middleware 2018). It is the only file that knows otter, of which it uses the map and the
// eviction. Not the loading and refreshing: what decides between a load and a write is the lock of the key's shard, which is held around every
// write to the engine (see flight). Nor the expiry, which would cost every entry the links of a timer wheel: an entry knows its own time,
// and what is past it is swept away (see sweep).
type engine[K comparable, Req, V any] struct {
	store *otter.Cache[K, entry[Req, V]]
	timed bool // entries can expire
	start time.Time
	books *bookkeeper
}

// bookkeeper is otter's executor: it decides who does the bookkeeping of the eviction when reads or writes have to be taken note of. So many times for
// each write it is whoever finds it to be done: usually the writer, and next a hit that finds the notes of reads full. Then hardly a read goes unnoticed,
// which is worth a per cent of hits. It costs less than a goroutine each time where all processors are busy, and more where an idle one could have
// taken it over. Beyond that, as long as there are only hits, a goroutine does it, and what is read until it has caught up goes unnoticed: otherwise
// every hit would take several times as long.
type bookkeeper struct {
	_     [64]byte // alone on its cache line
	turns atomic.Int32
	_     [64]byte
}

const turnsPerWrite = 2

// written must be called before a write.
func (b *bookkeeper) written() { b.turns.Store(turnsPerWrite) }

func (b *bookkeeper) execute(work func()) {
	if b.turns.Load() > 0 && b.turns.Add(-1) >= 0 {
		work()
	} else {
		go work()
	}
}

// newEngine makes a store of that many entries or, if maxWeight is not 0, of entries that weigh so much together.
func newEngine[K comparable, Req, V any](size int, maxWeight int64, timed bool) (engine[K, Req, V], error) {
	books := &bookkeeper{}
	options := &otter.Options[K, entry[Req, V]]{Executor: books.execute}
	if maxWeight > 0 {
		options.MaximumWeight = uint64(maxWeight)
		options.Weigher = func(_ K, it entry[Req, V]) uint32 { return it.cost.weight() }
	} else {
		options.MaximumSize = size
	}
	store, err := otter.New(options)
	return engine[K, Req, V]{store, timed, time.Now(), books}, err
}

// now is the time in nanoseconds since the engine was made. It is never 0.
func (e *engine[K, Req, V]) now() int64 { return int64(time.Since(e.start)) + 1 }

// get reads the time if entries can expire (0 if not), and the entry of key. In this order, so that the registers need not be saved from the clock.
func (e *engine[K, Req, V]) get(key K) (it entry[Req, V], now int64, ok bool) {
	if e.timed {
		now = e.now()
	}
	it, ok = e.store.GetIfPresent(key)
	return it, now, ok
}

// peek is get without a trace in what the eviction knows of the key.
func (e *engine[K, Req, V]) peek(key K) (it entry[Req, V], ok bool) {
	found, ok := e.store.GetEntryQuietly(key)
	return found.Value, ok
}

func (e *engine[K, Req, V]) set(key K, it entry[Req, V]) {
	e.books.written()
	e.store.Set(key, it)
}

func (e *engine[K, Req, V]) remove(key K) {
	e.books.written()
	e.store.Invalidate(key)
}

func (e *engine[K, Req, V]) all() iter.Seq2[K, entry[Req, V]] { return e.store.All() }

// size is the number of entries and their weight, as far as the eviction has caught up with the writes.
func (e *engine[K, Req, V]) size() (entries int, weight int64) {
	e.store.CleanUp()
	entries = e.store.EstimatedSize()
	if e.store.IsWeighted() {
		return entries, int64(e.store.WeightedSize())
	}
	return entries, int64(entries)
}

// forever is a time that never comes.
const forever = math.MaxInt64

// later is the time d after t.
func later(t, d int64) int64 {
	if d > forever-t {
		return forever
	}
	return t + d
}
