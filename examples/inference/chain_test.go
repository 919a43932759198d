package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/ensemble/rollout"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
)

// testWorld has networks that have learnt nothing, and images of noise.
func testWorld(t *testing.T) *world {
	t.Helper()
	history := &mnist.Set{Images: noise(2*writers, 1), Labels: make([]uint8, 2*writers)}
	w := &world{images: noise(4000, 2), labels: make([]uint8, 4000), archive: noise(4000, 3)}
	var err error
	w.old, err = nn.New(1, mnist.Pixels, 8, mnist.Classes)
	require.NoError(t, err)
	w.new, err = nn.New(2, mnist.Pixels, 8, mnist.Classes)
	require.NoError(t, err)
	confidences, wrong := examine(w.old, history)
	w.reviews, err = newReviews(t.Context(), confidences, wrong)
	require.NoError(t, err)
	return w
}

// noise is images that differ from each other.
func noise(n, kind int) []mnist.Image {
	images := make([]mnist.Image, n)
	for i := range images {
		images[i] = make(mnist.Image, mnist.Pixels)
		images[i][kind], images[i][100], images[i][101] = 255, byte(i), byte(i>>8)
		images[i][200+i%500] = 255
	}
	return images
}

func testChain(t *testing.T, w *world, s settings) (*chain, *device) {
	t.Helper()
	versions, err := rollout.NewRegistry[[]request, []answer](rollout.RegistryConfig{})
	require.NoError(t, err)
	c, err := compose(s, versions, w.reviews)
	require.NoError(t, err)
	d := &device{}
	require.NoError(t, c.deploy(t.Context(), &model{"1", w.old, d}))
	return c, d
}

func (w *world) request(i int) request {
	return request{fmt.Sprint("tenant ", i%tenants), writerOf(i), w.images[i]}
}

func TestTheChainAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testWorld(t)
		c, d := testChain(t, w, everything())
		before := d.batches.Load()
		var wg sync.WaitGroup
		for i := range 3 * maxBatch {
			wg.Go(func() {
				got, err := c.Do(t.Context(), w.request(i%maxBatch))
				assert.NoError(t, err)
				want, confidence := []int{0}, []float32{0}
				work := w.old.NewWorkspace(1)
				w.images[i%maxBatch].Input(work.Input(0))
				w.old.Predict(work, want, confidence)
				assert.Equal(t, want[0], got.digit)
				assert.InDelta(t, confidence[0], got.confidence, 1e-4)
				assert.Equal(t, "1", got.version)
			})
		}
		wg.Wait()
		assert.LessOrEqual(t, d.batches.Load()-before, int64(maxBatch/2), "each image once, in batches")
		require.NoError(t, c.close())
	})
}

// A request that begins when a version has taken over is not answered by the last one, nor by what the cache has of it, and none fails.
func TestSwapUnderTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testWorld(t)
		c, d := testChain(t, w, everything())
		over, stop := context.WithCancel(t.Context())
		var mu sync.Mutex
		seen := map[string]int{}
		var wg sync.WaitGroup
		for caller := range 8 {
			wg.Go(func() {
				for i := caller; over.Err() == nil; i++ {
					after := c.champion.ID().Version == "2"
					got, err := c.Do(t.Context(), w.request(i%50))
					assert.NoError(t, err)
					assert.False(t, after && got.version != "2")
					mu.Lock()
					seen[got.version]++
					mu.Unlock()
					time.Sleep(time.Millisecond)
				}
			})
		}
		time.Sleep(time.Second)
		require.NoError(t, c.deploy(t.Context(), &model{"2", w.new, d}))
		time.Sleep(time.Second)
		stop()
		wg.Wait()
		assert.Positive(t, seen["1"])
		assert.Positive(t, seen["2"])
		for _, v := range c.versions.Stats().Versions {
			assert.Equal(t, v.ID.Version == "2", v.State == rollout.Ready, v)
		}
		require.NoError(t, c.close())
	})
}

// When the device fails, what is in the cache is still answered, and the breaker keeps the rest away from the device.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testWorld(t)
		c, d := testChain(t, w, everything())
		_, err := c.Do(t.Context(), w.request(0))
		require.NoError(t, err)
		d.fails.Store(true)
		var wg sync.WaitGroup
		for i := range 2 * maxBatch {
			wg.Go(func() {
				_, err := c.Do(t.Context(), w.request(1+i))
				assert.ErrorIs(t, err, errDevice)
			})
		}
		wg.Wait()
		assert.Equal(t, breaker.StateOpen, c.breaker.State())
		before := d.batches.Load()
		_, err = c.Do(t.Context(), w.request(999))
		assert.ErrorIs(t, err, breaker.ErrOpen)
		_, err = c.Do(t.Context(), w.request(0))
		assert.NoError(t, err)
		assert.Equal(t, before, d.batches.Load())
		require.NoError(t, c.close())
	})
}

// What the batcher refuses does not open the breaker: it says nothing about the device.
func TestOverloadIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testWorld(t)
		s := everything()
		noBulkhead(&s)
		noLimiter(&s)
		c, _ := testChain(t, w, s)
		var wg sync.WaitGroup
		counts := make([]result, 600)
		for i := range counts {
			wg.Go(func() {
				_, err := c.Do(t.Context(), w.request(i))
				counts[i] = resultOf(t.Context(), err)
			})
		}
		wg.Wait()
		assert.Contains(t, counts, hopeless)
		assert.Contains(t, counts, inTime)
		assert.NotContains(t, counts, open)
		assert.Equal(t, breaker.StateClosed, c.breaker.State())
		require.NoError(t, c.close())
	})
}

// The second model goes by the writer's history and by the confidence.
func TestReviews(t *testing.T) {
	wrong := make([]int, 40*writers)
	confidences := make([]float32, len(wrong))
	for i := range wrong {
		confidences[i] = 0.99
		if i/writers%2 == 0 {
			confidences[i] = 0.5
		}
		if writerOf(i) < 20 && i/writers%2 == 0 || i%97 == 0 {
			wrong[i] = 1
		}
	}
	v, err := newReviews(t.Context(), confidences, wrong)
	require.NoError(t, err)
	for _, c := range []struct {
		writer     int64
		confidence float32
		review     bool
	}{{3, 0.5, true}, {100, 0.5, false}, {100, 0.99, false}} {
		got, err := v.Do(t.Context(), read{c.writer, answer{digit: 4, confidence: c.confidence, version: "1"}})
		require.NoError(t, err)
		assert.Equal(t, c.review, got.review, fmt.Sprint(c))
		assert.Equal(t, 4, got.digit)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = v.Do(ctx, read{})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestScrawl(t *testing.T) {
	images := noise(2*writers, 0)
	scrawled := scrawl(images, 1)
	assert.Equal(t, scrawled, scrawl(images, 1))
	assert.Equal(t, images[0], scrawled[0], "a careful writer")
	assert.NotEqual(t, images[writers-1], scrawled[writers-1], "a careless one")
	assert.False(t, slices.Equal(images[writers-1], scrawled[writers-1]))
}
