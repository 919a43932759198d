package main

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sample(t *testing.T) measurements {
	t.Helper()
	text, err := os.ReadFile("testdata/sample.txt")
	require.NoError(t, err)
	var m measurements
	require.NoError(t, m.read(bytes.NewReader(text)))
	return m
}

func TestReadsOutputOfBenchmarks(t *testing.T) {
	m := sample(t)
	assert.Equal(t, "AMD EPYC", m.cpu)
	var names []string
	for _, b := range m.benchmarks {
		names = append(names, b.pkg+" "+b.name)
		for _, s := range b.contenders {
			names = append(names, s.contender)
			for unit, values := range s.values {
				assert.Len(t, values, 6, "%s %s %s", b.name, s.contender, unit)
			}
		}
	}
	assert.Equal(t, []string{
		"cache Hit", "patterns", "otter", "theine", "golang-lru",
		"cache ReadThrough", "patterns", "theine", "ristretto",
		"sharding Owner/size=100", "patterns-ring", "patterns-maglev", "hashring",
	}, names)
	assert.InDeltaSlice(t, []float64{40, 40.5, 41, 41.5, 42, 42.5}, scaled(m.benchmarks[0].contenders[1].values["sec/op"], 1e9), 1e-9)
}

func scaled(values []float64, by float64) []float64 {
	for i := range values {
		values[i] *= by
	}
	return values
}

func TestSaysWhatIsWrongWithOutput(t *testing.T) {
	const pkg = "pkg: m/cache\n"
	for _, c := range []struct{ text, want string }{
		{"", "no results"},
		{"PASS\n", "no results"},
		{pkg + "BenchmarkHit-2 1 5 ns/op\n", "Hit-2, has no contender"},
		{"BenchmarkHit/a-2 1 5 ns/op\n", "does not say of which package"},
		{pkg + "BenchmarkHit/a-2 1 five ns/op\n", "benchmark output:2: parsing measurement"},
	} {
		var m measurements
		assert.ErrorContains(t, m.read(strings.NewReader(c.text)), c.want)
	}
}

// A name ends in the number of processors, unless that is one.
func TestTakesNamesApart(t *testing.T) {
	for _, c := range []struct{ full, name, contender string }{
		{"Do/patterns", "Do", "patterns"},
		{"Do/patterns-16", "Do", "patterns"},
		{"Do/patterns-ring-2", "Do", "patterns-ring"},
		{"Do/a=1/b=2/peer-8", "Do/a=1/b=2", "peer"},
	} {
		name, contender, err := split([]byte(c.full))
		require.NoError(t, err)
		assert.Equal(t, c.name, name)
		assert.Equal(t, c.contender, contender)
	}
	for name, want := range map[string]bool{"patterns": true, "patterns-ring": true, "patternsx": false, "my-patterns": false} {
		assert.Equal(t, want, ours(name), name)
	}
}

func made(unit string, values map[string][]float64, order ...string) *benchmark {
	b := &benchmark{pkg: "p", name: "B"}
	for _, name := range order {
		b.series(name).values[unit] = values[name]
	}
	return b
}

func TestComparesRoundByRound(t *testing.T) {
	// The machine gets slower from round to round, the same for both: the ratio does not.
	b := made("sec/op", map[string][]float64{
		"patterns": {1, 2, 3, 4, 5, 6, 7, 8},
		"double":   {2, 4, 6, 8, 10, 12, 14, 16},
		"half":     {0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4},
		"back":     {80, 70, 60, 50, 40, 30, 20, 10},
		"far":      {100, 101, 102, 103, 104, 105, 106, 107},
		"near":     {0.01, 0.01, 0.01, 0.02, 0.01, 0.01, 0.01, 0.01},
	}, "double", "half", "patterns", "back", "far", "near")
	table, err := b.compare()
	require.NoError(t, err)
	rows := map[string]row{}
	for _, r := range table.rows {
		rows[r.name] = r
	}
	assert.Equal(t, "patterns", table.base)
	assert.Equal(t, "patterns", table.rows[0].name, "ours is the first")
	assert.Equal(t, estimate{1, 1, 1}, rows["patterns"].ratio)
	assert.Equal(t, itself, rows["patterns"].time)
	assert.Equal(t, estimate{2, 2, 2}, rows["double"].ratio)
	assert.InDelta(t, (50.0/4+40.0/5)/2, rows["back"].ratio.center, 1e-9, "each with that of its own round")
	assert.Equal(t, unclear, rows["half"].time, "U-test of overlapping samples: p = 0.083")
	assert.Equal(t, behind, rows["far"].time)
	assert.Equal(t, ahead, rows["near"].time)
	// Eight values: the interval of 95% of the median is from the first to the last, or from the second to the seventh.
	far := rows["far"].ratio
	assert.Less(t, far.lo, far.center)
	assert.Less(t, far.center, far.hi)
	assert.InDelta(t, (103.0/4+104.0/5)/2, far.center, 1e-9, "the median of the ratios")
}

