package batching_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/scalable-ai/patterns/batching"
)

// Callers ask one by one; the model sees a batch.
func Example() {
	predict := func(_ context.Context, texts []string) ([]int, error) {
		fmt.Println("the model gets", len(texts), "texts")
		lengths := make([]int, len(texts))
		for i, text := range texts {
			lengths[i] = len(text)
		}
		return lengths, nil
	}
	batcher, err := batching.New(predict, batching.Config{MaxSize: 3, MaxWait: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer batcher.Close()

	var callers sync.WaitGroup
	answers := make([]int, 3)
	for i, text := range []string{"to", "batch", "or not"} {
		callers.Go(func() { answers[i], _ = batcher.Do(context.Background(), text) })
	}
	callers.Wait()
	fmt.Println(answers)
	// Output:
	// the model gets 3 texts
	// [2 5 6]
}

// Only texts for the same adapter share a batch.
func ExampleNewKeyed() {
	type prompt struct{ adapter, text string }
	generate := func(_ context.Context, adapter string, prompts []prompt) ([]string, error) {
		answers := make([]string, len(prompts))
		for i, p := range prompts {
			answers[i] = adapter + ":" + strings.ToUpper(p.text)
		}
		return answers, nil
	}
	batcher, err := batching.NewKeyed(func(p prompt) string { return p.adapter }, generate, batching.Config{MaxSize: 16})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer batcher.Close()

	answers, err := batcher.DoAll(context.Background(), []prompt{{"law", "lease"}, {"med", "flu"}, {"law", "will"}})
	fmt.Println(answers, err)
	fmt.Println("batches:", batcher.Stats().Batches)
	// Output:
	// [law:LEASE med:FLU law:WILL] <nil>
	// batches: 2
}

// A batch is bounded by tokens, not by the number of prompts.
func ExampleWithWeight() {
	type prompt struct{ tokens int }
	run := func(_ context.Context, prompts []prompt) ([]int, error) {
		return make([]int, len(prompts)), nil
	}
	batcher, err := batching.New(run, batching.Config{MaxWeight: 1000},
		batching.WithWeight(func(p prompt) int { return p.tokens }))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer batcher.Close()

	_, err = batcher.DoAll(context.Background(), []prompt{{400}, {500}, {300}, {700}})
	fmt.Println(batcher.Stats().Batches, "batches", err)
	_, err = batcher.Do(context.Background(), prompt{2000})
	fmt.Println(errors.Is(err, batching.ErrTooLarge), err)
	// Output:
	// 2 batches <nil>
	// true batching: request too large: weight 2000 is more than Config.MaxWeight 1000
}

// One item's failure is that item's alone.
func ExampleItemErrors() {
	run := func(_ context.Context, numbers []int) ([]int, error) {
		roots := make([]int, len(numbers))
		errs := make(batching.ItemErrors, len(numbers))
		for i, n := range numbers {
			if n < 0 {
				errs[i] = fmt.Errorf("no root of %d", n)
				continue
			}
			for (roots[i]+1)*(roots[i]+1) <= n {
				roots[i]++
			}
		}
		return roots, errs // entries that are nil are no errors
	}
	batcher, err := batching.New(run, batching.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer batcher.Close()

	roots, err := batcher.DoAll(context.Background(), []int{9, -4, 25})
	var failed batching.ItemErrors
	if errors.As(err, &failed) {
		fmt.Println(failed[1])
	}
	fmt.Println(roots[0], roots[2])
	// Output:
	// no root of -4
	// 3 5
}
