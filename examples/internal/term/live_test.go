package term

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLive(t *testing.T) {
	var out bytes.Buffer
	l := NewLive(&out)
	l.Draw("a\nb\n")
	assert.Equal(t, "a\x1b[K\nb\x1b[K\n\x1b[J", out.String())
	out.Reset()
	l.Draw("c\n")
	assert.Equal(t, "\x1b[2Ac\x1b[K\n\x1b[J", out.String())
	out.Reset()
	l.Draw("d\n")
	assert.Equal(t, "\x1b[1Ad\x1b[K\n\x1b[J", out.String())
}
