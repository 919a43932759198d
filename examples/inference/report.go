package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/stats"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

// tooLate is when requests are made so late that what is measured is the machine.
const tooLate = objective / 10

// report lays out what was measured, also if that is not all that was meant to be.
func report(trials []*trial, p plan) string {
	var out strings.Builder
	whole := trials[0]
	if len(whole.calls) > 0 {
		out.WriteString("\n" + about(whole))
	}
	tables := [][][]string{
		{{"", "all", "±", "rise", "peak", "swap", "fall", "slow", "outage", "recovery"}},
		{{"", "limiter", "bulkhead", "breaker", "batcher", "late", "failed", "importer"}},
		{{"", "99 %", "to an error", "in flight", "device runs"}},
	}
	for _, t := range trials {
		if len(t.calls) == 0 {
			continue
		}
		for i, row := range [][]string{answeredRow(t, whole), resultsRow(t), costRow(t)} {
			tables[i] = append(tables[i], append([]string{t.name}, row...))
		}
	}
	for i, title := range titles {
		fmt.Fprintf(&out, "\n%s\n\n%s", title, term.Table(tables[i]))
	}
	for _, t := range trials {
		if t.count(broken) > 0 {
			fmt.Fprintf(&out, "\n%s: %d requests had an error that none should have\n", t.name, t.count(broken))
		}
		if l := t.lateness(); l > tooLate {
			fmt.Fprintf(&out, "\n%s: 1 %% of the requests were made over %v late:\nthe machine is too busy to measure on\n", t.name, l.Round(time.Millisecond))
		}
	}
	return out.String()
}

// titles are those of the tables.
var titles = []string{
	"Goodput: percent of the users' requests answered in time; ±: than the whole chain",
	"Requests rejected by a layer, without an answer in time, or failed; percent of the\nimporter's requests answered in time",
	"Milliseconds to a user's answer (99th percentile) and to an error in the outage\n(median); most requests in flight; runs of the device in the outage",
}

func answeredRow(t, whole *trial) []string {
	all := t.share(isUser, 0, phases)
	row := []string{percent(all), ""}
	if t != whole {
		row[1] = fmt.Sprintf("%+.0f", 100*(all-whole.share(isUser, 0, phases)))
	}
	for _, phase := range []int{rise, peak, swap, fall, slow, outage, recovery} {
		row = append(row, percent(t.share(isUser, phase, phase+1)))
	}
	return row
}

func resultsRow(t *trial) (row []string) {
	for _, r := range []result{limited, full, open, hopeless, late, failed} {
		row = append(row, fmt.Sprint(t.count(r)))
	}
	return append(row, percent(t.share(isImporter, 0, phases)))
}

func costRow(t *trial) []string {
	answers := t.times(func(c call) bool { return isUser(c) && c.result == inTime })
	errors := t.times(func(c call) bool { return isUser(c) && c.result != inTime && t.plan.at(c.due) == outage })
	return []string{
		fmt.Sprintf("%.1f", milliseconds(stats.Percentile(answers, 99))), fmt.Sprintf("%.1f", milliseconds(stats.Percentile(errors, 50))),
		fmt.Sprint(t.mostOpen), fmt.Sprint(t.outageRuns),
	}
}

// about tells of the whole chain what the tables do not: the swap, and the second model.
func about(t *trial) string {
	var out strings.Builder
	served := map[string]int{}
	stale, labelled, right, flagged, caught := 0, 0, 0, 0, 0
	for _, c := range t.calls {
		if c.result != inTime {
			continue
		}
		served[c.version]++
		if t.swapped > 0 && c.begun > t.swapped && c.version != "2" {
			stale++
		}
		if c.labelled {
			labelled++
			if c.right {
				right++
			} else if c.review {
				caught++
			}
			if c.review {
				flagged++
			}
		}
	}
	if t.swapped > 0 {
		fmt.Fprintf(&out, "Version 2 took over after %.2f s: %d answers of version 1, %d of version 2,\n"+
			"%d of version 1 to requests that came later; %d requests failed outside of the outage.\n",
			t.swapped.Seconds(), served["1"], served["2"], stale, t.failedOutside())
	}
	if labelled > 0 && labelled > right {
		fmt.Fprintf(&out, "%s %% of the users' answers are right. The second model asks for a look at %s %%,\nand so finds %s %% of the wrong ones.\n",
			percent(share(right, labelled)), percent(share(flagged, labelled)), percent(share(caught, labelled-right)))
	}
	return out.String()
}

func isUser(c call) bool { return c.tenant != importer }

func isImporter(c call) bool { return c.tenant == importer }

// share is that of the requests that came in phases [from, to) which were answered in time. If there were none it is a NaN.
func (t *trial) share(of func(call) bool, from, to int) float64 {
	n, good := 0, 0
	for _, c := range t.calls {
		if c.result != unfinished && of(c) && c.due >= t.plan.start(from) && c.due < t.plan.start(to) {
			n++
			if c.result == inTime {
				good++
			}
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return float64(good) / float64(n)
}

func (t *trial) count(r result) int {
	n := 0
	for _, c := range t.calls {
		if c.result == r {
			n++
		}
	}
	return n
}

// failedOutside is the number of errors, other than rejections and lateness, of requests that the outage had nothing to do with.
func (t *trial) failedOutside() int {
	n := 0
	for _, c := range t.calls {
		during := c.due+objective >= t.plan.start(outage) && c.due < t.plan.start(recovery)+objective
		if (c.result == failed || c.result == broken) && !during {
			n++
		}
	}
	return n
}

// times are how long the calls took, in ascending order.
func (t *trial) times(of func(call) bool) []time.Duration {
	var took []time.Duration
	for _, c := range t.calls {
		if of(c) {
			took = append(took, c.took)
		}
	}
	slices.Sort(took)
	return took
}

// lateness is how late the machine was with the requests: the 99th percentile.
func (t *trial) lateness() time.Duration {
	var by []time.Duration
	for _, c := range t.calls {
		by = append(by, c.begun-c.due)
	}
	slices.Sort(by)
	return stats.Percentile(by, 99)
}

func share(part, whole int) float64 { return ratio(uint64(part), uint64(whole)) }

func percent(share float64) string {
	if math.IsNaN(share) {
		return "-"
	}
	return fmt.Sprintf("%.0f", 100*share)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
