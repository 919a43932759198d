package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

// Two calls at a time, and nobody waits: the third is told so at once.
func Example() {
	started, end := make(chan struct{}), make(chan struct{})
	predict := func(_ context.Context, text string) (int, error) {
		started <- struct{}{}
		<-end
		return len(text), nil
	}
	guard, err := bulkhead.New(predict, bulkhead.Config{Capacity: 2})
	if err != nil {
		fmt.Println(err)
		return
	}

	answers := make(chan int)
	for _, text := range []string{"to be", "or not"} {
		go func() {
			answer, _ := guard.Do(context.Background(), text)
			answers <- answer
		}()
		<-started
	}
	_, err = guard.Do(context.Background(), "to be")
	fmt.Println(errors.Is(err, bulkhead.ErrFull), err)
	close(end)
	fmt.Println(<-answers + <-answers)
	// Output:
	// true bulkhead: full
	// 11
}

// The capacity is a number of tokens, not of calls.
func ExampleWithCost() {
	type prompt struct{ tokens int }
	var guard *bulkhead.Bulkhead[prompt, int64]
	generate := func(context.Context, prompt) (int64, error) { return guard.Stats().InUse, nil }
	guard, err := bulkhead.New(generate, bulkhead.Config{Capacity: 8000},
		bulkhead.WithCost(func(p prompt) int { return p.tokens }))
	if err != nil {
		fmt.Println(err)
		return
	}

	fmt.Println(guard.Do(context.Background(), prompt{3000}))
	_, err = guard.Do(context.Background(), prompt{9000})
	fmt.Println(errors.Is(err, bulkhead.ErrTooLarge), err)
	// Output:
	// 3000 <nil>
	// true bulkhead: cost above the capacity: 9000 is more than 8000
}

// A stream holds its permit until it ends. It was admitted with an estimate of its tokens, and corrects that as it learns more.
func ExamplePermit_Settle() {
	open := func(context.Context, string) (<-chan string, error) {
		words := make(chan string, 3)
		words <- "to"
		words <- "be"
		close(words)
		return words, nil
	}
	guard, err := bulkhead.New(open, bulkhead.Config{Capacity: 100})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	permit, err := guard.Acquire(ctx, 60) // the prompt, and as much as the answer may have
	if err != nil {
		fmt.Println(err)
		return
	}
	defer permit.Release()
	words, err := open(ctx, "finish the sentence")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("held:", guard.Stats().InUse)
	_ = permit.Settle(20) // the server says that the answer will be short
	fmt.Println("held:", guard.Stats().InUse)
	for word := range words {
		fmt.Println(word)
	}
	permit.Release()
	fmt.Println("held:", guard.Stats().InUse)
	// Output:
	// held: 60
	// held: 20
	// to
	// be
	// held: 0
}

// A full queue makes room for a call of higher priority.
func ExampleWithPriority() {
	predict := func(_ context.Context, n int) (int, error) { return n, nil }
	guard, err := bulkhead.New(predict, bulkhead.Config{Capacity: 1, MaxQueue: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, err := guard.TryAcquire(1) // all is in use
	if err != nil {
		fmt.Println(err)
		return
	}

	report := make(chan error)
	go func() {
		_, err := guard.Do(bulkhead.WithPriority(context.Background(), -1), 1)
		report <- err
	}()
	for guard.Stats().Queued == 0 {
		runtime.Gosched()
	}
	checkout := make(chan error)
	go func() {
		_, err := guard.Do(bulkhead.WithPriority(context.Background(), 1), 2)
		checkout <- err
	}()
	fmt.Println("report:", <-report)
	permit.Release()
	fmt.Println("checkout:", <-checkout)
	// Output:
	// report: bulkhead: evicted by a higher priority
	// checkout: <nil>
}

// The capacity follows what the back-end can do.
func ExampleBulkhead_Resize() {
	predict := func(_ context.Context, n int) (int, error) { return n, nil }
	guard, err := bulkhead.New(predict, bulkhead.Config{Capacity: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, _ := guard.TryAcquire(3)
	fmt.Println(guard.Resize(2)) // a replica has gone
	_, err = guard.TryAcquire(1)
	fmt.Println(err) // what runs goes on, and nothing is admitted meanwhile
	permit.Release()
	_, err = guard.TryAcquire(2)
	fmt.Println(err)
	// Output:
	// <nil>
	// bulkhead: full
	// <nil>
}
