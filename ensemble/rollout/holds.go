package rollout

import (
	"context"
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// holds counts who uses an instance of a model, so that it is closed after the last of them. It is the only thing that a request writes to, so it is
// split into stripes, each on cache lines of its own: otherwise all processors would wait for one line.
//
// A stripe has two counters that only grow: how many have come in and how many have gone out again, which must be on the stripe they came in by.
//
// # Why none is missed
//
// Seal sets the top bit of each stripe's in, by an atomic Or that returns the count before. The Add of a request that comes in is on the same word, so one of
// them is first:
//
//   - the Add: then it is in the count that Or returns, the drain waits until as many have gone out, and so for this request;
//   - the Or: then Add returns a number with the top bit. The request has no hold, does not call the model, and looks where the alias
//     points now. Its Add stays in the word, where nobody reads it any more: the drain goes by what Or returned.
//
// There is no moment between "is the version current?" and "count me" because both are the one Add. From the last Or on, the number of holds to wait for is
// fixed.
//
// # Why none waits for ever
//
// A request that leaves adds to out and then reads in; the drain sets the bit in in and then adds up the outs. Atomic operations have one order
// that all agree on. If the request's read misses the bit it was before the Or, hence its Add to out was before the drain adds up, and is counted. If it sees the
// bit it leaves a token in wake, and the drain adds up once more. A token that finds another in wake is not needed: who takes that one adds up afterwards.
type holds struct {
	stripes []stripe
	wake    chan struct{} // room for one token
	want    uint64        // since seal: how many have come in, in total; guarded by the registry's lock
}

type stripe struct {
	in, out atomic.Uint64
	_       [112]byte // two cache lines: processors fetch them in pairs, and those of some are as long
}

const (
	maxStripes = 256     // 32 kilobytes for a loaded version, on a machine of 32 processors or more
	sealed     = 1 << 63 // in the in of each stripe
)

// newHolds has many more stripes than there are processors, so that few goroutines meet by chance: two that do slow each other down for as long as their stacks stay where they are.
func newHolds() holds {
	n := min(maxStripes, 8*runtime.GOMAXPROCS(0))
	return holds{stripes: make([]stripe, 1<<bits.Len(uint(n-1))), wake: make(chan struct{}, 1)}
}

// enter takes a hold, and returns nil if it is sealed.
func (h *holds) enter() *stripe {
	// Goroutines have stacks of their own, so an address on the stack tells them apart. It may change, or be that
	// of another one: any stripe is right.
	var here byte
	i := uint32(uintptr(unsafe.Pointer(&here))>>10) * 0x9E3779B1 >> 16 // Fibonacci hashing
	s := &h.stripes[i&uint32(len(h.stripes)-1)]
	if s.in.Add(1) >= sealed {
		return nil
	}
	return s
}

// leave gives a hold back.
func (h *holds) leave(s *stripe) {
	s.out.Add(1)
	if s.in.Load() >= sealed {
		h.token()
	}
}

func (h *holds) token() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// seal lets nobody in any more. It is called once.
func (h *holds) seal() {
	for i := range h.stripes {
		h.want += h.stripes[i].in.Or(sealed)
	}
}

// out is the number of holds that have been given back. None of its terms exceeds what came in by that stripe, so the sum is want only if each is
// complete.
func (h *holds) out() (n uint64) {
	for i := range h.stripes {
		n += h.stripes[i].out.Load()
	}
	return n
}

// in is the number of holds that have been taken.
func (h *holds) in(isSealed bool) (n uint64) {
	if isSealed {
		return h.want
	}
	for i := range h.stripes {
		n += h.stripes[i].in.Load()
	}
	return n
}

// drain waits until every hold has been given back. It comes after seal, and only one may run at a time.
func (h *holds) drain(ctx context.Context) error {
	for h.out() != h.want {
		select {
		case <-h.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
