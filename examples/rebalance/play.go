package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/scalable-ai/patterns/examples/internal/progress"
	"github.com/scalable-ai/patterns/sharding"
	"github.com/scalable-ai/patterns/sharding/scatter"
)

const lost = "node-2"

var nodes = []sharding.Node{{Name: "node-1"}, {Name: lost}, {Name: "node-3"}, {Name: "node-4"}, {Name: "node-5"}}

// history is what has happened.
type history struct {
	phases  []phase
	changes []change
}

// phase is what was counted while the cluster was in one state.
type phase struct {
	name                                                 string
	requests, partial, keys, answered, fallbacks, loaded int64
	asked                                                []int // keys, by node
}

// play goes through the phases. It returns those that are over when something fails or ctx ends.
func play(ctx context.Context, o options, stderr io.Writer) (*history, error) {
	c, err := newCluster(nodes, 4, o.users)
	if err != nil {
		return nil, err
	}
	h := &history{}
	bar := progress.New(stderr, "serving ", 5)
	defer bar.End()
	phase := func(name string, during func() error) error {
		bar.Set(len(h.phases), name)
		p, err := c.serve(ctx, o, name, uint64(len(h.phases)), during)
		if err == nil {
			h.phases = append(h.phases, p)
		}
		return err
	}
	nothing := func() error { return nil }
	steps := []func() error{
		func() error { return phase("4 nodes", nothing) },
		func() error {
			return phase("growing to 5", func() error {
				done, err := c.grow(nodes, o.users)
				h.changes = append(h.changes, done)
				return err
			})
		},
		func() error { c.settle(); return phase("5 nodes", nothing) },
		func() error { c.shards[lost].down.Store(true); return phase("one is down", nothing) },
		func() error {
			done, err := c.replace(lost, o.users)
			if err != nil {
				return err
			}
			h.changes = append(h.changes, done)
			return phase("without it", nothing)
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return h, err
		}
	}
	bar.Set(len(steps), "")
	return h, nil
}

// serve has the callers ask for users while during runs.
func (c *cluster) serve(ctx context.Context, o options, name string, stream uint64, during func() error) (phase, error) {
	c.count = counters{}
	for _, s := range c.shards {
		s.asked.Store(0)
	}
	errs := make([]error, o.callers+1)
	var callers sync.WaitGroup
	for i := range o.callers {
		callers.Go(func() {
			share := o.requests / o.callers
			if i < o.requests%o.callers {
				share++
			}
			errs[i] = c.call(ctx, o, rand.New(rand.NewPCG(o.seed, stream<<32|uint64(i))), share)
		})
	}
	errs[o.callers] = during()
	callers.Wait()
	p := phase{
		name: name, requests: c.count.requests.Load(), partial: c.count.partial.Load(), keys: c.count.keys.Load(),
		answered: c.count.answered.Load(), fallbacks: c.count.fallbacks.Load(), loaded: c.count.loaded.Load(),
	}
	for _, n := range nodes {
		p.asked = append(p.asked, int(c.shards[n.Name].asked.Load()))
	}
	return p, errors.Join(errs...)
}

// call is a caller: it checks each answer that it gets.
func (c *cluster) call(ctx context.Context, o options, random *rand.Rand, requests int) error {
	zipf := rand.NewZipf(random, o.zipf, 1, uint64(o.users-1))
	users := make([]uint64, o.batch)
	for range requests {
		for i := range users {
			users[i] = zipf.Uint64()
		}
		values, err := c.reader.Do(ctx, users)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var partial *scatter.PartialError
		missing := make(map[int]bool)
		if errors.As(err, &partial) && errors.Is(err, errDown) {
			c.count.partial.Add(1)
			for _, i := range partial.Missing() {
				missing[i] = true
			}
		} else if err != nil {
			return err
		}
		for i, user := range users {
			if !missing[i] && values[i] != feature(user) {
				return fmt.Errorf("user %d has %v, not %v", user, values[i], feature(user))
			}
		}
		c.count.requests.Add(1)
		c.count.keys.Add(int64(len(users)))
		c.count.answered.Add(int64(len(users) - len(missing)))
	}
	return nil
}
