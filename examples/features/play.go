package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/progress"
	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/transform"
)

// history is what has happened.
type history struct {
	streams []stream
	runs    []storeRun
	model   *model

	// Of the first store; zero if it was interrupted.
	served, best, base quality
	clickRate          float64
	request            *asker // the first
	picks              []pick // its best
}

// storeRun is what was measured with one store.
type storeRun struct {
	name     string
	ingested *ingested // nil: with what another has written
	verified int       // rows
	served   *served   // nil: interrupted before
	hitRate  float64
}

// player is what the steps of a run share.
type player struct {
	o        options
	w        *world
	registry *fs.Registry
	maker    *maker
	h        *history
	stdout   io.Writer
	bar      *progress.Bar
	steps    int // begun
}

func (s *player) step(name string) {
	s.bar.Set(s.steps, name)
	s.steps++
}

// play goes through the stores. It returns what was measured when something fails or ctx ends.
func play(ctx context.Context, o options, stdout, stderr io.Writer) (*history, error) {
	project := "features"
	if o.redis != "" { // which others may use, also for this
		project += "_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	}
	registry, err := fs.NewRegistry(project, fs.WithOps(transform.Ops()))
	if err != nil {
		return nil, err
	}
	if err := registry.Apply(definitions()); err != nil {
		return nil, err
	}
	w := newWorld(o.seed, o.users, o.items, time.Now())
	s := &player{o: o, w: w, registry: registry, h: &history{}, stdout: stdout}
	stores := backends(o, registry, w)
	s.bar = progress.New(stderr, "features", 2+3*len(stores))
	defer s.bar.End()
	s.step("streams")
	if s.maker, err = newMaker(w, registry); err != nil {
		return nil, err
	}
	for _, view := range viewNames {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		s.h.streams = append(s.h.streams, w.stream(view))
	}
	for i, b := range stores {
		if err := s.use(ctx, b, i == len(stores)-1); err != nil {
			return s.h, err
		}
	}
	s.step("")
	return s.h, nil
}

// use does all that is to be done with one store.
func (s *player) use(ctx context.Context, b backend, last bool) (err error) {
	store, err := b.open()
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // after a Ctrl-C too
		defer cancel()
		err = errors.Join(err, b.close(ctx))
	}()

	s.step(b.name + ": streams")
	in, err := ingest(ctx, store, s.registry, s.maker, s.h.streams)
	if err != nil {
		return err
	}
	s.h.runs = append(s.h.runs, storeRun{name: b.name, ingested: &in})
	r := &s.h.runs[len(s.h.runs)-1]

	s.step(b.name + ": verification")
	online, err := fs.New(store, s.registry, config())
	if err != nil {
		return err
	}
	if r.verified, err = verify(ctx, online, s.w); err != nil {
		return err
	}
	if s.h.model == nil {
		if err := s.learn(ctx, online); err != nil {
			return err
		}
	}

	s.step(b.name + ": requests")
	if err := s.serve(ctx, store, r); err != nil {
		return err
	}
	if !last || !s.o.cache {
		return nil
	}
	t, err := newTier(store, s.registry, s.o.items)
	if err != nil {
		return err
	}
	defer t.close()
	s.h.runs = append(s.h.runs, storeRun{name: b.name + ", cache"})
	r = &s.h.runs[len(s.h.runs)-1]
	err = s.serve(ctx, t, r)
	r.hitRate = t.hitRate()
	return err
}

// learn fits the service and then the model, and saves the definitions.
func (s *player) learn(ctx context.Context, online *fs.Online) error {
	s.step("model")
	service, err := fitService(ctx, online, s.w, s.o)
	if err != nil {
		return err
	}
	if err := s.registry.Apply(fs.Definitions{Services: []fs.Service{service}}); err != nil {
		return err
	}
	if err := s.save(); err != nil {
		return err
	}
	s.h.model, err = train(ctx, online, s.w, s.o)
	return err
}

// save writes the definitions, with what has been fitted.
func (s *player) save() error {
	switch s.o.definitions {
	case "":
		return nil
	case "-":
		return s.registry.Save(s.stdout)
	}
	file, err := os.Create(s.o.definitions)
	if err != nil {
		return err
	}
	return errors.Join(s.registry.Save(file), file.Close())
}

// serve measures requests. The first store's scores are judged; those of the others must be the same.
func (s *player) serve(ctx context.Context, store fs.Store, r *storeRun) error {
	got, err := serve(ctx, store, s.registry, s.w, s.h.model, s.o)
	if got != nil && got.requests > 0 {
		r.served = got
	}
	if err != nil {
		return err
	}
	if first := s.h.runs[0].served; first != got {
		if !slices.Equal(first.scores, got.scores) {
			return errScores
		}
		return nil
	}
	clicked, chances := truth(s.w, s.o)
	s.h.served, s.h.best = judge(got.scores, clicked), judge(chances, clicked)
	for _, c := range clicked {
		if c {
			s.h.clickRate++
		}
	}
	s.h.clickRate /= float64(len(clicked))
	constant := slices.Repeat([]float64{s.h.clickRate}, len(clicked))
	s.h.base = judge(constant, clicked)
	s.h.request, s.h.picks, err = explain(ctx, store, s.registry, s.w, got.scores, s.o, 5)
	return err
}
