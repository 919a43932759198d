package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/clitest"
	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
	"github.com/scalable-ai/patterns/featurestore/transform"
	"github.com/scalable-ai/patterns/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small are the flags of a short run.
func small(more ...string) []string {
	return append([]string{"-users", "1500", "-items", "400", "-requests", "103", "-candidates", "50", "-train", "150"}, more...)
}

// cells are those of the first line of a report that begins with label.
func cells(t *testing.T, report, label string) []string {
	t.Helper()
	for line := range strings.Lines(report) {
		if rest, ok := strings.CutPrefix(line, label+" "); ok {
			return regexp.MustCompile(`\s{2,}`).Split(strings.TrimSpace(rest), -1)
		}
	}
	require.Fail(t, "no line "+label, report)
	return nil
}

func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "definitions.json")
	var stdout, stderr bytes.Buffer
	require.Equal(t, cli.OK, run(t.Context(), small("-shards", "3", "-cache", "-definitions", file), &stdout, &stderr), stderr.String())
	out := stdout.String()
	clitest.Fits(t, 80, out)
	assert.Equal(t, []string{"memory", "3 shards", "3 shards, cache"}, cells(t, out, ""))
	sent := cells(t, out, "rows sent")
	assert.Len(t, sent, 2)
	assert.Equal(t, sent[0], sent[1])
	assert.Equal(t, []string{"6000", "6000"}, cells(t, out, "rows verified"))
	assert.Equal(t, []string{"103", "103", "103"}, cells(t, out, "requests answered"))
	assert.Len(t, cells(t, out, "items from the cache"), 1)
	assert.Equal(t, "5150", cells(t, out, "item_stats")[0])
	served, best := cells(t, out, "served scores"), cells(t, out, "the generator's own chances")
	assert.Greater(t, served[0], "0.700")
	assert.Less(t, served[0], best[0])
	assert.Equal(t, "0.500", cells(t, out, "the same for all")[0])
	assert.Less(t, best[1], served[1], "log loss")
	assert.Less(t, served[1], cells(t, out, "the same for all")[1])

	saved, err := os.Open(file)
	require.NoError(t, err)
	defer func() { assert.NoError(t, saved.Close()) }()
	registry, err := fs.Load(saved, fs.WithOps(transform.Ops()))
	require.NoError(t, err)
	service, err := registry.Service("ranking", 1)
	require.NoError(t, err)
	require.Len(t, service.Transforms, len(ranking().Transforms))
	for _, tr := range service.Transforms {
		if tr.Op == "standardize" || tr.Op == "onehot" {
			assert.NotEmpty(t, tr.Params, tr.Name)
		}
	}
}

func TestOtherScoresAreAnError(t *testing.T) {
	w, registry, _, online := filled(t)
	o := options{train: 100, candidates: 100, requests: 3, callers: 2}
	service, err := fitService(t.Context(), online, w, o)
	require.NoError(t, err)
	require.NoError(t, registry.Apply(fs.Definitions{Services: []fs.Service{service}}))
	m, err := train(t.Context(), online, w, o)
	require.NoError(t, err)
	empty, err := memstore.New(memstore.Config{})
	require.NoError(t, err)
	first, err := serve(t.Context(), empty, registry, w, m, o)
	require.NoError(t, err)
	assert.Equal(t, 3, first.requests)

	s := &player{o: o, w: w, registry: registry, h: &history{model: m, runs: make([]storeRun, 2)}}
	s.h.runs[0].served = first
	require.NoError(t, s.serve(t.Context(), empty, &s.h.runs[1]))
	first.scores[5] += 1e-9
	assert.ErrorIs(t, s.serve(t.Context(), empty, &s.h.runs[1]), errScores)
}

