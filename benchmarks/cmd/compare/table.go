package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"
)

const confidence = 0.95

// estimate is a median with its confidence interval. Too few values have an infinite one.
type estimate struct{ center, lo, hi float64 }

// verdict says how a contender compares with ours.
type verdict int

const (
	unclear verdict = iota // no significant difference
	ahead                  // the other is better
	behind
	itself // ours
)

// row is one contender.
type row struct {
	name  string
	ratio estimate // its time by that of ours: above 1 it takes longer
	time  verdict
	units []estimate // of table.units
	marks []verdict  // of table.units
}

// table compares the contenders of a benchmark.
type table struct {
	pkg, name string
	base      string   // which of ours the others are compared with
	units     []string // other than the time
	rows      []row
}

func median(values []float64) estimate {
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds), confidence)
	return estimate{s.Center, s.Lo, s.Hi}
}

// judge applies the Mann-Whitney U-test, at benchstat's level. sign is 1 if more is better, and -1 if less is.
func judge(other, base []float64, sign float64) verdict {
	a := benchmath.NewSample(slices.Clone(other), &benchmath.DefaultThresholds)
	b := benchmath.NewSample(slices.Clone(base), &benchmath.DefaultThresholds)
	c := benchmath.AssumeNothing.Compare(a, b)
	switch difference := sign * (median(other).center - median(base).center); {
	case c.P >= c.Alpha || difference == 0:
		return unclear
	case difference > 0:
		return ahead
	default:
		return behind
	}
}

// moreIsBetter is 1 for shares such as %hits, and -1 for what one spends.
func moreIsBetter(unit string) float64 {
	if strings.HasPrefix(unit, "%") {
		return 1
	}
	return -1
}

// compare makes the table of a benchmark. The others are compared with the fastest of ours, round by round.
func (b *benchmark) compare() (table, error) {
	t := table{pkg: b.pkg, name: b.name}
	fail := func(format string, args ...any) (table, error) {
		return table{}, fmt.Errorf("%s: Benchmark%s: %s", b.pkg, b.name, fmt.Sprintf(format, args...))
	}
	unit := b.timeUnit()
	var base *series
	for _, s := range b.contenders {
		if ours(s.contender) && (base == nil || median(s.values[unit]).center < median(base.values[unit]).center) {
			base = s
		}
		for u := range s.values {
			if !strings.HasPrefix(u, "sec/") && !slices.Contains(t.units, u) {
				t.units = append(t.units, u)
			}
		}
	}
	if base == nil {
		return fail("none of the contenders is named patterns or patterns-...")
	}
	t.base = base.contender
	slices.Sort(t.units)
	rounds := len(base.values[unit])
	for _, s := range b.contenders {
		for _, u := range append([]string{unit}, t.units...) {
			if n := len(s.values[u]); n != rounds || n == 0 {
				return fail("%s has %d values in %s, and %s %d in %s", s.contender, n, u, base.contender, rounds, unit)
			}
		}
		r := row{name: s.contender, time: itself}
		ratios := make([]float64, rounds)
		for i, v := range s.values[unit] {
			if ratios[i] = v / base.values[unit][i]; !(ratios[i] > 0) || math.IsInf(ratios[i], 0) {
				return fail("%s took %v %s and %s %v: too little to be compared", s.contender, v, unit, base.contender, base.values[unit][i])
			}
		}
		r.ratio = median(ratios)
		if s != base {
			r.time = judge(s.values[unit], base.values[unit], -1)
		}
		for _, u := range t.units {
			mark := itself
			if s != base {
				mark = judge(s.values[u], base.values[u], moreIsBetter(u))
			}
			r.units, r.marks = append(r.units, median(s.values[u])), append(r.marks, mark)
		}
		t.rows = append(t.rows, r)
	}
	slices.SortStableFunc(t.rows, func(a, b row) int { // ours first
		switch {
		case ours(a.name) == ours(b.name):
			return 0
		case ours(a.name):
			return -1
		default:
			return 1
		}
	})
	return t, nil
}

// timeUnit is the unit of time that the benchmark reports itself, such as sec/read, or else sec/op.
func (b *benchmark) timeUnit() string {
	for _, s := range b.contenders {
		for u := range s.values {
			if strings.HasPrefix(u, "sec/") && u != "sec/op" {
				return u
			}
		}
	}
	return "sec/op"
}
