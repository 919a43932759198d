package batching_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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

// A service that must answer within 50 ms, or say at once that it cannot.
func ExampleDeadline() {
	double := func(_ context.Context, reqs []int) ([]int, error) {
		resps := make([]int, len(reqs))
		for i, req := range reqs {
			resps[i] = 2 * req
		}
		return resps, nil
	}
	batcher, err := batching.New(double, batching.Config{MaxSize: 64, Policy: batching.Deadline(50 * time.Millisecond)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer batcher.Close()

	answer, err := batcher.Do(context.Background(), 21)
	var late *batching.DeadlineError
	switch {
	case errors.As(err, &late):
		fmt.Println("overloaded, retry in", late.RetryAfter()) // HTTP 503 with a Retry-After
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println(answer)
	}
	fmt.Println("goodput:", batcher.Stats().Goodput())
	// Output:
	// 42
	// goodput: 1
}

// Paying customers are served first, and do not wait behind a full queue.
func ExampleWithPriority() {
	started, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	serve := func(_ context.Context, reqs []string) ([]string, error) {
		once.Do(func() { close(started); <-gate }) // the first request holds the model up until the others wait
		fmt.Println(reqs)
		return reqs, nil
	}
	batcher, err := batching.New(serve, batching.Config{MaxSize: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer batcher.Close()

	var callers sync.WaitGroup
	call := func(class int, req string) {
		callers.Go(func() { _, _ = batcher.Do(batching.WithPriority(context.Background(), class), req) })
	}
	call(0, "first")
	<-started
	for i, req := range []string{"free", "free", "paying", "paying"} {
		call(i/2, req)
		for batcher.Stats().Queued < i+1 {
			runtime.Gosched()
		}
	}
	close(gate)
	callers.Wait()
	// Output:
	// [first]
	// [paying paying]
	// [free free]
}
