package batching

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A tree answers as a sorted slice does.
func TestTree(t *testing.T) {
	type node = item[int, int, int]
	random := rand.New(rand.NewPCG(1, 1))
	var (
		tr   tree[int, int, int]
		want []*node
	)
	for range 3000 {
		if len(want) == 0 || random.IntN(100) < 52 {
			it := &node{target: time.Duration(random.IntN(200)), weight: random.Int64N(10)}
			if random.IntN(2) == 0 && len(want) > 0 {
				it.target = want[len(want)-1].target + time.Duration(random.IntN(2)) // as most requests come
			}
			at, _ := slices.BinarySearchFunc(want, it.target+1, func(a *node, d time.Duration) int { return int(a.target - d) })
			want = slices.Insert(want, at, it)
			tr.insert(it)
		} else {
			i := random.IntN(len(want))
			if random.IntN(2) == 0 {
				i = 0
			}
			tr.remove(want[i])
			want = slices.Delete(want, i, i+1)
		}
		if len(want) > 0 {
			require.Same(t, want[0], tr.first())
			require.Same(t, want[len(want)-1], tr.last)
		} else {
			require.Nil(t, tr.first())
			require.Nil(t, tr.last)
		}
		d := time.Duration(random.IntN(220))
		from, _ := slices.BinarySearchFunc(want, d, func(a *node, d time.Duration) int { return int(a.target - d) })
		n, weight, first := tr.from(d)
		require.Equal(t, len(want)-from, n)
		var sum int64
		for _, it := range want[from:] {
			sum += it.weight
		}
		require.Equal(t, sum, weight)
		for i := from; i < len(want); i++ {
			require.Same(t, want[i], first)
			first = following(first)
		}
		require.Nil(t, first)
	}
}

// However requests come, the tree stays shallow: the cost of a choice grows with the logarithm of the queue.
func TestTreeIsBalanced(t *testing.T) {
	for name, target := range map[string]func(i int) time.Duration{
		"ascending":  func(i int) time.Duration { return time.Duration(i) },
		"descending": func(i int) time.Duration { return time.Duration(-i) },
		"equal":      func(int) time.Duration { return 0 },
	} {
		var tr tree[int, int, int]
		for i := range 10_000 {
			tr.insert(&item[int, int, int]{target: target(i)})
		}
		var depth func(it *item[int, int, int]) int
		depth = func(it *item[int, int, int]) int {
			if it == nil {
				return 0
			}
			return 1 + max(depth(it.branch.left), depth(it.branch.right))
		}
		require.Less(t, depth(tr.root), 50, name)
	}
}
