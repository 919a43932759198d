package training_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/mnist/mnisttest"
	"github.com/scalable-ai/patterns/examples/internal/nn"
	"github.com/scalable-ai/patterns/examples/internal/training"
)

func TestRun(t *testing.T) {
	images, _, err := mnist.Open(t.Context(), mnisttest.Dir(t, 500, 1))
	require.NoError(t, err)
	for _, hidden := range [][]int{nil, {20}, {20, 15}} {
		var out bytes.Buffer
		network, err := training.Run(t.Context(), &out, images, training.Config{Name: "training it", Hidden: hidden, Epochs: 5, Seed: 1})
		require.NoError(t, err)
		assert.Contains(t, out.String(), "training it 100%  epoch 5  accuracy 100.0%\n", hidden)
		want, inputs := 0, mnist.Pixels
		for _, width := range append(hidden, mnist.Classes) {
			want += (inputs + 1) * width
			inputs = width
		}
		assert.Equal(t, want, network.Parameters(), hidden)
	}
}

func TestRunUsesItsConfig(t *testing.T) {
	images, _, err := mnist.Open(t.Context(), mnisttest.Dir(t, 10, 1))
	require.NoError(t, err)
	loss := func(rate float32, seed uint64) string {
		var out bytes.Buffer
		_, err := training.Run(t.Context(), &out, images, training.Config{
			Name: "x", Epochs: 2, Rate: rate, Seed: seed, Note: func(p nn.Progress) string { return fmt.Sprint(p.Loss) },
		})
		require.NoError(t, err)
		return out.String()
	}
	assert.Equal(t, loss(0.1, 1), loss(0, 1), "the default")
	assert.NotEqual(t, loss(0.1, 1), loss(0.05, 1))
	assert.NotEqual(t, loss(0.1, 1), loss(0.1, 2))
}

func TestRunFails(t *testing.T) {
	_, err := training.Run(t.Context(), &bytes.Buffer{}, &mnist.Set{}, training.Config{Hidden: []int{-1}, Epochs: 1})
	assert.ErrorContains(t, err, "nn: ")
	_, err = training.Run(t.Context(), &bytes.Buffer{}, &mnist.Set{}, training.Config{Epochs: 1})
	assert.ErrorContains(t, err, "no examples")

	images, _, err := mnist.Open(t.Context(), mnisttest.Dir(t, 10, 1))
	require.NoError(t, err)
	reason := errors.New("the reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	_, err = training.Run(ctx, &bytes.Buffer{}, images, training.Config{Epochs: 1})
	assert.ErrorIs(t, err, reason)
}
