package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
	"github.com/scalable-ai/patterns/examples/internal/wait"
	"github.com/scalable-ai/patterns/pool/session"
)

var errSick = errors.New("the session is sick")

// backend is a model that is used through sessions.
type backend struct {
	network *nn.Network
	page    int           // digits on a page
	takes   time.Duration // to open a session
	device  time.Duration // for a page
	sickAt  int64         // the call at which a session turns sick
	calls   atomic.Int64
}

// reader is a session: memory of its own for what the network computes, so one page at a time.
type reader struct {
	work *nn.Workspace
	sick bool
}

// page is a request: the images of the digits that somebody wrote.
type page struct {
	writer int
	images []mnist.Image
}

// open has the shape that session.New needs. The pause stands for what makes real sessions slow to open: weights that are loaded into
// a GPU, kernels that are compiled.
func (b *backend) open(ctx context.Context) (*reader, error) {
	if err := wait.For(ctx, b.takes); err != nil {
		return nil, err
	}
	return &reader{work: b.network.NewWorkspace(b.page)}, nil
}

func (b *backend) close(r *reader) { r.work = nil }

// read returns the digits on the page. Once sick, a session is not to be used any more, which is what session.Bad says.
func (b *backend) read(ctx context.Context, r *reader, p page) ([]int, error) {
	if b.calls.Add(1) == b.sickAt {
		r.sick = true
	}
	if r.sick {
		return nil, session.Bad(errSick)
	}
	// The pause stands for the device on which a real session would work while the processor is free.
	if err := wait.For(ctx, b.device); err != nil {
		return nil, err
	}
	for i, image := range p.images {
		image.Input(r.work.Input(i))
	}
	digits := make([]int, len(p.images))
	b.network.Classify(r.work, digits)
	return digits, nil
}
