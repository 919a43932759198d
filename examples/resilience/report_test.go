package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// fixed is a trial of a call each 10 ms whose result depends on the column, which is 100 ms.
func fixed(use layers, resultIn func(column int) (result, time.Duration)) *trial {
	t := &trial{name: "fixed", layers: use, complete: true}
	for due := time.Duration(0); due < runPhases.total(); due += 10 * time.Millisecond {
		column := int(due / (100 * time.Millisecond))
		r, took := resultIn(column)
		t.calls = append(t.calls, asked{due: due, took: took, result: r})
		t.inFlight[column] = column
		if column >= 30 && column < 40 {
			t.states[column] = 1 + column%2
		}
	}
	return t
}

func TestReport(t *testing.T) {
	without := fixed(layers{}, func(column int) (result, time.Duration) {
		switch {
		case column < 20:
			return answered, time.Duration(column+1) * 10 * time.Millisecond
		case column < 55:
			return timedOut, timeout
		}
		return answered, 10 * time.Millisecond
	})
	without.name, without.wasted = "without", 12
	with := fixed(layers{limiter: true, breaker: true}, func(column int) (result, time.Duration) {
		switch {
		case column == 3:
			return limited, time.Microsecond
		case column == 24:
			return failed, 60 * time.Millisecond
		case column > 24 && column < 40:
			return open, 2 * time.Microsecond
		}
		return answered, 20 * time.Millisecond
	})
	with.name = "with"
	assert.Equal(t, `                                         without       with
calls                                        600        600
answered in time                             250        430
  of those while it was healthy            100 %       90 %
  of those while it was slow               100 %      100 %
  of those while it was failing              0 %       40 %
  of those while it was recovering          17 %       67 %
failed                                       350         10
  timed out                                  350          0
  error from the back-end                      0         10
rejected                                       0        160
  by the limiter                               0         10
  by the bulkhead                              0          0
  by the breaker                               0        150
time to an answer, median               80.00 ms   20.00 ms
time to an answer, 99th percentile     200.00 ms   20.00 ms
time to a rejection, median                    -    0.00 ms
time to a rejection, 99th percentile           -    0.00 ms
most in flight at the back-end                59         59
work for callers that had gone                12          0
back to normal after                      2.48 s     0.98 s

without, a column is 100ms

back-end  healthy   slow      failing   recovering
in time   ████████████████████                                   █████ ≤ 10
failed                        ███████████████████████████████████      ≤ 10
rejected                                                               ≤ 0
latency   ▁▁▁▁▂▂▂▃▃▃▄▄▄▄▅▅▅▆▆▆                                   ▁▁▁▁▁ ≤ 200 ms
in flight  ▁▁▁▁▁▁▁▁▁▁▁▂▂▂▂▂▂▂▃▃▃▃▃▃▃▄▄▄▄▄▄▄▄▅▅▅▅▅▅▅▆▆▆▆▆▆▆▇▇▇▇▇▇▇▇████ ≤ 59

with, a column is 100ms

back-end  healthy   slow      failing   recovering
in time   ███ ████████████████████                ████████████████████ ≤ 10
failed                            █                                    ≤ 10
rejected     █                     ███████████████                     ≤ 10
latency   ▁▁▁ ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁                ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁ ≤ 20 ms
in flight  ▁▁▁▁▁▁▁▁▁▁▁▂▂▂▂▂▂▂▃▃▃▃▃▃▃▄▄▄▄▄▄▄▄▅▅▅▅▅▅▅▆▆▆▆▆▆▆▇▇▇▇▇▇▇▇████ ≤ 59
breaker   ──────────────────────────────█▒█▒█▒█▒█▒────────────────────

breaker: ─ closed, █ open, ▒ half-open
`, report(without, with, runPhases, false))
	assert.Contains(t, report(without, with, runPhases, true), "\x1b[31m")
}

func TestReportOfNothing(t *testing.T) {
	got := report(&trial{name: "a"}, &trial{name: "b", layers: layers{breaker: true}}, runPhases, false)
	assert.Regexp(t, `^ +a   b\ncalls +-   -\n`, got)
	assert.NotContains(t, got, "column")
}

func TestReportSaysThatTheMachineWasBusy(t *testing.T) {
	late := fixed(layers{}, func(int) (result, time.Duration) { return answered, time.Millisecond })
	for i := range late.calls {
		late.calls[i].late = 30 * time.Millisecond
	}
	assert.Contains(t, report(late, &trial{name: "b"}, runPhases, false), "fixed: 1 % of the calls were made more than 30ms late")
}

func TestBackToNormal(t *testing.T) {
	start := int(runPhases.start(recovering) / (100 * time.Millisecond))
	for _, c := range []struct {
		name string
		good func(column int) bool
		want string
	}{
		{"always", func(int) bool { return true }, "0.00 s"},
		{"only before", func(column int) bool { return column < start }, "over 2.50 s"},
		{"never", func(int) bool { return false }, "over 2.50 s"},
		{"for too short a time", func(column int) bool { return column >= start+3 && column < start+7 }, "over 2.50 s"},
		{"off and on", func(column int) bool { return column%2 == 0 }, "over 2.50 s"},
		{"for long enough", func(column int) bool { return column >= start+3 && column < start+8 }, "0.28 s"},
		{"at the end", func(column int) bool { return column >= columns-5 }, "2.48 s"},
	} {
		got := fixed(layers{}, func(column int) (result, time.Duration) {
			if c.good(column) {
				return answered, 0
			}
			return failed, 0
		})
		assert.Equal(t, c.want, recovery(got, runPhases), c.name)
		got.complete = false
		got.calls = got.calls[:len(got.calls)/2]
		assert.Equal(t, "-", recovery(got, runPhases), c.name)
	}
}
