package redisstore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
	"github.com/scalable-ai/patterns/internal/redistest"
)

var number = fs.Feature{Name: "x", Kind: fs.Int64}

// The script compares 64-bit times with the doubles of Lua: all pairs of times where that could go wrong, in both orders.
func TestTheNewestEventTimeWinsWhateverItsSign(t *testing.T) {
	store, _ := open(t, redisstore.Config{})
	schema := view(t, "v", 0, number)
	var times []time.Time // ascending
	for _, s := range []int64{-9_223_372_036, -1<<32 - 1, -1 << 31, -1<<28 - 1, -1 << 28, -129, -128, -127, -2, -1, 0, 1, 127, 128, 1<<28 - 1, 1 << 28, 1<<31 - 1, 1 << 32, 9_223_372_036} {
		for _, n := range []int64{0, 1, 127, 128, 999_999_998, 999_999_999} {
			if s != 9_223_372_036 || n < 128 {
				times = append(times, at(s, n))
			}
		}
	}
	times = times[6:] // the first second is out of range
	for i, early := range times {
		for j := i; j < min(len(times), i+9); j++ {
			late := times[j]
			for _, order := range [][2]time.Time{{early, late}, {late, early}} {
				require.NoError(t, store.Delete(t.Context(), schema, []fs.Key{fs.IntKey(1)}))
				require.Equal(t, []fs.Outcome{fs.Written}, write(t, store, schema, row(t, schema, fs.IntKey(1), order[0])))
				want := fs.Stale
				if order[1].After(order[0]) {
					want = fs.Written
				}
				require.Equal(t, []fs.Outcome{want}, write(t, store, schema, row(t, schema, fs.IntKey(1), order[1])), "%v", order)
				require.Equal(t, late, read(t, store, schema, fs.IntKey(1))[0].EventTime())
			}
		}
	}
}

// Times that others wrote and that no record can have.
func TestEventTimesOutOfRange(t *testing.T) {
	store, server := open(t, redisstore.Config{})
	schema := view(t, "v", 0, number)
	for _, c := range []struct {
		bytes string
		read  int64 // nanoseconds; 0: the row fails
		then  fs.Outcome
	}{
		{"08 fff2b2c9b007", 1<<63 - 1, fs.Stale},          // the end of the year 9999
		{"08 80928fc39dfeffffff01", -1 << 63, fs.Written}, // the year 1
		{"08 ffffff", 0, fs.Written},                      // not a timestamp: it is replaced
		{"1a 00 08 01", 1e9, fs.Written},
		{"", 0, fs.Written},
	} {
		server.Do(t, "HSET", unhex(t, driverKey), "_ts:v", unhex(t, c.bytes))
		l := lookup(schema, fs.IntKey(1001))
		lookups := []fs.Lookup{l}
		require.NoError(t, store.Read(t.Context(), lookups))
		if c.read == 0 && c.bytes != "" {
			assert.ErrorAs(t, lookups[0].Errs[0], new(*redisstore.ValueError))
		} else {
			assert.Equal(t, c.read, l.Rows[0].EventNanos(), c.bytes)
		}
		assert.Equal(t, []fs.Outcome{c.then}, write(t, store, schema, row(t, schema, fs.IntKey(1001), at(2, 0))), c.bytes)
	}
}

