package session

import "fmt"

// Stuck reports a request that waits though it could go, and what in the books contradicts the sessions.
func (p *Pool[S, Req, Resp]) Stuck() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var free, pending int64
	var load, queued int
	for _, sl := range p.slots {
		var waiting int64
		last := uint64(0)
		for it := sl.waiting.head; it != nil; it = it.next {
			if it.seq < last || it.slot != sl {
				return fmt.Errorf("slot %d: the queue is out of order", sl.slot)
			}
			last = it.seq
			waiting += int64(it.cost)
		}
		queued += sl.waiting.n
		load += sl.load
		pending += int64(sl.load) + waiting
		if waiting != sl.queued {
			return fmt.Errorf("slot %d: cost %d waits, counted %d", sl.slot, waiting, sl.queued)
		}
		if sl.state != slotLive {
			if sl.waiting.n > 0 {
				return fmt.Errorf("slot %d: %d wait for a session that is not in service", sl.slot, sl.waiting.n)
			}
			continue
		}
		free += int64(p.cfg.PerSession - sl.load)
		own, first := sl.waiting.head, p.general.head
		switch {
		case own != nil && (first == nil || own.seq < first.seq):
			if p.fits(sl, own.cost) {
				return fmt.Errorf("slot %d: has room for the request that waits for it", sl.slot)
			}
		case first != nil:
			if p.fits(sl, first.cost) {
				return fmt.Errorf("slot %d: has room for the request that waits for any", sl.slot)
			}
		default:
			if most := p.mostLoaded(sl); most != nil {
				return fmt.Errorf("slot %d: idle, and slot %d has %d, more than %d", sl.slot, most.slot, most.backlog(), p.bound(0, true))
			}
		}
	}
	for it := p.general.head; it != nil; it = it.next {
		pending += int64(it.cost)
	}
	queued += p.general.n
	if free != p.free || pending != p.pending || load != p.stats.Load || queued != p.stats.Queued {
		return fmt.Errorf("free %d, pending %d, load %d, queued %d; counted %d, %d, %d, %d",
			free, pending, load, queued, p.free, p.pending, p.stats.Load, p.stats.Queued)
	}
	return nil
}
