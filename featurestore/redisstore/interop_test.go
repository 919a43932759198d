package redisstore_test

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
	"github.com/scalable-ai/patterns/internal/murmur3"
)

func unhex(tb testing.TB, s string) string {
	tb.Helper()
	raw, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(tb, err)
	return string(raw)
}

func field(view, feature string) string {
	return string(binary.LittleEndian.AppendUint32(nil, murmur3.Sum32(view+":"+feature)))
}

// The keys of Feast's own tests of its serialisation, version 3, and of its Redis store; and what that makes of the others by its rules.
func TestKeysAreFeasts(t *testing.T) {
	store, server := open(t, redisstore.Config{})
	pair := fs.Entity{Name: "pair", JoinKeys: []fs.JoinKey{{Name: "user", Kind: fs.String}, {Name: "item", Kind: fs.Bytes}, {Name: "a", Kind: fs.Int64}}}
	for name, c := range map[string]struct {
		project string
		entity  fs.Entity
		key     []any
		want    string
	}{
		"int32":      {"test", fs.Entity{Name: "e", JoinKeys: []fs.JoinKey{{Name: "entity", Kind: fs.Int32}}}, []any{1}, "0100000002000000 06000000656e74697479 03000000 04000000 01000000 74657374"},
		"int64":      {"p", driver, []any{1001}, "0100000002000000 09000000 6472697665725f6964 04000000 08000000 e903000000000000 70"},
		"negative":   {"p", driver, []any{-1}, "0100000002000000 09000000 6472697665725f6964 04000000 08000000 ffffffffffffffff 70"},
		"several":    {"p", pair, []any{"bob", []byte{0xff}, 7}, "03000000 02000000 01000000 61 02000000 04000000 6974656d 02000000 04000000 75736572 04000000 08000000 0700000000000000 01000000 01000000 ff 02000000 03000000 626f62 70"},
		"entityless": {"p", fs.Entity{}, nil, "01000000 02000000 0a000000 5f5f64756d6d795f6964 02000000 00000000 70"},
	} {
		t.Run(name, func(t *testing.T) {
			server.Do(t, "FLUSHALL")
			var entities []fs.Entity
			if c.entity.Name != "" {
				entities = append(entities, c.entity)
			}
			schema := define(t, c.project, entities, fs.View{Name: "v", Entity: c.entity.Name, Features: []fs.Feature{{Name: "x", Kind: fs.Int64}}})[0]
			key, err := schema.Entity().Key(c.key...)
			require.NoError(t, err)
			assert.Equal(t, []fs.Outcome{fs.Written}, write(t, store, schema, row(t, schema, key, at(1, 0), fs.Int64Value(0))))
			assert.Equal(t, []any{unhex(t, c.want)}, server.Do(t, "KEYS", "*"))
			assert.Equal(t, "\x20\x00", server.Do(t, "HGET", unhex(t, c.want), field("v", "x")), "a zero is not a null")
			require.NotNil(t, read(t, store, schema, key)[0])
			require.NoError(t, store.Delete(t.Context(), schema, []fs.Key{key}))
			assert.Empty(t, server.Do(t, "KEYS", "*"), "a hash without fields goes")
		})
	}
}

const driverKey = "0100000002000000 09000000 6472697665725f6964 04000000 08000000 e903000000000000 70" // 1001, project p

// What Feast writes: the first value and its field are of its own tests, the others are what protobuf makes of the values.
var golden = []struct {
	feature fs.Feature
	value   fs.Value
	bytes   string
}{
	{fs.Feature{Name: "feature_10", Kind: fs.Float32}, fs.Float32Value(0.92739803), "35f5696d3f"},
	{fs.Feature{Name: "int64", Kind: fs.Int64}, fs.Int64Value(300), "20ac02"},
	{fs.Feature{Name: "negative", Kind: fs.Int64}, fs.Int64Value(-1), "20ffffffffffffffffff01"},
	{fs.Feature{Name: "zero", Kind: fs.Int64}, fs.Int64Value(0), "2000"},
	{fs.Feature{Name: "int32", Kind: fs.Int32}, fs.Int32Value(-2), "18feffffffffffffffff01"},
	{fs.Feature{Name: "float64", Kind: fs.Float64}, fs.Float64Value(1.5), "29000000000000f83f"},
	{fs.Feature{Name: "false", Kind: fs.Bool}, fs.BoolValue(false), "3800"},
	{fs.Feature{Name: "true", Kind: fs.Bool}, fs.BoolValue(true), "3801"},
	{fs.Feature{Name: "string", Kind: fs.String}, fs.StringValue("hé"), "120368c3a9"},
	{fs.Feature{Name: "empty", Kind: fs.String}, fs.StringValue(""), "1200"},
	{fs.Feature{Name: "bytes", Kind: fs.Bytes}, fs.BytesValue([]byte{0, 0xff}), "0a0200ff"},
	{fs.Feature{Name: "timestamp", Kind: fs.Timestamp}, fs.TimestampValue(at(1_700_000_000, 0)), "4080e2cfaa06"},
	{fs.Feature{Name: "vector", Kind: fs.Vector, Dim: 2}, fs.VectorValue([]float32{1, -2}), "82010a 0a08 0000803f 000000c0"},
	{fs.Feature{Name: "null", Kind: fs.Int64}, fs.Value{}, ""},
}

