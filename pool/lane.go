package pool

import (
	"math/bits"
	"sync"
)

// lane is a part of the pool's places, with a lock of its own. While there is plenty of room a Do takes a place of the lane that is next to it and
// runs at once, without the queue: callers on different processors then need not wait for each other's writes to what Pool.mu guards,
// which would be the most of what a short call costs.
//
// Lanes are opened and closed under Pool.mu, all together (see openLanes): they are opened while at least half of the places are free, and get half of those. They
// are closed, and give back what they have free, before a request has to wait or is turned away, on Resize, Shutdown and Close. So nobody waits for
// a place that lies in a lane. Pool.lent is how many places the lanes have, free and taken.
//
// Who comes to the end of a request gives its place to the lane, if that is open, and else to the pool. It sees which under lane.mu: either it comes before the
// closing, which then collects the place, or it sees that the lane is closed, takes Pool.mu, and sees to those that wait.
//
// Pool.mu is locked before lane.mu, and lanes in their order.
type lane[Req, Resp any] struct {
	mu      sync.Mutex
	open    bool
	free    int                // places to be taken; none when it is closed
	threads int                // goroutines of runners
	spares  *runner[Req, Resp] // that have no request
	running *runner[Req, Resp] // those with a scope, which Close must find
	stats   Stats              // what is added to Pool.stats, without gauges
	_       [64]byte
}

// minLaneShare is the least number of places of a lane, so that it is not empty most of the time.
const minLaneShare = 2

// laneRest is how many requests come through the queue at least between closing the lanes and opening them, which costs as much as some requests do.
const laneRest = 64

// openLanes gives half of the free places to lanes, if at least half of all are free. Those that requests in the queue are to have are not. Under mu.
func (p *Pool[Req, Resp]) openLanes() {
	free := p.size - p.lent - max(p.workers, p.busy+p.queue.n)
	if p.width.Load() > 0 || p.draining || free < p.size/2 {
		return
	}
	width := min(len(p.lanes), 1<<bits.Len(uint(max(0, free)/2/minLaneShare))/2)
	if width == 0 {
		return
	}
	share := free / 2 / width
	for i := range p.lanes[:width] {
		l := &p.lanes[i]
		l.mu.Lock()
		l.open, l.free = true, share
		l.mu.Unlock()
	}
	p.lent += width * share
	p.width.Store(int32(width))
}

// closeLanes takes back what is free in the lanes. Under mu.
func (p *Pool[Req, Resp]) closeLanes() {
	width := p.width.Load()
	if width == 0 {
		return
	}
	p.width.Store(0)
	p.laneFrom = p.seq + p.laneRest
	for i := range p.lanes[:width] {
		l := &p.lanes[i]
		l.mu.Lock()
		p.lent -= l.free
		l.open, l.free = false, 0
		l.mu.Unlock()
	}
}

// regain takes back one place from a request that has run in a lane, which is closed now. A worker that is woken lets in those that wait for room.
func (p *Pool[Req, Resp]) regain() {
	p.mu.Lock()
	p.lent--
	if p.queue.n > 0 {
		p.wake()
	}
	p.checkIdle()
	p.mu.Unlock()
}

// addLanes adds what the lanes have counted to s, all of it as of one moment, with the gauges Workers and Busy. Under mu.
func (p *Pool[Req, Resp]) addLanes(s *Stats) {
	for i := range p.lanes {
		l := &p.lanes[i]
		l.mu.Lock()
		defer l.mu.Unlock()
		s.add(&l.stats)
		s.Workers += l.threads
		s.Busy -= l.free
	}
	s.Busy += p.lent
}

// scopes appends the contexts of those that run.
func (l *lane[Req, Resp]) scopes(to []*scope) []*scope {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := l.running; r != nil; r = r.next {
		to = append(to, r.scope)
	}
	return to
}
