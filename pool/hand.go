package pool

import (
	"time"
)

// quick is for how long a worker is away with the items that it takes at once. One by one, items that take less than
// some microseconds would cost more in handing over than in work.
const quick = 20 * time.Microsecond

// hand is a worker of a mapper.
type hand[In, Out any] struct {
	m     *mapper[In, Out]
	quota int              // how many items to take at once
	items []*cell[In, Out] // that it has taken
	done  int              // number of them that are done or being done
}

// work goes on until the range is over.
func (h *hand[In, Out]) work() {
	returned := false
	defer func() {
		if !returned { // Goexit in fn: another goroutine goes on from there
			h.note(h.items[h.done-1])
			h.m.wg.Go(h.work)
		}
	}()
	h.execute() // what a Goexit has left
	for h.next() {
		h.execute()
	}
	returned = true
}

// execute works on the items that are taken.
func (h *hand[In, Out]) execute() {
	started := time.Now()
	before := h.done
	for h.done < len(h.items) {
		c := h.items[h.done]
		if c.number > h.m.failed.Load() {
			break
		}
		h.done++
		c.err = ErrGoexit // should fn end this goroutine
		h.call(c)
		h.note(c)
	}
	n := h.done - before
	if n == 0 {
		return
	}
	took := max(1, time.Since(started))
	h.quota = int(max(1, min(int64(2*n), int64(n)*int64(quick)/int64(took))))
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

// note stops the rest if the item failed and that is the policy: what comes after it in order or, without order, all.
func (h *hand[In, Out]) note(c *cell[In, Out]) {
	if c.err == nil || h.m.cfg.ContinueOnError {
		return
	}
	number := int64(-1)
	if h.m.ordered {
		number = c.number
	}
	for old := h.m.failed.Load(); number < old; old = h.m.failed.Load() {
		if h.m.failed.CompareAndSwap(old, number) {
			return
		}
	}
}

// next hands the results in and takes the next items. It returns false when the range is over.
func (h *hand[In, Out]) next() bool {
	m := h.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(h.items) == 0 {
		m.looking--
	}
	for _, c := range h.items[:h.done] {
		c.ready = true
		if !m.ordered {
			m.out.push(c)
		}
	}
	if m.awaiting && m.out.n > 0 && m.out.first().ready {
		m.result.Signal()
	}
	clear(h.items)
	h.items, h.done = h.items[:0], 0
	for m.todo.n == 0 || m.over() {
		if m.stopped {
			return false
		}
		m.idle++
		m.work.Wait()
		if !m.stopped {
			m.looking-- // see wake
		}
	}
	// Nobody takes more than half of a fair share, so that the others have something to do (guided self-scheduling,
	// Polychronopoulos and Kuck, 1987).
	n := min(h.quota, max(1, m.todo.n/(2*m.cfg.Workers)))
	for range n {
		h.items = append(h.items, m.todo.take())
	}
	if m.todo.n > 0 {
		m.wake()
	}
	return true
}