func goldenView(t *testing.T) *fs.Schema {
	var features []fs.Feature
	for _, g := range golden {
		features = append(features, g.feature)
	}
	return view(t, "feature_view_1", 0, features...)
}

func TestReadsWhatFeastWrites(t *testing.T) {
	assert.Equal(t, unhex(t, "266d5f39"), field("feature_view_1", "feature_10"))
	store, server := open(t, redisstore.Config{})
	schema := goldenView(t)
	args := []string{"HSET", unhex(t, driverKey), "_ts:feature_view_1", unhex(t, "08 80e2cfaa06 10 01")}
	for _, g := range golden {
		args = append(args, field("feature_view_1", g.feature.Name), unhex(t, g.bytes))
	}
	server.Do(t, args...)
	r := read(t, store, schema, fs.IntKey(1001))[0]
	require.NotNil(t, r)
	assert.Equal(t, at(1_700_000_000, 1), r.EventTime())
	for i, g := range golden {
		assert.Equal(t, g.value, schema.Value(r, i), g.feature.Name)
	}
}

func TestFeastReadsWhatIsWritten(t *testing.T) {
	store, server := open(t, redisstore.Config{})
	schema := goldenView(t)
	var values []fs.Value
	for _, g := range golden {
		values = append(values, g.value)
	}
	write(t, store, schema, row(t, schema, fs.IntKey(1001), at(1_700_000_000, 1), values...))
	key := unhex(t, driverKey)
	assert.Equal(t, unhex(t, "08 80e2cfaa06 10 01"), server.Do(t, "HGET", key, "_ts:feature_view_1"))
	for _, g := range golden {
		assert.Equal(t, unhex(t, g.bytes), server.Do(t, "HGET", key, field("feature_view_1", g.feature.Name)), g.feature.Name)
	}
	assert.Equal(t, int64(len(golden)+1), server.Do(t, "HLEN", key))
	assert.Equal(t, int64(-1), server.Do(t, "TTL", key))
}

// Feast has whole seconds in a value; the nanoseconds are in a field that it does not know, and so skips.
func TestTimestampsKeepTheirNanoseconds(t *testing.T) {
	store, server := open(t, redisstore.Config{})
	schema := view(t, "v", 0, fs.Feature{Name: "x", Kind: fs.Timestamp})
	for _, want := range []fs.Value{
		fs.TimestampValue(at(-1, 999_999_999)), fs.TimestampValue(at(0, 0)), fs.TimestampValue(at(1, 1)),
		fs.TimestampValue(at(0, math.MinInt64)), fs.TimestampValue(at(0, math.MaxInt64)),
	} {
		require.NoError(t, store.Delete(t.Context(), schema, []fs.Key{fs.IntKey(1001)}))
		write(t, store, schema, row(t, schema, fs.IntKey(1001), want.Time(), want))
		r := read(t, store, schema, fs.IntKey(1001))[0]
		require.NotNil(t, r, "%v", want)
		assert.Equal(t, want, schema.Value(r, 0))
		assert.Equal(t, want.Time(), r.EventTime())
	}
	write(t, store, schema, row(t, schema, fs.IntKey(1), at(5, 0), fs.TimestampValue(at(2, 3))))
	assert.Equal(t, unhex(t, "4002 c03e 03"), server.Do(t, "HGET", strings.Replace(unhex(t, driverKey), "\xe9\x03", "\x01\x00", 1), field("v", "x")))
}

