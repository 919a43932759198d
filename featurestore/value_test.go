package featurestore_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// A value that is written by hand must not become another one.
func TestValuesInJSON(t *testing.T) {
	for _, text := range []string{
		`{"type":"timestamp","value":"3000-01-01T00:00:00Z"}`, `{"type":"timestamp","value":null}`, `{"type":"bool","value":null}`,
		`{"type":"string","value":null}`, `{"type":"vector","value":null}`, `{"type":"int64","value":null}`, `{"type":"int64"}`,
		`{"type":"float32","value":1e39}`, `{"type":"float64","value":1e309}`, `{"type":"vector","value":[1e39]}`,
		`{"type":"int64","value":3,"unit":"km"}`, `{"type":"int64","value":3.0}`, `{"type":"int32","value":2147483648}`, `{"value":1}`, `{}`, `7`,
	} {
		var v fs.Value
		assert.Error(t, json.Unmarshal([]byte(text), &v), "%s became %v", text, v)
	}
	for _, v := range []fs.Value{
		{}, fs.Float32Value(math.MaxFloat32), fs.Float32Value(math.SmallestNonzeroFloat32), fs.Float64Value(math.NaN()), fs.Float32Value(float32(math.Inf(-1))),
		fs.Float64Value(math.Copysign(0, -1)), fs.Int64Value(math.MinInt64), fs.StringValue("\x00<&>"), fs.BytesValue([]byte{0, 255}), fs.VectorValue([]float32{1, -0.1}),
		fs.TimestampValue(time.Unix(0, math.MinInt64)), fs.TimestampValue(time.Unix(0, math.MaxInt64)), fs.BoolValue(true), fs.Int32Value(-1),
	} {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		var got fs.Value
		require.NoError(t, json.Unmarshal(data, &got), "%s", data)
		assert.True(t, v.Equal(got), "%v became %v", v, got)
	}
}

func TestLoadGivesNoRegistryWithAnError(t *testing.T) {
	r, err := fs.Load(strings.NewReader(`{"project":"p","views":[{"name":"v","features":[]}]}`))
	require.ErrorIs(t, err, fs.ErrDefinition)
	assert.Nil(t, r)
}

// FuzzSaveLoad: random definitions come back from JSON as they were, and give the same JSON.
func FuzzSaveLoad(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r, err := fs.NewRegistry("p")
		require.NoError(t, err)
		defs := randomDefinitions(rand.New(rand.NewPCG(seed, 1)))
		require.NoError(t, r.Apply(defs))
		var first, second bytes.Buffer
		require.NoError(t, r.Save(&first))
		loaded, err := fs.Load(bytes.NewReader(first.Bytes()))
		require.NoError(t, err)
		require.Equal(t, r.Definitions(), loaded.Definitions())
		require.NoError(t, loaded.Save(&second))
		require.Equal(t, first.String(), second.String())
		require.NoError(t, r.Apply(loaded.Definitions())) // nothing has changed
	})
}

func randomDefinitions(rng *rand.Rand) fs.Definitions {
	name := func(i int) string { return string(rune('a'+i)) + strings.Repeat("x-.9", rng.IntN(3)) }
	feature := func(i int) fs.Feature {
		f := fs.Feature{Name: name(i), Kind: fs.Kind(1 + rng.IntN(9)), Description: []string{"", "<é>\n\"", "\u2028"}[rng.IntN(3)]}
		if f.Kind == fs.Vector {
			f.Dim = 1 + rng.IntN(3)
		}
		if rng.IntN(2) == 0 {
			return f
		}
		switch f.Kind {
		case fs.Int64:
			f.Default = fs.Int64Value(rng.Int64() - rng.Int64())
		case fs.Int32:
			f.Default = fs.Int32Value(int32(rng.Uint32()))
		case fs.Float64:
			f.Default = fs.Float64Value(math.Float64frombits(rng.Uint64()))
			if f.Default.Float() != f.Default.Float() {
				f.Default = fs.Float64Value(math.NaN())
			}
		case fs.Float32:
			f.Default = fs.Float32Value(rng.Float32())
		case fs.Bool:
			f.Default = fs.BoolValue(rng.IntN(2) == 0)
		case fs.String:
			f.Default = fs.StringValue([]string{"", "é<>&", "\x00"}[rng.IntN(3)])
		case fs.Bytes:
			f.Default = fs.BytesValue([]byte{byte(rng.Uint32()), 255})
		case fs.Timestamp:
			f.Default = fs.TimestampValue(time.Unix(0, rng.Int64()-rng.Int64()))
		default:
			v := make([]float32, f.Dim)
			for i := range v {
				v[i] = rng.Float32()
			}
			f.Default = fs.VectorValue(v)
		}
		return f
	}
	features := func() (all []fs.Feature) {
		for i := range 1 + rng.IntN(6) {
			all = append(all, feature(i))
		}
		return all
	}
	d := fs.Definitions{Project: "p"}
	for i := range 1 + rng.IntN(3) {
		e := fs.Entity{Name: name(i)}
		for j := range 1 + rng.IntN(3) {
			e.JoinKeys = append(e.JoinKeys, fs.JoinKey{Name: name(i) + name(j), Kind: []fs.Kind{fs.Int64, fs.Int32, fs.String, fs.Bytes}[rng.IntN(4)]})
		}
		d.Entities = append(d.Entities, e)
	}
	for i := range 1 + rng.IntN(4) {
		v := fs.View{Name: name(i), Features: features(), TTL: fs.Duration(rng.Int64N(int64(time.Hour))), Owner: name(i)}
		if rng.IntN(3) > 0 {
			v.Entity = d.Entities[rng.IntN(len(d.Entities))].Name
		}
		d.Views = append(d.Views, v)
	}
	for i := range rng.IntN(3) {
		s := fs.Service{Name: name(i), Version: 1 + rng.IntN(3), Request: features()}
		for _, v := range d.Views[:1+rng.IntN(len(d.Views))] {
			s.Features = append(s.Features, v.Name+":*")
		}
		d.Services = append(d.Services, s)
	}
	return d
}
