package rollout

import (
	"fmt"
	"sync/atomic"
)

// DefaultRatioAlpha is the default of CanaryConfig.RatioAlpha: a mismatch is a bug, so the alarm should be one.
const DefaultRatioAlpha = 0.001

// RatioTest finds a sample ratio mismatch: that the share of samples in the challenger's arm is not what it should be. Then the arms do not see the same traffic,
// and no comparison of them can be trusted (Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019). Unlike the usual chi-square test it may be looked at after each sample:
// two gamblers as in MeanTest bet on a higher and on a lower share, with half of alpha each. Not safe for concurrent use.
type RatioTest struct {
	test     *MeanTest
	alpha    float64
	mismatch bool
}

// NewRatioTest makes a test without samples. share is between 0 and 1, ends excluded. alpha bounds the probability that a mismatch is ever found where there is none; 0 is DefaultRatioAlpha.
func NewRatioTest(share, alpha float64) (*RatioTest, error) {
	if alpha == 0 {
		alpha = DefaultRatioAlpha
	}
	if !(share > 0 && share < 1) {
		return nil, fmt.Errorf("rollout: share must be between 0 and 1: %v", share)
	}
	if !(alpha > 0 && alpha < 1) {
		return nil, fmt.Errorf("rollout: alpha must be between 0 and 1: %v", alpha)
	}
	t, err := NewMeanTest(MeanTestConfig{Limit: share, Alpha: alpha / 2})
	if err != nil {
		return nil, err
	}
	return &RatioTest{test: t, alpha: alpha}, nil
}

// Add takes a sample and returns whether there is a mismatch. That is final.
func (t *RatioTest) Add(challenger bool) bool {
	x := 0.0
	if challenger {
		x = 1
	}
	t.test.Add(x)
	t.mismatch = t.mismatch || t.PValue() <= t.alpha
	return t.mismatch
}

// Mismatch is whether there is one.
func (t *RatioTest) Mismatch() bool { return t.mismatch }

// Samples is how many there were.
func (t *RatioTest) Samples() uint64 { return t.test.Samples() }

// Share is that of the challenger among the samples.
func (t *RatioTest) Share() float64 { return t.test.Mean() }

// PValue is valid at any time.
func (t *RatioTest) PValue() float64 {
	high, low := t.test.PValues()
	return min(1, 2*min(high, low))
}

// ratioSlots is how many keys a ratioSample takes at most.
const ratioSlots = 1 << 15

// ratioSample takes the first key of each of many slots, so that a key counts once however many requests it sends: requests of one key are not independent, and a busy key
// would look like a mismatch. Which keys share a slot has nothing to do with their arm.
type ratioSample [ratioSlots / 64]atomic.Uint64

// first says whether no key has been in the slot before.
func (s *ratioSample) first(hash uint64) bool {
	word, bit := &s[hash%ratioSlots/64], uint64(1)<<(hash%64)
	return word.Load()&bit == 0 && word.Or(bit)&bit == 0
}
