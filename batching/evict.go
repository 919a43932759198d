package batching

// evict makes room in the queue for n requests of a class, that weigh total, by taking the places of requests of lower classes: of the
// lowest first, and in it of the newest. It does so only if that makes room enough, and if nobody of the class or a higher one waits for room. With
// RejectWhenFull those who lose their place fail; otherwise they wait for room again, before all others of their class.
func (c *core[K, Req, Resp]) evict(n int, total int64, class int) bool {
	if !c.mayEnter(class) {
		return false
	}
	spare, spareWeight := 0, int64(0)
	for _, l := range c.backlog.byDue {
		for i := len(l.q.list) - 1; i >= 0 && l.q.list[i].level < class; i-- {
			spare += l.q.list[i].q.n
			spareWeight += l.q.list[i].q.weight
		}
	}
	if spare == 0 || !c.fits(n-spare, total-spareWeight) {
		return false
	}
	for !c.fits(n, total) {
		var it *item[K, Req, Resp]
		for _, l := range c.backlog.byDue {
			if last := l.q.newestOfLowest(); it == nil || last.class < it.class || last.class == it.class && last.arrived > it.arrived {
				it = last
			}
		}
		if c.cfg.RejectWhenFull {
			c.stats.Drops.Evicted++
			c.fail(it, ErrEvicted)
			continue
		}
		c.unqueue(it)
		it.state.Store(stateBlocked)
		c.room.pushFront(it, false)
		c.stats.Blocked++
	}
	return true
}
