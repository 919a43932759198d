package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/scalable-ai/patterns/batching"
)

func TestReport(t *testing.T) {
	single := &way{name: "one by one", elapsed: 2 * time.Second, correct: 98}
	batched := &way{name: "batched", elapsed: time.Second / 2, correct: 97}
	for i := range 100 {
		single.latencies = append(single.latencies, time.Duration(100-i)*100*time.Microsecond) // unsorted
		batched.latencies = append(batched.latencies, 1500*time.Microsecond)
	}
	st := batching.Stats{Batches: 4, Items: 100, QueueWait: 25 * time.Millisecond, Flushes: batching.Flushes{Size: 3, Slot: 1}}
	assert.Equal(t, `                                 one by one   batched
requests answered                       100       100
accuracy                            98.00 %   97.00 %
requests per second                      50       200
latency, median                     5.00 ms   1.50 ms
latency, 99th percentile            9.90 ms   1.50 ms
mean batch size                         1.0      25.0
mean wait for a batch                         0.25 ms
batches                                             4
  sent because full                                 3
  sent because a slot was free                      1

Batched, 4.00 times as many requests are answered per second.

latency, share of the requests

             one by one                      batched
  0 – 1 ms   ██                       9.0%
  1 – 2 ms   ██▎                     10.0%   ██████████████████████ 100.0%
  2 – 3 ms   ██▎                     10.0%
  3 – 4 ms   ██▎                     10.0%
  4 – 5 ms   ██▎                     10.0%
  5 – 6 ms   ██▎                     10.0%
  6 – 7 ms   ██▎                     10.0%
  7 – 8 ms   ██▎                     10.0%
  8 – 9 ms   ██▎                     10.0%
 9 – 10 ms   ██▎                     10.0%
10 – 11 ms   ▎                        1.0%
`, report(single, batched, st))
}

func TestReportOfNothing(t *testing.T) {
	assert.Equal(t, `                           one by one   batched
requests answered                   -         -
accuracy                            -         -
requests per second                 -         -
latency, median                     -         -
latency, 99th percentile            -         -
`, report(&way{name: "one by one"}, &way{name: "batched"}, batching.Stats{}))
}

// Interrupted while the first way had its first turn.
func TestReportOfOneWay(t *testing.T) {
	single := &way{name: "one by one", elapsed: time.Millisecond, correct: 1, latencies: []time.Duration{30 * time.Microsecond}}
	assert.Equal(t, `                           one by one   batched
requests answered                   1         -
accuracy                     100.00 %         -
requests per second              1000         -
latency, median               0.03 ms         -
latency, 99th percentile      0.03 ms         -

latency, share of the requests

             one by one                      batched
  0 – 5 µs
 5 – 10 µs
10 – 15 µs
15 – 20 µs
20 – 25 µs
25 – 30 µs
30 – 35 µs   ██████████████████████ 100.0%
`, report(single, &way{name: "batched"}, batching.Stats{}))
}
