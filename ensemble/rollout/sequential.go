package rollout

import (
	"fmt"
	"math"
)

// Verdict is what is known so far.
type Verdict uint8

// The verdicts. The zero value decides nothing.
const (
	Inconclusive Verdict = iota
	Pass
	Fail
)

var verdictNames = [...]string{"inconclusive", "pass", "fail"}

// String is the verdict's name in lower case.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// bets is how many stakes are played side by side.
const bets = 11

// stakes are the shares of the wealth that are bet each time, halved from one to the next: whatever the best is, one of them is within a factor of 1.5 or so.
var stakes = func() (s [bets]float64) {
	s[0] = 0.95
	for i := range s[1:] {
		s[i+1] = 0.5 / float64(uint(1)<<i)
	}
	return s
}()

// wager is a gambler in a game that is fair or worse while the hypothesis holds, so that nobody can expect to get rich in it. It starts with 1, in equal parts on each stake. The
// more it owns, the more there is against the hypothesis: by Ville's inequality the probability that a nonnegative supermartingale which starts at 1 ever reaches 1/alpha is at
// most alpha. Ever: one may look after each sample.
//
// What is lost in a million rounds would have to be won back, so a gambler that is to see that something has changed must not stake everything at first: it has a purse, from which it puts a
// little more on the stakes every refill rounds. The k-th time that is 1/(k·(k+1)) of what was in the purse at first, so that it never ends, and what comes late is not too little. Money in the purse
// is owned too, which makes it the same kind of game.
type wager struct {
	parts   [bets]float64
	purse   float64
	rounds  int     // until the next refill
	refills float64 // so far
	most    float64 // that it has owned so far; at least 1
}

const (
	refill = 100
	purse  = 0.2 // of the gambler who looks for what is bad
)

func newWager(purse float64) wager {
	w := wager{purse: purse, rounds: refill, most: 1}
	for i := range w.parts {
		w.parts[i] = (1 - purse) / bets
	}
	return w
}

// bet plays a round. win is at least -1, and its mean is at most 0 while the hypothesis holds.
func (w *wager) bet(win float64) {
	more := 0.0
	if w.rounds--; w.rounds == 0 && w.purse > 0 {
		w.rounds = refill
		w.refills++
		more = w.purse / (w.refills + 1)
		w.purse -= more
		more /= bets
	}
	sum := w.purse
	for i := range w.parts {
		w.parts[i] = (w.parts[i] + more) * (1 + stakes[i]*win)
		sum += w.parts[i]
	}
	if sum > 1e100 { // it has won: keep it from growing to infinity
		w.parts = newWager(0).parts
	}
	w.most = max(w.most, sum)
}

// MeanTestConfig says what a MeanTest is to find out.
type MeanTestConfig struct {
	// Low and High bound the samples, ends included. Default, if both are zero: 0 and 1.
	Low, High float64

	// Limit is the highest mean that is in order. It must be between Low and High, ends excluded.
	Limit float64

	// Alpha bounds the probability of a false alarm: that the test ever fails though the mean is at most Limit. Default: DefaultAlpha.
	Alpha float64

	// Beta bounds the probability that the test ever passes though the mean is Limit or more. Default: Alpha.
	Beta float64

	// MinSamples is how many samples it takes before the test passes or fails. Default: 1.
	MinSamples int
}

// DefaultAlpha is the default of MeanTestConfig.Alpha and Gate.Alpha.
const DefaultAlpha = 0.01

