package term

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// barWidth is the length of the longest bar, in characters.
const barWidth = 22

// Series is one of the things that a histogram compares.
type Series struct {
	Name   string
	Counts []int // by bucket
}

// Histogram draws the series side by side, a line for each bucket: how many percent of the series are in it, as a bar and as a
// number. All bars have the same scale. Buckets at the end that are empty in all series are left out.
// With two series and labels of up to 16 characters it fits into 80 columns.
func Histogram(labels []string, series ...Series) string {
	last, longest := -1, 0.0
	for _, s := range series {
		for i := range labels {
			if s.Counts[i] > 0 {
				last = max(last, i)
				longest = max(longest, s.share(i))
			}
		}
	}
	width := 0
	for _, label := range labels {
		width = max(width, utf8.RuneCountInString(label))
	}
	rows := [][]string{{""}}
	for _, s := range series {
		rows[0] = append(rows[0], padRight(s.Name, barWidth+7))
	}
	for i := range last + 1 {
		row := []string{padLeft(labels[i], width)}
		for _, s := range series {
			share := s.share(i)
			row = append(row, padRight(bar(share, longest), barWidth)+padLeft(percent(share), 7))
		}
		rows = append(rows, row)
	}
	return Table(rows)
}

// share is the part of the series that is in bucket i, from 0 to 1.
func (s Series) share(i int) float64 {
	total := 0
	for _, n := range s.Counts {
		total += n
	}
	if total == 0 {
		return 0
	}
	return float64(s.Counts[i]) / float64(total)
}

// bar draws value on a scale where full is barWidth characters, exact to an eighth of a character. Only nothing at all has no bar.
func bar(value, full float64) string {
	if value <= 0 {
		return ""
	}
	eighths := max(1, int(value/full*barWidth*8+0.5))
	blocks := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		blocks += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return blocks
}

func percent(share float64) string {
	switch {
	case share == 0:
		return ""
	case share < 0.001:
		return "<0.1%"
	}
	return fmt.Sprintf("%.1f%%", 100*share)
}
