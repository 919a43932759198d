package featurestore_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/featurestore"
)

func TestRawSettersAgreeWithSetValue(t *testing.T) {
	registry, err := featurestore.NewRegistry("p")
	require.NoError(t, err)
	require.NoError(t, registry.Apply(featurestore.Definitions{Project: "p", Views: []featurestore.View{{Name: "v", Features: []featurestore.Feature{
		{Name: "int", Kind: featurestore.Int64}, {Name: "vector", Kind: featurestore.Vector, Dim: 2}, {Name: "float", Kind: featurestore.Float32},
		{Name: "string", Kind: featurestore.String}, {Name: "other", Kind: featurestore.Vector, Dim: 2}, {Name: "bool", Kind: featurestore.Bool},
	}}}}))
	schema, err := registry.View("v")
	require.NoError(t, err)
	want, got := schema.NewRecord(time.Unix(1, 0)), schema.NewRecord(time.Unix(1, 0))
	for i, v := range []featurestore.Value{
		featurestore.Int64Value(-1), featurestore.VectorValue([]float32{1, 2}), featurestore.Float32Value(1.5),
		featurestore.StringValue("s"), {}, featurestore.BoolValue(true),
	} {
		require.NoError(t, schema.SetValue(want, i, v))
	}
	schema.SetBits(got, 0, math.MaxUint64)
	vector := schema.SetVector(got, 1)
	assert.Equal(t, 2, cap(vector), "there is no way into the next one")
	copy(vector, []float32{1, 2})
	schema.SetBits(got, 2, uint64(math.Float32bits(1.5)))
	schema.SetStr(got, 3, "s")
	schema.SetBits(got, 5, 1)
	assert.Equal(t, want, got)
	assert.Equal(t, uint64(math.Float32bits(1.5)), schema.Bits(want, 2))
	const signalling = 0x7fa00001 // a NaN that a conversion to float64 and back would change
	schema.SetBits(got, 2, signalling)
	assert.Equal(t, uint64(signalling), schema.Bits(got.Clone(), 2))
}
