package cache

import "context"

// getAll is GetAll: it looks all keys up, has what is missing loaded together, and waits.
func (c *core[K, Req, V]) getAll(ctx context.Context, keys []K, reqs []Req) ([]V, error) {
	values := make([]V, len(keys))
	flights := make([]*flight[K, Req, V], len(keys))
	errs := make(ItemErrors, len(keys))
	var begun []*flight[K, Req, V]
	failed := false
	started := false
	defer func() {
		// A callback has panicked or called Goexit: what was begun must run, or those who have joined would wait for ever, and
		// this caller waits for none of them.
		if !started {
			c.startAll(begun)
			c.leaveAll(flights)
		}
	}()
	begin := func(f *flight[K, Req, V]) { begun = append(begun, f) }
	for i, key := range keys {
		if errs[i] = c.checkKey(key); errs[i] == nil {
			e, now, found := c.engine.get(key)
			flights[i], values[i], errs[i] = c.answer(ctx, key, reqs[i], begin, e, now, found)
		}
		failed = failed || errs[i] != nil
	}
	started = true
	c.startAll(begun)
	for i, f := range flights {
		if f == nil {
			continue
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			if c.leaveAll(flights[i:]) {
				return nil, context.Cause(ctx)
			}
		}
		values[i], errs[i] = f.value, f.err
		failed = failed || f.err != nil
	}
	if !failed {
		return values, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return values, errs
}

func (c *core[K, Req, V]) startAll(flights []*flight[K, Req, V]) {
	if c.bulk != nil {
		c.bulk.add(flights...)
		return
	}
	for _, f := range flights {
		c.start(f)
	}
}

// leaveAll leaves the flights whose answers have not come. It returns false if all have come.
func (c *core[K, Req, V]) leaveAll(flights []*flight[K, Req, V]) bool {
	left := false
	for _, f := range flights {
		if f != nil && c.leave(f) {
			left = true
		}
	}
	return left
}
