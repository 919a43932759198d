package featurestore_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// codecSchema is a view with these features, checked by no one but this package's caller.
func codecSchema(t testing.TB, features ...fs.Feature) *fs.Schema {
	t.Helper()
	registry, err := fs.NewRegistry("codec")
	require.NoError(t, err)
	require.NoError(t, registry.Apply(fs.Definitions{Views: []fs.View{{Name: "v", Features: features}}}))
	s, err := registry.View("v")
	require.NoError(t, err)
	return s
}

func allKinds() []fs.Feature {
	var features []fs.Feature
	for k := fs.Int64; k.Valid(); k++ {
		f := fs.Feature{Name: "f_" + k.String(), Kind: k}
		if k == fs.Vector {
			f.Dim = 3
		}
		features = append(features, f)
	}
	return features
}

func codecValues() []fs.Value {
	return []fs.Value{
		fs.Int64Value(math.MinInt64), fs.Float64Value(math.NaN()), fs.Float32Value(-0.1), fs.BoolValue(true), fs.StringValue("Zürich"),
		fs.BytesValue([]byte{0, 255}), fs.TimestampValue(time.Unix(-1, 5)), fs.VectorValue([]float32{1, 2, 3}), fs.Int32Value(math.MinInt32),
	}
}

func fill(t testing.TB, s *fs.Schema, event, created time.Time, values ...fs.Value) *fs.Record {
	t.Helper()
	r := s.NewRecord(event)
	r.SetCreated(created)
	for i, v := range values {
		require.NoError(t, s.SetValue(r, i, v))
	}
	return r
}

func equalRecords(t testing.TB, s *fs.Schema, want, got *fs.Record) {
	t.Helper()
	assert.Equal(t, want.EventTime(), got.EventTime())
	assert.Equal(t, want.Created(), got.Created())
	for i, f := range s.Features() {
		assert.True(t, s.Value(want, i).Equal(s.Value(got, i)), "%s: %v, want %v", f.Name, s.Value(got, i), s.Value(want, i))
	}
}

func TestRecordsComeBackFromBytes(t *testing.T) {
	s := codecSchema(t, allKinds()...)
	d, err := s.Decoder(s.AppendLayout(nil))
	require.NoError(t, err)
	created := time.Unix(7, 8)
	records := []*fs.Record{s.NewRecord(time.Unix(0, -1)), fill(t, s, time.Unix(5, 6), created, codecValues()...)}
	for i, v := range codecValues() { // each alone
		values := make([]fs.Value, i+1)
		values[i] = v
		records = append(records, fill(t, s, time.Unix(int64(i), 0), time.Time{}, values...))
	}
	for _, r := range records {
		data := s.AppendRecord([]byte("head"), r)[4:]
		got, err := d.Record(data)
		require.NoError(t, err)
		equalRecords(t, s, r, got)
		require.NoError(t, s.Check(got))
		for n := range data { // cut short, or with something behind it
			_, err := d.Record(data[:n])
			assert.ErrorIs(t, err, fs.ErrEncoding)
		}
		_, err = d.Record(append(data, 0))
		assert.ErrorIs(t, err, fs.ErrEncoding)
	}
}

func TestLayoutsFollowNames(t *testing.T) {
	old := codecSchema(t, fs.Feature{Name: "a", Kind: fs.Int64}, fs.Feature{Name: "gone", Kind: fs.String}, fs.Feature{Name: "b", Kind: fs.Vector, Dim: 2})
	now := codecSchema(t, fs.Feature{Name: "b", Kind: fs.Vector, Dim: 2}, fs.Feature{Name: "new", Kind: fs.Bool}, fs.Feature{Name: "a", Kind: fs.Int64})
	created := time.Unix(3, 0)
	r := fill(t, old, time.Unix(9, 0), created, fs.Int64Value(5), fs.StringValue("x"), fs.VectorValue([]float32{1, 2}))
	want := fill(t, now, time.Unix(9, 0), created, fs.VectorValue([]float32{1, 2}), fs.Value{}, fs.Int64Value(5))
	d, err := now.Decoder(old.AppendLayout(nil))
	require.NoError(t, err)
	got, err := d.Record(old.AppendRecord(nil, r))
	require.NoError(t, err)
	equalRecords(t, now, want, got)
	got, err = now.Convert(r, old)
	require.NoError(t, err)
	equalRecords(t, now, want, got)
	assert.False(t, now.SameLayout(old))
	assert.True(t, now.SameLayout(codecSchema(t, now.Features()...)))

	for _, f := range []fs.Feature{{Name: "b", Kind: fs.Vector, Dim: 3}, {Name: "b", Kind: fs.Int64}} {
		other := codecSchema(t, f)
		_, err := other.Decoder(old.AppendLayout(nil))
		assert.ErrorIs(t, err, fs.ErrRow)
		assert.ErrorContains(t, err, `feature "b"`)
		_, err = other.Convert(r, old)
		assert.ErrorIs(t, err, fs.ErrRow)
	}
	_, err = now.Convert(nil, old)
	assert.ErrorIs(t, err, fs.ErrRow)
}

