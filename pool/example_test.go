package pool_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/pool"
)

// At most two requests run at the same time.
func Example() {
	length := func(_ context.Context, text string) (int, error) { return len(text), nil }
	p, err := pool.New(length, pool.Config{Size: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	ctx := context.Background()
	fmt.Println(p.Do(ctx, "wait for it"))

	first, second := p.Go(ctx, "fetch"), p.Go(ctx, "it later")
	a, _ := first.Wait(ctx)
	b, _ := second.Wait(ctx)
	fmt.Println(a, b)
	// Output:
	// 11 <nil>
	// 5 8
}

// A function that calls its own pool does not deadlock, even at size 1: the inner call runs in the place of the outer one.
func ExamplePool_Do_nested() {
	var p *pool.Pool[int, int]
	factorial := func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			return 1, nil
		}
		rest, err := p.Do(ctx, n-1) // with the context that came from the pool
		return n * rest, err
	}
	p, err := pool.New(factorial, pool.Config{Size: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	fmt.Println(p.Do(context.Background(), 10))
	// Output: 3628800 <nil>
}

// To wait no longer is one thing, to have the request ended another.
func ExampleFuture() {
	think := func(ctx context.Context, question string) (int, error) {
		<-ctx.Done() // for ever
		return 0, context.Cause(ctx)
	}
	p, err := pool.New(think, pool.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	answer := p.Go(context.Background(), "the question")
	impatient, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err = answer.Wait(impatient)
	fmt.Println(err)

	answer.Cancel()
	_, err = answer.Wait(context.Background())
	fmt.Println(err)
	// Output:
	// context deadline exceeded
	// context canceled
}

// Results come in the order of the input; leaving the loop stops the work.
func ExampleMap() {
	embed := func(_ context.Context, text string) ([]int, error) {
		if text == "" {
			return nil, fmt.Errorf("nothing to embed")
		}
		return []int{len(text), strings.Count(text, "e")}, nil
	}
	texts := slices.Values([]string{"the", "tree", "of", "", "knowledge"})
	for vector, err := range pool.Map(context.Background(), texts, embed, pool.MapConfig{Workers: 4}) {
		if err != nil {
			fmt.Println("stopped:", err)
			break
		}
		fmt.Println(vector)
	}
	// Output:
	// [3 1]
	// [4 2]
	// [2 0]
	// stopped: nothing to embed
}

// With ContinueOnError an error is one result among others.
func ExampleMapUnordered() {
	half := func(_ context.Context, n int) (int, error) {
		if n%2 != 0 {
			return 0, fmt.Errorf("%d is odd", n)
		}
		return n / 2, nil
	}
	sum, failed := 0, 0
	numbers := slices.Values([]int{2, 3, 4, 5, 6})
	for n, err := range pool.MapUnordered(context.Background(), numbers, half, pool.MapConfig{ContinueOnError: true}) {
		if err != nil {
			failed++
			continue
		}
		sum += n
	}
	fmt.Println(sum, failed)
	// Output: 6 2
}

// The items keep their order, so that combine need not be commutative.
func ExampleReduce() {
	words := slices.Values([]string{"to ", "be ", "or ", "not ", "to ", "be"})
	join := func(left, right string) string { return left + right }
	fmt.Println(pool.Reduce(context.Background(), words, join, pool.ReduceConfig{}))
	// Output: to be or not to be <nil>
}

// The mean of squares: each item becomes a partial result, and partial results combine.
func ExampleMapReduce() {
	type partial struct{ sum, n float64 }
	square := func(_ context.Context, x float64) (partial, error) { return partial{x * x, 1}, nil }
	add := func(left, right partial) partial { return partial{left.sum + right.sum, left.n + right.n} }
	all, err := pool.MapReduce(context.Background(), slices.Values([]float64{1, 2, 3, 4}), square, add, pool.ReduceConfig{})
	fmt.Println(all.sum/all.n, err)
	// Output: 7.5 <nil>
}

// Counting words.
func ExampleMapReduceKeyed() {
	lines := slices.Values([]string{"a rose is a rose", "is a rose"})
	words := func(_ context.Context, line string, emit func(string, int)) error {
		for _, word := range strings.Fields(line) {
			emit(word, 1)
		}
		return nil
	}
	add := func(_ string, left, right int) int { return left + right }
	counts, err := pool.MapReduceKeyed(context.Background(), lines, words, add, pool.ReduceConfig{})
	fmt.Println(counts, err)
	// Output: map[a:3 is:2 rose:3] <nil>
}
