package pool

// HastenLanes has the lanes opened again as soon as there is room, so that a test of few requests sees them often.
func (p *Pool[Req, Resp]) HastenLanes() { p.laneRest = 1 }

// Lanes returns how many lanes are open.
func (p *Pool[Req, Resp]) Lanes() int { return int(p.width.Load()) }