func (c MeanTestConfig) withDefaults() (MeanTestConfig, error) {
	if c.Low == 0 && c.High == 0 {
		c.High = 1
	}
	if c.Alpha == 0 {
		c.Alpha = DefaultAlpha
	}
	if c.Beta == 0 {
		c.Beta = c.Alpha
	}
	const huge = 1e9
	switch {
	case !(c.Low >= -huge && c.Low < c.High && c.High <= huge):
		return c, fmt.Errorf("rollout: MeanTestConfig.Low %v and High %v are no range", c.Low, c.High)
	case !(c.Limit > c.Low && c.Limit < c.High):
		return c, fmt.Errorf("rollout: MeanTestConfig.Limit %v is not between %v and %v", c.Limit, c.Low, c.High)
	case math.IsInf(1/(c.Limit-c.Low), 0) || math.IsInf(1/(c.High-c.Limit), 0):
		return c, fmt.Errorf("rollout: MeanTestConfig.Limit %v is too close to %v or %v", c.Limit, c.Low, c.High)
	case !(c.Alpha > 0 && c.Alpha < 1):
		return c, fmt.Errorf("rollout: MeanTestConfig.Alpha must be between 0 and 1: %v", c.Alpha)
	case !(c.Beta > 0 && c.Beta < 1):
		return c, fmt.Errorf("rollout: MeanTestConfig.Beta must be between 0 and 1: %v", c.Beta)
	case c.MinSamples < 0:
		return c, fmt.Errorf("rollout: MeanTestConfig.MinSamples is negative: %d", c.MinSamples)
	}
	return c, nil
}

// MeanTest finds out whether the mean of bounded samples is at most a limit. It may be looked at after each sample, and stopped by any rule: the bounds of
// its errors hold for the whole sequence, however long. (A test for a fixed number of samples, such as a z-test, is wrong far more often than it says when looked at again and again.)
//
// It is a test by betting: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B, 2024), section 4. Two gamblers bet on each sample, one that the mean is above
// the limit, the other that it is below; each holds a mixture of stakes that is fixed in advance, which for samples of 0 and 1 makes it Robbins' mixture of likelihood
// ratios ("Statistical methods related to the law of the iterated logarithm", Ann. Math. Stat. 1970), the mSPRT of Johari et al. ("Always valid inference", 2017), by a discrete mixture. The test fails when the first gambler has
// 1/Alpha times what it began with, and passes when the second has 1/Beta times. No distribution is assumed, nor that samples are independent: it is enough that each has a mean of
// at most Limit given those before (at least Limit, for the bound of Beta).
//
// Fail is final. A test that has passed may still fail if the samples get worse, and soon, however many good ones there were before: what it takes grows with their logarithm. Not safe for concurrent use.
type MeanTest struct {
	cfg           MeanTestConfig
	above, below  wager
	verdict       Verdict
	n             uint64
	mean          float64
	upper, downer float64 // what scales a sample to a win
}

// NewMeanTest makes a test without samples.
func NewMeanTest(cfg MeanTestConfig) (*MeanTest, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &MeanTest{
		cfg: cfg, above: newWager(purse), below: newWager(0),
		upper: 1 / (cfg.Limit - cfg.Low), downer: 1 / (cfg.High - cfg.Limit),
	}, nil
}

// Add takes a sample and returns the verdict. A sample out of bounds counts as the nearer bound, and NaN as High.
func (t *MeanTest) Add(x float64) Verdict {
	if !(x <= t.cfg.High) {
		x = t.cfg.High
	}
	x = max(x, t.cfg.Low)
	t.n++
	t.mean += (x - t.mean) / float64(t.n)
	t.above.bet((x - t.cfg.Limit) * t.upper)
	t.below.bet((t.cfg.Limit - x) * t.downer)
	if t.verdict != Fail && t.n >= uint64(t.cfg.MinSamples) {
		switch {
		case t.above.most*t.cfg.Alpha >= 1:
			t.verdict = Fail
		case t.below.most*t.cfg.Beta >= 1:
			t.verdict = Pass
		}
	}
	return t.verdict
}

// Verdict is Fail if the mean is above the limit, Pass if it is below, and Inconclusive while neither is certain enough.
func (t *MeanTest) Verdict() Verdict { return t.verdict }

// Samples is how many there were.
func (t *MeanTest) Samples() uint64 { return t.n }

// Mean is that of the samples, 0 if there are none.
func (t *MeanTest) Mean() float64 { return t.mean }

// PValues are p-values that are valid at any time (the inverse of the most that a gambler has owned): how likely it is to see so much ever, for a mean above the limit if it is in order (fail), and for one below if it
// is not (pass). Small is certain.
func (t *MeanTest) PValues() (fail, pass float64) { return 1 / t.above.most, 1 / t.below.most }
