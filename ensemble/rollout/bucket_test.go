package rollout_test

import (
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

func newBucket(t testing.TB, cfg rollout.BucketConfig) *rollout.Bucket {
	t.Helper()
	b, err := rollout.NewBucket(cfg)
	require.NoError(t, err)
	return b
}

func keys(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = "user-" + strconv.Itoa(i)
	}
	return all
}

// within five standard deviations of a binomial.
func within(t *testing.T, got, n int, p float64) {
	t.Helper()
	require.InDelta(t, p*float64(n), got, 5*math.Sqrt(p*(1-p)*float64(n))+1e-9)
}

func TestShareIsBinomialAndOnlyThoseThatMustMoveDo(t *testing.T) {
	const n = 50_000
	b := newBucket(t, rollout.BucketConfig{Salt: "v2"})
	again := newBucket(t, rollout.BucketConfig{Salt: "v2"})
	all := keys(n)
	was := make([]bool, n)
	last := 0.0
	for _, share := range []float64{0, 0.01, 0.05, 0.25, 0.5, 0.9, 1, 0.25, 0} {
		in, moved := 0, 0
		for i, key := range all {
			is := b.In(key, share)
			if is != again.In(key, share) {
				t.Fatal("not the same in every process")
			}
			if is {
				in++
			}
			if is != was[i] {
				moved++
				if is != (share > last) {
					t.Fatal("moved against the direction of the share")
				}
			}
			was[i] = is
		}
		within(t, in, n, share)
		within(t, moved, n, math.Abs(share-last))
		last = share
	}
}

func TestSaltsAreIndependent(t *testing.T) {
	const n = 50_000
	a, b := newBucket(t, rollout.BucketConfig{Salt: "a"}), newBucket(t, rollout.BucketConfig{Salt: "b"})
	both := 0
	for _, key := range keys(n) {
		if a.In(key, 0.3) && b.In(key, 0.3) {
			both++
		}
	}
	within(t, both, n, 0.09)
}

func TestNamespacesKeepExperimentsApart(t *testing.T) {
	const n = 50_000
	a := newBucket(t, rollout.BucketConfig{Salt: "a", Namespace: "ranking", To: 0.3})
	b := newBucket(t, rollout.BucketConfig{Salt: "ranking", Namespace: "ranking", From: 0.3, To: 0.8})
	c := newBucket(t, rollout.BucketConfig{Salt: "c", Namespace: "ranking", From: 0.8})
	var inA, inB, arm int
	for _, key := range keys(n) {
		count := 0
		for _, x := range []*rollout.Bucket{a, b, c} {
			if x.Eligible(key) {
				count++
			}
		}
		if count != 1 {
			t.Fatalf("key %q is in %d of them", key, count)
		}
		if a.Eligible(key) {
			inA++
		} else {
			if a.In(key, 1) {
				t.Fatal("in, but not eligible")
			}
		}
		if b.Eligible(key) {
			inB++
			if b.In(key, 0.5) {
				arm++
			}
		}
	}
	within(t, inA, n, 0.3)
	within(t, inB, n, 0.5)
	within(t, arm, n, 0.25) // the place in the namespace says nothing about the arm, even if salt and namespace have one name
}

func TestBucketRejects(t *testing.T) {
	for _, cfg := range []rollout.BucketConfig{
		{}, {Salt: "a", From: 0.5}, {Salt: "a", To: 0.5}, {Salt: "a", Namespace: "n", From: 0.5, To: 0.4}, {Salt: "a", Namespace: "n", To: 2},
		{Salt: "a", Namespace: "n", From: -1}, {Salt: "a", Namespace: "n", From: math.NaN()}, {Salt: "a", Namespace: "n", To: math.NaN()},
	} {
		_, err := rollout.NewBucket(cfg)
		require.Error(t, err, "%+v", cfg)
	}
}
