package nn

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPredict(t *testing.T) {
	n, err := New(1, 2, 3)
	require.NoError(t, err)
	clear(n.layers[0].weights.Data)
	copy(n.layers[0].bias, []float32{1000, 1000 + float32(math.Ln2), 0}) // e^1000 is no float64
	work := n.NewWorkspace(2)
	classes, confidences := make([]int, 2), make([]float32, 2)
	n.Predict(work, classes, confidences)
	assert.Equal(t, []int{1, 1}, classes)
	assert.InDelta(t, 2.0/3, confidences[0], 1e-4)
	assert.Equal(t, confidences[0], confidences[1])
	n.Predict(work, nil, nil)
	assert.Panics(t, func() { n.Predict(work, classes, nil) })
}
