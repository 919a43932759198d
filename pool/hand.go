package pool

// hand is a worker of a mapper. It takes one item at a time, because an item that is taken but not begun would wait for one that may take long,
// or for ever if that in turn waits for it.
type hand[In, Out any] struct {
	m    *mapper[In, Out]
	item *cell[In, Out] // that it works on
}

// work goes on until the range is over.
func (h *hand[In, Out]) work() {
	returned := false
	defer func() {
		if !returned { // Goexit in fn: another goroutine goes on from there
			h.m.publish(h.item)
			h.m.wg.Go(h.work)
		}
	}()
	for h.next() {
		c := h.item
		if c.number > h.m.failed.Load() {
			continue
		}
		c.err = ErrGoexit // should fn end this goroutine
		h.call(c)
		h.m.publish(c)
	}
	returned = true
}

// call calls fn and makes an error of a panic. After Goexit it does not return.
func (h *hand[In, Out]) call(c *cell[In, Out]) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			c.err = newPanicError(v)
		}
	}()
	c.out, c.err = h.m.fn(h.m.ctx, c.in)
	returned = true
}

// next takes the next item. It returns false when the range is over.
func (h *hand[In, Out]) next() bool {
	m := h.m
	if h.item != nil && !m.over() {
		if c := m.todo.take(); c != nil {
			h.item = c
			return true
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.item == nil {
		m.looking--
	}
	for {
		if !m.over() {
			if c := m.todo.take(); c != nil {
				h.item = c
				if !m.todo.empty() {
					m.wake()
				}
				return true
			}
		}
		if m.stopped.Load() {
			return false
		}
		m.idle++
		m.work.Wait()
		if !m.stopped.Load() {
			m.looking-- // see wake
		}
	}
}

// publish shows a result to the consumer, and wakes it if it waits.
func (m *mapper[In, Out]) publish(c *cell[In, Out]) {
	m.note(c)
	if m.ordered {
		c.ready.Store(true)
	} else {
		for c.next = m.fresh.Load(); !m.fresh.CompareAndSwap(c.next, c); {
			c.next = m.fresh.Load()
		}
	}
	if m.awaiting.Load() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.awaiting.Load() && m.available() {
			m.awaiting.Store(false)
			m.result.Signal()
		}
	}
}

// note stops the rest if the item failed and that is the policy: what comes after it in order or, without order, all.
func (m *mapper[In, Out]) note(c *cell[In, Out]) {
	if c.err == nil || m.cfg.ContinueOnError {
		return
	}
	number := int64(-1)
	if m.ordered {
		number = c.number
	}
	for old := m.failed.Load(); number < old; old = m.failed.Load() {
		if m.failed.CompareAndSwap(old, number) {
			return
		}
	}
}
