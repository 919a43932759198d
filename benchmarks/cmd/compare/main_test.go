package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// module makes a module with benchmarks and goes there.
func module(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.com/m\n\ngo 1.26.0\n"
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	t.Chdir(dir)
}

const sums = `// Package sums_test compares sums.
//
// What differs: theirs adds one after the other.
package sums_test

import "testing"

func BenchmarkSum(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
	}{{"patterns", 1}, {"patterns-long", 50}, {"slow.peer", 1000}, {"slowxpeer", 1000}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				work(c.n)
			}
		})
	}
}

func BenchmarkSumOther(b *testing.B) {
	b.Run("patterns", func(b *testing.B) { work(b.N) })
	b.Run("peer", func(b *testing.B) { work(100 * b.N) })
}

//go:noinline
func work(n int) (sum int) {
	for i := range n {
		sum ^= i
	}
	return sum
}
`

func TestRunsBuildsAndReports(t *testing.T) {
	module(t, map[string]string{
		"sums/sums_test.go": sums,
		"none/none_test.go": "package none\n",
		"main.go":           "package main\n\nfunc main() {}\n",
	})
	var progress strings.Builder
	require.NoError(t, run(t.Context(), []string{"-count", "4", "-benchtime", "1000x", "-raw", "raw.txt"}, &progress))
	assert.Contains(t, progress.String(), "round 4 of 4")
	text, err := os.ReadFile(reportFile)
	require.NoError(t, err)
	for _, want := range []string{
		"go -C benchmarks run ./cmd/compare -count 4 -benchtime 1000x\n",
		"with go1.",
		"\n## sums\n\nCompares sums.\n\nWhat differs: theirs adds one after the other.\n",
		"| Sum | time | B/op | allocs/op |\n",
		"| **patterns** | 1 | 0 | 0 |\n| **patterns-long** | ",
		"| SumOther | time |\n|---|--:|\n",
		"## Where another is faster\n\nNowhere",
	} {
		assert.Contains(t, string(text), want)
	}
	svg, err := os.ReadFile(chartFile)
	require.NoError(t, err)
	assert.Contains(t, string(svg), "sums: Sum")
	assert.Contains(t, string(svg), "</svg>")
	raw, err := os.ReadFile("raw.txt")
	require.NoError(t, err)
	assert.Equal(t, 6*4, strings.Count(string(raw), "\nBenchmark"), "each contender once in each round, whatever the names of others")
	assert.Equal(t, 4, strings.Count(string(raw), "\nBenchmarkSum/slow.peer"))
	left, err := filepath.Glob(".compare-*")
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestSaysWhatIsWrong(t *testing.T) {
	module(t, map[string]string{
		"sums/sums_test.go":       sums,
		"failing/failing_test.go": strings.Replace(sums, "work(c.n)", `b.Fatal("it broke")`, 1),
		"broken/broken_test.go":   strings.Replace(sums, "range n", "range m", 1),
		"flat/flat_test.go":       "// Package flat has no contenders.\npackage flat\n\nimport \"testing\"\n\nfunc BenchmarkFlat(b *testing.B) {}\n",
		"alone/alone_test.go":     strings.NewReplacer(`"patterns"`, `"peer"`).Replace(sums),
	})
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"x"}, `unexpected argument "x"`},
		{[]string{"-count", "0"}, "-count is 0, it must be between 1 and 1000"},
		{[]string{"-count", "1001"}, "-count is 1001"},
		{[]string{"-count", "many"}, "invalid value"},
		{[]string{"-benchtime", "0x"}, `-benchtime is "0x"`},
		{[]string{"-benchtime", "-1s"}, `-benchtime is "-1s"`},
		{[]string{"-benchtime", "fast"}, `-benchtime is "fast"`},
		{[]string{"-o", "/does/not/exist"}, "-o: open /does/not/exist"},
		{[]string{"-raw", "/does/not/exist/raw"}, "open /does/not/exist/raw"},
		{[]string{"-packages", "sums,nosuch"}, `no package "nosuch" with benchmarks, there are: alone, broken, failing, flat, sums`},
		{[]string{"-packages", "failing", "-benchtime", "1x"}, "it broke"},
		{[]string{"-packages", "broken"}, "undefined: m"},
		{[]string{"-packages", "flat"}, "has no contender: it must be named"},
		{[]string{"-packages", "alone", "-count", "1", "-benchtime", "10x"}, "none of the contenders is named patterns"},
	} {
		var stderr strings.Builder
		assert.ErrorContains(t, run(t.Context(), c.args, &stderr), c.want)
	}
	assert.NoFileExists(t, reportFile)
	var stderr strings.Builder
	assert.ErrorIs(t, run(t.Context(), []string{"-h"}, &stderr), flag.ErrHelp)
	for _, name := range []string{"Usage", "-count", "-benchtime", "-packages", "-o ", "-raw"} {
		assert.Contains(t, stderr.String(), name)
	}
	t.Chdir(t.TempDir())
	require.Error(t, run(t.Context(), nil, &stderr), "no module")
}

func TestWantsToKnowWhatDiffers(t *testing.T) {
	module(t, map[string]string{"sums/sums_test.go": sums[strings.Index(sums, "package"):]})
	assert.ErrorContains(t, run(t.Context(), nil, &strings.Builder{}), "no comment that says what it compares")
}

// cancelling cancels when the first round begins.
type cancelling struct{ cancel func() }

func (c cancelling) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), "round 1") {
		c.cancel()
	}
	return len(p), nil
}

func TestStopsWhenInterrupted(t *testing.T) {
	module(t, map[string]string{"sums/sums_test.go": sums})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := run(ctx, []string{"-benchtime", "1h"}, cancelling{cancel})
	require.EqualError(t, err, "interrupted: no report was written")
	assert.NoFileExists(t, reportFile)
	assert.NoFileExists(t, chartFile)
}

func TestInterruptsARunningBenchmark(t *testing.T) {
	module(t, map[string]string{"sums/sums_test.go": sums})
	// The context ends when the process has begun to write, which it goes on to do for an hour.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	script := filepath.Join(t.TempDir(), "bench")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\ntouch begun\nexec sleep 3600\n"), 0o700)) //nolint:gosec // it must be executable
	done := make(chan error, 1)
	go func() {
		_, err := output(ctx, ".", script)
		done <- err
	}()
	for _, err := os.Stat("begun"); err != nil; _, err = os.Stat("begun") {
		select {
		case err := <-done:
			t.Fatal("it ended by itself: ", err)
		default:
			runtime.Gosched()
		}
	}
	cancel()
	assert.ErrorContains(t, <-done, "bench")
}
