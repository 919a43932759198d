package pool

import (
	"fmt"
	"runtime"
)

// Defaults of [Config]. The default of Size is runtime.GOMAXPROCS(0).
const (
	DefaultMaxQueue  = 1024
	DefaultClassTurn = 16
)

// Config says how much may run and how much may wait. The zero value is usable. A negative value is an error from New.
type Config struct {
	// Size is the number of requests that may run at the same time; see Resize. Default: runtime.GOMAXPROCS(0), which suits
	// work that computes. For work that waits (a remote model) it is what the other side can take.
	Size int

	// MaxQueue is the number of requests that may wait for a worker while all are busy. Default: DefaultMaxQueue.
	MaxQueue int

	// RejectWhenFull makes a request that finds no room in the queue fail with ErrQueueFull. Default: it waits for
	// room, in the order of class and arrival, until its context ends; Go and Submit then do not return before it has found some.
	RejectWhenFull bool

	// ClassTurn is the ageing of priorities, see WithPriority: after so many requests in a row that were taken while other classes
	// waited too, the next is the oldest, whatever its class. Default: DefaultClassTurn.
	ClassTurn int

	// OnPanic, if not nil, is called for each panic in the function, on the goroutine on which it panicked and before the request's caller
	// has the same error: so that also the panic of a request whose outcome nobody takes (of Submit, of a Future that is not asked, of a caller that
	// has gone) is seen. Calls may overlap. It may use the pool, but not wait for its own request, nor, as the last worker left, for room in the queue. A panic in it is not recovered: it goes
	// on to the caller, or ends the program.
	OnPanic func(*PanicError)
}

func (c Config) withDefaults() (Config, error) {
	for _, f := range []struct {
		name  string
		value *int
		unset int
	}{
		{"Size", &c.Size, runtime.GOMAXPROCS(0)},
		{"MaxQueue", &c.MaxQueue, DefaultMaxQueue},
		{"ClassTurn", &c.ClassTurn, DefaultClassTurn},
	} {
		if *f.value < 0 {
			return c, fmt.Errorf("pool: Config.%s is negative: %d", f.name, *f.value)
		}
		if *f.value == 0 {
			*f.value = f.unset
		}
	}
	return c, nil
}
