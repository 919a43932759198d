package featurestore

import (
	"fmt"
	"time"
)

// DefaultMaxFuture is the default of [Config].MaxFuture.
const DefaultMaxFuture = 5 * time.Minute

// Config says how [Online] reads and writes. The zero value is usable; a negative value is an error from New.
type Config struct {
	// MaxFuture is how far the event time of a row may be ahead of this machine's clock when it is written; with more the row is Invalid. A row
	// from the far future would win over all that are written until then. Default: DefaultMaxFuture. Reads do not look at it: a row from
	// the future is there, and its age is negative.
	MaxFuture time.Duration

	// Fill is what a cell of a [Matrix] holds when it has no value and its feature no default. Default: NaN, which boosted trees take
	// for "missing". For a model that cannot have it: new(float32(0)), or a default for each feature.
	Fill *float32
}

func (c Config) withDefaults() (Config, error) {
	if c.MaxFuture < 0 {
		return c, fmt.Errorf("featurestore: Config.MaxFuture is negative: %v", c.MaxFuture)
	}
	if c.MaxFuture == 0 {
		c.MaxFuture = DefaultMaxFuture
	}
	return c, nil
}
