package featurestore

import (
	"errors"
	"fmt"
	"time"
)

// Defaults of [ShardedConfig].
const (
	DefaultMaxFanout   = 16
	DefaultHedgeBudget = 0.1
)

// ShardedConfig bounds the calls to the shards and says how replicas are used. The zero value is usable: no replicas, no time-out. A
// negative or contradictory value is an error from NewSharded.
type ShardedConfig struct {
	// MaxFanout is how many shards one Read, Write or Delete calls at a time; hedges are on top. Default: DefaultMaxFanout.
	MaxFanout int

	// ShardTimeout is how long one call to a shard may take. When it is over the call's context ends, and the shard counts as failed with
	// ErrShardTimeout, even if its store does not return. Default: no bound but that of the caller's context.
	ShardTimeout time.Duration

	// Replicas is the number of stores that a key is in. More than 1 needs WithOwners. Default: 1.
	Replicas int

	// WriteQuorum is how many replicas have to store a row for it to count as Written or Stale. A row that some do not have may not be
	// found by a read until it is written again. Default: all of them.
	WriteQuorum int

	// HedgeAfter is how long a read waits for a replica before it asks the next one as well. The first good answer counts, the other call is
	// cancelled. Default: none is asked before the first has failed, unless HedgeQuantile is set.
	HedgeAfter time.Duration

	// HedgeQuantile takes the time from what the calls to that shard took of late: 0.95 asks a second replica for the slowest twentieth, as
	// in Dean and Barroso, "The Tail at Scale" (CACM 56(2), 2013, "hedged requests"). HedgeAfter, if set, counts until enough
	// calls have been seen. More than 0 and less than 1. Default: 0, which is off.
	HedgeQuantile float64

	// HedgeBudget bounds the hedges: to this share of the other calls, plus 10. It keeps them from doubling the load when all replicas are
	// slow. From 0 to 1. Default: DefaultHedgeBudget.
	HedgeBudget float64
}

func (c ShardedConfig) withDefaults(o *shardedOptions) (ShardedConfig, error) {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"MaxFanout", int64(c.MaxFanout)},
		{"ShardTimeout", int64(c.ShardTimeout)},
		{"Replicas", int64(c.Replicas)},
		{"WriteQuorum", int64(c.WriteQuorum)},
		{"HedgeAfter", int64(c.HedgeAfter)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("featurestore: ShardedConfig.%s is negative: %d", f.name, f.value)
		}
	}
	if c.MaxFanout == 0 {
		c.MaxFanout = DefaultMaxFanout
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	hedges := c.HedgeAfter > 0 || c.HedgeQuantile != 0
	switch {
	case !(c.HedgeQuantile >= 0 && c.HedgeQuantile < 1): // a NaN too
		return c, fmt.Errorf("featurestore: ShardedConfig.HedgeQuantile is %v, it must be less than 1 and not negative", c.HedgeQuantile)
	case !(c.HedgeBudget >= 0 && c.HedgeBudget <= 1):
		return c, fmt.Errorf("featurestore: ShardedConfig.HedgeBudget is %v, it must be from 0 to 1", c.HedgeBudget)
	case c.Replicas > MaxReplicas:
		return c, fmt.Errorf("featurestore: ShardedConfig.Replicas is %d, the most is %d", c.Replicas, MaxReplicas)
	case c.Replicas > 1 && o.owners == nil:
		return c, errors.New("featurestore: ShardedConfig.Replicas needs WithOwners")
	case c.Replicas == 1 && o.owners != nil:
		return c, errors.New("featurestore: WithOwners needs ShardedConfig.Replicas of 2 or more")
	case c.WriteQuorum > c.Replicas:
		return c, fmt.Errorf("featurestore: ShardedConfig.WriteQuorum %d is more than Replicas %d", c.WriteQuorum, c.Replicas)
	case hedges && c.Replicas == 1:
		return c, errors.New("featurestore: ShardedConfig.HedgeAfter and HedgeQuantile need Replicas")
	case !hedges && c.HedgeBudget > 0:
		return c, errors.New("featurestore: ShardedConfig.HedgeBudget needs HedgeAfter or HedgeQuantile")
	}
	if c.WriteQuorum == 0 {
		c.WriteQuorum = c.Replicas
	}
	if c.HedgeBudget == 0 {
		c.HedgeBudget = DefaultHedgeBudget
	}
	return c, nil
}

// MaxReplicas bounds ShardedConfig.Replicas.
const MaxReplicas = 16

// ShardedOption sets a callback of a [Sharded].
type ShardedOption func(*shardedOptions) error

type shardedOptions struct {
	owners func(dst []int, hash uint64, k int) []int
}

// WithOwners says in which stores a key is when there are replicas: it appends to dst the indexes of k different stores, the first to be asked first, or of
// fewer if there are no more. Placements of package sharding have a method Owners of this form. It runs on the caller's goroutine.
func WithOwners(owners func(dst []int, hash uint64, k int) []int) ShardedOption {
	return func(o *shardedOptions) error {
		if owners == nil {
			return errors.New("featurestore: WithOwners: nil function")
		}
		o.owners = owners
		return nil
	}
}