func TestDefinitionsOnStdout(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, cli.OK, run(t.Context(), small("-requests", "1", "-candidates", "20", "-definitions", "-"), &stdout, &stderr), stderr.String())
	assert.True(t, strings.HasPrefix(stdout.String(), "{\n"))
	assert.Contains(t, stdout.String(), "\nrequests answered")
	stderr.Reset()
	assert.Equal(t, cli.Failure, run(t.Context(), small("-definitions", filepath.Join(t.TempDir(), "no", "folder")), &stdout, &stderr))
	assert.Contains(t, stderr.String(), "no such file")
}

// interrupted runs with a Ctrl-C at the moment when the text is written, and returns the report.
func interrupted(t *testing.T, at string, args ...string) string {
	t.Helper()
	ctx, stderr := clitest.InterruptAt(t, at)
	var stdout bytes.Buffer
	assert.Equal(t, cli.Interrupted, run(ctx, small(args...), &stdout, stderr), stderr.String())
	assert.Contains(t, stderr.String(), "features: interrupted: context canceled")
	return stdout.String()
}

func TestInterrupted(t *testing.T) {
	out := interrupted(t, "3 shards: streams", "-shards", "3")
	assert.Equal(t, []string{"memory"}, cells(t, out, ""))
	assert.NotEmpty(t, cells(t, out, "served scores"))

	out = interrupted(t, "memory: requests")
	assert.NotEmpty(t, cells(t, out, "rows verified"))
	assert.NotContains(t, out, "served scores")
}

func TestRedis(t *testing.T) {
	server := redistest.Start(t)
	var stdout, stderr bytes.Buffer
	require.Equal(t, cli.OK, run(t.Context(), small("-redis", server.Addr, "-cache"), &stdout, &stderr), stderr.String())
	out := stdout.String()
	assert.Equal(t, []string{"memory", "redis", "redis, cache"}, cells(t, out, ""))
	assert.Equal(t, []string{"6000", "6000"}, cells(t, out, "rows verified"))
	assert.Equal(t, []string{"103", "103", "103"}, cells(t, out, "requests answered"))
	_, after, found := strings.Cut(out, "found in redis")
	require.True(t, found)
	assert.NotEqual(t, "0.0 %", cells(t, after, "item_stats")[2], "Redis does not drop rows that have expired")
	assert.Equal(t, int64(0), server.Do(t, "DBSIZE"), "it has removed its rows")

	stdout.Reset()
	out = interrupted(t, "redis: requests", "-redis", "redis://"+server.Addr)
	assert.Equal(t, []string{"6000", "6000"}, cells(t, out, "rows verified"))
	assert.Equal(t, int64(0), server.Do(t, "DBSIZE"), "and when it was interrupted")

	server.Kill()
	stderr.Reset()
	assert.Equal(t, cli.Failure, run(t.Context(), small("-redis", server.Addr), &stdout, &stderr))
	assert.Contains(t, stderr.String(), "features: -redis "+server.Addr+": ")
	assert.Contains(t, stdout.String(), "\nrequests answered", "what was measured in memory is there")
}

func TestBadFlags(t *testing.T) {
	clitest.BadFlags(t, run, map[string][]string{
		"-users is 99, it must be from 100 to 1000000": {"-users", "99"},
		"-items is 0":      {"-items", "0"},
		"-requests is 0":   {"-requests", "0"},
		"-candidates is 0": {"-candidates", "0"},
		"-candidates is 101, there are only 100 items": {"-items", "100", "-candidates", "101"},
		"-callers is 1001": {"-callers", "1001"},
		"-train is 9":      {"-train", "9"},
		"-shards is 1, it must be from 2 to 64, or 0 for none": {"-shards", "1"},
		"-train 10000 times -candidates 200 is 2000000":        {"-train", "10000"},
		`unexpected argument "x"`:                              {"x"},
	})
	clitest.Help(t, "features", run)
	var stdout, stderr bytes.Buffer
	assert.Equal(t, cli.Failure, run(t.Context(), small("-redis", "redis://%"), &stdout, &stderr))
	assert.Contains(t, stderr.String(), "features: -redis: ")
}
