package session

// homes remembers for each key the session that had its last request. It is bounded: the key not used for longest is
// forgotten.
type homes[S, Req, Resp any] struct {
	max   int
	byKey map[uint64]*home[S, Req, Resp]
	last  home[S, Req, Resp] // the ring's anchor: next is the key used last, prev the one to forget first
}

type home[S, Req, Resp any] struct {
	prev, next *home[S, Req, Resp]
	hash       uint64
	slot       *slot[S, Req, Resp]
	life       uint64 // of the slot
}

// alive reports whether the session is still in service.
func (h *home[S, Req, Resp]) alive() bool { return h.slot.life == h.life && h.slot.state == slotLive }

func (h *home[S, Req, Resp]) unlink() { h.prev.next, h.next.prev = h.next, h.prev }

func (t *homes[S, Req, Resp]) first(h *home[S, Req, Resp]) {
	h.prev, h.next = &t.last, t.last.next
	h.prev.next, h.next.prev = h, h
}

// home returns the session that has the request's key warm, nil if there is none.
func (p *Pool[S, Req, Resp]) home(it *item[S, Req, Resp]) *slot[S, Req, Resp] {
	if !it.keyed {
		return nil
	}
	if h := p.homes.byKey[it.hash]; h != nil && h.alive() {
		return h.slot
	}
	return nil
}

// settleHome makes sl the home of the request's key.
func (p *Pool[S, Req, Resp]) settleHome(it *item[S, Req, Resp], sl *slot[S, Req, Resp]) {
	if !it.keyed {
		return
	}
	t := &p.homes
	if t.byKey == nil {
		t.byKey = make(map[uint64]*home[S, Req, Resp])
		t.last.prev, t.last.next = &t.last, &t.last
	}
	h := t.byKey[it.hash]
	switch {
	case h == nil:
		p.stats.NewKeys++
		if len(t.byKey) < t.max {
			h = new(home[S, Req, Resp])
		} else {
			h = t.last.prev
			h.unlink()
			delete(t.byKey, h.hash)
			h.lose()
		}
		h.hash = it.hash
		t.byKey[it.hash] = h
	default:
		h.unlink()
		if h.alive() && h.slot == sl {
			p.stats.AffinityHits++
			t.first(h)
			return
		}
		p.stats.AffinityMisses++
		h.lose()
	}
	t.first(h)
	h.slot, h.life = sl, sl.life
	sl.keys++
}

// lose counts the key out of its session, if that is still in service.
func (h *home[S, Req, Resp]) lose() {
	if h.alive() {
		h.slot.keys--
	}
}
