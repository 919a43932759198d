package memstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

// byHand is the map that one writes: one lock, no event times, no bound, one view.
type byHand struct {
	mu   sync.RWMutex
	rows map[fs.Key]*fs.Record
}

func (h *byHand) Read(_ context.Context, lookups []fs.Lookup) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for i := range lookups {
		l := &lookups[i]
		for j, key := range l.Keys {
			l.Rows[j] = h.rows[key]
		}
	}
	return nil
}

type reader interface {
	Read(context.Context, []fs.Lookup) error
}

const perCall = 100

// look looks at the event times, as who enforces TTLs does.
func look(rows []*fs.Record) {
	for _, r := range rows {
		if r.EventNanos() == 0 {
			panic("no row")
		}
	}
}

// BenchmarkRead looks up 100 keys per call, and looks at the rows.
func BenchmarkRead(b *testing.B) {
	view := counts(b, 0)
	for _, size := range []int{1_000, 1_000_000} {
		for kind, keyOf := range map[string]func(i int) fs.Key{
			"int":    func(i int) fs.Key { return fs.IntKey(int64(i)) },
			"string": func(i int) fs.Key { return fs.StringKey(fmt.Sprintf("user:%08d", i)) },
		} {
			hand := &byHand{rows: make(map[fs.Key]*fs.Record, size)}
			store := open(b, memstore.Config{})
			bounded := open(b, memstore.Config{MaxRows: 2 * size})
			keys := make([]fs.Key, size)
			outcomes := make([]fs.Outcome, 1)
			for i := range keys {
				keys[i] = keyOf(i)
				r := row(b, view, keys[i], int64(i+1))
				hand.rows[keys[i]] = r.Record.Clone()
				require.NoError(b, store.Write(b.Context(), view, []fs.Row{r}, outcomes))
				require.NoError(b, bounded.Write(b.Context(), view, []fs.Row{r}, outcomes))
			}
			rand.Shuffle(size, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
			for _, by := range []struct {
				name string
				reader
			}{{"by hand", hand}, {"memstore", store}, {"memstore bounded", bounded}} {
				name := fmt.Sprintf("%s/rows=%d/%s", kind, size, by.name)
				b.Run("serial/"+name, func(b *testing.B) {
					b.ReportAllocs()
					lookups := []fs.Lookup{{View: view, Features: []int{0}, Rows: make([]*fs.Record, perCall)}}
					at := 0
					for b.Loop() {
						lookups[0].Keys = keys[at : at+perCall]
						if at += perCall; at == size {
							at = 0
						}
						_ = by.Read(context.Background(), lookups)
						look(lookups[0].Rows)
					}
				})
				b.Run("parallel/"+name, func(b *testing.B) {
					b.ReportAllocs()
					b.RunParallel(func(pb *testing.PB) {
						lookups := []fs.Lookup{{View: view, Features: []int{0}, Rows: make([]*fs.Record, perCall)}}
						at := rand.IntN(size/perCall) * perCall
						for pb.Next() {
							lookups[0].Keys = keys[at : at+perCall]
							if at += perCall; at == size {
								at = 0
							}
							_ = by.Read(context.Background(), lookups)
							look(lookups[0].Rows)
						}
					})
				})
			}
		}
	}
}

// BenchmarkWrite replaces rows, one per call; the baseline is a map under a lock with the same comparison.
func BenchmarkWrite(b *testing.B) {
	view := counts(b, 0)
	const size = 100_000
	ctx := context.Background()
	now := time.Now().UnixNano()
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		hand := &byHand{rows: map[fs.Key]*fs.Record{}}
		r := row(b, view, fs.IntKey(0), now)
		i := 0
		for b.Loop() {
			r.Record.SetEventNanos(now + int64(i))
			key := fs.IntKey(int64(i % size))
			hand.mu.Lock()
			if old := hand.rows[key]; old == nil || old.EventNanos() < r.Record.EventNanos() {
				hand.rows[key] = r.Record.Clone()
			}
			hand.mu.Unlock()
			i++
		}
	})
	for name, cfg := range map[string]memstore.Config{"memstore": {}, "memstore at its bound": {MaxRows: size / 2}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			store := open(b, cfg)
			rows, outcomes := []fs.Row{row(b, view, fs.IntKey(0), now)}, make([]fs.Outcome, 1)
			i := 0
			for b.Loop() {
				rows[0].Key = fs.IntKey(int64(i % size))
				rows[0].Record.SetEventNanos(now + int64(i))
				_ = store.Write(ctx, view, rows, outcomes)
				i++
			}
		})
	}
}
