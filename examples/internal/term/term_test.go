package term

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestTable(t *testing.T) {
	got := Table([][]string{
		{"", "one by one", "batched"},
		{"accuracy", "98.1%", "98.1%"},
		{"latency p50, µs", "7", ""},
		{"short row"},
	})
	assert.Equal(t, `                  one by one   batched
accuracy               98.1%     98.1%
latency p50, µs            7
short row
`, got)
	assert.Empty(t, Table(nil))
}

func TestHistogram(t *testing.T) {
	got := Histogram([]string{"0 – 1 ms", "1 – 2 ms", "2 – 3 ms", "3 – 4 ms", "≥ 4 ms"},
		Series{"one by one", []int{0, 2, 1, 1, 0}},
		Series{"batched", []int{3999, 0, 0, 1, 0}},
	)
	assert.Equal(t, `           one by one                      batched
0 – 1 ms                                   ██████████████████████ 100.0%
1 – 2 ms   ███████████             50.0%
2 – 3 ms   █████▌                  25.0%
3 – 4 ms   █████▌                  25.0%   ▏                       <0.1%
`, got)
}

func TestHistogramFitsTheTerminal(t *testing.T) {
	label := strings.Repeat("x", 16)
	got := Histogram([]string{label, label}, Series{"a", []int{1, 0}}, Series{"b", []int{1, 1000}})
	for line := range strings.SplitSeq(got, "\n") {
		assert.LessOrEqual(t, utf8.RuneCountInString(line), 80)
	}
}

func TestHistogramOfNothing(t *testing.T) {
	assert.Equal(t, "   a\n", Histogram([]string{"x"}, Series{"a", []int{0}}))
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		value, full float64
		want        string
	}{
		{0, 1, ""},
		{1e-9, 1, "▏"},
		{1, barWidth, "█"},
		{1.5, barWidth, "█▌"},
		{1.99, barWidth, "██"},
		{1, 1, strings.Repeat("█", barWidth)},
	} {
		assert.Equal(t, c.want, bar(c.value, c.full))
	}
}

func TestPercent(t *testing.T) {
	assert.Empty(t, percent(0))
	assert.Equal(t, "<0.1%", percent(0.0001))
	assert.Equal(t, "0.1%", percent(0.001))
	assert.Equal(t, "100.0%", percent(1))
}
