package sharding_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

func TestHotPathsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	never := func(name string, f func()) {
		t.Helper()
		assert.Zero(t, testing.AllocsPerRun(1000, f), name)
	}
	for _, p := range allPlacements(t, makeNodes(100)) {
		i := 0
		key := func() string { i++; return benchKeys[i%len(benchKeys)] }
		room := make([]int, 0, 8)
		never(placementName(p)+".Owner", func() { sink += p.Owner(sharding.Hash(key())) })
		never("Owner", func() { sink += len(sharding.Owner(p, key()).Name) })
		never(placementName(p)+".Owners", func() { sink += len(p.Owners(room, sharding.Hash(key()), 8)) })
		b, err := sharding.NewBounded(p, sharding.BoundedConfig{})
		require.NoError(t, err)
		never("Bounded", func() {
			lease := b.Acquire(sharding.Hash(key()))
			lease.Release()
		})
	}
	h := hasher[compound](t)
	tail := []byte("tail")
	never("Hash of a struct", func() { sink += int(h(compound{User: "me", Tail: tail})) })
	never("Hash of bytes", func() { sink += int(sharding.Hash(tail)) })
	never("Hash of an integer", func() { sink += int(sharding.Hash(sink)) })

	m, err := sharding.NewMap[string, int](sharding.MapConfig{})
	require.NoError(t, err)
	m.Store("a", 1)
	add := func(old int, _ bool) (int, bool) { return old + 1, true }
	never("Map", func() { m.Store("a", 2); m.Load("a"); m.LoadOrStore("a", 3); m.Compute("a", add) })
}
