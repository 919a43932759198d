package featurestore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// flaky is a store that fails as a random generator says, in all the ways that a store may.
type flaky struct {
	fs.Store
	mu   sync.Mutex
	rnd  *rand.Rand
	odds float64
	bad  func(fs.Row) bool
}

func (f *flaky) Write(ctx context.Context, view *fs.Schema, rows []fs.Row, outcomes []fs.Outcome) error {
	f.mu.Lock()
	how, delay := f.rnd.IntN(5), time.Duration(f.rnd.IntN(20))*time.Millisecond
	fails := f.rnd.Float64() < f.odds
	f.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return ctx.Err()
	}
	if fails {
		switch how {
		case 0:
			return errStore
		case 1:
			panic(errStore)
		case 2:
			goexit()
		case 3: // stored, but nobody knows
			for _, r := range rows {
				if !f.bad(r) {
					_ = f.Store.Write(ctx, view, []fs.Row{r}, make([]fs.Outcome, 1))
				}
			}
			return errStore
		}
	}
	var err error
	for i, r := range rows {
		switch {
		case f.bad(r):
			outcomes[i], err = fs.Invalid, errStore
		case fails && i%2 == 0:
			outcomes[i], err = fs.Failed, errStore
		default:
			if e := f.Store.Write(ctx, view, rows[i:i+1], outcomes[i:i+1]); e != nil {
				return e
			}
		}
	}
	return err
}

// FuzzIngest sends rows while the store fails, and checks that each has exactly one end, that what is said to be stored is, that the newest row of each
// key is there, and that positions cover only rows that someone has.
func FuzzIngest(f *testing.F) {
	for seed := range uint64(12) {
		f.Add(seed, uint8(seed), uint8(seed*7), seed%3 == 0)
	}
	f.Fuzz(func(t *testing.T, seed uint64, size, odds uint8, closing bool) {
		synctest.Test(t, func(t *testing.T) {
			view, _ := streamViews(t)
			rnd := rand.New(rand.NewPCG(seed, 1))
			mem := streamMem(t)
			bad := func(r fs.Row) bool { return r.Record.EventNanos()%17 == 0 }
			store := &flaky{Store: mem, rnd: rand.New(rand.NewPCG(seed, 2)), odds: float64(odds) / 256, bad: bad}
			var mu sync.Mutex
			dead := map[int64]error{} // by position
			cfg := fs.IngestConfig{
				MaxSize: 1 + int(size%8), MaxQueue: 8 + int(size%50), Concurrency: 1 + int(size%3), MaxAttempts: int(size % 5),
				MaxWait: time.Millisecond * time.Duration(1+size%9), Backoff: time.Millisecond, MaxBackoff: 50 * time.Millisecond,
			}
			if size%2 == 0 {
				cfg.DropLate, cfg.AllowedLateness = true, 60
			}
			in := newIngest(t, store, view, cfg, fs.WithDeadLetter(func(d fs.DeadLetter) {
				mu.Lock()
				defer mu.Unlock()
				_, twice := dead[d.Position]
				require.False(t, twice, "two ends of one row")
				dead[d.Position] = d.Err
			}))
			source := in.Source()
			rows, keys := map[int64]fs.Row{}, map[int64]int64{} // accepted, by position
			position, lastSeen := int64(0), int64(-1)
			watch := func() {
				if at, ok := source.Position(); ok {
					require.GreaterOrEqual(t, at, lastSeen)
					lastSeen = at
				}
			}
			for range 150 {
				position++
				key := rnd.Int64N(12)
				row := streamRow(view, key, 100+rnd.Int64N(100))
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rnd.IntN(30))*time.Millisecond+1)
				if source.Send(ctx, position, row) == nil {
					rows[position], keys[position] = row, key
				}
				cancel()
				watch()
				if rnd.IntN(20) == 0 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rnd.IntN(50))*time.Millisecond+1)
					_ = in.Flush(ctx)
					cancel()
				}
			}
			if !closing {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				_ = in.Shutdown(ctx)
				cancel()
			}
			err := in.Close()
			watch()
			newest := map[fs.Key]int64{}
			unstored := 0
			for p, row := range rows {
				switch err, isDead := dead[p]; {
				case !isDead && bad(row): // a newer one stood for it
					require.Greater(t, events(t, mem, view, keys[p])[0], row.Record.EventNanos())
				case !isDead:
					newest[row.Key] = max(newest[row.Key], row.Record.EventNanos())
				case errors.Is(err, fs.ErrLate):
					require.True(t, cfg.DropLate)
				case errors.Is(err, fs.ErrRow):
					require.True(t, bad(row))
				default:
					if errors.Is(err, fs.ErrClosed) {
						unstored++
						require.Less(t, lastSeen, p, "a row that was not stored is covered by the position")
					}
				}
			}
			for p := range dead {
				require.Contains(t, rows, p, "a row that was not accepted has an end")
			}
			if unstored == 0 {
				require.NoError(t, err)
			} else {
				var all *fs.UnstoredError
				require.ErrorAs(t, err, &all)
				require.Len(t, all.Rows, unstored)
			}
			for key := range int64(12) {
				got := events(t, mem, view, key)[0]
				want := newest[fs.IntKey(key)]
				// A row with a dead letter may have been stored nevertheless.
				require.GreaterOrEqual(t, got, want)
				if len(dead) == 0 {
					require.Equal(t, want, got)
				}
				if got > want {
					found := false
					for p := range dead {
						found = found || rows[p].Key == fs.IntKey(key) && rows[p].Record.EventNanos() == got && !bad(rows[p])
					}
					require.True(t, found, "a row from nowhere")
				}
			}
			st := in.Stats()
			require.EqualValues(t, len(rows), st.Accepted)
			require.EqualValues(t, len(dead), st.DeadLetters)
			require.Equal(t, st.Accepted, st.Written+st.Stale+st.Superseded+st.DeadLetters)
			require.Zero(t, st.Buffered+st.InFlight)
		})
	})
}
