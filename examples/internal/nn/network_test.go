package nn

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newNetwork(tb testing.TB, seed uint64, widths ...int) *Network {
	tb.Helper()
	n, err := New(seed, widths...)
	require.NoError(tb, err)
	return n
}

// fill gives w inputs of which, as in an image, many values are 0.
func fill(w *Workspace, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range w.Size() {
		input := w.Input(i)
		for j := range input {
			input[j] = max(0, float32(random.NormFloat64()))
		}
	}
}

func TestNew(t *testing.T) {
	n := newNetwork(t, 1, 784, 128, 10)
	assert.Equal(t, 784, n.Inputs())
	assert.Equal(t, 10, n.Classes())
	assert.Equal(t, 784*128+128+128*10+10, n.Parameters())
	assert.Equal(t, n, newNetwork(t, 1, 784, 128, 10))
	assert.NotEqual(t, n, newNetwork(t, 2, 784, 128, 10))

	for _, widths := range [][]int{nil, {5}, {5, 0}, {0, 5}, {5, -1, 5}} {
		_, err := New(1, widths...)
		assert.Error(t, err, "%v", widths)
	}
}

// A network that was worked out by hand.
func TestForward(t *testing.T) {
	n := newNetwork(t, 1, 2, 2, 2)
	copy(n.layers[0].weights.Data, []float32{1, -1, 2, 1}) // of the first input, then of the second
	copy(n.layers[0].bias, []float32{0.5, 0})
	copy(n.layers[1].weights.Data, []float32{1, 3, 2, -1})
	copy(n.layers[1].bias, []float32{0, 10})
	w := n.NewWorkspace(2)
	copy(w.Input(0), []float32{1, 2})  // hidden: 5.5, 1
	copy(w.Input(1), []float32{3, -2}) // hidden: 0 (cut off from -0.5), 0 (from -5)
	assert.Equal(t, []float32{7.5, 25.5, 0, 10}, n.forward(w, 2).Data)

	classes := []int{-1, -1}
	n.Classify(w, classes)
	assert.Equal(t, []int{1, 1}, classes)
}

// Batches of any size give the same scores as single inputs, to the last bit. Those of more than 128 make
// gonum go parallel.
func TestBatchEqualsSingle(t *testing.T) {
	for _, widths := range [][]int{{784, 128, 10}, {784, 10}, {30, 20, 15, 4}} {
		n := newNetwork(t, 3, widths...)
		all := n.NewWorkspace(300)
		fill(all, 4)
		one := n.NewWorkspace(1)
		var want []float32
		for i := range all.Size() {
			copy(one.Input(0), all.Input(i))
			want = append(want, n.forward(one, 1).Data...)
		}
		for _, count := range []int{1, 2, 63, 64, 65, 128, 200, 300} {
			got := n.forward(all, count).Data
			assert.Equal(t, want[:count*n.Classes()], got, "%v, %d inputs", widths, count)
		}
	}
}

func TestClassifyConcurrently(t *testing.T) {
	n := newNetwork(t, 5, 50, 30, 10)
	w := n.NewWorkspace(8)
	fill(w, 6)
	want := make([]int, w.Size())
	n.Classify(w, want)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			w, got := n.NewWorkspace(8), make([]int, 8)
			fill(w, 6)
			for range 50 {
				n.Classify(w, got)
				assert.Equal(t, want, got)
			}
		})
	}
	wg.Wait()
}

func TestClassifyNothing(t *testing.T) {
	n := newNetwork(t, 1, 3, 2)
	n.Classify(n.NewWorkspace(1), nil)
}

func TestClassifyMoreThanThereIsRoomFor(t *testing.T) {
	n := newNetwork(t, 1, 3, 2)
	assert.Panics(t, func() { n.Classify(n.NewWorkspace(1), make([]int, 2)) })
}

func TestProbabilities(t *testing.T) {
	n := newNetwork(t, 1, 2, 3)
	copy(n.layers[0].weights.Data, []float32{1, 2, 3, 0, 0, 0})
	w := n.NewWorkspace(2)
	copy(w.Input(0), []float32{1, 9})    // scores: 1, 2, 3
	copy(w.Input(1), []float32{1000, 0}) // 1000, 2000, 3000
	got := make([]float64, 6)
	n.Probabilities(w, got)
	assert.InDeltaSlice(t, []float64{0.09003, 0.24473, 0.66524, 0, 0, 1}, got, 1e-5)
	one := make([]float64, 3)
	n.Probabilities(w, one)
	assert.Equal(t, got[:3], one)
	n.Probabilities(w, nil)
	assert.Panics(t, func() { n.Probabilities(w, make([]float64, 4)) })
	assert.Panics(t, func() { n.Probabilities(w, make([]float64, 9)) })
	assert.Zero(t, testing.AllocsPerRun(10, func() { n.Probabilities(w, got) }))
}

func TestClassifyDoesNotAllocate(t *testing.T) {
	n := newNetwork(t, 1, 784, 128, 10)
	for _, size := range []int{1, 64} {
		w, classes := n.NewWorkspace(size), make([]int, size)
		fill(w, 1)
		assert.Zero(t, testing.AllocsPerRun(10, func() { n.Classify(w, classes) }), "%d inputs", size)
	}
}

func TestArgmax(t *testing.T) {
	assert.Equal(t, 2, argmax([]float32{-3, -2, -1}))
	assert.Equal(t, 0, argmax([]float32{1, 1, 1}))
	assert.Equal(t, 1, argmax([]float32{0, 5, 3}))
}

// BenchmarkClassify shows what the matrix product itself gains from a batch: µs/input.
func BenchmarkClassify(b *testing.B) {
	n := newNetwork(b, 1, 784, 128, 10)
	for _, size := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			w, classes := n.NewWorkspace(size), make([]int, size)
			fill(w, 1)
			for b.Loop() {
				n.Classify(w, classes)
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N*size), "µs/input")
		})
	}
}
