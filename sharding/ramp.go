package sharding

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"
)

// Defaults of [RampConfig].
const (
	DefaultRampSteps = 10
	DefaultRampFloor = 0.1
)

// RampConfig configures a [Ramp].
type RampConfig struct {
	// Duration is how long the ramp takes. It must be positive.
	Duration time.Duration

	// Steps is the number of steps, each of which takes a new placement. Default: DefaultRampSteps.
	Steps int

	// Floor is the part of its weight with which a node starts, above 0 and up to 1. Default: DefaultRampFloor.
	Floor float64
}

// Ramp says how much of its weight a node has while it is brought in (slow start: caches are cold, sessions not yet compiled)
// or out (drain). It is a function of the time since that began; whoever has the clock builds a placement for
// each step, with the node's weight changed by [Scale]. Ring and Rendezvous move only keys of that node then.
type Ramp struct{ cfg RampConfig }

// NewRamp checks the configuration.
func NewRamp(cfg RampConfig) (Ramp, error) {
	if cfg.Steps == 0 {
		cfg.Steps = DefaultRampSteps
	}
	if cfg.Floor == 0 {
		cfg.Floor = DefaultRampFloor
	}
	switch {
	case cfg.Duration <= 0:
		return Ramp{}, fmt.Errorf("sharding: RampConfig.Duration is %v, it must be positive", cfg.Duration)
	case cfg.Steps < 0:
		return Ramp{}, fmt.Errorf("sharding: RampConfig.Steps is negative: %d", cfg.Steps)
	case !(cfg.Floor > 0 && cfg.Floor <= 1):
		return Ramp{}, fmt.Errorf("sharding: RampConfig.Floor is %v, it must be above 0 and at most 1", cfg.Floor)
	}
	return Ramp{cfg}, nil
}

// Up is the part of its weight that a node has so long after its start: Floor at first, 1 after Duration.
func (r Ramp) Up(elapsed time.Duration) float64 {
	return r.cfg.Floor + (1-r.cfg.Floor)*r.done(elapsed)
}

// Down is the part of its weight that a node has so long after its drain began: 1 at first, 0 after Duration.
func (r Ramp) Down(elapsed time.Duration) float64 { return 1 - r.done(elapsed) }

// done is the part of the steps that are done, from 0 to 1.
func (r Ramp) done(elapsed time.Duration) float64 {
	elapsed = max(0, elapsed)
	if elapsed >= r.cfg.Duration { // also of the zero Ramp
		return 1
	}
	// In integers, for the quotient of two floating-point numbers can be just below a step that has come.
	hi, lo := bits.Mul64(uint64(elapsed), uint64(r.cfg.Steps))
	steps, _ := bits.Div64(hi, lo, uint64(r.cfg.Duration))
	return float64(steps) / float64(r.cfg.Steps)
}

// Scale is a copy of the nodes in which the node of that name has its weight multiplied by the factor. With factor 0 it is left out: it is
// drained. The errors are ErrName if there is no such node, and ErrWeight if the factor is negative or no finite number.
func Scale(nodes []Node, name string, factor float64) ([]Node, error) {
	if !(factor >= 0) || math.IsInf(factor, 1) {
		return nil, fmt.Errorf("%w: node %q is scaled by %v", ErrWeight, name, factor)
	}
	i := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("%w: no node is named %q", ErrName, name)
	}
	if nodes = slices.Clone(nodes); factor == 0 {
		return slices.Delete(nodes, i, i+1), nil
	}
	nodes[i].Weight = weightOf(nodes[i]) * factor
	return nodes, nil
}
