package redisstore

import (
	"fmt"
	"time"
)

// Defaults of a Config.
const (
	DefaultTimeout        = 5 * time.Second
	DefaultReplicaTimeout = time.Second
)

// Config says how long to wait and to keep. The zero value is usable. A negative or contradictory value is an error from New.
type Config struct {
	// KeyTTL is how long a key of Redis, which holds the rows of all views of one entity, stays after the last write to it. Feast calls
	// it key_ttl_seconds. A view with a longer TTL prolongs it: see the package's documentation. At least a millisecond. Default: the
	// longest TTL of the views whose rows the key has, and for ever if one of them has none.
	KeyTTL time.Duration

	// Timeout bounds one Read, Write or Delete with all its retries, beside the context of the caller. Default: DefaultTimeout. The
	// client repeats what is harmless to repeat for so long. A failover takes about as long as nodes may be silent
	// (cluster-node-timeout); batches of very many rows need their time too.
	Timeout time.Duration

	// Replicas is the number of replicas that must have each row before Write says that it is there (WAIT). Rows that fewer have
	// confirmed in time are Failed, with an ErrReplicas. Default: 0, Redis replicates later.
	Replicas int

	// ReplicaTimeout is how long Redis waits for the replicas, in whole milliseconds and not longer than Timeout. Default:
	// DefaultReplicaTimeout, or Timeout if that is shorter.
	ReplicaTimeout time.Duration
}

func (c Config) withDefaults() (Config, error) {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"KeyTTL", int64(c.KeyTTL)},
		{"Timeout", int64(c.Timeout)},
		{"Replicas", int64(c.Replicas)},
		{"ReplicaTimeout", int64(c.ReplicaTimeout)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("redisstore: Config.%s is negative: %d", f.name, f.value)
		}
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	switch {
	case c.KeyTTL > 0 && c.KeyTTL < time.Millisecond:
		return c, fmt.Errorf("redisstore: Config.KeyTTL is shorter than a millisecond: %v", c.KeyTTL)
	case c.ReplicaTimeout > 0 && c.Replicas == 0:
		return c, fmt.Errorf("redisstore: Config.ReplicaTimeout is %v, but Replicas is 0", c.ReplicaTimeout)
	case c.ReplicaTimeout > c.Timeout:
		return c, fmt.Errorf("redisstore: Config.ReplicaTimeout, %v, is longer than Timeout, %v", c.ReplicaTimeout, c.Timeout)
	case c.ReplicaTimeout > 0 && c.ReplicaTimeout < time.Millisecond:
		return c, fmt.Errorf("redisstore: Config.ReplicaTimeout is shorter than a millisecond: %v", c.ReplicaTimeout)
	}
	if c.ReplicaTimeout == 0 {
		c.ReplicaTimeout = max(time.Millisecond, min(c.Timeout, DefaultReplicaTimeout))
	}
	return c, nil
}
