package redisstore_test

import (
	"context"
	"math"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
	"github.com/scalable-ai/patterns/internal/redistest"
)

// calls is how often a server has served a command.
func calls(t *testing.T, server *redistest.Server, command string) int {
	found := regexp.MustCompile("cmdstat_" + command + `:calls=(\d+)`).FindStringSubmatch(server.Do(t, "INFO", "commandstats").(string))
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return n
}

func TestViewsOfAnEntityShareTheirCommands(t *testing.T) {
	store, server := open(t, redisstore.Config{})
	item := fs.Entity{Name: "item", JoinKeys: []fs.JoinKey{{Name: "item_id", Kind: fs.Int64}}}
	alias := fs.Entity{Name: "rider", JoinKeys: driver.JoinKeys} // under another name the same hash
	columns := []fs.Feature{number, {Name: "y", Kind: fs.String}}
	schemas := define(t, "p", []fs.Entity{driver, item, alias},
		fs.View{Name: "a", Entity: "driver", Features: columns}, fs.View{Name: "b", Entity: "driver", Features: columns},
		fs.View{Name: "c", Entity: "item", Features: columns}, fs.View{Name: "d", Entity: "rider", Features: columns}, fs.View{Name: "e", Features: columns})
	for i, s := range schemas {
		for k := range int64(3) {
			key := fs.IntKey(k)
			if s.Name() == "e" {
				key = fs.Key{}
			}
			write(t, store, s, row(t, s, key, at(k+1, 0), fs.Int64Value(int64(i)*10+k), fs.StringValue(s.Name())))
		}
	}
	keys := func(ids ...int64) (keys []fs.Key) {
		for _, id := range ids {
			keys = append(keys, fs.IntKey(id))
		}
		return keys
	}
	for _, c := range []struct {
		what    string
		lookups []fs.Lookup
		calls   int
	}{
		{"one view", []fs.Lookup{lookup(schemas[0], keys(0, 1, 2)...)}, 3},
		{"two of an entity", []fs.Lookup{lookup(schemas[0], keys(0, 1)...), lookup(schemas[1], keys(0, 1)...)}, 2},
		{"an entity of another name", []fs.Lookup{lookup(schemas[0], keys(0, 1)...), lookup(schemas[3], keys(0, 1)...)}, 2},
		{"other keys", []fs.Lookup{lookup(schemas[0], keys(0, 1)...), lookup(schemas[1], keys(1, 0)...)}, 4},
		{"another entity", []fs.Lookup{lookup(schemas[0], keys(0, 1)...), lookup(schemas[2], keys(0, 1)...), lookup(schemas[1], keys(0, 1)...)}, 4},
		{"no entity", []fs.Lookup{lookup(schemas[0], keys(0, 0)...), lookup(schemas[4], fs.Key{})}, 3},
		{"a view twice", []fs.Lookup{lookup(schemas[0], keys(0)...), lookup(schemas[0], keys(0)...)}, 1},
		{"missing", []fs.Lookup{lookup(schemas[0], keys(9, 0)...), lookup(schemas[1], keys(9, 0)...)}, 2},
	} {
		for i := range c.lookups {
			c.lookups[i].Features = [][]int{{0, 1}, {1}, {}}[i]
		}
		before := calls(t, server, "hmget")
		require.NoError(t, store.Read(t.Context(), c.lookups), c.what)
		assert.Equal(t, c.calls, calls(t, server, "hmget")-before, c.what)
		for i, l := range c.lookups {
			assert.Nil(t, l.Errs)
			for j, r := range l.Rows {
				if l.Keys[j] == fs.IntKey(9) {
					assert.Nil(t, r, c.what)
					continue
				}
				if !assert.NotNil(t, r, c.what) {
					continue
				}
				if i < 2 {
					assert.Equal(t, l.View.Name(), l.View.Value(r, 1).Str(), c.what)
				}
				if i == 0 {
					assert.Equal(t, r.EventTime().Unix()-1, l.View.Value(r, 0).Int()%10, c.what)
				}
			}
		}
	}
}

// What the store adds to the commands does not grow with the rows.
func TestReadAllocatesLittleBesideTheClient(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	b := newBench(t, 100, 50)
	least := math.Inf(1) // the client's pools miss now and then, for a whole round
	for range 5 {
		store, raw := testing.AllocsPerRun(50, func() { b.ours(t) }), testing.AllocsPerRun(50, func() { b.raw(t) })
		least = min(least, store-raw)
	}
	assert.Less(t, least, 40.0)
}

func TestConcurrentReadsAndWrites(t *testing.T) {
	store, _ := open(t, redisstore.Config{})
	schema := view(t, "v", 0, number, fs.Feature{Name: "y", Kind: fs.Int64})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 50 {
				if w%2 == 0 {
					r := schema.NewRecord(at(int64(n), int64(w)))
					schema.SetBits(r, 0, uint64(n))
					schema.SetBits(r, 1, uint64(n))
					assert.NoError(t, store.Write(context.Background(), schema, []fs.Row{{Key: fs.IntKey(1), Record: r}}, make([]fs.Outcome, 1)))
					continue
				}
				l := lookup(schema, fs.IntKey(1))
				assert.NoError(t, store.Read(context.Background(), []fs.Lookup{l}))
				if r := l.Rows[0]; r != nil {
					assert.Equal(t, schema.Value(r, 0), schema.Value(r, 1), "the row is torn")
					assert.Equal(t, r.EventTime().Unix(), schema.Value(r, 0).Int())
				}
			}
		})
	}
	wg.Wait()
}
