package cache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/cache"
)

// The model is asked once for each prompt.
func Example() {
	generate := func(_ context.Context, prompt string) (string, error) {
		fmt.Println("the model gets", prompt)
		return strings.ToUpper(prompt), nil
	}
	answers, err := cache.New(generate, cache.Config{Size: 100_000, TTL: time.Hour, Jitter: 0.1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answers.Close()

	for _, prompt := range []string{"hello", "bye", "hello"} {
		answer, err := answers.Do(context.Background(), prompt)
		fmt.Println(answer, err)
	}
	s := answers.Stats()
	fmt.Println("hits:", s.Hits, "misses:", s.Misses)
	// Output:
	// the model gets hello
	// HELLO <nil>
	// the model gets bye
	// BYE <nil>
	// HELLO <nil>
	// hits: 1 misses: 2
}

// A tensor is no key, but its hash is. The check makes sure that a hash is not taken for another tensor's.
func ExampleNewKeyed() {
	classify := func(_ context.Context, image []float32) (string, error) {
		fmt.Println("the model gets", image)
		return "a seven", nil
	}
	equal := func(a, b []float32) bool { return fmt.Sprint(a) == fmt.Sprint(b) }
	answers, err := cache.NewKeyed(cache.HashFloats[float32], classify, cache.Config{}, cache.WithEqual(equal))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answers.Close()

	for range 2 {
		answer, err := answers.Do(context.Background(), []float32{0, 0.5, 1})
		fmt.Println(answer, err)
	}
	// Output:
	// the model gets [0 0.5 1]
	// a seven <nil>
	// a seven <nil>
}

// What is missing is loaded in one call.
func ExampleNewBulk() {
	embed := func(_ context.Context, texts []string) ([]int, error) {
		fmt.Println("the model gets", texts)
		lengths := make([]int, len(texts))
		for i, text := range texts {
			lengths[i] = len(text)
		}
		return lengths, nil
	}
	embeddings, err := cache.NewBulk(embed, cache.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer embeddings.Close()

	for _, texts := range [][]string{{"to", "be"}, {"or", "not", "to", "be"}} {
		values, err := embeddings.GetAll(context.Background(), texts)
		fmt.Println(values, err)
	}
	// Output:
	// the model gets [to be]
	// [2 2] <nil>
	// the model gets [or not]
	// [2 3 2 2] <nil>
}

// Two versions of a model side by side. When the old one goes, so do its answers, and only they.
func ExampleWithNamespace() {
	type request struct {
		model cache.Namespace
		text  string
	}
	answer := func(_ context.Context, r request) (string, error) {
		fmt.Println(r.model, "gets", r.text)
		return strings.ToUpper(r.text), nil
	}
	answers, err := cache.New(answer, cache.Config{},
		cache.WithNamespace(func(r request) cache.Namespace { return r.model }))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answers.Close()

	stable, canary := cache.Namespace{Model: "tiny", Version: "1"}, cache.Namespace{Model: "tiny", Version: "2"}
	ask := func(model cache.Namespace) { _, _ = answers.Do(context.Background(), request{model, "hello"}) }
	ask(stable)
	ask(canary)
	ask(stable) // a hit
	if err := answers.Invalidate(stable); err != nil {
		fmt.Println(err)
	}
	ask(stable)
	ask(canary) // a hit
	// Output:
	// tiny@1 gets hello
	// tiny@2 gets hello
	// tiny@1 gets hello
}

// That something does not exist is an answer, and is remembered.
func ExampleWithNegative() {
	errUnknown := errors.New("no such user")
	calls := 0
	features := func(_ context.Context, user string) ([]float64, error) {
		calls++
		return nil, errUnknown
	}
	c, err := cache.New(features, cache.Config{NegativeTTL: time.Minute},
		cache.WithNegative(func(err error) bool { return errors.Is(err, errUnknown) }))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	for range 3 {
		_, err = c.Do(context.Background(), "mallory")
	}
	fmt.Println(err)
	fmt.Println("calls:", calls)
	// Output:
	// no such user
	// calls: 1
}
