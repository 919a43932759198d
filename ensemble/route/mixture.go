package route

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/scalable-ai/patterns/internal/reject"
)

// Expert is a model of a [Mixture].
type Expert[Req, Resp any] struct {
	Name string
	Do   Func[Req, Resp] // must be safe for concurrent use and return when its context ends
}

// Part is an expert's answer with its weight. The weights of all parts of an answer are positive or zero and add up to 1.
type Part[Resp any] struct {
	Expert string
	Weight float64
	Answer Resp
}

// Overflow says what happens when a chosen expert has no room.
type Overflow uint8

// The ways.
const (
	OverflowNext Overflow = iota // the expert with the next highest score takes its place
	OverflowDrop                 // its place stays empty and the others' weights grow, as in the Switch Transformer, which drops the token
)

// String returns the way's name in lower case.
func (o Overflow) String() string {
	switch o {
	case OverflowNext:
		return "next"
	case OverflowDrop:
		return "drop"
	}
	return fmt.Sprintf("Overflow(%d)", uint8(o))
}

// DefaultTopK is the default of MixtureConfig.TopK.
const DefaultTopK = 2

// MixtureConfig says how many experts answer. The zero value is usable. A negative or contradictory value is an error from NewMixture.
type MixtureConfig struct {
	// TopK is how many experts are asked. Default: DefaultTopK, or all if they are fewer.
	TopK int

	// MinAnswers is how many must answer. Default: 1.
	MinAnswers int

	// Enough is how many answers are awaited: when that many are there the other experts are cancelled. Default: TopK, all.
	Enough int

	// Timeout bounds the experts, from the gate's answer on; what has answered by then is combined. Default: 0, no bound.
	Timeout time.Duration

	// Concurrency and CapacityFactor bound the requests that one expert works on at a time, to ⌈Concurrency·TopK/experts·CapacityFactor⌉: that is the
	// expert capacity of Fedus et al., with the requests that are served at a time in the place of the tokens of a batch. With factor 1
	// nothing but a perfect balance fits. Both or none must be given. Default: no bound.
	Concurrency    int
	CapacityFactor float64

	// Overflow is what happens at that bound. Default: OverflowNext.
	Overflow Overflow
}

// The errors of a [Mixture] beside those of a Router.
var (
	// ErrGate is returned when the gate's answer is not one score for each expert, each a number less than infinity.
	ErrGate = errors.New("route: bad scores from the gate")

	// ErrOverflow is returned when too few of the chosen experts have room. None has been asked.
	ErrOverflow = reject.New("route: experts are at capacity")

	// ErrGoexit is the error of an expert that called runtime.Goexit in a goroutine of the Mixture.
	ErrGoexit = errors.New("route: expert called runtime.Goexit")
)

// Mixture is a mixture of experts: a gate scores the experts for each request, those with the highest scores answer in parallel, and their answers are combined by weight.
//
// The k highest scores are chosen (Shazeer et al., "Outrageously Large Neural Networks", ICLR 2017, section 2.1, without the noise, which is for training),
// of equal scores the earlier expert. The weights are the softmax over the scores of those that have answered: the weights of the others are
// shared out in proportion. Capacity is that of Fedus et al., "Switch Transformers", JMLR 2022, section 2.2.
//
// It is safe for concurrent use. No goroutine of a Do outlives it: experts that are cancelled are waited for. A panic of an expert is
// its *[PanicError]; but a single expert is asked on the caller's goroutine, and its panic goes on.
type Mixture[Req, Resp any] struct {
	gate     Func[Req, []float64]
	experts  []Expert[Req, Resp]
	combine  func([]Part[Resp]) (Resp, error)
	cfg      MixtureConfig
	capacity int // 0 is no bound
	runs     sync.Pool

	mu    sync.Mutex
	stats MixtureStats
}

// NewMixture makes a mixture. The gate returns one score (a logit) for each expert, in their order; minus infinity excludes one. It may be a model like any other. combine
// gets the answers, the heaviest first, in a slice that is valid during the call only; both run on the caller's goroutine. See [CombineValues] and [CombineVectors].
func NewMixture[Req, Resp any](gate Func[Req, []float64], experts []Expert[Req, Resp], combine func([]Part[Resp]) (Resp, error), cfg MixtureConfig) (*Mixture[Req, Resp], error) {
	if gate == nil || combine == nil {
		return nil, fmt.Errorf("route: NewMixture: nil function")
	}
	if len(experts) == 0 {
		return nil, fmt.Errorf("route: no experts")
	}
	m := &Mixture[Req, Resp]{gate: gate, combine: combine}
	names := map[string]bool{}
	for _, e := range experts {
		switch {
		case e.Name == "":
			return nil, fmt.Errorf("route: an expert has no name")
		case e.Do == nil:
			return nil, fmt.Errorf("route: expert %q has no Do", e.Name)
		case names[e.Name]:
			return nil, fmt.Errorf("route: expert %q occurs twice", e.Name)
		}
		names[e.Name] = true
		m.experts = append(m.experts, e)
		m.stats.Experts = append(m.stats.Experts, ExpertStats{Name: e.Name})
	}
	var err error
	if m.cfg, err = cfg.withDefaults(len(experts)); err != nil {
		return nil, err
	}
	m.capacity = m.cfg.capacity(len(experts))
	return m, nil
}

