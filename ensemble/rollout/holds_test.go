package rollout

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// TestDrainMissesNone is about the moment of sealing: many rounds, each with goroutines that come and go without a pause.
func TestDrainMissesNone(t *testing.T) {
	const rounds = 10_000
	for range rounds {
		h := newHolds()
		var closed atomic.Bool
		var entered, late atomic.Uint64
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range 4 {
			wg.Go(func() {
				<-start
				for n := 1; ; n++ {
					if n%512 == 0 {
						runtime.Gosched() // on few processors the drain must get its turn
					}
					s := h.enter()
					if s == nil {
						return
					}
					entered.Add(1)
					if closed.Load() {
						late.Add(1)
						return
					}
					h.leave(s)
				}
			})
		}
		close(start)
		for entered.Load() == 0 { // until they are at it
			runtime.Gosched()
		}
		h.seal()
		if err := h.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		closed.Store(true)
		wg.Wait()
		if late.Load() > 0 || h.out() != h.want || entered.Load() != h.want {
			t.Fatalf("%d were in when it was closed; %d have come, %d gone, the drain knew of %d", late.Load(), entered.Load(), h.out(), h.want)
		}
	}
}

// TestNobodyEntersAfterSeal is the request that has read the alias before it moved, and goes on when the version has been closed.
func TestNobodyEntersAfterSeal(t *testing.T) {
	h := newHolds()
	s := h.enter()
	h.seal()
	if h.enter() != nil {
		t.Error("entered after seal")
	}
	h.leave(s)
	if err := h.drain(t.Context()); err != nil || h.out() != 1 || h.in(true) != 1 {
		t.Error("a request that was turned away counts", err, h.out(), h.in(true))
	}
}