func TestOutcomesOfOneBatch(t *testing.T) {
	store, server := open(t, redisstore.Config{})
	schema := view(t, "v", 0, number)
	other := view(t, "other", 0, fs.Feature{Name: "y", Kind: fs.String})
	write(t, store, schema, row(t, schema, fs.IntKey(2), at(9, 0)))
	server.Do(t, "SET", "x", "y")
	rows := []fs.Row{
		row(t, schema, fs.IntKey(1), at(5, 0), fs.Int64Value(1)),
		{Key: fs.IntKey(1)},
		row(t, schema, fs.IntKey(1), at(7, 0), fs.Int64Value(2)),
		row(t, schema, fs.IntKey(1), at(7, 0), fs.Int64Value(3)),
		row(t, schema, fs.IntKey(2), at(9, 0), fs.Int64Value(4)),
		row(t, schema, fs.IntKey(2), at(8, 0), fs.Int64Value(5)),
		row(t, schema, fs.StringKey("no integer"), at(8, 0)),
		row(t, other, fs.IntKey(3), at(8, 0)),
		row(t, schema, fs.IntKey(3), at(8, 0), fs.Int64Value(6)),
	}
	outcomes := []fs.Outcome{8: fs.Invalid} // what was there before does not count
	err := store.Write(t.Context(), schema, rows, outcomes)
	require.ErrorIs(t, err, fs.ErrRow)
	require.ErrorIs(t, err, fs.ErrKey)
	for _, text := range []string{"row 1:", "row 6:", "row 7:"} {
		require.ErrorContains(t, err, text)
	}
	assert.Equal(t, []fs.Outcome{fs.Stale, fs.Invalid, fs.Written, fs.Stale, fs.Stale, fs.Stale, fs.Invalid, fs.Invalid, fs.Written}, outcomes)
	got := read(t, store, schema, fs.IntKey(1), fs.IntKey(2), fs.IntKey(3), fs.IntKey(4), fs.IntKey(1))
	assert.Equal(t, int64(2), schema.Value(got[0], 0).Int())
	assert.False(t, got[1].Has(0))
	assert.Equal(t, int64(6), schema.Value(got[2], 0).Int())
	assert.Nil(t, got[3])
	assert.Equal(t, got[0], got[4])
	st := store.Stats()
	assert.Equal(t, redisstore.Stats{Keys: 5, Found: 4, Written: 3, Stale: 4, Invalid: 3, Unscripted: 1}, st)

	assert.Error(t, store.Write(t.Context(), schema, rows, outcomes[:1]))
	assert.Error(t, store.Read(t.Context(), []fs.Lookup{{View: schema, Keys: make([]fs.Key, 1)}}))
	require.NoError(t, store.Write(t.Context(), schema, nil, nil))
	require.NoError(t, store.Read(t.Context(), nil))
	require.NoError(t, store.Read(t.Context(), []fs.Lookup{{View: schema}}))
	require.NoError(t, store.Delete(t.Context(), schema, nil))
}

// A row replaces the whole row, and nothing of other views; more features than Lua can unpack at once.
func TestARowReplacesItsView(t *testing.T) {
	store, server := open(t, redisstore.Config{})
	var features []fs.Feature
	for i := range 9001 {
		features = append(features, fs.Feature{Name: "f" + strconv.Itoa(i), Kind: fs.Int32})
	}
	schemas := define(t, "p", []fs.Entity{driver}, fs.View{Name: "wide", Entity: "driver", Features: features}, fs.View{Name: "w", Entity: "driver", Features: allKinds})
	wide, w := schemas[0], schemas[1]
	key := fs.IntKey(1001)
	write(t, store, w, row(t, w, key, at(1, 0), fs.Int64Value(1)))
	first := row(t, wide, key, at(1, 0))
	for i := range features {
		require.NoError(t, wide.SetValue(first.Record, i, fs.Int32Value(int32(i))))
	}
	write(t, store, wide, first)
	assert.Equal(t, int64(9001+1+len(allKinds)+1), server.Do(t, "HLEN", unhex(t, driverKey)))
	got := read(t, store, wide, key)[0]
	for i := range features {
		require.Equal(t, int64(i), wide.Value(got, i).Int())
	}
	write(t, store, wide, row(t, wide, key, at(2, 0), fs.Int32Value(7)))
	lookups := []fs.Lookup{lookup(wide, key), lookup(w, key)}
	require.NoError(t, store.Read(t.Context(), lookups))
	assert.True(t, lookups[0].Rows[0].Has(0))
	assert.False(t, lookups[0].Rows[0].Has(1))
	assert.Equal(t, int64(1), w.Value(lookups[1].Rows[0], 0).Int())
	require.NoError(t, store.Delete(t.Context(), wide, []fs.Key{key}))
	assert.Nil(t, read(t, store, wide, key)[0])
	assert.NotNil(t, read(t, store, w, key)[0])
}

