package ensemble_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scalable-ai/patterns/ensemble"
)

// Three models estimate a price; one of them is down. The answer is that of the others, by their weights.
func Example() {
	model := func(factor float64) ensemble.Func[float64, float64] {
		return func(_ context.Context, size float64) (float64, error) { return factor * size, nil }
	}
	down := func(context.Context, float64) (float64, error) { return 0, errors.New("connection refused") }

	prices, err := ensemble.New([]ensemble.Member[float64, float64]{
		{Name: "linear", Do: model(10), Weight: 1},
		{Name: "forest", Do: model(14), Weight: 3},
		{Name: "network", Do: down, Weight: 4},
	}, ensemble.WeightedMean[float64](), ensemble.Config{Policy: ensemble.Partial, Deadline: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := prices.Ask(context.Background(), 100)
	fmt.Println(answer.Value, err)
	for _, m := range answer.Missing() {
		fmt.Println(m.Name, m.Status, m.Err)
	}
	// Output:
	// 1300 <nil>
	// network failed connection refused
}

// Without a quorum there is no answer; the error names the members.
func ExampleQuorumError() {
	ok := func(context.Context, string) (string, error) { return "spam", nil }
	down := func(context.Context, string) (string, error) { return "", errors.New("connection refused") }
	filter, err := ensemble.New([]ensemble.Member[string, string]{
		{Name: "bayes", Do: ok}, {Name: "rules", Do: down}, {Name: "llm", Do: down},
	}, ensemble.MajorityVote[string](), ensemble.Config{Policy: ensemble.Partial, Concurrency: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = filter.Do(context.Background(), "You have won")
	fmt.Println(err)
	var quorum *ensemble.QuorumError
	fmt.Println(errors.As(err, &quorum), len(quorum.Members))
	// Output:
	// ensemble: 1 of 3 members answered, 2 needed; member "rules": connection refused; member "llm": connection refused
	// true 2
}

// How sure a vote is.
func ExampleMajorityVote() {
	says := func(label string) ensemble.Func[string, string] {
		return func(context.Context, string) (string, error) { return label, nil }
	}
	vote, err := ensemble.New([]ensemble.Member[string, string]{
		{Name: "a", Do: says("cat")}, {Name: "b", Do: says("dog")}, {Name: "c", Do: says("cat")}, {Name: "d", Do: says("cat")},
	}, ensemble.MajorityVote[string](), ensemble.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := vote.Ask(context.Background(), "photo.jpg")
	fmt.Printf("%s %.2f %.3f nats %v\n", answer.Value, answer.Agreement.Share, answer.Agreement.Entropy, err)
	// Output: cat 0.75 0.562 nats <nil>
}

// Hybrid search: the results of a keyword index and of a vector index in one ranking.
func ExampleReciprocalRank() {
	finds := func(ids ...string) ensemble.Func[string, []string] {
		return func(context.Context, string) ([]string, error) { return ids, nil }
	}
	search, err := ensemble.New([]ensemble.Member[string, []string]{
		{Name: "keywords", Do: finds("a", "b", "c")},
		{Name: "vectors", Do: finds("b", "d", "a")},
	}, ensemble.ReciprocalRank[string](0), ensemble.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	results, err := search.Do(context.Background(), "query")
	for _, r := range results {
		fmt.Printf("%s %.4f\n", r.ID, r.Score)
	}
	fmt.Println(err)
	// Output:
	// b 0.0325
	// a 0.0323
	// d 0.0161
	// c 0.0159
	// <nil>
}

// A meta-model learns that the first member is noisy, and that the second is always 1 too high.
func ExampleFitLinear() {
	truth := []float64{3, 1, 4, 1, 5, 9, 2, 6}
	var samples [][]float64
	for i, y := range truth {
		noise := float64(i%3 - 1)
		samples = append(samples, []float64{y + noise, y + 1})
	}
	model, err := ensemble.FitLinear(samples, truth, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	says := func(x float64) ensemble.Func[int, float64] {
		return func(context.Context, int) (float64, error) { return x, nil }
	}
	e, err := ensemble.New([]ensemble.Member[int, float64]{{Name: "noisy", Do: says(9)}, {Name: "high", Do: says(8)}},
		ensemble.StackLinear[float64](model), ensemble.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	y, err := e.Do(context.Background(), 0)
	fmt.Printf("%.3f %v\n", y, err)
	// Output: 7.000 <nil>
}