func TestValuesOfNarrowerTypesAreWidened(t *testing.T) {
	store, server := open(t, redisstore.Config{})
	schema := view(t, "v", 0, allKinds...)
	for _, c := range []struct {
		feature, bytes string
		want           fs.Value
	}{
		{"int64", "1805", fs.Int64Value(5)},
		{"int64", "18ffffffff0f", fs.Int64Value(-1)}, // of a writer that cuts an int32 to five bytes
		{"int32", "20feffffffffffffffff01", fs.Int32Value(-2)},
		{"float64", "350000c03f", fs.Float64Value(1.5)},
		{"float64", "1807", fs.Float64Value(7)},
		{"vector", "82010e 0a0c 0000803f0000004000004040", fs.VectorValue([]float32{1, 2, 3})},
		{"vector", "82010f 0d0000803f 0d00000040 0d00004040", fs.VectorValue([]float32{1, 2, 3})},
		{"vector", "7a1a 0a18 000000000000f03f 0000000000000040 0000000000000840", fs.VectorValue([]float32{1, 2, 3})},
		{"vector", "7a1b 09000000000000f03f 090000000000000040 090000000000000840", fs.VectorValue([]float32{1, 2, 3})},
		{"int64", "980100", fs.Value{}},            // a null as its own member
		{"int64", "12016120 05", fs.Int64Value(5)}, // the last member of a oneof counts
	} {
		i := schema.Index(c.feature)
		server.Do(t, "HSET", unhex(t, driverKey), "_ts:v", "\x08\x01", field("v", c.feature), unhex(t, c.bytes))
		l := lookup(schema, fs.IntKey(1001))
		l.Features = []int{i}
		require.NoError(t, store.Read(t.Context(), []fs.Lookup{l}), c.bytes)
		require.NotNil(t, l.Rows[0], "%s %s: %v", c.feature, c.bytes, l.Errs)
		assert.Equal(t, c.want, schema.Value(l.Rows[0], i), "%s %s", c.feature, c.bytes)
	}
}

func TestValuesOfOtherTypesFailTheirRow(t *testing.T) {
	store, server := open(t, redisstore.Config{})
	schemas := define(t, "p", []fs.Entity{driver}, fs.View{Name: "v", Entity: "driver", Features: allKinds},
		fs.View{Name: "w", Entity: "driver", Features: []fs.Feature{{Name: "x", Kind: fs.Int64}}})
	write(t, store, schemas[1], row(t, schemas[1], fs.IntKey(1001), at(1, 0), fs.Int64Value(1)))
	write(t, store, schemas[0], row(t, schemas[0], fs.IntKey(1), at(1, 0), fs.Int64Value(1)))
	for _, c := range []struct{ feature, bytes, message string }{
		{"int64", "350000c03f", "type int64"},
		{"int64", "20", "truncated"},
		{"int64", "20ffffffffffffffffffffff", "truncated"},
		{"int64", "1b", "wire type 3"},
		{"int64", "00", "truncated"},
		{"int32", "208080808010", "type int32"},
		{"float64", "20ff01", "type float64"},
		{"float32", "29000000000000f83f", "type float32"},
		{"bool", "2001", "type bool"},
		{"string", "0a0161", "type string"},
		{"string", "1201ff", "UTF-8"},
		{"string", "120561", "truncated"},
		{"bytes", "120161", "type bytes"},
		{"timestamp", "2001", "type timestamp"},
		{"timestamp", "40ffffffffffffffff7f", "out of the range"},
		{"timestamp", "4001 c03effffffffff7f", "nanoseconds"},
		{"vector", "820106 0a04 0000803f", "1 elements, not 3"},
		{"vector", "820103 0a01 00", "another type"},
		{"vector", "8201020a05", "truncated"},
		{"vector", "2001", "type vector"},
		{"int64", "c20301", "truncated"},
		{"int64", "f8050a", "type int64"}, // a member of the oneof that came later
		{"", "10ffffffff0f", "event time: nanoseconds"},
		{"", "08", "event time: truncated"},
	} {
		key := unhex(t, driverKey)
		for _, f := range allKinds {
			server.Do(t, "HSET", key, field("v", f.Name), "")
		}
		server.Do(t, "HSET", key, "_ts:v", "\x08\x01")
		if c.feature == "" {
			server.Do(t, "HSET", key, "_ts:v", unhex(t, c.bytes))
		} else {
			server.Do(t, "HSET", key, field("v", c.feature), unhex(t, c.bytes))
		}
		lookups := []fs.Lookup{lookup(schemas[0], fs.IntKey(1001), fs.IntKey(1)), lookup(schemas[1], fs.IntKey(1001), fs.IntKey(1))}
		require.NoError(t, store.Read(t.Context(), lookups))
		assert.Nil(t, lookups[0].Rows[0], "%s %s", c.feature, c.bytes)
		assert.NotNil(t, lookups[0].Rows[1])
		assert.NotNil(t, lookups[1].Rows[0])
		assert.Nil(t, lookups[1].Errs)
		if assert.Len(t, lookups[0].Errs, 2, "%s %s", c.feature, c.bytes) {
			var bad *redisstore.ValueError
			require.ErrorAs(t, lookups[0].Errs[0], &bad)
			assert.Equal(t, c.feature, bad.Feature)
			assert.Equal(t, "v", bad.View)
			require.ErrorContains(t, bad, c.message)
			assert.NoError(t, lookups[0].Errs[1])
		}
	}
}
