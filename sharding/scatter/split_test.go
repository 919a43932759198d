package scatter_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding/scatter"
)

// looks counts how often the context has been looked at, which Do does once in so many steps of dividing the keys.
type looks struct {
	context.Context
	count *int
}

func (l looks) Err() error { *l.count++; return l.Context.Err() }

// Dividing the keys takes a time in proportion to their number, also if all that differs in their hashes are a few bits.
func TestDividingIsLinear(t *testing.T) {
	const n = 1 << 15
	p := makeTable(t, 3)
	for name, hash := range map[string]func(int) uint64{
		"low bits":    func(k int) uint64 { return uint64(k) },
		"middle bits": func(k int) uint64 { return uint64(k) << 24 },
		"upper bits":  func(k int) uint64 { return uint64(k) << 40 },
		"top bits":    func(k int) uint64 { return uint64(k) << 49 },
		"both ends":   func(k int) uint64 { return uint64(k)<<48 | uint64(k) },
		"steps":       func(k int) uint64 { return uint64(k) * 1000 << 20 },
	} {
		s, err := scatter.New(p, answer, scatter.Config{}, scatter.WithHash(hash))
		require.NoError(t, err)
		count := 0
		_, err = s.Do(looks{t.Context(), &count}, makeKeys(n))
		require.NoError(t, err)
		assert.LessOrEqual(t, count, 4*n/1024+10, name)
		assert.GreaterOrEqual(t, count, n/1024, name)
	}
}

// A caller whose context ends while the keys are divided does not wait for the rest, even where that takes very long.
func TestCallerGivesUpWhileKeysAreDivided(t *testing.T) {
	why := errors.New("why")
	for name, hashOf := range map[string]func(int) uint64{
		"good hash": func(k int) uint64 { return uint64(k) * 0x9e3779b97f4a7c15 },
		"one hash":  func(int) uint64 { return 7 },
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		hashed := 0
		s, err := scatter.New(makeTable(t, 3), answer, scatter.Config{}, scatter.WithHash(func(k int) uint64 {
			if hashed++; hashed == 100 {
				cancel(why)
			}
			return hashOf(k)
		}))
		require.NoError(t, err)
		values, err := s.Do(ctx, makeKeys(10_000))
		assert.Equal(t, why, err, name)
		assert.Nil(t, values)
		assert.LessOrEqual(t, hashed, 100+1024, name)
		assert.Zero(t, s.Stats().Calls)
		// The next Do finds nothing of this one.
		values, err = s.Do(t.Context(), makeKeys(50))
		require.NoError(t, err)
		assert.Len(t, values, 50)
	}
}
