package ensemble_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/scalable-ai/patterns/ensemble"
)

// A small model answers what it is sure of; the rest goes to a large one.
func ExampleNewCascade() {
	type label struct {
		name string
		p    float64
	}
	small := func(_ context.Context, text string) (label, error) {
		if len(text) < 10 {
			return label{"short", 0.97}, nil
		}
		return label{"short", 0.55}, nil
	}
	large := func(_ context.Context, _ string) (label, error) { return label{"long", 0.99}, nil }

	cascade, err := ensemble.NewCascade([]ensemble.Stage[string, label]{
		{Name: "small", Do: small, Threshold: 0.9},
		{Name: "large", Do: large},
	}, ensemble.CascadeConfig{}, ensemble.WithConfidence(func(l label) float64 { return l.p }))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"hello", "a longer sentence"} {
		r, err := cascade.DoResult(context.Background(), text)
		fmt.Println(r.Answer.name, "from", r.Name, "-", r.Reason, err)
	}
	for _, s := range cascade.Stats().Stages {
		fmt.Println(s.Name, "calls:", s.Calls, "answered:", s.Answered)
	}
	// Output:
	// short from small - confident <nil>
	// long from large - last stage <nil>
	// small calls: 2 answered: 1
	// large calls: 1 answered: 1
}

// The local model's answer stands when the remote one cannot be reached, and says so.
func ExampleWithAnnotation() {
	type answer struct {
		text  string
		p     float64
		rough bool
	}
	local := func(context.Context, string) (answer, error) { return answer{text: "perhaps", p: 0.5}, nil }
	remote := func(context.Context, string) (answer, error) { return answer{}, errors.New("connection refused") }

	cascade, err := ensemble.NewCascade([]ensemble.Stage[string, answer]{
		{Name: "local", Do: local, Threshold: 0.8},
		{Name: "remote", Do: remote},
	}, ensemble.CascadeConfig{},
		ensemble.WithConfidence(func(a answer) float64 { return a.p }),
		ensemble.WithAnnotation(func(a answer, e ensemble.CascadeEvent) answer {
			a.rough = e.Fallback()
			return a
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := cascade.Do(context.Background(), "will it rain?")
	fmt.Println(got.text, "rough:", got.rough, err)
	// Output:
	// perhaps rough: true <nil>
}

// What no stage is sure of goes to people.
func ExampleWithReview() {
	type label struct {
		name string
		p    float64
	}
	model := func(context.Context, string) (label, error) { return label{"spam", 0.6}, nil }
	var queue []string
	cascade, err := ensemble.NewCascade([]ensemble.Stage[string, label]{{Name: "model", Do: model, Threshold: 0.9}},
		ensemble.CascadeConfig{Abstain: true},
		ensemble.WithConfidence(func(l label) float64 { return l.p }),
		ensemble.WithReview(func(_ context.Context, text string, a *ensemble.AbstainError[label]) {
			queue = append(queue, fmt.Sprintf("%q: %s?", text, a.Answer.name))
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = cascade.Do(context.Background(), "buy now")
	fmt.Println(errors.Is(err, ensemble.ErrAbstain), queue)
	// Output:
	// true ["buy now": spam?]
}
