package main

import (
	"sync"
	"time"
)

// columns is the number of columns of a timeline: ten for each phase, three times as many for the last one.
const columns = 60

// track follows a number over the time of a run. It is safe for concurrent use.
type track struct {
	start time.Time
	width time.Duration // of a column

	mu      sync.Mutex
	current int
	column  int // where the last change was
	most    [columns]int
}

func newTrack(start time.Time, s schedule) *track {
	return &track{start: start, width: s.total() / columns}
}

// set sets the number.
func (t *track) set(value int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.change(value)
}

// add changes the number by delta and returns what it is now.
func (t *track) add(delta int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.change(t.current + delta)
	return t.current
}

// value returns the number as it is now.
func (t *track) value() int { return t.add(0) }

// peaks returns the largest value in each column up to now.
func (t *track) peaks() [columns]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.change(t.current)
	return t.most
}

func (t *track) change(value int) {
	now := column(time.Since(t.start), t.width)
	for t.column < now { // the number was the same in between
		t.column++
		t.most[t.column] = t.current
	}
	t.current = value
	t.most[t.column] = max(t.most[t.column], value)
}

// column is the column that a time of a run is in. What is later than the run is in the last.
func column(elapsed, width time.Duration) int { return int(min(max(elapsed/width, 0), columns-1)) }
