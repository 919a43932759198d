package redisstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// FuzzValue: no bytes make the decoder panic, and what it accepts comes back from what is encoded of it. The error leaves the feature
// without a value.
func FuzzValue(f *testing.F) {
	for _, seed := range []string{
		"\x35\xf5\x69\x6d\x3f", "\x20\x00", "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x38\x01", "\x12\x03h\xc3\xa9", "\x0a\x02\x00\xff",
		"\x40\x02\xc0\x3e\x03", "\x82\x01\x0a\x0a\x08\x00\x00\x80\x3f\x00\x00\x00\xc0", "\x7a\x12\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x09\x00\x00\x00\x00\x00\x00\x00\x40",
		"\x98\x01\x00", "\x29\x00\x00\x00\x00\x00\x00\xf8\x3f", "\x18\x05",
	} {
		for kind := fs.Int64; kind.Valid(); kind++ {
			f.Add(uint8(kind), seed)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, s string) {
		feature := fs.Feature{Name: "x", Kind: fs.Kind(kind%9 + 1)}
		if feature.Kind == fs.Vector {
			feature.Dim = 2
		}
		schema := schemaOf(t, feature)
		r := schema.NewRecord(time.Unix(0, 0))
		if err := setValue(schema, r, 0, s); err != nil {
			assert.ErrorAs(t, err, new(*ValueError))
			assert.False(t, r.Has(0))
			return
		}
		again := schema.NewRecord(time.Unix(0, 0))
		encoded := string(appendValue(nil, schema, r, 0))
		require.NoError(t, setValue(schema, again, 0, encoded))
		require.Equal(t, r.Has(0), again.Has(0))
		require.True(t, schema.Value(r, 0).Equal(schema.Value(again, 0)), "%v, %v", schema.Value(r, 0), schema.Value(again, 0))
		require.NoError(t, schema.SetValue(again, 0, schema.Value(r, 0)), "it is a value that could have been written")
	})
}

// FuzzTimestamp: likewise for event times.
func FuzzTimestamp(f *testing.F) {
	f.Add(int64(0), "")
	f.Add(int64(-1), "\x08\x80\xe2\xcf\xaa\x06\x10\x01")
	f.Add(int64(-1<<63), "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Add(int64(1<<63-1), "\x10\xff\xff\xff\xff\x0f")
	f.Fuzz(func(t *testing.T, ns int64, s string) {
		got, err := parseTimestamp(string(appendTimestamp(nil, ns)))
		require.NoError(t, err)
		require.Equal(t, ns, got)
		if got, err = parseTimestamp(s); err == nil {
			again, err := parseTimestamp(string(appendTimestamp(nil, got)))
			require.NoError(t, err)
			require.Equal(t, got, again)
		}
	})
}

func schemaOf(t *testing.T, features ...fs.Feature) *fs.Schema {
	registry, err := fs.NewRegistry("p")
	require.NoError(t, err)
	require.NoError(t, registry.Apply(fs.Definitions{Project: "p", Views: []fs.View{{Name: "v", Features: features}}}))
	schema, err := registry.View("v")
	require.NoError(t, err)
	return schema
}

// A registry makes schemas without end; the layouts of old ones do not stay.
func TestLayoutsAreBounded(t *testing.T) {
	var c layouts
	schema := schemaOf(t, fs.Feature{Name: "x", Kind: fs.Int64})
	first := c.of(schema)
	assert.Same(t, first, c.of(schema))
	for range 1 << 12 {
		c.of(schemaOf(t, fs.Feature{Name: "x", Kind: fs.Int64}))
	}
	assert.Less(t, len(c.m), 100)
	assert.Equal(t, first, c.of(schema))
}