func TestClonesAreApart(t *testing.T) {
	s := codecSchema(t, allKinds()...)
	r := fill(t, s, time.Unix(5, 6), time.Unix(7, 8), codecValues()...)
	c := r.Clone()
	for i := range s.Features() {
		require.NoError(t, s.SetValue(r, i, fs.Value{}))
	}
	require.NoError(t, s.SetValue(r, 7, fs.VectorValue([]float32{9, 9, 9})))
	equalRecords(t, s, fill(t, s, time.Unix(5, 6), time.Unix(7, 8), codecValues()...), c)
	long := fill(t, s, time.Unix(5, 6), time.Unix(7, 8), fs.Value{}, fs.Value{}, fs.Value{}, fs.Value{}, fs.StringValue(strings.Repeat("x", 1000)))
	assert.Equal(t, 1000, long.Size()-s.NewRecord(time.Unix(0, 0)).Size())
}

func TestKeysComeBackFromBytes(t *testing.T) {
	for _, k := range []fs.Key{{}, fs.IntKey(-1), fs.IntKey(math.MaxInt64), fs.StringKey("\x00"), fs.StringKey("abc"), fs.IntKey(math.MinInt64)} {
		data := k.AppendKey(nil)
		assert.NotEmpty(t, data)
		got, err := fs.DecodeKey(data)
		require.NoError(t, err)
		assert.Equal(t, k, got)
	}
	_, err := fs.DecodeKey(nil)
	assert.ErrorIs(t, err, fs.ErrEncoding)
}

// FuzzDecoder: whatever the bytes are, there is an error or a record that comes back from its own bytes.
func FuzzDecoder(f *testing.F) {
	s := codecSchema(f, allKinds()...)
	layout := s.AppendLayout(nil)
	f.Add(layout, s.AppendRecord(nil, fill(f, s, time.Unix(5, 6), time.Unix(7, 8), codecValues()...)))
	f.Add(codecSchema(f, allKinds()[3:5]...).AppendLayout(nil), []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1})
	f.Add([]byte{1, 0xff, 0xff, 3}, []byte{})
	f.Fuzz(func(t *testing.T, layout, data []byte) {
		_, _ = fs.DecodeKey(data)
		d, err := s.Decoder(layout)
		if err != nil {
			return
		}
		r, err := d.Record(data)
		if err != nil {
			assert.ErrorIs(t, err, fs.ErrEncoding)
			return
		}
		require.NoError(t, s.Check(r))
		own, err := s.Decoder(s.AppendLayout(nil))
		require.NoError(t, err)
		again, err := own.Record(s.AppendRecord(nil, r))
		require.NoError(t, err)
		equalRecords(t, s, r, again)
	})
}

func TestKeysThatNoEntityHas(t *testing.T) {
	text := fs.Entity{Name: "e", JoinKeys: []fs.JoinKey{{Name: "k", Kind: fs.String}}}
	number := fs.Entity{Name: "e", JoinKeys: []fs.JoinKey{{Name: "k", Kind: fs.Int64}}}
	both, err := fs.DecodeKey(append(fs.IntKey(5).AppendKey(nil), "abc"...))
	require.NoError(t, err)
	for _, e := range []fs.Entity{text, number} {
		_, err = e.Parts(nil, both)
		assert.ErrorIs(t, err, fs.ErrKey)
		_, err = e.Parts(nil, fs.Key{})
		assert.NoError(t, err)
	}
}

func TestKeysOutOfTheRangeOfInt32(t *testing.T) {
	number, text := fs.JoinKey{Name: "n", Kind: fs.Int32}, fs.JoinKey{Name: "s", Kind: fs.String}
	wide := fs.JoinKey{Name: "n", Kind: fs.Int64}
	one, pair, widePair := fs.Entity{JoinKeys: []fs.JoinKey{number}}, fs.Entity{JoinKeys: []fs.JoinKey{number, text}}, fs.Entity{JoinKeys: []fs.JoinKey{wide, text}}
	for n, want := range map[int64]error{math.MaxInt32: nil, math.MinInt32: nil, math.MaxInt32 + 1: fs.ErrKey, math.MinInt32 - 1: fs.ErrKey} {
		_, err := one.Parts(nil, fs.IntKey(n))
		require.ErrorIs(t, err, want)
		key, err := widePair.Key(n, "x")
		require.NoError(t, err)
		_, err = pair.Parts(nil, key)
		require.ErrorIs(t, err, want)
	}
}
