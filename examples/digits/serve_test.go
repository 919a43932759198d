package main

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/mnist/mnisttest"
)

func TestRoundAsksForEachImageOnce(t *testing.T) {
	var (
		mu    sync.Mutex
		asked = map[*byte]int{}
		now   atomic.Int64
		most  int64
	)
	w := &way{predict: func(_ context.Context, image mnist.Image) (int, error) {
		mu.Lock()
		asked[&image[0]]++
		most = max(most, now.Add(1))
		mu.Unlock()
		defer now.Add(-1)
		if image[0] == 3 {
			return 7, nil // wrong
		}
		return int(image[0]), nil
	}}
	set := mnisttest.FirstPixels(100)
	require.NoError(t, w.round(t.Context(), set, 50, 8))
	assert.Len(t, asked, 50)
	for i := range 50 {
		assert.Equal(t, 1, asked[&set.Images[i][0]])
	}
	assert.LessOrEqual(t, most, int64(8))
	assert.Len(t, w.latencies, 50)
	assert.Equal(t, 45, w.correct)

	require.NoError(t, w.round(t.Context(), set, 50, 8)) // rounds add up
	assert.Len(t, w.latencies, 100)
	assert.Equal(t, 90, w.correct)
	assert.InEpsilon(t, 100/w.elapsed.Seconds(), w.throughput(), 1e-9)
}

func TestRoundCountsWhatWasAnsweredBeforeItWasCancelled(t *testing.T) {
	reason := errors.New("the reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	answered := 0
	w := &way{predict: func(ctx context.Context, image mnist.Image) (int, error) {
		if answered == 20 {
			cancel(reason)
			return 0, ctx.Err()
		}
		answered++
		return int(image[0]), nil
	}}
	assert.ErrorIs(t, w.round(ctx, mnisttest.FirstPixels(100), 100, 1), reason)
	assert.Len(t, w.latencies, 20)
	assert.Equal(t, 20, w.correct)
}

func TestRoundStopsAtTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	w := &way{predict: func(ctx context.Context, image mnist.Image) (int, error) {
		if image[0] == 5 {
			return 0, broken
		}
		if image[0] > 5 {
			<-ctx.Done() // as a real call would, it ends when the round does
			return 0, ctx.Err()
		}
		return int(image[0]), nil
	}}
	assert.ErrorIs(t, w.round(t.Context(), mnisttest.FirstPixels(1000), 1000, 4), broken)
	assert.Len(t, w.latencies, 5)
}

func TestServeTakesTurns(t *testing.T) {
	var order []string
	var ways []*way
	for _, name := range []string{"a", "b"} {
		ways = append(ways, &way{name: name, predict: func(context.Context, mnist.Image) (int, error) {
			order = append(order, name)
			return 0, nil
		}})
	}
	var out bytes.Buffer
	require.NoError(t, serve(t.Context(), ways, options{n: 2, rounds: 2, callers: 1}, mnisttest.FirstPixels(2), &out))
	assert.Equal(t, []string{"a", "a", "b", "b", "a", "a", "b", "b"}, order)
	assert.Contains(t, out.String(), "serving  100%  a ")
}

func TestThroughput(t *testing.T) {
	assert.Zero(t, (&way{}).throughput())
	assert.InDelta(t, 2, (&way{elapsed: time.Second, latencies: make([]time.Duration, 2)}).throughput(), 1e-9)
}

func TestOneByOne(t *testing.T) {
	broken := errors.New("broken")
	predict := oneByOne(func(_ context.Context, images []mnist.Image) ([]int, error) {
		require.Len(t, images, 1)
		if images[0] == nil {
			return nil, broken
		}
		return []int{int(images[0][0])}, nil
	})
	digit, err := predict(t.Context(), mnist.Image{4})
	assert.Equal(t, 4, digit)
	assert.NoError(t, err)
	_, err = predict(t.Context(), nil)
	assert.ErrorIs(t, err, broken)
}
