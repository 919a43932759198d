package cache

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// gatherer gives flights to the bulk loader. While all calls that may run at a time are running, flights gather; when one is over, all
// that wait go in the next, up to Config.MaxBulk. Refreshes go in calls of their own, when no load waits or somebody waits for one of them.
type gatherer[K comparable, Req, V any] struct {
	c       *core[K, Req, V]
	mu      sync.Mutex
	loads   []*flight[K, Req, V]
	refresh []*flight[K, Req, V]
	running int
	dropped int // flights in loads that nobody wants
}

// The states of a flight. Who changes it from waiting has to see to it: the gatherer takes it into a call, its last waiter drops it.
const (
	waiting int32 = iota
	taken
	dropped
)

// bulkCall is a call of the bulk loader that runs.
type bulkCall struct {
	loading loading      // its context
	live    atomic.Int64 // flights in it that are not dropped, and one more while it is put together
}

func (c *core[K, Req, V]) newBulkCall() *bulkCall {
	return &bulkCall{loading: loading{values: context.Background(), cache: c}}
}

// add has the flights loaded, all in one call if Config.MaxBulk allows it.
func (g *gatherer[K, Req, V]) add(flights ...*flight[K, Req, V]) {
	if len(flights) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if flights[0].refresh {
		g.refresh = append(g.refresh, flights...)
	} else {
		g.loads = append(g.loads, flights...)
	}
	if g.running < g.c.cfg.BulkConcurrency {
		g.running++
		go g.work()
	}
}

// drop cancels a flight: nobody wants it any more. A flight that still waits is over; the context of a call is cancelled when all its
// flights are dropped.
func (g *gatherer[K, Req, V]) drop(f *flight[K, Req, V], cause error) {
	if f.state.CompareAndSwap(waiting, dropped) {
		if !f.refresh {
			g.compact()
		}
		g.c.drop(f, cause)
		return
	}
	if f.state.CompareAndSwap(taken, dropped) {
		f.call.leave(cause)
	}
}

// leave cancels the call if that was the last.
func (b *bulkCall) leave(cause error) {
	if b.live.Add(-1) == 0 {
		b.loading.end(cause)
	}
}

// compact takes what is dropped out of the queue of loads when it is more than half of it: the call that runs may take for ever, and callers that give up
// must not pile up behind it. There are never more refreshes than Config.MaxRefreshes.
func (g *gatherer[K, Req, V]) compact() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dropped++; g.dropped > 16 && g.dropped > len(g.loads)/2 {
		g.loads = slices.DeleteFunc(g.loads, func(f *flight[K, Req, V]) bool { return f.state.Load() == dropped })
		g.dropped = 0
	}
}

// work runs calls until nothing is left to load. If a load function ends the goroutine, another takes its place.
func (g *gatherer[K, Req, V]) work() {
	returned := false
	defer func() {
		if !returned {
			go g.work()
		}
	}()
	for {
		flights := g.take()
		if flights == nil {
			returned = true
			return
		}
		g.call(flights)
	}
}

// take returns the flights of the next call, or nil if there is none: the worker must end then.
func (g *gatherer[K, Req, V]) take() []*flight[K, Req, V] {
	g.mu.Lock()
	defer g.mu.Unlock()
	queues := [2]*[]*flight[K, Req, V]{&g.loads, &g.refresh}
	if slices.ContainsFunc(g.refresh, func(f *flight[K, Req, V]) bool { return f.wanted.Load() }) {
		queues[0], queues[1] = queues[1], queues[0]
	}
	for _, queue := range queues {
		if len(*queue) == 0 {
			continue
		}
		var batch []*flight[K, Req, V]
		call := g.c.newBulkCall()
		call.live.Store(1) // so that it is not cancelled while there are flights to come
		i := 0
		for ; i < len(*queue) && (g.c.cfg.MaxBulk == 0 || len(batch) < g.c.cfg.MaxBulk); i++ {
			f := (*queue)[i]
			f.call = call
			call.live.Add(1) // before it can be dropped
			if f.state.CompareAndSwap(waiting, taken) {
				batch = append(batch, f)
			} else {
				call.live.Add(-1)
				g.dropped = max(0, g.dropped-1)
			}
		}
		if *queue = (*queue)[i:]; len(*queue) == 0 {
			*queue = nil // a queue that was long is not kept
		}
		call.leave(errAbandoned)
		if len(batch) > 0 {
			return batch
		}
	}
	g.running--
	return nil
}

// call loads the flights with one call of the bulk loader.
func (g *gatherer[K, Req, V]) call(flights []*flight[K, Req, V]) {
	c := g.c
	began := time.Now()
	var took time.Duration
	outs := make([]outcome[Req, V], 0, len(flights))
	event := LoadEvent{Key: flights[0].key, Keys: len(flights), Refresh: flights[0].refresh}
	call := flights[0].call
	var ctx context.Context = &call.loading
	returned := false
	defer func() {
		if !returned {
			if took == 0 {
				took = time.Since(began)
			}
			failed := outcome[Req, V]{err: ErrGoexit}
			if v := recover(); v != nil {
				failed.err = newPanicError(v)
			}
			for len(outs) < len(flights) {
				outs = append(outs, failed)
			}
		}
		call.loading.end(nil)
		call.loading.over.Store(true)
		c.counters.calls.Add(1)
		c.counters.loadTime.Add(int64(took))
		for i, f := range flights {
			c.settle(f, &outs[i])
			event.count(outs[i].err, outs[i].answer)
		}
		event.Took = took
		defer func() {
			for _, f := range flights {
				c.life.end(f)
			}
		}()
		if c.cfg.OnLoad != nil {
			c.cfg.OnLoad(event)
		}
	}()
	if timeout := c.timeout(event.Refresh); timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, timeout)
		defer stop()
	}
	reqs := make([]Req, len(flights))
	for i, f := range flights {
		reqs[i] = f.req
	}
	values, err := c.loadAll(ctx, reqs)
	took = time.Since(began)
	errs, each := itemErrors(err)
	if each && len(errs) != len(flights) {
		each, err = false, fmt.Errorf("%w: %d errors for %d keys: %w", ErrResultCount, len(errs), len(flights), err)
	}
	if (err == nil || each) && len(values) != len(flights) {
		each, err = false, fmt.Errorf("%w: %d values for %d keys", ErrResultCount, len(values), len(flights))
	}
	share := took / time.Duration(len(flights))
	for i, f := range flights {
		var value V
		itemErr := err
		if each {
			itemErr = errs[i]
		}
		if itemErr == nil {
			value = values[i]
		}
		outs = append(outs, c.judgeItem(f, value, itemErr, share))
	}
	returned = true
}

// judgeItem is judgeLoad for one key of a call: a panic in a callback is that key's error, and no other's.
func (c *core[K, Req, V]) judgeItem(f *flight[K, Req, V], value V, err error, took time.Duration) (out outcome[Req, V]) {
	defer func() {
		if v := recover(); v != nil {
			out = outcome[Req, V]{err: newPanicError(v)}
		}
	}()
	return c.judgeLoad(f, value, err, took)
}
