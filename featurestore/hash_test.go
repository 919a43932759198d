package featurestore

import (
	"fmt"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestLocalHashSpreads looks at the bits that tables use, the lowest and the highest, for keys as they come: numbers one after the other or some distance apart,
// and text.
func TestLocalHashSpreads(t *testing.T) {
	const buckets, per = 256, 64
	kinds := map[string]func(i uint64) Key{
		"text":      func(i uint64) Key { return StringKey(fmt.Sprintf("user:%08d", i)) },
		"negative":  func(i uint64) Key { return IntKey(-int64(i)) },
		"bit-wise":  func(i uint64) Key { return IntKey(int64(bits.Reverse64(i))) },
		"composite": func(i uint64) Key { return Key{str: string(appendPart(nil, Int64, IntKey(int64(i))))} },
	}
	for _, shift := range []int{0, 8, 20, 32, 48} {
		kinds[fmt.Sprint("numbers times two to the ", shift)] = func(i uint64) Key { return IntKey(int64(i << shift)) }
	}
	for name, keyOf := range kinds {
		var low, high [buckets]int
		for i := range uint64(buckets * per) {
			h := keyOf(i).LocalHash()
			low[h%buckets]++
			high[h>>56]++
		}
		for what, counts := range map[string]*[buckets]int{"lowest": &low, "highest": &high} {
			chi := 0.0
			for _, n := range counts {
				chi += float64(n-per) * float64(n-per) / per
			}
			// Of a mean of 255 and a standard deviation of 23: beyond ten of these is no chance.
			assert.Less(t, chi, 485.0, "%s, %s bits", name, what)
		}
	}
}

func TestLocalHashOfEqualKeys(t *testing.T) {
	seven := IntKey(7)
	assert.Equal(t, IntKey(7).LocalHash(), seven.LocalHash())
	assert.Equal(t, StringKey("a").LocalHash(), StringKey(string([]byte("a"))).LocalHash())
	assert.NotEqual(t, IntKey(7).LocalHash(), IntKey(8).LocalHash())
	assert.NotEqual(t, Key{num: 7, str: "a"}.LocalHash(), Key{num: 8, str: "a"}.LocalHash())
	assert.NotEqual(t, Key{num: 7, str: "a"}.LocalHash(), Key{num: 7, str: "b"}.LocalHash())
}
