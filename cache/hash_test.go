package cache_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

func TestHashText(t *testing.T) {
	seen := map[uint64]bool{}
	for _, texts := range [][]string{nil, {""}, {"", ""}, {"abc"}, {"ab", "c"}, {"a", "bc"}, {"bc", "a"}, {"a", "b", "c"}} {
		seen[cache.HashText(texts...)] = true
	}
	assert.Len(t, seen, 8)
}

// The hashes are the same on every machine: they may be the keys of a cache that several processes share.
func TestHashesAreFixed(t *testing.T) {
	assert.Equal(t, uint64(0xef46db3751d8e999), cache.HashBytes(nil)) // xxHash64 of nothing
	assert.Equal(t, cache.HashBytes([]byte{1, 0, 0, 0, 0, 0, 0, 0, 'a'}), cache.HashText("a"))
	assert.Equal(t, cache.HashBytes([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f}), cache.HashFloats([]float64{1}))
}

func TestHashFloats(t *testing.T) {
	zero := 0.0
	assert.Equal(t, cache.HashFloats([]float64{0, math.NaN()}), cache.HashFloats([]float64{-zero, math.Float64frombits(0xfff8000000000123)}))
	assert.Equal(t, cache.HashFloats([]float64{0}), cache.HashFloats([]float64{math.Copysign(0, -1)}))
	assert.Equal(t, cache.HashFloats([]float64{0.5}), cache.HashFloats([]float32{0.5}))
	assert.NotEqual(t, cache.HashFloats([]float64{0.1}), cache.HashFloats([]float32{0.1}))
	seen := map[uint64]bool{}
	for n := range 200 { // around the size of the buffer too
		seen[cache.HashFloats(make([]float32, n))] = true
		tensor := make([]float32, n+1)
		tensor[n] = math.SmallestNonzeroFloat32
		seen[cache.HashFloats(tensor)] = true
	}
	assert.Len(t, seen, 400)
}

func TestHashQuantized(t *testing.T) {
	hash := func(step float64, values ...float64) uint64 {
		h, err := cache.HashQuantized(values, step)
		require.NoError(t, err)
		return h
	}
	assert.Equal(t, hash(0.1, 1.01, -0.04), hash(0.1, 0.99, 0))
	assert.NotEqual(t, hash(0.1, 1.01), hash(0.1, 1.06))
	assert.NotEqual(t, hash(0.1, 0), hash(0.1, 0, 0))
	assert.NotEqual(t, hash(1e-300, 1), hash(1e-300, 1.5))
	assert.NotEqual(t, hash(1e-300, 3), hash(1, 3))
	assert.Equal(t, hash(1, math.NaN()), hash(1, math.Float64frombits(0xfff8000000000123)))
	assert.NotEqual(t, hash(1, math.Inf(1)), hash(1, math.Inf(-1)))
	for _, step := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		_, err := cache.HashQuantized([]float64{1}, step)
		assert.ErrorContains(t, err, "it must be a positive number")
	}
}

func TestCanonicalText(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		" \t\n":                      "",
		"one":                        "one",
		"  What is\r\n\tthe  point?": "What is the point?",
		"zero\u00a0width\u2003x\xff": "zero width x\xff",
		"A a":                        "A a",
	} {
		assert.Equal(t, want, cache.CanonicalText(text))
	}
}

func TestHashesDoNotAllocate(t *testing.T) {
	tensor, text := make([]float32, 784), "what is the point?"
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_ = cache.HashFloats(tensor)
		_ = cache.HashText(text, "1")
		_, _ = cache.HashQuantized(tensor, 0.1)
	}))
}
