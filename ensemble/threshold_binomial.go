package ensemble

import "math"

// binomialTail is the probability of s or more successes in n trials of probability p.
func binomialTail(s, n int, p float64) float64 {
	switch {
	case s <= 0:
		return 1
	case s > n:
		return 0
	}
	return incompleteBeta(float64(s), float64(n-s+1), p)
}

// clopperPearson is the exact interval of a probability of which s successes in n trials were seen (Clopper, Pearson, Biometrika 26, 1934): each side is missed with
// probability at most (1-level)/2.
func clopperPearson(s, n int, level float64) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	tail := (1 - level) / 2
	low, high = 0, 1
	if s > 0 {
		low = bisectUnit(func(p float64) bool { return binomialTail(s, n, p) < tail })
	}
	if s < n {
		high = bisectUnit(func(p float64) bool { return 1-binomialTail(s+1, n, p) >= tail })
	}
	return low, high
}

// bisectUnit is where below, which is true on the left, ends.
func bisectUnit(below func(float64) bool) float64 {
	low, high := 0.0, 1.0
	for range 44 { // to 13 digits
		mid := (low + high) / 2
		if below(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2
}

// incompleteBeta is the regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22), evaluated by Lentz's method as modified by Thompson
// and Barnett (1986).
func incompleteBeta(a, b, x float64) float64 {
	switch {
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	case x > (a+1)/(a+b+2): // the fraction converges fast on the other side only
		return 1 - incompleteBeta(b, a, 1-x)
	}
	lgA, _ := math.Lgamma(a)
	lgB, _ := math.Lgamma(b)
	lgAB, _ := math.Lgamma(a + b)
	front := math.Exp(lgAB - lgA - lgB + a*math.Log(x) + b*math.Log1p(-x))
	const tiny = 1e-300
	away := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/away(1-(a+b)*x/(a+1))
	f := d
	for m := 1.0; m < 1e5; m++ {
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d = 1 / away(1+even*d)
		c = away(1 + even/c)
		f *= c * d
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / away(1+odd*d)
		c = away(1 + odd/c)
		f *= c * d
		if math.Abs(c*d-1) < 1e-15 {
			break
		}
	}
	return front * f / a
}
