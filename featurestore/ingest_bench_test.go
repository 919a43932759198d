package featurestore_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// costly is a store whose calls cost something beside their rows, as those over a network do: about as much as a hundred rows in memory.
type costly struct{ fs.Store }

var (
	work     = make([]byte, 1<<18)
	workSink atomic.Uint64
)

func (c costly) Write(ctx context.Context, view *fs.Schema, rows []fs.Row, outcomes []fs.Outcome) error {
	workSink.Store(xxhash.Sum64(work))
	return c.Store.Write(ctx, view, rows, outcomes)
}

// Read costs something for each key too.
func (c costly) Read(ctx context.Context, lookups []fs.Lookup) error {
	for range lookups[0].Keys {
		workSink.Store(xxhash.Sum64(work[:1<<14]))
	}
	return c.Store.Read(ctx, lookups)
}

// allStale is a store that does nothing.
type allStale struct{ fs.Store }

func (allStale) Write(_ context.Context, _ *fs.Schema, _ []fs.Row, outcomes []fs.Outcome) error {
	for i := range outcomes {
		outcomes[i] = fs.Stale
	}
	return nil
}

func benchRows(view *fs.Schema, keys int64) []fs.Row {
	rnd := rand.New(rand.NewPCG(1, 1))
	rows := make([]fs.Row, 1<<16)
	for i := range rows {
		rows[i] = streamRow(view, rnd.Int64N(keys), int64(i+1))
	}
	return rows
}

// The unit is a row. "direct" writes row by row, "by hand" in slices of 500, one after the other, as a loop would that has them all at hand.
func BenchmarkIngest(b *testing.B) {
	view, _ := streamViews(b)
	rows := benchRows(view, 10_000)
	ctx := context.Background()
	mem := func() fs.Store { return streamMem(b) }
	far := func() fs.Store { return costly{streamMem(b)} }
	for _, s := range []struct {
		name string
		open func() fs.Store
	}{{"memory", mem}, {"costly", far}} {
		b.Run(s.name+"/direct", func(b *testing.B) {
			store, outcomes, i := s.open(), make([]fs.Outcome, 1), 0
			for b.Loop() {
				if err := store.Write(ctx, view, rows[i%len(rows):i%len(rows)+1], outcomes); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
		b.Run(s.name+"/by hand", func(b *testing.B) {
			store, outcomes, i := s.open(), make([]fs.Outcome, 500), 0
			for b.Loop() {
				if i++; i%500 == 0 {
					at := (i - 500) % (len(rows) - 500)
					if err := store.Write(ctx, view, rows[at:at+500], outcomes); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run(s.name+"/ingest", func(b *testing.B) {
			b.ReportAllocs()
			in, err := fs.NewIngest(s.open(), view, fs.IngestConfig{})
			require.NoError(b, err)
			i := 0
			for b.Loop() {
				if err := in.Send(ctx, rows[i%len(rows)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
			require.NoError(b, in.Shutdown(ctx))
		})
	}
}

func TestIngestSendDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	view, _ := streamViews(t)
	in := newIngest(t, allStale{}, view, fs.IngestConfig{MaxSize: 100, MaxQueue: 400, MaxWait: time.Hour})
	source := in.Source()
	rows := benchRows(view, 50)
	ctx := context.Background()
	position := int64(0)
	ack := func(error) {}
	batch := func() {
		for i := range 50 {
			position++
			if in.Send(ctx, rows[position%1000]) != nil || in.SendAck(ctx, rows[i], ack) != nil || source.Send(ctx, position, rows[i+1]) != nil {
				t.Fatal()
			}
		}
		if in.Flush(ctx) != nil {
			t.Fatal()
		}
	}
	for range 100 {
		batch()
	}
	// 2 batches and a Flush for each run, which cost something, and 150 rows, which must not.
	require.LessOrEqual(t, testing.AllocsPerRun(100, batch), 8.0)
	require.NoError(t, in.Shutdown(ctx))
}
