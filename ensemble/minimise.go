package ensemble

import (
	"errors"
	"math"
)

// minimise moves x to the minimum of a smooth convex function, until no part of the gradient is larger than tolerance: L-BFGS (Nocedal and Wright, Numerical
// Optimization, algorithms 7.4 and 7.5) with a line search by halving. f returns the value at x and sets the gradient.
func minimise(f func(x, gradient []float64) float64, x []float64, tolerance float64) error {
	const memory, steps, halvings = 10, 2000, 60
	n := len(x)
	g, direction, x2, g2 := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	var ss, ys [][]float64 // differences of x and of the gradient, the oldest first
	value := f(x, g)
	for range steps {
		if peak(g) <= tolerance {
			return nil
		}
		quasiNewton(direction, g, ss, ys)
		slope := dot(direction, g)
		step := 1.0
		if len(ss) == 0 {
			step = 1 / max(1, norm2(g))
		}
		var next float64
		found := false
		for range halvings {
			for i := range x {
				x2[i] = x[i] + step*direction[i]
			}
			next = f(x2, g2)
			// The last term is rounding, without which the search would end just before the minimum.
			if next <= value+1e-4*step*slope+1e-14*math.Abs(value) {
				found = true
				break
			}
			step /= 2
		}
		if !found {
			break
		}
		s, y := make([]float64, n), make([]float64, n)
		for i := range x {
			s[i], y[i] = x2[i]-x[i], g2[i]-g[i]
		}
		if dot(s, y) > 1e-12*dot(y, y) { // otherwise the curvature is rounding
			ss, ys = append(ss, s), append(ys, y)
			if len(ss) > memory {
				ss, ys = ss[1:], ys[1:]
			}
		}
		copy(x, x2)
		copy(g, g2)
		value = next
	}
	if peak(g) <= 100*tolerance {
		return nil
	}
	return errors.New("the fit does not converge: scale the outputs, or use more penalty")
}

// quasiNewton sets direction to minus the approximate inverse Hessian times g.
func quasiNewton(direction, g []float64, ss, ys [][]float64) {
	for i, v := range g {
		direction[i] = -v
	}
	alphas := make([]float64, len(ss))
	for k := len(ss) - 1; k >= 0; k-- {
		alphas[k] = dot(ss[k], direction) / dot(ss[k], ys[k])
		for i := range direction {
			direction[i] -= alphas[k] * ys[k][i]
		}
	}
	if k := len(ss) - 1; k >= 0 {
		scale := dot(ss[k], ys[k]) / dot(ys[k], ys[k])
		for i := range direction {
			direction[i] *= scale
		}
	}
	for k := range ss {
		beta := dot(ys[k], direction) / dot(ss[k], ys[k])
		for i := range direction {
			direction[i] += (alphas[k] - beta) * ss[k][i]
		}
	}
}

func peak(x []float64) float64 {
	top := 0.0
	for _, v := range x {
		top = max(top, math.Abs(v))
	}
	return top
}
