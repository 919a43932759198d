package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/scalable-ai/patterns/breaker"
)

// fixed is a trial of a user's call each 100 ms of 7 s; in the outage the breaker rejects every other one.
func fixed(v variant) *trial {
	t := newTrial(v, plan{phase: time.Second})
	for due := time.Duration(0); due < t.plan.total(); due += 100 * time.Millisecond {
		c := call{arrival: arrival{due: due, tenant: "tenant 1"}, begun: due, took: 30 * time.Millisecond, result: inTime, version: "1", labelled: true, right: true}
		if due > 3*time.Second {
			c.version = "2"
		}
		if t.plan.at(due) == outage && len(t.calls)%2 == 0 {
			c.result, c.took, c.version, c.labelled = open, time.Millisecond, "", false
		}
		t.calls = append(t.calls, c)
	}
	t.calls[0].right, t.calls[0].review = false, true
	t.calls[1].right = false
	t.swapped, t.outageRuns, t.mostOpen = 3*time.Second, 5, 17
	return t
}

func TestReport(t *testing.T) {
	whole, second := fixed(variants[0]), fixed(variants[1])
	for i := range 7 {
		second.calls[i].result = late
	}
	second.calls[20].result = failed // not in the outage
	second.calls[21].begun += time.Hour
	out := report([]*trial{whole, second, newTrial(variants[2], whole.plan)}, whole.plan)
	assert.Contains(t, out, "Version 2 took over after 3.00 s: 31 answers of version 1, 34 of version 2,\n"+
		"0 of version 1 to requests that came later; 0 requests failed outside of the outage.\n")
	assert.Contains(t, out, "97 % of the users' answers are right. The second model asks for a look at 2 %,\nand so finds 50 % of the wrong ones.\n")
	assert.Regexp(t, `(?m)^the whole chain +93 +100 +100 +100 +100 +100 +50 +100$`, out)
	assert.Regexp(t, `(?m)^no cache +81 +-11 +30 +100 +90 +100 +100 +50 +100$`, out)
	assert.Regexp(t, `(?m)^no cache +0 +0 +5 +0 +7 +1 +-$`, out)
	assert.Regexp(t, `(?m)^the whole chain +30.0 +1.0 +17 +5$`, out)
	assert.NotContains(t, out, "no limiter")
	assert.NotContains(t, out, "none should have")
	assert.Contains(t, out, "no cache: 1 % of the requests were made over 1h0m0s late")
	assert.Equal(t, 1, second.failedOutside())
	second.calls[3].result = broken
	assert.Contains(t, report([]*trial{whole, second}, whole.plan), "no cache: 1 requests had an error that none should have")
}

func TestWatch(t *testing.T) {
	trial := fixed(variants[0])
	trial.start = time.Now().Add(-2500 * time.Millisecond)
	for i := range 20 {
		c := column{made: 10, inFlight: 5, batch: 4, hitRate: 0.5, version: "1"}
		c.results[inTime], c.results[full], c.results[failed] = 8, 1, 1
		c.state = []breaker.State{breaker.StateClosed, breaker.StateOpen, breaker.StateHalfOpen}[i%3]
		trial.columns = append(trial.columns, c)
	}
	var out bytes.Buffer
	v := newWatch(&out, true, false)
	v.show(trial)
	v.show(trial) // the same second
	assert.Regexp(t, `^ 2.5 s  swap        64/s in time     8/s rejected    5 in flight  batch  4.0  hits 50 %  v1  open\n$`, out.String())
	v.end(trial)
	assert.Contains(t, out.String(), "the whole chain, a column is 125ms\n\n")
	assert.Regexp(t, `(?m)^breaker   ─█▒─█▒─█▒─█▒─█▒─█▒─█ +open$`, out.String())
	assert.Regexp(t, `(?m)^hit rate .*≤50 %$`, out.String())
	assert.Regexp(t, `(?m)^version   1{20}$`, out.String())
	assert.Contains(t, picture(trial, true), "\x1b[31m█\x1b[33m▒")
}
