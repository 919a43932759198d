package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/scalable-ai/patterns/ensemble/rollout"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
)

// request is an image that a user sends.
type request struct {
	number   int
	user     int
	image    mnist.Image
	digit    int  // what it shows, which the models are not told
	labelled bool // whether the user will say so
}

// key is for the canary: a user stays with a version.
func key(_ context.Context, r request) string { return strconv.Itoa(r.user) }

// answer says which version it is from.
type answer struct {
	digit   int
	version string
}

// traffic makes requests. The same numbers of the same stream are the same requests.
type traffic struct {
	o      options
	set    *mnist.Set
	stream uint64
}

func (t traffic) request(i int) request {
	random := rand.New(rand.NewPCG(t.o.seed, t.stream<<32|uint64(i)))
	n := random.IntN(t.set.Len())
	return request{i, random.IntN(t.o.users), t.set.Images[n], t.set.Class(n), random.Float64() < t.o.labelled}
}

// fleet is a registry of versions, which counts what must not happen to them.
type fleet struct {
	registry       *rollout.Registry[request, answer]
	loaded, closed atomic.Int64
	tooLate        atomic.Int64 // requests that a model had when it was closed, or got after that
	warm           mnist.Image
	log            journal
}

func newFleet(s *sets) (*fleet, error) {
	f := &fleet{warm: s.calibrate.Images[0]}
	var err error
	f.registry, err = rollout.NewRegistry[request, answer](rollout.RegistryConfig{OnEvent: func(e rollout.Event) { f.log.add("registry", e.String()) }})
	return f, err
}

func id(version string) rollout.ID { return rollout.ID{Model: "digits", Version: version} }

// register makes a version of a model known.
func (f *fleet) register(version string, m model, why string) error {
	return f.registry.Register(id(version), f.source(version, m), why)
}

// source makes models that notice when they are asked after they were closed.
func (f *fleet) source(version string, m model) rollout.Source[request, answer] {
	return rollout.Source[request, answer]{
		Load: func(context.Context) (rollout.Model[request, answer], error) {
			f.loaded.Add(1)
			var closed atomic.Bool
			return rollout.Model[request, answer]{
				Do: func(_ context.Context, r request) (answer, error) {
					before := closed.Load()
					d := digit(m.probabilities(r.image))
					if before || closed.Load() {
						f.tooLate.Add(1)
					}
					return answer{d, version}, nil
				},
				Close: func() error {
					f.closed.Add(1)
					closed.Store(true)
					return nil
				},
			}, nil
		},
		Warm: func(ctx context.Context, do rollout.Func[request, answer]) error {
			_, err := do(ctx, request{image: f.warm})
			return err
		},
	}
}

// close unloads all, also when ctx has ended: nothing is under way any more.
func (f *fleet) close(ctx context.Context, err *error) {
	*err = errors.Join(*err, f.registry.Shutdown(context.WithoutCancel(ctx)))
}

// journal is what has happened, and at which request.
type journal struct {
	now   atomic.Int64 // requests that have begun
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(who, what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf("%7d  %-8s  %s\n", j.now.Load(), who, what))
}
