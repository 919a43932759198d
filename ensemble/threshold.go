package ensemble

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// ThresholdSample is a labelled request with what every stage says to it. All stages must have been asked, also those that a cascade would not reach.
type ThresholdSample struct {
	Confidence []float64 // of each stage's answer, in the unit of its threshold; NaN is never sure, an infinite one is an error
	Correct    []bool    // whether each stage's answer is right
}

// Defaults of [ThresholdConfig].
const (
	DefaultThresholdLevel   = 0.95
	DefaultThresholdHoldOut = 0.5
)

// ThresholdConfig says what thresholds are to achieve. Exactly one of TargetAccuracy, MaxCost and MaxEscalated must be set.
type ThresholdConfig struct {
	// TargetAccuracy, over 0 and under 1, asks for the cheapest thresholds whose true accuracy is at least that, with probability Level.
	TargetAccuracy float64

	// MaxCost asks for the most accurate thresholds of at most this mean cost, in the unit of Costs.
	MaxCost float64

	// MaxEscalated, over 0 and at most 1, asks for the most accurate thresholds with which at most this share of the requests goes beyond the first stage.
	MaxEscalated float64

	// Costs are what one call of each stage costs. Default: 1 each.
	Costs []float64

	// Level is the probability with which TargetAccuracy is kept, and that of the intervals in the reports. Default: DefaultThresholdLevel.
	Level float64

	// HoldOut is the share of the samples that has no part in proposing thresholds: they test them and report. Default: DefaultThresholdHoldOut.
	HoldOut float64

	// Seed makes the division of the samples. The same seed divides alike.
	Seed uint64
}

// ErrThreshold is returned, wrapped, if the samples or the configuration make no sense, or no thresholds can be shown to meet the goal.
var ErrThreshold = errors.New("ensemble: thresholds")

func thresholdError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrThreshold, fmt.Sprintf(format, args...))
}

// ThresholdFit is what FitThresholds found.
type ThresholdFit struct {
	// Thresholds are those of each stage but the last, for Stage.Threshold and [Cascade.SetThresholds]. math.Inf(-1) takes every answer whose
	// confidence is a number, math.Inf(1) none; JSON has neither.
	Thresholds []float64

	Fitted  CoverageReport // of the samples that proposed them: too rosy
	HeldOut CoverageReport // of those held out

	// Frontier has the choices between the most accurate and the cheapest thresholds, at most 20, as the samples held out see them. Its intervals are for
	// one choice each, made without looking.
	Frontier CoverageTable
}

const (
	thresholdTested = 200 // choices of the frontier that are tested
	thresholdRows   = 20  // of the frontier that are reported
	thresholdStages = 8
)

// FitThresholds finds thresholds for a cascade from labelled samples, which should be like the requests to come and have had no part in
// training or calibrating the stages.
//
// The samples are divided at random. With the first part the choices are found that are best for their cost, in accuracy: exactly for two
// stages; for up to 8 from a grid of values spread evenly over each stage's distinct confidences (64 for three stages, 16 for four), the best choices of which (up to 50) are then
// improved in each threshold in turn, over all values. MaxCost and MaxEscalated take the most accurate choice within the budget on this part; HeldOut says
// what it does to other samples.
//
// TargetAccuracy tests the choices with the part held out, from the most accurate down to the cheapest, each by the exact binomial test of
// "its accuracy is less than the target" at 1-Level, and takes the last before one fails the test. As the order does not depend on that part, the risk of
// taking any choice that misses the target is at most 1-Level, however many are tested (fixed sequence testing: Angelopoulos, Bates, Candès, Jordan, Lei, Learn then Test, 2021, section
// 4; with the order from a part of the samples: Laufer-Goldshtein, Fisch, Barzilay, Jaakkola, Pareto Testing, ICLR 2023). If the first test fails the error is an [ErrThreshold]; it says how near it came.
//
// All this holds for requests from the same source. Thresholds do not transfer from one set of data to another: see [EvaluateThresholds].
//
// For a cascade that abstains, add people as the last stage, right always and at the cost of a review: the thresholds are then those of all models.
//
// It takes O(n log n) steps for two stages; for more, the grid takes up to 4,096 passes over the samples and the improvement some hundred sorts.
func FitThresholds(samples []ThresholdSample, cfg ThresholdConfig) (ThresholdFit, error) {
	k, costs, err := checkThresholdSamples(samples, cfg.Costs)
	if err != nil {
		return ThresholdFit{}, err
	}
	cfg, err = cfg.withDefaults()
	if err != nil {
		return ThresholdFit{}, err
	}
	if k < 2 || k > thresholdStages {
		return ThresholdFit{}, thresholdError("%d stages; there must be 2 to %d", k, thresholdStages)
	}
	held := int(math.Round(cfg.HoldOut * float64(len(samples))))
	held = min(max(held, 1), len(samples)-1)
	if held < 1 {
		return ThresholdFit{}, thresholdError("%d samples are too few to hold some out", len(samples))
	}
	shuffled := make([]ThresholdSample, len(samples))
	for i, j := range rand.New(rand.NewPCG(cfg.Seed, 0x5eed)).Perm(len(samples)) {
		shuffled[i] = samples[j]
	}
	proposing, testing := shuffled[held:], shuffled[:held]

	searchCosts, budget := costs, cfg.MaxCost
	if cfg.MaxEscalated > 0 { // the cost is then that of going beyond the first stage
		searchCosts, budget = make([]float64, k), cfg.MaxEscalated
		searchCosts[1] = 1
	}
	frontier := newThresholdSearch(proposing, searchCosts).frontier() // from the cheapest up
	var chosen thresholdPoint
	if cfg.TargetAccuracy > 0 {
		chosen, err = testThresholds(thin(frontier, thresholdTested), testing, k, cfg)
	} else {
		chosen, err = withinBudget(frontier, budget, len(proposing), cfg)
	}
	if err != nil {
		return ThresholdFit{}, err
	}
	fit := ThresholdFit{
		Thresholds: chosen.thresholds,
		Fitted:     coverage(proposing, chosen.thresholds, costs, cfg.Level),
		HeldOut:    coverage(testing, chosen.thresholds, costs, cfg.Level),
	}
	for _, p := range thin(frontier, thresholdRows) {
		fit.Frontier = append(fit.Frontier, coverage(testing, p.thresholds, costs, cfg.Level))
	}
	return fit, nil
}

