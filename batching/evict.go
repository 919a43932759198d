package batching

import "slices"

// census knows the queued requests of each class, over all lanes: how many there are, what they weigh, and who came last.
type census[K comparable, Req, Resp any] struct {
	levels []level[K, Req, Resp] // those that have requests, highest first
}

type level[K comparable, Req, Resp any] struct {
	class  int
	n      int
	weight int64
	newest *item[K, Req, Resp] // from here on by item.older
}

func (c *census[K, Req, Resp]) at(class int) (int, bool) {
	for i := range c.levels {
		if c.levels[i].class <= class {
			return i, c.levels[i].class == class
		}
	}
	return len(c.levels), false
}

func (c *census[K, Req, Resp]) add(it *item[K, Req, Resp]) {
	i, found := c.at(it.class)
	if !found {
		c.levels = slices.Insert(c.levels, i, level[K, Req, Resp]{class: it.class})
	}
	l := &c.levels[i]
	l.n++
	l.weight += it.weight
	if it.older = l.newest; it.older != nil {
		it.older.newer = it
	}
	l.newest = it
}

func (c *census[K, Req, Resp]) remove(it *item[K, Req, Resp]) {
	i, _ := c.at(it.class)
	l := &c.levels[i]
	l.n--
	l.weight -= it.weight
	if it.newer != nil {
		it.newer.older = it.older
	} else {
		l.newest = it.older
	}
	if it.older != nil {
		it.older.newer = it.newer
	}
	it.older, it.newer = nil, nil
	if l.n == 0 {
		c.levels = slices.Delete(c.levels, i, i+1)
	}
}

// evict makes room in the queue for n requests of a class, that weigh total, by taking the places of requests of lower classes: of the
// lowest first, and in it of the newest. It does so only if that makes room enough, and if nobody of the class or a higher one waits for room. With
// RejectWhenFull those who lose their place fail; otherwise they wait for room again, before all others of their class.
func (c *core[K, Req, Resp]) evict(n int, total int64, class int) bool {
	if !c.mayEnter(class) {
		return false
	}
	spare, spareWeight := c.below(class)
	if spare == 0 || !c.fits(n-spare, total-spareWeight) {
		return false
	}
	for !c.fits(n, total) {
		it := c.last()
		if c.cfg.RejectWhenFull {
			c.stats.Drops.Evicted++
			c.fail(it, ErrEvicted)
			continue
		}
		c.unqueue(it)
		it.state = stateBlocked
		c.room.pushFront(it, false)
		c.stats.Blocked++
	}
	return true
}

// below counts and weighs what is queued of lower classes than that.
func (c *core[K, Req, Resp]) below(class int) (n int, weight int64) {
	if !c.keyed { // the one lane knows
		list := c.single.q.list
		for i := len(list) - 1; i >= 0 && list[i].level < class; i-- {
			n += list[i].q.n
			weight += list[i].q.weight
		}
		return n, weight
	}
	levels := c.census.levels
	for i := len(levels) - 1; i >= 0 && levels[i].class < class; i-- {
		n += levels[i].n
		weight += levels[i].weight
	}
	return n, weight
}

// last is the newest request of the lowest class that is queued. There must be one.
func (c *core[K, Req, Resp]) last() *item[K, Req, Resp] {
	if !c.keyed {
		return c.single.q.list[len(c.single.q.list)-1].q.tail
	}
	return c.census.levels[len(c.census.levels)-1].newest
}
