package nn

import "math"

// Predict stores the most likely class of the i-th input of w in classes[i], as Classify does, and its probability in confidences[i]. It
// panics if the two differ in length or are longer than w.Size.
func (n *Network) Predict(w *Workspace, classes []int, confidences []float32) {
	if len(classes) != len(confidences) {
		panic("nn: Predict needs as many confidences as classes")
	}
	if len(classes) == 0 {
		return
	}
	scores := n.forward(w, len(classes))
	for i := range classes {
		s := row(scores, i)
		best := argmax(s)
		sum := 0.0
		for _, v := range s {
			sum += math.Exp(float64(v) - float64(s[best])) // the exponent is at most 0: no overflow
		}
		classes[i], confidences[i] = best, float32(1/sum)
	}
}
