package scatter

import (
	"fmt"
	"time"

	"github.com/scalable-ai/patterns/sharding"
)

// DefaultMaxFanout is the default of Config.MaxFanout.
const DefaultMaxFanout = 16

// Config bounds the calls to the shards. The zero value is usable. A negative value is an error from New.
type Config struct {
	// MaxFanout is how many shards one Do calls at a time; the others wait for one of these to end. Default: DefaultMaxFanout.
	MaxFanout int

	// ShardTimeout is how long one call to a shard may take, from its own beginning. When it is over the call's context ends and Do goes on without it, even
	// if fetch does not return. Default: 0, which is no bound but that of the caller's context.
	ShardTimeout time.Duration

	// OnShard, if not nil, is called after each call to a shard, on the goroutine of the call, also for one that Do has given up, and if fetch panicked
	// or called runtime.Goexit. Calls overlap. Do waits for it, and its place among MaxFanout is taken, until ShardTimeout is over or the caller's
	// context ends; the answer is then taken without it. It may call anything. A panic or a Goexit in it that Do still waits for is treated as one of fetch.
	OnShard func(ShardEvent)
}

// ShardEvent is a call to a shard that is over.
type ShardEvent struct {
	Node     sharding.Node
	Keys     int           // in the call
	Duration time.Duration // of fetch
	Err      error         // of fetch, or ErrResultCount, a *PanicError or ErrGoexit
}

func (c Config) withDefaults() (Config, error) {
	if c.MaxFanout < 0 {
		return c, fmt.Errorf("scatter: Config.MaxFanout is negative: %d", c.MaxFanout)
	}
	if c.ShardTimeout < 0 {
		return c, fmt.Errorf("scatter: Config.ShardTimeout is negative: %v", c.ShardTimeout)
	}
	if c.MaxFanout == 0 {
		c.MaxFanout = DefaultMaxFanout
	}
	return c, nil
}

// Option is a choice that depends on the type of the keys.
type Option[K any] func(*options[K]) error

type options[K any] struct{ hash func(K) uint64 }

// WithHash sets the hash by which keys are placed. It must be the same as wherever else keys are placed, be equal for equal keys, and be safe for
// concurrent use. Dividing n keys of which many have one hash takes up to n² steps. Default: [sharding.NewHasher], whose types of keys need no option. It runs on the caller's goroutine, once for each key.
func WithHash[K any](hash func(K) uint64) Option[K] {
	return func(o *options[K]) error {
		if hash == nil {
			return fmt.Errorf("scatter: WithHash: nil function")
		}
		o.hash = hash
		return nil
	}
}
