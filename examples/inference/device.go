package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/nn"
	"github.com/scalable-ai/patterns/examples/internal/wait"
)

const (
	sessions = 2
	maxBatch = 16

	// What a batch takes on the device, in one session: most of it whatever its size, as with GPUs.
	fixedTime    = 20 * time.Millisecond
	timePerImage = 2 * time.Millisecond

	// openTime is what it takes to open a session: the weights go to the device.
	openTime = 50 * time.Millisecond

	// slowdown is how many times as long a batch takes when the device is slow or failing.
	slowdown = 3

	modelName = "digits"
)

// capacity is the number of images per second that all sessions together can answer in full batches.
const capacity = sessions * maxBatch / (float64(fixedTime+maxBatch*timePerImage) / float64(time.Second))

var errDevice = errors.New("the device has failed")

// device is what the sessions run on. Its time is simulated, so that the example has a known capacity on any machine: it is slept away, on top of the
// real computation, which takes the processor a small part of that time. As on a GPU, what has begun cannot be interrupted.
type device struct {
	slow, fails atomic.Bool  // as of now
	batches     atomic.Int64 // that it has begun
}

func (d *device) run(images int) error {
	d.batches.Add(1)
	takes := fixedTime + time.Duration(images)*timePerImage
	if d.slow.Load() {
		takes *= slowdown
	}
	fails := d.fails.Load()
	time.Sleep(takes)
	if fails {
		return errDevice
	}
	return nil
}

// model is a version of the network on the device.
type model struct {
	version string
	network *nn.Network
	device  *device
}

// open makes a session: memory of its own, so one batch at a time.
func (m *model) open(ctx context.Context) (*nn.Workspace, error) {
	if err := wait.For(ctx, openTime); err != nil {
		return nil, err
	}
	return m.network.NewWorkspace(maxBatch), nil
}

func (m *model) close(*nn.Workspace) {}

// classify answers a batch in a session.
func (m *model) classify(_ context.Context, session *nn.Workspace, requests []request) ([]answer, error) {
	for i, r := range requests {
		r.image.Input(session.Input(i))
	}
	digits, confidences := make([]int, len(requests)), make([]float32, len(requests))
	m.network.Predict(session, digits, confidences)
	if err := m.device.run(len(requests)); err != nil {
		return nil, err
	}
	answers := make([]answer, len(requests))
	for i := range answers {
		answers[i] = answer{digits[i], confidences[i], m.version}
	}
	return answers, nil
}

// classifyOnce is what one does without a pool: it opens a session for the batch.
func (m *model) classifyOnce(ctx context.Context, requests []request) ([]answer, error) {
	session, err := m.open(ctx)
	if err != nil {
		return nil, err
	}
	defer m.close(session)
	return m.classify(ctx, session, requests)
}
