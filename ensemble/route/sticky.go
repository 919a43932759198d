package route

import (
	"errors"
	"math"

	"github.com/cespare/xxhash/v2"
)

// Sticky picks the same member for the same key, see [WithKey], each with a share of the keys in proportion to its weight. When a member is put aside its keys go
// to the others, in proportion to their weights, and come back afterwards. When members come or go, or weights change, only keys that must move do: to
// a member that has gained, or from one that has lost.
//
// That is rendezvous hashing (Thaler and Ravishankar, IEEE/ACM ToN 1998) with the logarithmic weights of Schindelhauer and Schomaker (SPAA 2005): the key goes to
// the member with the least -ln(u)/weight, u being a hash of key and member in (0, 1). It depends on nothing but salt, key, names and weights, so all processes agree.
// Give each experiment a salt of its own: otherwise the keys that one sends to a member are the same as the other's.
func Sticky(salt string) Picker { return sticky{xxhash.Sum64String(salt)} }

type sticky struct{ salt uint64 }

// Pick returns the member with the highest random weight.
func (s sticky) Pick(c *Choice) int {
	best, least := 0, math.Inf(1)
	key := mix(c.Key ^ s.salt)
	for i := range c.Candidates {
		m := &c.Candidates[i]
		if score := -math.Log(unit(mix(key^m.hash))) / m.Weight; score < least {
			best, least = i, score
		}
	}
	return best
}

func (sticky) needsKey() {}

// checkPick says what is wrong with a picker.
func checkPick(p Picker, keyed bool) error {
	if f, ok := p.(PickFunc); ok && f == nil {
		return errors.New("has a nil PickFunc")
	}
	if _, needs := p.(interface{ needsKey() }); needs && !keyed {
		return errors.New("picks by key: it needs WithKey")
	}
	return nil
}

// unit maps a hash to the middle of one of 2^52 parts of (0, 1), so that its logarithm is neither 0 nor infinite.
func unit(hash uint64) float64 { return (float64(hash>>12) + 0.5) / (1 << 52) }

// mix is the finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014), a permutation that spreads each bit over all.
func mix(v uint64) uint64 {
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}
