package route

import "fmt"

// CombineValues is the weighted mean of numbers.
func CombineValues[F ~float32 | ~float64](parts []Part[F]) (F, error) {
	sum := 0.0
	for i := range parts {
		sum += parts[i].Weight * float64(parts[i].Answer)
	}
	return F(sum), nil
}

// CombineVectors is the weighted mean of vectors (probabilities of classes, embeddings) of one length, in a new slice. It is an error if their lengths differ.
func CombineVectors[F ~float32 | ~float64](parts []Part[[]F]) ([]F, error) {
	if len(parts) == 0 {
		return nil, nil
	}
	mean := make([]F, len(parts[0].Answer))
	for i := range parts {
		p := &parts[i]
		if len(p.Answer) != len(mean) {
			return nil, fmt.Errorf("route: expert %q answered with %d numbers, %q with %d", p.Expert, len(p.Answer), parts[0].Expert, len(mean))
		}
		for j, v := range p.Answer {
			mean[j] += F(p.Weight * float64(v))
		}
	}
	return mean, nil
}
