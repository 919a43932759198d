package ensemble

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The pituitary data with R's isotone 1.0-2, gpava(ties = "secondary"), of which scikit-learn's test of isotonic regression has the values too.
func TestCalibratorIsotonicPituitary(t *testing.T) {
	x := []float64{8, 8, 8, 10, 10, 10, 12, 12, 12, 14, 14}
	y := []float64{21, 23.5, 23, 24, 21, 25, 21.5, 22, 19, 23.5, 25}
	c := Isotonic{points: poolViolators(x, y)}
	for i, want := range []float64{22.22222, 22.22222, 22.22222, 22.22222, 22.22222, 22.22222, 22.22222, 22.22222, 22.22222, 24.25, 24.25} {
		assert.InDelta(t, want, c.Calibrate(x[i]), 1e-5)
	}
}
