package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	slots   = 8                     // requests that the back-end works on at the same time
	service = 20 * time.Millisecond // how long it works on one when it is healthy
	backlog = 1000                  // requests it has room for; it answers more with 503

	// strain is the number of waiting requests that makes the back-end take twice as long for each: they need memory, and threads that
	// take turns.
	strain = 1000
)

// capacity is the number of requests per second that a healthy back-end can answer.
const capacity = int(slots * time.Second / service)

// backend is a model server that can do only so much. Requests wait for one of its slots in the order of arrival. As with many model
// servers, a caller that has given up is no reason for it to stop: it does the work and finds out when it answers.
type backend struct {
	condition func() condition // as of now
	load      *track           // requests that it has, waiting ones included
	slots     chan struct{}
	stop      chan struct{}
	wasted    atomic.Int64 // requests that it has worked on for callers that had gone
}

func newBackend(condition func() condition, load *track) *backend {
	return &backend{condition: condition, load: load, slots: make(chan struct{}, slots), stop: make(chan struct{})}
}

// serve works on one request and returns the status of the answer. ctx ends when the caller goes away.
func (b *backend) serve(ctx context.Context) int {
	defer b.load.add(-1)
	if b.load.add(1) > backlog {
		return http.StatusServiceUnavailable
	}
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-b.stop:
		return http.StatusServiceUnavailable
	}
	now := b.condition()
	waiting := max(0, b.load.value()-slots)
	work := time.NewTimer(time.Duration(float64(service) * now.slowdown * (1 + float64(waiting)/strain)))
	defer work.Stop()
	select {
	case <-work.C:
	case <-b.stop:
		return http.StatusServiceUnavailable
	}
	if ctx.Err() != nil {
		b.wasted.Add(1)
	}
	if now.fails {
		return http.StatusInternalServerError
	}
	return http.StatusOK
}

// close ends all work.
func (b *backend) close() { close(b.stop) }
