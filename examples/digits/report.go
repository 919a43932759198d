package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/examples/internal/stats"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

const buckets = 12 // lines of the histogram, beside the last, which has all that is larger

// report lays out what was measured, also if that is not all that was meant to be. stats are those of the batcher.
func report(single, batched *way, st batching.Stats) string {
	slices.Sort(single.latencies)
	slices.Sort(batched.latencies)
	var out strings.Builder
	out.WriteString(term.Table(tableRows(single, batched, st)))
	if single.throughput() > 0 && batched.throughput() > 0 {
		fmt.Fprintf(&out, "\nBatched, %.2f times as many requests are answered per second.\n", batched.throughput()/single.throughput())
	}
	if len(single.latencies)+len(batched.latencies) > 0 {
		out.WriteString("\nlatency, share of the requests\n\n" + histogram(single, batched))
	}
	return out.String()
}

func tableRows(single, batched *way, st batching.Stats) [][]string {
	rows := [][]string{{"", single.name, batched.name}}
	row := func(label string, value func(w *way) string) {
		cells := []string{label}
		for _, w := range []*way{single, batched} {
			if len(w.latencies) == 0 {
				cells = append(cells, "-")
			} else {
				cells = append(cells, value(w))
			}
		}
		rows = append(rows, cells)
	}
	row("requests answered", func(w *way) string { return fmt.Sprint(len(w.latencies)) })
	row("accuracy", func(w *way) string { return fmt.Sprintf("%.2f %%", 100*float64(w.correct)/float64(len(w.latencies))) })
	row("requests per second", func(w *way) string { return fmt.Sprintf("%.0f", w.throughput()) })
	row("latency, median", func(w *way) string { return stats.Milliseconds(stats.Percentile(w.latencies, 50)) })
	row("latency, 99th percentile", func(w *way) string { return stats.Milliseconds(stats.Percentile(w.latencies, 99)) })
	if st.Batches == 0 {
		return rows
	}
	rows = append(rows,
		[]string{"mean batch size", "1.0", fmt.Sprintf("%.1f", st.MeanBatchSize())},
		[]string{"mean wait for a batch", "", stats.Milliseconds(st.MeanQueueWait())},
		[]string{"batches", "", fmt.Sprint(st.Batches)},
	)
	for _, flush := range []struct {
		label string
		count uint64
	}{
		{"sent because full", st.Flushes.Size},
		{"sent because a slot was free", st.Flushes.Slot},
		{"sent because of -max-wait", st.Flushes.Wait},
	} {
		if flush.count > 0 {
			rows = append(rows, []string{"  " + flush.label, "", fmt.Sprint(flush.count)})
		}
	}
	return rows
}

// histogram shows the latencies of both ways on one scale. It takes them sorted.
func histogram(single, batched *way) string {
	slowest := max(stats.Percentile(single.latencies, 99), stats.Percentile(batched.latencies, 99))
	width := stats.BucketWidth(slowest, buckets)
	unit, name := time.Millisecond, "ms"
	if width < time.Millisecond/10 {
		unit, name = time.Microsecond, "µs"
	}
	labels := make([]string, buckets+1)
	for i := range buckets {
		labels[i] = fmt.Sprintf("%v – %v %s", in(unit, width, i), in(unit, width, i+1), name)
	}
	labels[buckets] = fmt.Sprintf("over %v %s", in(unit, width, buckets), name)
	return term.Histogram(labels,
		term.Series{Name: single.name, Counts: stats.Buckets(single.latencies, width, buckets+1)},
		term.Series{Name: batched.name, Counts: stats.Buckets(batched.latencies, width, buckets+1)},
	)
}

// in is the start of bucket i in the given unit.
func in(unit, width time.Duration, i int) float64 {
	return float64(time.Duration(i)*width) / float64(unit)
}
