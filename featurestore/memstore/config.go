package memstore

import (
	"fmt"
	"math/bits"
	"runtime"

	"github.com/scalable-ai/patterns/featurestore"
)

// MaxShards bounds [Config].Shards.
const MaxShards = 1 << 16

// Config bounds what a store takes. The zero value is usable: it has no bound. A negative value is an error from New.
type Config struct {
	// MaxRows is the largest number of rows, of all views together. Default: no bound.
	MaxRows int

	// MaxBytes bounds about what the rows take in memory, of all views together: their values, keys and places in the table. A
	// single row may be larger, and is then the only one. Default: no bound.
	MaxBytes int64

	// Shards is the number of parts that can be written to at the same time; it is rounded up to a power of two. Reads do not depend on it.
	// Default: four times GOMAXPROCS.
	Shards int

	// OnEvict, if not nil, is called for each row that the store removed by itself, after that, by the call of Write or Sweep
	// that did it, on its goroutine. Calls may overlap. It may call the store. A panic in it goes on to the caller; the rows were written.
	OnEvict func(EvictEvent)
}

// EvictEvent is a row that was removed to keep within the bounds, or because its TTL has passed.
type EvictEvent struct {
	View    *featurestore.Schema // a version of the view with which rows were written
	Key     featurestore.Key
	Expired bool // its TTL had passed
}

func (c Config) withDefaults() (Config, error) {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"MaxRows", int64(c.MaxRows)},
		{"MaxBytes", c.MaxBytes},
		{"Shards", int64(c.Shards)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("memstore: Config.%s is negative: %d", f.name, f.value)
		}
	}
	if c.Shards > MaxShards {
		return c, fmt.Errorf("memstore: Config.Shards is more than %d: %d", MaxShards, c.Shards)
	}
	if c.Shards == 0 {
		c.Shards = min(4*runtime.GOMAXPROCS(0), MaxShards)
	}
	c.Shards = 1 << bits.Len(uint(c.Shards-1))
	return c, nil
}
