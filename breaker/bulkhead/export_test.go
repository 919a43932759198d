package bulkhead

// UseStripes makes it so many stripes, a power of 2, all closed. Nobody may use b meanwhile.
func (b *Bulkhead[Req, Resp]) UseStripes(n int) {
	b.c.stripes = make([]place, n)
	for i := range b.c.stripes {
		b.c.stripes[i].state.Store(closed)
	}
}

// OpenStripes opens the stripes if there is room, and reports whether they are open.
func (b *Bulkhead[Req, Resp]) OpenStripes() bool {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	b.c.open()
	return b.c.striped
}

// StripesOpen reports whether the stripes are open.
func (b *Bulkhead[Req, Resp]) StripesOpen() bool {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	return b.c.striped
}