func (c MixtureConfig) withDefaults(experts int) (MixtureConfig, error) {
	for _, f := range []struct {
		name  string
		value int
	}{{"TopK", c.TopK}, {"MinAnswers", c.MinAnswers}, {"Enough", c.Enough}, {"Concurrency", c.Concurrency}} {
		if f.value < 0 {
			return c, fmt.Errorf("route: MixtureConfig.%s is negative: %d", f.name, f.value)
		}
	}
	if c.TopK == 0 {
		c.TopK = min(DefaultTopK, experts)
	}
	if c.MinAnswers == 0 {
		c.MinAnswers = 1
	}
	if c.Enough == 0 {
		c.Enough = c.TopK
	}
	switch {
	case c.Timeout < 0:
		return c, fmt.Errorf("route: MixtureConfig.Timeout is negative: %v", c.Timeout)
	case c.TopK > experts:
		return c, fmt.Errorf("route: MixtureConfig.TopK is %d, of %d experts", c.TopK, experts)
	case c.MinAnswers > c.Enough || c.Enough > c.TopK:
		return c, fmt.Errorf("route: MixtureConfig needs MinAnswers %d <= Enough %d <= TopK %d", c.MinAnswers, c.Enough, c.TopK)
	case !(c.CapacityFactor >= 0) || math.IsInf(c.CapacityFactor, 1):
		return c, fmt.Errorf("route: MixtureConfig.CapacityFactor is not a positive number: %v", c.CapacityFactor)
	case (c.CapacityFactor > 0) != (c.Concurrency > 0):
		return c, fmt.Errorf("route: MixtureConfig needs both Concurrency and CapacityFactor, or none")
	case c.Overflow > OverflowDrop:
		return c, fmt.Errorf("route: MixtureConfig.Overflow is unknown: %d", c.Overflow)
	}
	return c, nil
}

// capacity is at least 1, unless it is 0 for no bound.
func (c MixtureConfig) capacity(experts int) int {
	// In one product, so that a factor of 1 or 2 does not round up.
	return int(min(math.Ceil(float64(c.Concurrency)*float64(c.TopK)*c.CapacityFactor/float64(experts)), math.MaxInt32))
}

// Do asks the gate and the experts that it chooses. The errors are the cause of the caller's context; what the gate or combine returned;
// ErrGate; ErrNoMember, when the gate excludes too many; ErrOverflow; and an *[Error] with the experts that failed, when fewer than MinAnswers
// have answered.
func (m *Mixture[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	var none Resp
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	scores, err := m.gate(ctx, req)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return none, err
	}
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	r, _ := m.runs.Get().(*run[Req, Resp])
	if r == nil {
		r = &run[Req, Resp]{Mixture: m}
	}
	if err := r.choose(scores); err != nil {
		r.put()
		return none, err
	}
	r.ask(ctx, req)
	parts, err := r.outcome(ctx)
	if err != nil {
		r.put()
		return none, err
	}
	answer, err := m.combine(parts)
	r.put()
	return answer, err
}

// Stats returns counters and gauges, all taken at one moment.
func (m *Mixture[Req, Resp]) Stats() MixtureStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Experts = append([]ExpertStats(nil), s.Experts...)
	return s
}

// MixtureStats are counters since NewMixture and gauges of now.
type MixtureStats struct {
	Calls     uint64 // requests for which experts were asked
	Overflows uint64 // requests that failed with ErrOverflow
	Experts   []ExpertStats
}

// ExpertStats are those of one expert. Calls = Answered + Failed + Cancelled + InFlight.
type ExpertStats struct {
	Name       string
	Calls      uint64
	Answered   uint64
	Failed     uint64  // also those that Timeout ended
	Cancelled  uint64  // it was not needed any more, or the caller's context had ended
	Overflows  uint64  // it was chosen and had no room
	Importance float64 // sum of its weights among the chosen: in balance they are the same for all experts (Shazeer et al., section 4)
	InFlight   int
}
