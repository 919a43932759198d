package pool

import (
	"context"
	"fmt"
	"iter"
	"math"
	"sync"
	"sync/atomic"
)

// mapper is one range over the results of Map: a goroutine that reads the input, workers that are started on demand, and
// the consumer, around a bounded number of cells. Each item has a cell from being read until its result is consumed.
type mapper[In, Out any] struct {
	fn      Func[In, Out]
	cfg     MapConfig
	ordered bool
	ctx     context.Context // fn's
	cancel  context.CancelFunc
	unwatch func() bool
	wg      sync.WaitGroup
	failed  atomic.Int64 // nothing with a higher number is to be started any more
	stopped atomic.Bool
	todo    todo[cell[In, Out]]           // to be worked on; put in under mu
	fresh   atomic.Pointer[cell[In, Out]] // unless ordered: results that the consumer has not seen, the last first

	mu      sync.Mutex
	free    []*cell[In, Out]
	out     ring[*cell[In, Out]] // in the order of consumption; unless ordered, only those that are ready
	read    int64                // number of items
	open    int                  // cells in use
	made    int                  // cells
	workers int
	idle    int // those of them that sleep
	looking int // those of them that are about to look into todo
	ended   bool
	inErr   error

	room     sync.Cond   // the reader waits there
	work     sync.Cond   // idle workers
	result   sync.Cond   // the consumer
	full     bool        // the reader waits
	awaiting atomic.Bool // the consumer waits; changes under mu
}

// cell is one item and its result.
type cell[In, Out any] struct {
	number int64
	in     In
	out    Out
	err    error
	ready  atomic.Bool    // if ordered
	next   *cell[In, Out] // in mapper.fresh
}

func newMapper[In, Out any](ctx context.Context, fn Func[In, Out], cfg MapConfig, ordered bool) *mapper[In, Out] {
	m := &mapper[In, Out]{fn: fn, cfg: cfg, ordered: ordered}
	m.ctx, m.cancel = context.WithCancel(ctx)
	m.failed.Store(math.MaxInt64)
	m.room.L, m.work.L, m.result.L = &m.mu, &m.mu, &m.mu
	return m
}

func (m *mapper[In, Out]) begin(in iter.Seq[In]) {
	m.wg.Add(1)
	m.unwatch = context.AfterFunc(m.ctx, func() {
		defer m.wg.Done()
		m.halt()
	})
	m.wg.Go(func() { m.feed(in) })
}

// halt tells everybody to leave.
func (m *mapper[In, Out]) halt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped.Store(true)
	m.room.Broadcast()
	m.work.Broadcast()
	m.result.Broadcast()
}

// stop ends the work and waits until no goroutine is left.
func (m *mapper[In, Out]) stop() {
	m.halt()
	if m.unwatch() {
		m.wg.Done()
	}
	m.cancel()
	m.wg.Wait()
}

// feed reads the input.
func (m *mapper[In, Out]) feed(in iter.Seq[In]) {
	returned := false
	defer func() {
		var err error
		if !returned {
			if v := recover(); v != nil {
				err = fmt.Errorf("%w: %w", ErrInput, newPanicError(v))
			} else {
				err = fmt.Errorf("%w: %w", ErrInput, ErrGoexit)
			}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ended, m.inErr = true, err
		m.result.Signal()
	}()
	for item := range in {
		if !m.put(item) {
			break
		}
	}
	returned = true
}

// put gives an item to the workers, when there is a cell for it. It reports whether to go on.
func (m *mapper[In, Out]) put(item In) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.open == m.cfg.Buffer && !m.stopped.Load() {
		m.full = true
		m.room.Wait()
		m.full = false
	}
	if m.over() {
		return false
	}
	c := m.cell()
	c.number, c.in = m.read, item
	m.read++
	m.open++
	m.todo.push(c)
	if m.ordered {
		m.out.push(c)
	}
	m.wake()
	return true
}

// cell is a free one. They are made as they are needed, some at a time: Buffer may be far more than there are items.
func (m *mapper[In, Out]) cell() *cell[In, Out] {
	if len(m.free) == 0 {
		made := make([]cell[In, Out], min(max(8, m.made), m.cfg.Buffer-m.made, 1024))
		m.made += len(made)
		for i := range made {
			m.free = append(m.free, &made[i])
		}
	}
	last := len(m.free) - 1
	c := m.free[last]
	m.free = m.free[:last]
	return c
}

// over reports whether nothing more is to be started.
func (m *mapper[In, Out]) over() bool { return m.stopped.Load() || m.failed.Load() != math.MaxInt64 }

// wake makes a worker look into todo, unless one is about to. A worker that leaves something there wakes the next.
func (m *mapper[In, Out]) wake() {
	switch {
	case m.looking > 0:
	case m.idle > 0:
		m.idle--
		m.looking++
		m.work.Signal()
	case m.workers < m.cfg.Workers:
		m.workers++
		m.looking++
		h := &hand[In, Out]{m: m}
		m.wg.Go(h.work)
	}
}

// consume yields the results.
func (m *mapper[In, Out]) consume(ctx context.Context, yield func(Out, error) bool) {
	var (
		none  Out
		batch []*cell[In, Out]
	)
	for {
		batch = m.collect(batch)
		for _, c := range batch {
			if ctx.Err() != nil {
				break
			}
			if !yield(c.out, c.err) || c.err != nil && !m.cfg.ContinueOnError {
				return
			}
		}
		switch {
		case ctx.Err() != nil:
			yield(none, context.Cause(ctx))
		case len(batch) > 0:
			continue
		case m.inErr != nil:
			yield(none, m.inErr)
		}
		return
	}
}

// collect frees the cells of the batch before and waits for the next results; there are none if it is over. It does not take all that is
// ready at once, so that the workers can go on while the consumer looks at the batch.
func (m *mapper[In, Out]) collect(batch []*cell[In, Out]) []*cell[In, Out] {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range batch {
		*c = cell[In, Out]{}
	}
	m.free = append(m.free, batch...)
	m.open -= len(batch)
	if m.full && len(batch) > 0 {
		m.room.Signal()
	}
	batch = batch[:0]
	for {
		for m.available() && len(batch) < max(1, m.cfg.Buffer/4) {
			batch = append(batch, m.out.take())
		}
		if len(batch) > 0 || m.stopped.Load() || m.ended && m.open == 0 {
			return batch
		}
		// A result that comes before this is found now, and who brings one after it sees that somebody waits.
		if m.awaiting.Store(true); m.available() {
			m.awaiting.Store(false)
			continue
		}
		m.result.Wait()
		m.awaiting.Store(false)
	}
}

// available reports whether the next result is there, the first of out. Called under mu.
func (m *mapper[In, Out]) available() bool {
	if m.ordered {
		return m.out.n > 0 && m.out.first().ready.Load()
	}
	if m.out.n > 0 {
		return true
	}
	var first *cell[In, Out]
	for c := m.fresh.Swap(nil); c != nil; {
		c.next, first, c = first, c, c.next
	}
	for ; first != nil; first = first.next {
		m.out.push(first)
	}
	return m.out.n > 0
}