// Several clients write rows of the same entities in any order, each with other event times.
func TestConcurrentWritersAgree(t *testing.T) {
	server := redistest.Start(t)
	schema := view(t, "v", time.Hour, number)
	const writers, keys, times = 4, 5, 40
	var wg sync.WaitGroup
	var mu sync.Mutex
	written := map[int64]int{}
	now := time.Now().Truncate(time.Second)
	for w := range writers {
		store := on(t, redisstore.Config{}, server.Addr)
		wg.Go(func() {
			for _, i := range rand.Perm(times) {
				rows, outcomes := make([]fs.Row, keys), make([]fs.Outcome, keys)
				for k := range rows {
					n := int64(i*writers + w)
					r := schema.NewRecord(now.Add(time.Duration(n)))
					schema.SetBits(r, 0, uint64(n))
					rows[k] = fs.Row{Key: fs.IntKey(int64(k)), Record: r}
				}
				if !assert.NoError(t, store.Write(context.Background(), schema, rows, outcomes)) {
					return
				}
				mu.Lock()
				for k, o := range outcomes {
					if o == fs.Written {
						written[int64(k)]++
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	store := on(t, redisstore.Config{}, server.Addr)
	for k := range int64(keys) {
		r := read(t, store, schema, fs.IntKey(k))[0]
		assert.Equal(t, now.Add(writers*times-1).UnixNano(), r.EventNanos())
		assert.Equal(t, int64(writers*times-1), schema.Value(r, 0).Int())
		assert.Positive(t, written[k])
	}
}

func TestTheScriptIsSentOnlyToNodesThatLackIt(t *testing.T) {
	store, server := open(t, redisstore.Config{})
	schema := view(t, "v", 0, number)
	for i := range int64(3) {
		write(t, store, schema, row(t, schema, fs.IntKey(i), at(1, 0)))
	}
	assert.Equal(t, uint64(1), store.Stats().Unscripted)
	server.Do(t, "SCRIPT", "FLUSH")
	for i := range int64(3) {
		assert.Equal(t, []fs.Outcome{fs.Written}, write(t, store, schema, row(t, schema, fs.IntKey(i), at(2, 0))))
	}
	assert.Equal(t, uint64(2), store.Stats().Unscripted)
}

func TestErrorsOfSomeKeys(t *testing.T) {
	store, server := open(t, redisstore.Config{})
	schema := view(t, "v", 0, number)
	good, bad, odd := fs.IntKey(1), fs.IntKey(1001), fs.StringKey("odd")
	server.Do(t, "SET", unhex(t, driverKey), "not a hash")
	rows := []fs.Row{row(t, schema, bad, at(1, 0)), row(t, schema, good, at(1, 0)), row(t, schema, bad, at(2, 0))}
	outcomes := make([]fs.Outcome, 3)
	err := store.Write(t.Context(), schema, rows, outcomes)
	assert.Equal(t, []fs.Outcome{fs.Failed, fs.Written, fs.Failed}, outcomes)
	require.ErrorContains(t, err, "row 2: redisstore: WRONGTYPE")
	reply := new(rueidis.RedisError)
	require.ErrorAs(t, err, &reply)
	assert.NotErrorIs(t, err, redisstore.ErrUnavailable)

	lookups := []fs.Lookup{lookup(schema, bad, good, odd)}
	require.NoError(t, store.Read(t.Context(), lookups))
	assert.ErrorContains(t, lookups[0].Errs[0], "WRONGTYPE")
	assert.NoError(t, lookups[0].Errs[1])
	assert.ErrorIs(t, lookups[0].Errs[2], fs.ErrKey)
	assert.NotNil(t, lookups[0].Rows[1])
	assert.Equal(t, uint64(2), store.Stats().ReadFailed)
	assert.ErrorContains(t, store.Delete(t.Context(), schema, []fs.Key{good, bad}), "WRONGTYPE")
	assert.Nil(t, read(t, store, schema, good)[0])
	assert.ErrorIs(t, store.Delete(t.Context(), schema, []fs.Key{odd}), fs.ErrKey)
}

func TestContexts(t *testing.T) {
	store, server := open(t, redisstore.Config{Timeout: 200 * time.Millisecond})
	schema := view(t, "v", 0, number)
	rows, outcomes := []fs.Row{row(t, schema, fs.IntKey(1), at(1, 0))}, make([]fs.Outcome, 1)
	reason := errors.New("reason")
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	all := func(ctx context.Context) []error {
		lookups := []fs.Lookup{lookup(schema, fs.IntKey(1))}
		return []error{store.Read(ctx, lookups), store.Write(ctx, schema, rows, outcomes), store.Delete(ctx, schema, []fs.Key{fs.IntKey(1)})}
	}
	for _, err := range all(ended) {
		assert.Equal(t, reason, err)
	}
	assert.Equal(t, fs.Failed, outcomes[0])
	assert.Empty(t, server.Do(t, "KEYS", "*"))

	server.Pause(t)
	for _, err := range all(t.Context()) {
		assert.ErrorIs(t, err, redisstore.ErrUnavailable)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	}
	assert.Equal(t, fs.Failed, outcomes[0])
	short, cancel2 := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, reason)
	defer cancel2()
	assert.Equal(t, reason, store.Read(short, []fs.Lookup{lookup(schema, fs.IntKey(1))}))
	server.Resume(t)
	require.True(t, redistest.Poll(5*time.Second, func() bool { return errors.Join(all(t.Context())...) == nil }))
}

// A context that is cancelled ends the call at once, whatever deadlines there are besides.
func TestCancelWhileANodeHangs(t *testing.T) {
	server := redistest.Start(t)
	schema := view(t, "v", 0, number)
	reason := errors.New("reason")
	for name, config := range map[string]redisstore.Config{"plain": {Timeout: time.Minute}, "replicas": {Timeout: time.Minute, Replicas: 1}} {
		for _, deadline := range []bool{false, true} {
			for call, f := range map[string]func(context.Context, *redisstore.Store) error{
				"read": func(ctx context.Context, s *redisstore.Store) error {
					return s.Read(ctx, []fs.Lookup{lookup(schema, fs.IntKey(1))})
				},
				"write": func(ctx context.Context, s *redisstore.Store) error {
					return s.Write(ctx, schema, []fs.Row{row(t, schema, fs.IntKey(1), at(1, 0))}, make([]fs.Outcome, 1))
				},
				"delete": func(ctx context.Context, s *redisstore.Store) error {
					return s.Delete(ctx, schema, []fs.Key{fs.IntKey(1)})
				},
			} {
				store := on(t, config, server.Addr)
				require.NoError(t, store.Delete(context.Background(), schema, []fs.Key{fs.IntKey(1)}))
				server.Pause(t)
				ctx, cancel := context.WithCancelCause(t.Context())
				if deadline {
					var stop context.CancelFunc
					ctx, stop = context.WithTimeout(ctx, time.Minute)
					defer stop()
				}
				done := make(chan error, 1)
				go func() { done <- f(ctx, store) }()
				time.AfterFunc(50*time.Millisecond, func() { cancel(reason) }) // while it waits
				returned := redistest.Poll(5*time.Second, func() bool { return len(done) > 0 })
				server.Resume(t)
				require.True(t, returned, "%s, %s, deadline %v", name, call, deadline)
				assert.Equal(t, reason, <-done)
			}
		}
	}
}

func TestAClosedClient(t *testing.T) {
	server := redistest.Start(t)
	client := connect(t, rueidis.ClientOption{InitAddress: []string{server.Addr}})
	store, err := redisstore.New(client, redisstore.Config{})
	require.NoError(t, err)
	schema := view(t, "v", 0, number)
	client.Close()
	assert.ErrorIs(t, store.Read(t.Context(), []fs.Lookup{lookup(schema, fs.IntKey(1))}), fs.ErrClosed)
	outcomes := make([]fs.Outcome, 1)
	assert.ErrorIs(t, store.Write(t.Context(), schema, []fs.Row{row(t, schema, fs.IntKey(1), at(1, 0))}, outcomes), fs.ErrClosed)
	assert.Equal(t, fs.Failed, outcomes[0])
	assert.ErrorIs(t, store.Delete(t.Context(), schema, []fs.Key{fs.IntKey(1)}), fs.ErrClosed)
}
