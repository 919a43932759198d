package boltstore

import (
	"fmt"
	"time"

	"github.com/scalable-ai/patterns/featurestore/memstore"
)

// DefaultLockTimeout is the default of [Config].LockTimeout.
const DefaultLockTimeout = time.Second

// Config bounds what a store takes. The zero value is usable: it has no bound. A negative value is an error from Open.
type Config struct {
	// MaxRows, MaxBytes and Shards are those of [memstore.Config]. A row that is dropped to keep within a bound, or because its TTL has passed,
	// goes from the file as well, by one of the next commits.
	MaxRows  int
	MaxBytes int64
	Shards   int

	// MaxFileBytes is the largest size of the file. It grows by 16 MiB at a time once it is larger than that, and does not shrink. Writes that would
	// have it grow further fail. Default: no bound.
	MaxFileBytes int

	// LockTimeout is how long Open waits for another process that has the file open. Default: DefaultLockTimeout.
	LockTimeout time.Duration
}

func (c Config) withDefaults() (Config, error) {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"MaxRows", int64(c.MaxRows)},
		{"MaxBytes", c.MaxBytes},
		{"Shards", int64(c.Shards)},
		{"MaxFileBytes", int64(c.MaxFileBytes)},
		{"LockTimeout", int64(c.LockTimeout)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("boltstore: Config.%s is negative: %d", f.name, f.value)
		}
	}
	if c.Shards > memstore.MaxShards {
		return c, fmt.Errorf("boltstore: Config.Shards is more than %d: %d", memstore.MaxShards, c.Shards)
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = DefaultLockTimeout
	}
	return c, nil
}
