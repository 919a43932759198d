package redisstore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
	"github.com/scalable-ai/patterns/internal/redistest"
)

// reads is how often a server has been sent HMGET and HSCAN since the last call.
func reads(t *testing.T, server *redistest.Server) []int {
	t.Helper()
	n := []int{calls(t, server, "hmget"), calls(t, server, "hscan")}
	server.Do(t, "CONFIG", "RESETSTAT")
	return n
}

// wideViews are two views of drivers with 100 integers and a text each.
func wideViews(t *testing.T) (a, b *fs.Schema) {
	features := []fs.Feature{{Name: "text", Kind: fs.String}}
	for i := range 100 {
		features = append(features, fs.Feature{Name: fmt.Sprintf("f%d", i), Kind: fs.Int64})
	}
	schemas := define(t, "p", []fs.Entity{driver}, fs.View{Name: "a", Entity: "driver", Features: features}, fs.View{Name: "b", Entity: "driver", Features: features})
	return schemas[0], schemas[1]
}

// wideRow has only odd features.
func wideRow(t *testing.T, view *fs.Schema, id int64, text string) fs.Row {
	t.Helper()
	r := row(t, view, fs.IntKey(id), at(id+1, 0), fs.StringValue(text))
	for i := 1; i <= 100; i += 2 {
		require.NoError(t, view.SetValue(r.Record, i, fs.Int64Value(id*1000+int64(i))))
	}
	return r
}

// Hashes that are lists are scanned, the others are not, and what is read is the same.
func TestWideHashes(t *testing.T) {
	for name, c := range map[string]struct {
		text   string // of every entity; one of more than 64 bytes makes its hash a table
		config string
		scans  bool
	}{
		"lists":  {"short", "512", true},
		"tables": {"short", "32", false},
		"values": {strings.Repeat("long", 20), "512", false},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, "--hash-max-listpack-entries", c.config)
			store := on(t, redisstore.Config{}, server.Addr)
			a, b := wideViews(t)
			var keys []fs.Key
			for id := range int64(10) {
				write(t, store, a, wideRow(t, a, id, c.text))
				if id%2 == 0 {
					write(t, store, b, wideRow(t, b, id, c.text))
				}
				keys = append(keys, fs.IntKey(id))
			}
			keys = append(keys, fs.IntKey(77))
			reads(t, server)
			for round := range 3 {
				lookups := []fs.Lookup{lookup(a, keys...), lookup(b, keys...), lookup(a, keys...)}
				require.NoError(t, store.Read(t.Context(), lookups))
				checkWide(t, lookups, c.text)
				got := reads(t, server)
				switch {
				case round == 0:
					assert.Equal(t, []int{11, 1}, got, "one is looked at")
				case c.scans:
					assert.Equal(t, []int{0, 11}, got)
				default:
					assert.Equal(t, []int{11, 0}, got)
				}
			}
			few := lookup(a, keys...)
			few.Features = few.Features[:50]
			require.NoError(t, store.Read(t.Context(), []fs.Lookup{few}))
			got := reads(t, server)
			assert.Equal(t, []int{11, 0}, got, "few fields are looked for")
		})
	}
}

func checkWide(t *testing.T, lookups []fs.Lookup, text string) {
	t.Helper()
	for n, l := range lookups {
		require.Nil(t, l.Errs)
		for id, r := range l.Rows {
			if id == 10 || n == 1 && id%2 == 1 {
				require.Nil(t, r, id)
				continue
			}
			require.NotNil(t, r, id)
			require.Equal(t, values(l.View, wideRow(t, l.View, int64(id), text).Record), values(l.View, r))
		}
	}
}

func values(view *fs.Schema, r *fs.Record) []fs.Value {
	all := []fs.Value{fs.TimestampValue(r.EventTime())}
	for i := range view.Features() {
		all = append(all, view.Value(r, i))
	}
	return all
}

// Entities of one view whose hashes are partly tables: the wrong guess is made good in the same read, and not made again.
func TestWideHashesOfBothKinds(t *testing.T) {
	server := redistest.Start(t)
	store := on(t, redisstore.Config{}, server.Addr)
	a, _ := wideViews(t)
	l := []fs.Lookup{lookup(a, fs.IntKey(0), fs.IntKey(1), fs.IntKey(2))}
	write(t, store, a, wideRow(t, a, 0, "x"), wideRow(t, a, 1, "x"))
	require.NoError(t, store.Read(t.Context(), l))
	server.Do(t, "SET", strings.Replace(unhex(t, driverKey), "\xe9\x03", "\x02\x00", 1), "not a hash")
	l = []fs.Lookup{lookup(a, fs.IntKey(0), fs.IntKey(1), fs.IntKey(2))}
	require.NoError(t, store.Read(t.Context(), l))
	require.ErrorContains(t, l[0].Errs[2], "WRONGTYPE")
	require.NoError(t, l[0].Errs[0])

	long := strings.Repeat("long", 20)
	write(t, store, a, fs.Row{Key: fs.IntKey(1), Record: wideRow(t, a, 5, long).Record})
	reads(t, server)
	for _, want := range [][]int{{1, 2}, {2, 0}} {
		rows := read(t, store, a, fs.IntKey(0), fs.IntKey(1))
		got := reads(t, server)
		assert.Equal(t, want, got)
		assert.Equal(t, values(a, wideRow(t, a, 0, "x").Record), values(a, rows[0]))
		assert.Equal(t, values(a, wideRow(t, a, 5, long).Record), values(a, rows[1]))
	}
}
