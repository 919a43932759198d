package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/examples/internal/clitest"
)

func TestDefaults(t *testing.T) {
	var out bytes.Buffer
	o, _, ok := parseFlags(nil, &out)
	require.True(t, ok)
	assert.Equal(t, options{
		pages: 2000, rounds: 2, callers: 32, writers: 64, page: 16, open: 200 * time.Millisecond, device: 2 * time.Millisecond,
		sick: 700, epochs: 2, seed: 1,
	}, o)
	assert.Empty(t, out.String())
}

func TestFlagsAreTaken(t *testing.T) {
	o, _, ok := parseFlags([]string{
		"-pages", "1", "-rounds", "2", "-callers", "3", "-writers", "4", "-page", "5", "-open", "6ms", "-device", "0",
		"-sick", "0", "-epochs", "7", "-seed", "0", "-data", "dir",
	}, &bytes.Buffer{})
	require.True(t, ok)
	assert.Equal(t, options{
		pages: 1, rounds: 2, callers: 3, writers: 4, page: 5, open: 6 * time.Millisecond, epochs: 7, data: "dir",
	}, o)
}

func TestBadFlags(t *testing.T) {
	clitest.BadFlags(t, run, map[string][]string{
		"-pages is 0, it must be from 1 to 1000000":                                {"-pages", "0"},
		`invalid value "99999999999999999999" for flag -pages: value out of range`: {"-pages", "99999999999999999999"},
		"flag needs an argument: -pages":                                           {"-pages"},
		"-rounds is -1, it must be from 1 to 1000":                                 {"-rounds", "-1"},
		"-callers is 0, it must be from 1 to 10000":                                {"-callers", "0"},
		"-writers is 0, it must be from 1 to 10000":                                {"-writers", "0"},
		"-page is 1025, it must be from 1 to 1024":                                 {"-page", "1025"},
		"-epochs is 101, it must be from 1 to 100":                                 {"-epochs", "101"},
		"-open is -1ms, it must be from 0 to 1m":                                   {"-open", "-1ms"},
		`invalid value "5" for flag -open`:                                         {"-open", "5"},
		"-device is 2s, it must be from 0 to 1s":                                   {"-device", "2s"},
		"-sick is -1, it must be from 0 to -pages, 2000":                           {"-sick", "-1"},
		"-sick is 700, it must be from 0 to -pages, 10":                            {"-pages", "10"},
		"flag provided but not defined: -colour":                                   {"-colour"},
		`unexpected argument "2000"`:                                               {"2000"},
	})
}

func TestHelp(t *testing.T) {
	clitest.Help(t, "sessions", run, "pages", "rounds", "callers", "writers", "page", "open", "device", "sick", "epochs", "seed", "data")
}
