package term

import (
	"bytes"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTimeline(t *testing.T) {
	rows := []Row{
		{Label: "", Cells: "day  night"},
		{Label: "load", Cells: Spark([]float64{0, 1, 2, 8, 4}, 8), Colors: []Color{0, Red, Red}, Note: "up to 8"},
		{Label: "state", Cells: "──█", Colors: []Color{Green, Green, Red, Red}},
	}
	assert.Equal(t, "      day  night\n"+
		"load   ▁▂█▄      up to 8\n"+
		"state ──█\n", Timeline(rows, false))
	assert.Equal(t, "      day  night\n"+
		"load   \x1b[31m▁▂\x1b[0m█▄      up to 8\n"+
		"state \x1b[32m──\x1b[31m█\x1b[0m\n", Timeline(rows, true))
	assert.Empty(t, Timeline(nil, true))
}

func TestSpark(t *testing.T) {
	assert.Equal(t, "▁▂▃▄▅▆▇█", Spark([]float64{1, 2, 3, 4, 5, 6, 7, 8}, 8))
	assert.Equal(t, " ▁█ ", Spark([]float64{0, 1e-9, 99, -1}, 8))
	assert.Equal(t, "  ", Spark([]float64{1, 2}, 0))
	assert.Equal(t, " █", Spark([]float64{math.NaN(), math.Inf(1)}, 8))
	assert.Empty(t, Spark(nil, 1))
}

func TestColorsAreForTerminals(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	defer file.Close()
	assert.False(t, IsTerminal(file))
	assert.False(t, IsTerminal(&bytes.Buffer{}))
	assert.False(t, WantsColor(file))
}
