package murmur3_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/scalable-ai/patterns/internal/murmur3"
)

// The first group is of SMHasher and of the many ports of it (seed 0); the second are names of fields that Feast has written, whose bytes are
// the hash in little-endian.
func TestSum32(t *testing.T) {
	for text, want := range map[string]uint32{
		"":              0,
		"a":             0x3c2569b2,
		"test":          0xba6bd213,
		"Hello, world!": 0xc0363e43,
		"The quick brown fox jumps over the lazy dog": 0x2e4ff723,

		"feature_view_1:feature_10": 0x395f6d26,
		"feature_view_1:feature_12": 0x64b57277,
	} {
		assert.Equal(t, want, murmur3.Sum32(text), "%q", text)
	}
}
