package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStatus(t *testing.T) {
	var out bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	assert.Equal(t, OK, Status(ctx, "x", nil, &out))
	assert.Empty(t, out.String())
	assert.Equal(t, Failure, Status(ctx, "x", errors.New("why"), &out))
	assert.Equal(t, "x: why\n", out.String())
	stop()
	assert.Equal(t, Interrupted, Status(ctx, "x", errors.New("why"), &out))
	assert.Equal(t, OK, Status(ctx, "x", nil, &out))
	assert.Contains(t, out.String(), "x: interrupted: why\n")
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		ok     bool
		says   string
	}{
		{nil, OK, true, ""},
		{[]string{"-n", "2"}, OK, true, ""},
		{[]string{"-h"}, OK, false, "how to\n  -n "},
		{[]string{"-n", "3"}, Usage, false, "x: -n is 3, it must be from 1 to 2\nRun x -h for help.\n"},
		{[]string{"-n", "y"}, Usage, false, `invalid value "y"`},
		{[]string{"y"}, Usage, false, `x: unexpected argument "y"`},
	} {
		var out bytes.Buffer
		flags := flag.NewFlagSet("x", flag.ContinueOnError)
		n := flags.Int("n", 1, "`number`")
		status, ok := Parse(flags, "how to\n", c.args, func() error { return Check(Size{"n", *n, 1, 2}) }, &out)
		assert.Equal(t, c.status, status, c.args)
		assert.Equal(t, c.ok, ok, c.args)
		assert.Contains(t, out.String(), c.says)
	}
}
