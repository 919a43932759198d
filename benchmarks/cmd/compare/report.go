package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/perf/benchmath"
)

// report is RESULTS.md.
type report struct {
	settings       settings
	goVersion, cpu string
	cores          int
	date           time.Time
	packages       []benchPackage
	tables         []table
}

// fill compares what was measured, in the order of what was listed.
func (r *report) fill(packages []benchPackage, listed, measured measurements) error {
	r.packages, r.cpu = packages, measured.cpu
	for _, l := range listed.benchmarks {
		m := measured.benchmark(l.pkg, l.name)
		slices.SortStableFunc(m.contenders, func(a, b *series) int { return place(l, a) - place(l, b) })
		t, err := m.compare()
		if err != nil {
			return err
		}
		r.tables = append(r.tables, t)
	}
	return nil
}

func place(b *benchmark, s *series) int {
	return slices.IndexFunc(b.contenders, func(o *series) bool { return o.contender == s.contender })
}

// WriteTo writes the report.
func (r *report) WriteTo(w io.Writer) (int64, error) {
	var b bytes.Buffer
	r.head(&b)
	r.ahead(&b)
	for _, p := range r.packages {
		_, _ = fmt.Fprintf(&b, "\n## %s\n\n%s\n", p.name, p.doc)
		if len(p.versions) > 0 {
			_, _ = fmt.Fprintf(&b, "\nCompared: %s.\n", strings.Join(p.versions, ", "))
		}
		for _, t := range r.tables {
			if t.pkg == p.name {
				t.write(&b)
			}
		}
	}
	return b.WriteTo(w)
}

const head = `# Results

How this library compares with others, and with what one would write by hand. Written by

` + "```sh\n%s\n```" + `

with %s on %s (%d cores) on %s.

**time** is the time of a contender by that of ours: at 2 it takes twice as long as ours, at 0.5 half as long. It is the median of %d rounds, in
parentheses its confidence interval of %.0f%%. A ~ says that the difference is not significant (Mann-Whitney U-test, p ≥ %v). Where there are several
of ours, all are compared with the fastest. The other columns are medians. Before each table stands what the contenders do differently, and [README.md](README.md)
says what rules apply. Ratios too depend on the machine: run it on yours.

![ratios](%s)
`

func (r *report) head(w io.Writer) {
	_, _ = fmt.Fprintf(w, head, r.command(), r.goVersion, orUnknown(r.cpu), r.cores, r.date.Format(time.DateOnly),
		r.settings.count, 100*confidence, benchmath.DefaultThresholds.CompareAlpha, chartFile)
	if r.settings.count < 6 {
		_, _ = fmt.Fprintf(w, "\nSix rounds are needed for intervals and four for significance; this report has %d.\n", r.settings.count)
	}
}

func orUnknown(text string) string {
	if text == "" {
		return "an unknown processor"
	}
	return text
}

func (r *report) command() string {
	s := r.settings
	command := fmt.Sprintf("go -C benchmarks run ./cmd/compare -count %d -benchtime %s", s.count, s.benchtime)
	if len(s.packages) > 0 {
		command += " -packages " + strings.Join(s.packages, ",")
	}
	return command
}

// ahead lists where another is significantly better than ours.
func (r *report) ahead(w io.Writer) {
	var faster, otherwise []string
	for _, t := range r.tables {
		for _, c := range t.rows {
			if ours(c.name) {
				continue
			}
			who := fmt.Sprintf("- %s, %s: %s", t.pkg, t.name, c.name)
			if c.time == ahead {
				faster = append(faster, fmt.Sprintf("%s takes %s of the time of %s", who, c.ratio, t.base))
			}
			for i, u := range t.units {
				if c.marks[i] == ahead {
					otherwise = append(otherwise, fmt.Sprintf("%s has %s %s, %s has %s", who, c.units[i].plain(), u, t.base, t.baseRow().units[i].plain()))
				}
			}
		}
	}
	list(w, "Where another is faster", faster, "Nowhere significantly in these benchmarks.")
	list(w, "Where another is ahead otherwise", otherwise, "Nowhere significantly in these benchmarks.")
}

func list(w io.Writer, title string, lines []string, none string) {
	if len(lines) == 0 {
		lines = []string{none}
	}
	_, _ = fmt.Fprintf(w, "\n## %s\n\n%s\n", title, strings.Join(lines, "\n"))
}

func (t *table) baseRow() row {
	return t.rows[slices.IndexFunc(t.rows, func(r row) bool { return r.name == t.base })]
}

func (t *table) write(w io.Writer) {
	_, _ = fmt.Fprintf(w, "\n### %s\n\n| %s | time |", t.name, t.name)
	for _, u := range t.units {
		_, _ = fmt.Fprintf(w, " %s |", u)
	}
	_, _ = fmt.Fprintf(w, "\n|---|--:|%s\n", strings.Repeat("--:|", len(t.units)))
	for _, r := range t.rows {
		name, ratio := r.name, r.ratio.String()
		if ours(r.name) {
			name = "**" + r.name + "**"
		}
		switch r.time {
		case itself:
			ratio = "1"
		case unclear:
			ratio = "~ " + ratio
		}
		_, _ = fmt.Fprintf(w, "| %s | %s |", name, ratio)
		for _, u := range r.units {
			_, _ = fmt.Fprintf(w, " %s |", u.plain())
		}
		_, _ = fmt.Fprintln(w)
	}
}

// String is the ratio with its interval, if there is one.
func (e estimate) String() string {
	if math.IsInf(e.lo, 0) || math.IsInf(e.hi, 0) {
		return e.plain()
	}
	return fmt.Sprintf("%s (%s–%s)", e.plain(), digits(e.lo), digits(e.hi))
}

func (e estimate) plain() string { return digits(e.center) }

// digits has three significant digits, without an exponent.
func digits(x float64) string {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(x)))))
	text := strconv.FormatFloat(x, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
