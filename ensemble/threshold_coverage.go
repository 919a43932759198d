package ensemble

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// CoverageReport says what a cascade with some thresholds does to labelled samples.
type CoverageReport struct {
	Samples    int
	Thresholds []float64
	Level      float64 // of the intervals
	Stages     []CoverageStage
	Abstained  int           // samples that the last stage was not sure of, if it has a threshold
	Accuracy   CoverageShare // right answers, of those that were answered
	Escalated  CoverageShare // samples for which a second stage was called
	Cost       float64       // mean for a sample
}

// CoverageStage is one stage's part of the samples.
type CoverageStage struct {
	Reached  int           // samples for which it was called
	Answered CoverageShare // samples that got its answer, of all
	Accuracy CoverageShare // right answers, of those
}

// CoverageShare is a share with its confidence interval, which is the exact one of Clopper and Pearson (1934).
type CoverageShare struct {
	Count, Of int
	Share     float64 // Count/Of; NaN of nothing
	Low, High float64 // 0 and 1 of nothing
}

func coverageShare(count, of int, level float64) CoverageShare {
	low, high := clopperPearson(count, of, level)
	return CoverageShare{Count: count, Of: of, Share: float64(count) / float64(of), Low: low, High: high}
}

// String is the share in percent with its interval.
func (s CoverageShare) String() string {
	if s.Of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%% [%.1f, %.1f]", 100*s.Share, 100*s.Low, 100*s.High)
}

// EvaluateThresholds reports what thresholds do to samples: one threshold for each stage but the last, or one for each, and then the last stage abstains when it is not sure
// (unless its threshold is 0, which is none, as in [Cascade.Thresholds]).
// costs are what one call of each stage costs, in any unit (nil: 1 each); level is that of the intervals (0: [DefaultThresholdLevel]).
//
// The intervals mean what they say only for samples that had no part in choosing the thresholds, and for requests that are like them: use it on
// samples held out, and again on labelled requests of the new kind before thresholds are taken to other data. The error is an [ErrThreshold].
func EvaluateThresholds(samples []ThresholdSample, thresholds, costs []float64, level float64) (CoverageReport, error) {
	level, err := thresholdLevel(level)
	if err != nil {
		return CoverageReport{}, err
	}
	k, costs, err := checkThresholdSamples(samples, costs)
	if err != nil {
		return CoverageReport{}, err
	}
	if len(thresholds) != k && len(thresholds) != k-1 {
		return CoverageReport{}, thresholdError("%d thresholds for %d stages", len(thresholds), k)
	}
	for i, t := range thresholds {
		if math.IsNaN(t) {
			return CoverageReport{}, thresholdError("threshold %d is NaN", i)
		}
	}
	if len(thresholds) == k && thresholds[k-1] == 0 {
		thresholds = thresholds[:k-1]
	}
	return coverage(samples, thresholds, costs, level), nil
}

// coverageCounts is what becomes of samples, by stage.
type coverageCounts struct {
	reached, answered, correct []int
	right                      int // the sum of correct
}

func countCoverage(samples []ThresholdSample, thresholds []float64, stages int) coverageCounts {
	c := coverageCounts{reached: make([]int, stages), answered: make([]int, stages), correct: make([]int, stages)}
	for _, s := range samples {
		for i := range stages {
			c.reached[i]++
			if i < len(thresholds) && !(s.Confidence[i] >= thresholds[i]) {
				continue
			}
			c.answered[i]++
			if s.Correct[i] {
				c.correct[i]++
				c.right++
			}
			break
		}
	}
	return c
}

func coverage(samples []ThresholdSample, thresholds, costs []float64, level float64) CoverageReport {
	n, c := len(samples), countCoverage(samples, thresholds, len(costs))
	r := CoverageReport{Samples: n, Thresholds: slices.Clone(thresholds), Level: level, Abstained: n}
	for i := range costs {
		r.Stages = append(r.Stages, CoverageStage{
			Reached: c.reached[i], Answered: coverageShare(c.answered[i], n, level), Accuracy: coverageShare(c.correct[i], c.answered[i], level),
		})
		r.Abstained -= c.answered[i]
		r.Cost += costs[i] * float64(c.reached[i]) / float64(n)
	}
	escalated := 0
	if len(costs) > 1 {
		escalated = c.reached[1]
	}
	r.Accuracy = coverageShare(c.right, n-r.Abstained, level)
	r.Escalated = coverageShare(escalated, n, level)
	return r
}

// String is a table with a row for each stage.
func (r CoverageReport) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "stage\tthreshold\tcalled\tanswered\taccuracy\t")
	for i, s := range r.Stages {
		threshold := "-"
		if i < len(r.Thresholds) {
			threshold = fmt.Sprintf("%.4g", r.Thresholds[i])
		}
		fmt.Fprintf(w, "%d\t%s\t%d\t%v\t%v\t\n", i, threshold, s.Reached, s.Answered, s.Accuracy)
	}
	fmt.Fprintf(w, "all\t\t%d\t%v\t%v\t\n", r.Samples, coverageShare(r.Accuracy.Of, r.Samples, r.Level), r.Accuracy)
	_ = w.Flush() // into memory
	fmt.Fprintf(&b, "mean cost %.4g; intervals of %g%%\n", r.Cost, 100*r.Level)
	return b.String()
}

// CoverageTable has a report for each of several choices of thresholds, of one cascade.
type CoverageTable []CoverageReport

// String is a table with a row for each choice: the thresholds, the share that each stage answers, the accuracy with its interval, and the mean cost.
func (t CoverageTable) String() string {
	if len(t) == 0 {
		return ""
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "thresholds\t")
	for i := range t[0].Stages {
		fmt.Fprintf(w, "stage %d\t", i)
	}
	fmt.Fprintln(w, "abstained\taccuracy\tcost\t")
	for _, r := range t {
		for i, threshold := range r.Thresholds {
			if i > 0 {
				fmt.Fprint(w, " ")
			}
			fmt.Fprintf(w, "%.4g", threshold)
		}
		fmt.Fprint(w, "\t")
		for _, s := range r.Stages {
			fmt.Fprintf(w, "%.1f%%\t", 100*s.Answered.Share)
		}
		fmt.Fprintf(w, "%.1f%%\t%v\t%.4g\t\n", 100*float64(r.Abstained)/float64(r.Samples), r.Accuracy, r.Cost)
	}
	_ = w.Flush() // into memory
	return b.String()
}