func TestKeepsTheRoundsTogether(t *testing.T) {
	table, err := made("sec/op", map[string][]float64{
		"patterns": {4, 1, 4, 1, 4, 1}, "double": {8, 2, 8, 2, 8, 2}, "triple": {12, 3, 12, 3, 12, 3},
	}, "patterns", "double", "triple").compare()
	require.NoError(t, err)
	assert.Equal(t, estimate{2, 2, 2}, table.rows[1].ratio)
	assert.Equal(t, estimate{3, 3, 3}, table.rows[2].ratio)
}

func TestComparesTheTimeThatTheBenchmarkReports(t *testing.T) {
	b := made("sec/op", map[string][]float64{"patterns": {1, 1, 1, 1, 1, 1}, "peer": {2, 2, 2, 2, 2, 2}}, "patterns", "peer")
	b.series("patterns").values["sec/read"] = []float64{1, 1, 1, 1, 1, 1}
	b.series("peer").values["sec/read"] = []float64{3, 3, 3, 3, 3, 3}
	table, err := b.compare()
	require.NoError(t, err)
	assert.Equal(t, estimate{3, 3, 3}, table.rows[1].ratio)
	assert.Empty(t, table.units, "times are not shown")
}

func TestTakesTheFastestOfOurs(t *testing.T) {
	b := made("sec/op", map[string][]float64{
		"patterns-slow": {4, 4, 4, 4, 4, 4}, "patterns-fast": {2, 2, 2, 2, 2, 2}, "peer": {3, 3, 3, 3, 3, 3},
	}, "peer", "patterns-slow", "patterns-fast")
	table, err := b.compare()
	require.NoError(t, err)
	assert.Equal(t, "patterns-fast", table.base)
	var names []string
	for _, r := range table.rows {
		names = append(names, r.name)
	}
	assert.Equal(t, []string{"patterns-slow", "patterns-fast", "peer"}, names)
	assert.Equal(t, estimate{1.5, 1.5, 1.5}, table.rows[2].ratio)
	assert.Equal(t, behind, table.rows[2].time)
}

func TestFewRoundsHaveNoIntervalAndNoSignificance(t *testing.T) {
	table, err := made("sec/op", map[string][]float64{"patterns": {1, 1, 1}, "peer": {2, 2, 2}}, "patterns", "peer").compare()
	require.NoError(t, err)
	peer := table.rows[1]
	assert.Equal(t, unclear, peer.time)
	assert.True(t, math.IsInf(peer.ratio.lo, -1))
	assert.Equal(t, "2", peer.ratio.String())
}

func TestRefusesWhatCannotBeCompared(t *testing.T) {
	for _, c := range []struct {
		values map[string][]float64
		want   string
	}{
		{map[string][]float64{"peer": {1}}, "none of the contenders is named patterns"},
		{map[string][]float64{"patterns": {1, 2}, "peer": {1}}, "peer has 1 values in sec/op, and patterns 2"},
		{map[string][]float64{"patterns": {}, "peer": {}}, "patterns has 0 values"},
		{map[string][]float64{"patterns": {0, 0}, "peer": {1, 1}}, "too little to be compared"},
		{map[string][]float64{"patterns": {1, 1}, "peer": {1, 0}}, "too little to be compared"},
	} {
		order := []string{"patterns", "peer"}
		if _, ok := c.values["patterns"]; !ok {
			order = order[1:]
		}
		_, err := made("sec/op", c.values, order...).compare()
		assert.ErrorContains(t, err, "p: BenchmarkB: ")
		assert.ErrorContains(t, err, c.want)
	}
}

func TestDigits(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 1: "1", 0.99951: "1", 1.049: "1.05", 12.34: "12.3", 123.4: "123", 12345.6: "12346", 0.5: "0.5", 0.01234: "0.0123",
		100: "100", 9.999: "10", 2.5: "2.5",
	} {
		assert.Equal(t, want, digits(x))
	}
}

