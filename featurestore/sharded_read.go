package featurestore

import (
	"context"
	"errors"
)

// reading is one Read.
type reading struct {
	fanout
	p        *placing
	lookups  []Lookup
	made     []*shardCall // that are being made up
	left     int          // keys whose end is open
	failed   int          // keys that have failed
	failures []error
	keys     []keyState
}

// keyState is that of one key of one lookup.
type keyState struct {
	end     keyEnd
	asked   uint8 // replicas
	running uint8 // calls that are queued or run
	err     error // of the last replica that failed
}

type keyEnd uint8

const (
	keyOpen keyEnd = iota
	keyGood
	keyFailed
)

func (r *reading) read(ctx context.Context, p *placing, lookups []Lookup) error {
	r.ctx, r.p, r.lookups = ctx, p, lookups
	n := len(p.owners) / r.s.cfg.Replicas
	if cap(r.keys) < n {
		r.keys = make([]keyState, n)
	}
	r.keys, r.left, r.failed = r.keys[:n], n, 0
	for l := range lookups {
		base := r.base(l)
		for i := range lookups[l].Keys {
			r.ask(l, base+i)
		}
	}
	r.queue = append(r.queue, r.seal()...)
	for r.left > 0 {
		ev, ok := r.next()
		switch {
		case !ok:
			r.left = 0 // not reached: an open key has a call
		case ev.hedge:
			r.hedge(ev.call)
		default:
			r.settle(ev)
		}
	}
	err := r.finish()
	r.end()
	clear(r.keys)
	clear(r.failures)
	r.p, r.lookups, r.failures = nil, nil, r.failures[:0]
	return err
}

// base is the number of a lookup's first key among all.
func (r *reading) base(l int) int { return r.p.starts[l] / r.s.cfg.Replicas }

// ask adds a key to the call, among those that are being made up, of the next replica. It returns false if there is none.
func (r *reading) ask(l, flat int) bool {
	k := &r.keys[flat]
	if int(k.asked) == r.s.cfg.Replicas {
		return false
	}
	shard := r.p.owners[flat*r.s.cfg.Replicas+int(k.asked)]
	if shard < 0 {
		return false
	}
	k.asked++
	k.running++
	at := &r.p.callOf[shard]
	if *at == 0 {
		c := r.s.calls.Get().(*shardCall)
		c.shard, c.op = int(shard), opRead
		r.made = append(r.made, c)
		*at = int32(len(r.made))
	}
	r.made[*at-1].add(l, &r.lookups[l], r.lookups[l].Keys[flat-r.base(l)], flat)
	return true
}

// seal finishes the calls that are being made up. They are valid until the next ask.
func (r *reading) seal() []*shardCall {
	made := r.made
	for _, c := range made {
		r.p.callOf[c.shard] = 0
		c.seal()
	}
	r.made = r.made[:0]
	return made
}

// hedge asks the next replicas for what a call has not answered yet.
func (r *reading) hedge(c *shardCall) {
	r.each(c, func(l, flat, _, _ int) {
		if r.keys[flat].end == keyOpen {
			r.ask(l, flat)
		}
	})
	for _, h := range r.seal() {
		if h.hedge = true; r.s.budget.take() {
			r.s.count.hedges.Add(1)
			r.start(h)
			continue
		}
		r.s.count.hedgesDenied.Add(1)
		for _, flat := range h.flat { // it is still there to fail over to
			r.keys[flat].asked--
			r.keys[flat].running--
		}
		h.release()
	}
}

// each calls f for each key of a call, with its place in lookup j of the call.
func (r *reading) each(c *shardCall, f func(l, flat, j, i int)) {
	for j, l := range c.of {
		from, to := c.part(j)
		for i, flat := range c.flat[from:to] {
			f(l, int(flat), j, i)
		}
	}
}

// settle takes what a call has left. Of an abandoned one it touches nothing that the store may write to.
func (r *reading) settle(ev event) {
	c := ev.call
	var failure *ShardError
	if ev.err != nil {
		failure = r.fail(ev)
		r.failures = append(r.failures, failure)
	} else {
		r.s.shards[c.shard].latency.observe(c.took)
	}
	won, noted := false, false
	r.each(c, func(l, flat, j, i int) {
		k := &r.keys[flat]
		k.running--
		if k.end != keyOpen {
			return
		}
		err := failure
		if err == nil && i < len(c.lookups[j].Errs) && c.lookups[j].Errs[i] != nil {
			err = &ShardError{c.shard, c.lookups[j].Errs[i]}
			if !noted { // for the case that all keys fail: one of a call is enough
				r.failures, noted = append(r.failures, err), true
			}
		}
		switch {
		case err == nil:
			r.lookups[l].Rows[flat-r.base(l)] = c.rows[c.starts[j]+i]
			k.end, won = keyGood, true
			r.left--
			return
		case k.err == nil || k.running == 0:
			k.err = err
		}
		if k.running > 0 || r.ctx.Err() == nil && r.ask(l, flat) {
			return
		}
		k.end = keyFailed
		r.left--
		r.failed++
	})
	if c.hedge && won {
		r.s.count.hedgeWins.Add(1)
	}
	if !ev.abandoned {
		c.release()
	}
	if again := r.seal(); len(again) > 0 {
		r.s.count.failovers.Add(uint64(len(again)))
		r.queue = append(r.queue, again...)
	}
	if won && r.s.cfg.Replicas > 1 {
		r.stopNeedless()
	}
}

// stopNeedless gives up the calls all of whose keys have been answered by others.
func (r *reading) stopNeedless() {
	for i := 0; i < len(r.live); {
		needed := false
		for _, flat := range r.live[i].flat {
			if needed = r.keys[flat].end == keyOpen; needed {
				break
			}
		}
		if needed || !r.give(r.live[i]) { // else another has taken its place in live
			i++
		}
	}
}

// finish tells the caller what has failed.
func (r *reading) finish() error {
	if r.failed == 0 {
		return nil
	}
	if r.failed == len(r.keys) {
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		return errors.Join(r.failures...)
	}
	for l := range r.lookups {
		base := r.base(l)
		for i := range r.lookups[l].Keys {
			if k := &r.keys[base+i]; k.end == keyFailed {
				r.lookups[l].Fail(i, k.err)
			}
		}
	}
	return nil
}
