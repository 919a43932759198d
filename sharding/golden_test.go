package sharding_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/scalable-ai/patterns/sharding"
)

// A difference here means that keys are not found any more where earlier releases put them: it takes another Version.
func TestGolden(t *testing.T) {
	if raceEnabled {
		t.Skip("the tables are smaller with the race detector")
	}
	nodes := makeNodes(10)
	keys := []string{"", "a", "user:42", "tenant/7/model/llama", "ключ"}
	var got strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&got, "%q %016x\n", key, sharding.Hash(key))
	}
	for _, key := range []int64{0, 1, -1, 1 << 40} {
		fmt.Fprintf(&got, "%d %016x\n", key, sharding.Hash(key))
	}
	for _, p := range allPlacements(t, nodes) {
		if placementName(p) != "Jump" {
			weighted := append([]sharding.Node(nil), nodes...)
			weighted[2].Weight, weighted[5].Weight = 3, 0.25
			p = rebuild(t, p, weighted)
		}
		fmt.Fprintf(&got, "%s %016x", placementName(p), p.(interface{ Fingerprint() uint64 }).Fingerprint())
		for _, key := range keys {
			fmt.Fprintf(&got, " %v", p.Owners(nil, sharding.Hash(key), 3))
		}
		sum := uint64(0) // of what many keys own
		for i := range 100_000 {
			sum = sum*31 + uint64(p.Owner(sharding.Hash(i)))
		}
		fmt.Fprintf(&got, " %016x\n", sum)
	}
	assert.Equal(t, golden, got.String())
}

const golden = `"" ef46db3751d8e999
"a" d24ec4f1a98c6e5b
"user:42" dc1fea7da8d2d1c2
"tenant/7/model/llama" f39e1f8c35bedff2
"ключ" a17d2dd13d89d19c
0 34c96acdcadb1bbb
1 9f29cb17a2a49995
-1 85d136adb773c6c9
1099511627776 a13ea4c7924fd453
Ring 0b6ad28e053dba68 [2 9 4] [7 5 0] [2 3 4] [8 7 6] [8 7 9] 11ae615c87b52f6b
Rendezvous 9f67958c7c143690 [9 8 1] [2 3 7] [6 8 1] [2 4 3] [4 0 2] 46b0472409f3f702
Maglev 3e8b0446d59e18ab [4 2 6] [7 2 6] [8 9 7] [9 8 4] [2 4 0] 09138248b033f36b
Table 17604c3c7e461535 [9 4 2] [8 0 1] [8 0 1] [9 8 4] [6 1 2] 3761c3458a533732
Jump 7455632d61761f61 [7 2 3] [8 4 3] [5 3 7] [7 9 8] [6 8 1] 55d3c11f7598852b
`