const wantReport = `
## Where another is faster

- cache, Hit: otter takes 0.805 (0.8–0.81) of the time of patterns
- cache, ReadThrough: ristretto takes 0.669 (0.667–0.672) of the time of patterns

## Where another is ahead otherwise

- cache, ReadThrough: theine has 74.4 %hits, patterns has 73.1

## cache

The comment.

Compared: example.com/peer v1.

### Hit

| Hit | time | B/op | allocs/op |
|---|--:|--:|--:|
| **patterns** | 1 | 0 | 0 |
| otter | 0.805 (0.8–0.81) | 0 | 0 |
| theine | 2.95 (2.9–3) | 11.5 | 1 |
| golang-lru | ~ 0.99 (0.905–1) | 0 | 0 |

### ReadThrough

| ReadThrough | time | %hits |
|---|--:|--:|
| **patterns** | 1 | 73.1 |
| theine | 2.65 (2.64–2.67) | 74.4 |
| ristretto | 0.669 (0.667–0.672) | 66.1 |

## sharding

Another comment.

### Owner/size=100

| Owner/size=100 | time | B/op | allocs/op |
|---|--:|--:|--:|
| **patterns-ring** | 1.94 (1.89–2) | 0 | 0 |
| **patterns-maglev** | 1 | 0 | 0 |
| hashring | 56.5 (53.4–60) | 0 | 0 |
`

func sampleReport(t *testing.T) *report {
	t.Helper()
	m := sample(t)
	r := &report{
		settings: settings{count: 6, benchtime: "1s", packages: []string{"cache", "sharding"}}, goVersion: "go1.26.8 linux/amd64", cores: 2,
		date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	require.NoError(t, r.fill([]benchPackage{
		{name: "cache", doc: "The comment.", versions: []string{"example.com/peer v1"}}, {name: "sharding", doc: "Another comment."},
	}, m, m))
	return r
}

func TestReport(t *testing.T) {
	var out strings.Builder
	_, err := sampleReport(t).WriteTo(&out)
	require.NoError(t, err)
	top, rest, found := strings.Cut(out.String(), "![ratios](results.svg)\n")
	require.True(t, found)
	for _, want := range []string{
		"go -C benchmarks run ./cmd/compare -count 6 -benchtime 1s -packages cache,sharding\n",
		"with go1.26.8 linux/amd64 on AMD EPYC (2 cores) on 2026-01-02.", "median of 6 rounds", "interval of 95%", "p ≥ 0.05",
	} {
		assert.Contains(t, top, want)
	}
	assert.Equal(t, wantReport, rest)
}

func TestChartHasABarForEachContender(t *testing.T) {
	picture, err := drawing(sampleReport(t))
	require.NoError(t, err)
	var out strings.Builder
	_, err = picture.WriteTo(&out)
	require.NoError(t, err)
	svg := out.String()
	for _, want := range []string{"cache: Hit", "cache: ReadThrough", "sharding: Owner/size=100", "otter", "golang-lru", "patterns-ring", "hashring", "0.805", "56.5"} {
		assert.True(t, strings.Contains(svg, ">"+want+"<"), want)
	}
	assert.False(t, strings.Contains(svg, ">patterns-maglev<"), "the others are compared with it")
	for fill, bars := range map[string]int{"#C23B22": 2, "#1B7A3D": 3, "#999999": 2} {
		assert.Equal(t, bars, strings.Count(svg, "fill:"+fill), fill)
	}
	_, err = drawing(&report{})
	assert.ErrorContains(t, err, "nothing to compare")
}

func TestMarkdownOfComments(t *testing.T) {
	assert.Equal(t, "Compares x\\_y.\n\nMore.", markdown("Package p_test compares x_y.\n\nMore.\n", "p_test"))
	assert.Empty(t, markdown("", "p"))
}

func TestModuleOfPackage(t *testing.T) {
	const modules = "\nexample.com/a v1.0.0\nexample.com/a/b/v2 v2.0.0\n"
	for path, want := range map[string]string{
		"example.com/a": "example.com/a v1.0.0", "example.com/a/x": "example.com/a v1.0.0", "example.com/a/b/v2/x": "example.com/a/b/v2 v2.0.0",
		"example.com/ab": "", "testing": "",
	} {
		assert.Equal(t, want, moduleOf(path, modules), path)
	}
}