// testThresholds goes down from the most accurate choice for as long as the test holds.
func testThresholds(frontier []thresholdPoint, testing []ThresholdSample, stages int, cfg ThresholdConfig) (chosen thresholdPoint, err error) {
	n, risk := len(testing), 1-cfg.Level
	for i := len(frontier) - 1; i >= 0; i-- {
		right := countCoverage(testing, frontier[i].thresholds, stages).right
		if binomialTail(right, n, cfg.TargetAccuracy) <= risk {
			chosen = frontier[i]
			continue
		}
		if chosen.thresholds == nil {
			need := enoughRight(n, cfg.TargetAccuracy, risk)
			if need > n {
				return chosen, thresholdError("%d samples held out are too few to show an accuracy of %g at level %g, even if all were right",
					n, cfg.TargetAccuracy, cfg.Level)
			}
			return chosen, thresholdError("an accuracy of %g cannot be shown at level %g: the most accurate choice has %d of %d samples held out right, and needs %d",
				cfg.TargetAccuracy, cfg.Level, right, n, need)
		}
		break
	}
	return chosen, nil
}

// enoughRight is how many of n must be right to pass the test; more than n if there are too few.
func enoughRight(n int, target, risk float64) int {
	low, high := 0, n+1
	for low < high {
		mid := (low + high) / 2
		if binomialTail(mid, n, target) <= risk {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

func withinBudget(frontier []thresholdPoint, budget float64, n int, cfg ThresholdConfig) (thresholdPoint, error) {
	for i := len(frontier) - 1; i >= 0; i-- {
		if frontier[i].cost <= budget*float64(n)*(1+1e-12) {
			return frontier[i], nil
		}
	}
	if cfg.MaxEscalated > 0 { // they have confidences that are NaN
		return thresholdPoint{}, thresholdError("escalating a share of %g is not enough: %g are never sure", budget, frontier[0].cost/float64(n))
	}
	return thresholdPoint{}, thresholdError("a mean cost of %g is not enough: the cheapest choice costs %g", budget, frontier[0].cost/float64(n))
}

func (c ThresholdConfig) withDefaults() (ThresholdConfig, error) {
	goals := 0
	for _, g := range []struct {
		name        string
		value, most float64
	}{
		{"TargetAccuracy", c.TargetAccuracy, math.Nextafter(1, 0)},
		{"MaxCost", c.MaxCost, math.MaxFloat64},
		{"MaxEscalated", c.MaxEscalated, 1},
	} {
		if !(g.value >= 0 && g.value <= g.most) {
			return c, thresholdError("ThresholdConfig.%s is %v", g.name, g.value)
		}
		if g.value > 0 {
			goals++
		}
	}
	if goals != 1 {
		return c, thresholdError("exactly one of TargetAccuracy, MaxCost and MaxEscalated must be set; %d are", goals)
	}
	var err error
	if c.Level, err = thresholdLevel(c.Level); err != nil {
		return c, err
	}
	if c.HoldOut == 0 {
		c.HoldOut = DefaultThresholdHoldOut
	}
	if !(c.HoldOut > 0 && c.HoldOut < 1) {
		return c, thresholdError("ThresholdConfig.HoldOut is %v", c.HoldOut)
	}
	return c, nil
}

func thresholdLevel(level float64) (float64, error) {
	if level == 0 {
		return DefaultThresholdLevel, nil
	}
	if !(level > 0 && level < 1) {
		return 0, thresholdError("the level is %v", level)
	}
	return level, nil
}

// checkThresholdSamples returns the number of stages and their costs.
func checkThresholdSamples(samples []ThresholdSample, costs []float64) (int, []float64, error) {
	if len(samples) == 0 {
		return 0, nil, thresholdError("no samples")
	}
	k := len(samples[0].Correct)
	if k == 0 {
		return 0, nil, thresholdError("no stages")
	}
	for i, s := range samples {
		if len(s.Confidence) != k || len(s.Correct) != k {
			return 0, nil, thresholdError("sample %d has %d confidences and %d labels for %d stages", i, len(s.Confidence), len(s.Correct), k)
		}
		for j, c := range s.Confidence {
			if math.IsInf(c, 0) {
				return 0, nil, thresholdError("sample %d has the confidence %v at stage %d", i, c, j)
			}
		}
	}
	if len(costs) == 0 {
		costs = make([]float64, k)
		for i := range costs {
			costs[i] = 1
		}
	}
	if len(costs) != k {
		return 0, nil, thresholdError("%d costs for %d stages", len(costs), k)
	}
	for i, c := range costs {
		if !(c >= 0) || math.IsInf(c, 1) {
			return 0, nil, thresholdError("the cost of stage %d is %v", i, c)
		}
	}
	return k, costs, nil
}
