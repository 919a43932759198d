package pool_test

import (
	"context"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

// letters is the input 0, 1, 2, ... as strings, whose concatenation is associative but not commutative.
func letters(n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range n {
			if !yield(string(rune('a' + i%26))) {
				return
			}
		}
	}
}

func concat(left, right string) string { return left + right }

func TestReduceKeepsOrder(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 8, 31, 100, 257} {
		for _, chunk := range []int{0, 1, 3, 1000} {
			cfg := pool.ReduceConfig{Workers: 4, Chunk: chunk}
			got, err := pool.Reduce(context.Background(), letters(n), concat, cfg)
			require.NoError(t, err)
			require.Equal(t, strings.Join(slices.Collect(letters(n)), ""), got)
			got, err = pool.MapReduce(context.Background(), letters(n), func(_ context.Context, s string) (string, error) {
				runtime.Gosched()
				return strings.ToUpper(s), nil
			}, concat, cfg)
			require.NoError(t, err)
			require.Equal(t, strings.ToUpper(strings.Join(slices.Collect(letters(n)), "")), got)
		}
	}
}

// The result is the same to the last bit, whatever the timing and the workers.
func TestReduceIsReproducible(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	numbers := make([]float64, 10_000)
	for i := range numbers {
		numbers[i] = random.NormFloat64() * math.Exp(10*random.Float64())
	}
	add := func(a, b float64) float64 { return a + b }
	want, err := pool.Reduce(context.Background(), slices.Values(numbers), add, pool.ReduceConfig{Workers: 1, Chunk: 7})
	require.NoError(t, err)
	for workers := range 8 {
		got, err := pool.Reduce(context.Background(), slices.Values(numbers), add, pool.ReduceConfig{Workers: workers, Chunk: 7})
		require.NoError(t, err)
		require.Equal(t, math.Float64bits(want), math.Float64bits(got))
	}
}

// The combining is shared out too, and takes as long as the tree is high.
func TestReduceIsParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		sum, err := pool.Reduce(context.Background(), count(64), func(a, b int) int {
			time.Sleep(ms)
			return a + b
		}, pool.ReduceConfig{Workers: 64})
		require.NoError(t, err)
		assert.Equal(t, 64*63/2, sum)
		assert.Equal(t, 6*ms, time.Since(start))
	})
}

func TestReduceErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		add := func(a, b int) int { return a + b }
		fine := func(_ context.Context, i int) (int, error) { return i, nil }
		ctx := context.Background()
		reduce := func(in iter.Seq[int], fn pool.Func[int, int], combine func(a, b int) int, cfg pool.ReduceConfig) error {
			_, err := pool.MapReduce(ctx, in, fn, combine, cfg)
			return err
		}
		assert.ErrorIs(t, reduce(count(0), fine, add, pool.ReduceConfig{}), pool.ErrEmpty)
		assert.ErrorContains(t, reduce(nil, fine, add, pool.ReduceConfig{}), "nil input")
		assert.ErrorContains(t, reduce(count(1), nil, add, pool.ReduceConfig{}), "nil function")
		assert.ErrorContains(t, reduce(count(1), fine, nil, pool.ReduceConfig{}), "nil function")
		assert.ErrorContains(t, reduce(count(1), fine, add, pool.ReduceConfig{Workers: -1}), "negative")
		assert.ErrorContains(t, reduce(count(1), fine, add, pool.ReduceConfig{Chunk: -1}), "negative")
		assert.NoError(t, reduce(count(3), fine, add, pool.ReduceConfig{Workers: math.MaxInt, Chunk: math.MaxInt}))
		assert.Same(t, errModel, reduce(count(100), func(_ context.Context, i int) (int, error) {
			if i == 50 {
				return 0, errModel
			}
			return i, nil
		}, add, pool.ReduceConfig{Chunk: 7}))
		var panicked *pool.PanicError
		for n := 2; n < 9; n++ { // on a worker, or at the end
			last := func(end func()) error {
				calls := 0
				return reduce(count(n), fine, func(a, b int) int {
					if calls++; calls == n-1 {
						end()
					}
					return a + b
				}, pool.ReduceConfig{Workers: 1})
			}
			assert.ErrorAs(t, last(func() { panic("no") }), &panicked)
			assert.Equal(t, pool.ErrGoexit, last(runtime.Goexit))
		}
		assert.ErrorIs(t, reduce(func(func(int) bool) { panic("no") }, fine, add, pool.ReduceConfig{}), pool.ErrInput)
		over, cancel := context.WithCancelCause(ctx)
		cancel(errModel)
		_, err := pool.Reduce(over, count(3), add, pool.ReduceConfig{})
		assert.Same(t, errModel, err)
	})
}

func TestMapReduceKeyed(t *testing.T) {
	lines := strings.Split("rose;a rose is a rose;is a rose is;;a thing;rose", ";")
	words := func(_ context.Context, line string, emit func(string, string)) error {
		for i, word := range strings.Fields(line) {
			emit(word, string(rune('0'+i)))
		}
		return nil
	}
	join := func(_ string, left, right string) string { return left + right }
	want := map[string]string{}
	for _, line := range lines {
		for i, word := range strings.Fields(line) {
			want[word] += string(rune('0' + i))
		}
	}
	for _, cfg := range []pool.ReduceConfig{{}, {Workers: 3}, {Workers: 1, Chunk: 2}, {Workers: 4, Chunk: 100}} {
		got, err := pool.MapReduceKeyed(context.Background(), slices.Values(lines), words, join, cfg)
		require.NoError(t, err)
		assert.Equal(t, want, got, "values keep the order of the input")
	}
	got, err := pool.MapReduceKeyed(context.Background(), slices.Values(lines[:0]), words, join, pool.ReduceConfig{})
	require.NoError(t, err)
	assert.NotNil(t, got)
	assert.Empty(t, got)
	_, err = pool.MapReduceKeyed(context.Background(), count(3), func(_ context.Context, i int, emit func(float64, int)) error {
		emit(math.Log(-1), i)
		return nil
	}, func(_ float64, a, b int) int { return a + b }, pool.ReduceConfig{})
	assert.ErrorContains(t, err, "not equal to itself")
	_, err = pool.MapReduceKeyed(context.Background(), count(3), func(_ context.Context, i int, _ func(int, int)) error {
		return errModel
	}, func(_ int, a, b int) int { return a + b }, pool.ReduceConfig{})
	assert.Same(t, errModel, err)
	_, err = pool.MapReduceKeyed[int, int, int](context.Background(), count(3), nil, nil, pool.ReduceConfig{})
	assert.ErrorContains(t, err, "nil function")
	assert.Len(t, slices.Collect(maps.Keys(want)), 4)
}
