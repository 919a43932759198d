package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const table = `shape,noise,arrivals,load,bound,window,aimd,reference,deadline
a,0.05,poisson,0.5,1,1,1,1,1
a,0.05,poisson,2,0.5526,0.0002,0,0.54,0.54
a,0.05,bursty,0.5,,0.9,0.9,0.99,0.99
b,0.05,poisson,0.5,,1,1,1,1
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "table.csv")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestDraws(t *testing.T) {
	path := write(t, table)
	for model, want := range map[string]int{"1": 2, "2": 1} {
		var stdout, stderr bytes.Buffer
		require.NoError(t, run([]string{"-model", model, path}, &stdout, &stderr))
		svg := stdout.String()
		assert.Contains(t, svg, "<svg")
		assert.Equal(t, want, strings.Count(svg, " arrivals<"), "a panel for each kind of arrivals")
		assert.Contains(t, svg, "Deadline")
		assert.Empty(t, stderr.String())
	}
	out := filepath.Join(t.TempDir(), "picture.svg")
	require.NoError(t, run([]string{"-o", out, path}, nil, nil))
	svg, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.Contains(t, string(svg), "</svg>")
}

func TestSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "one file is needed, got 0"},
		{[]string{"/does/not/exist"}, "open /does/not/exist"},
		{[]string{write(t, "")}, "the table has no rows"},
		{[]string{write(t, "shape,load\na,1\n")}, `no column "noise"`},
		{[]string{write(t, strings.Replace(table, "0.5526", "half", 1))}, `parsing "half"`},
		{[]string{"-model", "3", write(t, table)}, "the table has 2 models, there is no number 3"},
		{[]string{"-model", "0", write(t, table)}, "there is no number 0"},
		{[]string{"-o", "/does/not/exist/x.svg", write(t, table)}, "open /does/not/exist/x.svg"},
	} {
		var stdout, stderr bytes.Buffer
		assert.ErrorContains(t, run(c.args, &stdout, &stderr), c.want)
	}
	var stderr bytes.Buffer
	assert.ErrorIs(t, run([]string{"-h"}, nil, &stderr), flag.ErrHelp)
	assert.Contains(t, stderr.String(), "Usage: goodput")
}
