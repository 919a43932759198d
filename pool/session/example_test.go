package session_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/scalable-ai/patterns/pool/session"
)

// translator is a costly session: it has loaded a model.
type translator struct{ number int }

func translate(_ context.Context, t *translator, text string) (string, error) {
	if text == "" {
		return "", errors.New("nothing to translate")
	}
	return fmt.Sprintf("%s, says %d", text, t.number), nil
}

// loader numbers the sessions that it opens.
func loader() func(context.Context) (*translator, error) {
	opened := 0
	return func(context.Context) (*translator, error) {
		opened++
		return &translator{opened}, nil
	}
}

func free(*translator) {}

func Example() {
	pool, err := session.New(loader(), free, translate, session.Config{Max: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	for _, text := range []string{"hello", "world", ""} {
		fmt.Println(pool.Do(context.Background(), text))
	}
	// Output:
	// hello, says 1 <nil>
	// world, says 1 <nil>
	//  nothing to translate
}

// An error can be the session's fault: the session is closed, and the next request gets another.
func ExampleBad() {
	outOfMemory := errors.New("out of memory")
	pool, err := session.New(loader(), free, func(ctx context.Context, t *translator, text string) (string, error) {
		if len(text) > 20 {
			return "", session.Bad(outOfMemory)
		}
		return translate(ctx, t, text)
	}, session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	for _, text := range []string{"hello", "a very very long text", "world"} {
		fmt.Println(pool.Do(context.Background(), text))
	}
	// Output:
	// hello, says 1 <nil>
	//  out of memory
	// world, says 2 <nil>
}

// Requests of one conversation go to the session that has it in its memory.
func ExampleWithKey() {
	type turn struct{ conversation, text string }
	history := func(_ context.Context, memory map[string]int, t turn) (int, error) {
		memory[t.conversation]++
		return memory[t.conversation], nil
	}
	open := func(context.Context) (map[string]int, error) { return map[string]int{}, nil }
	pool, err := session.New(open, func(map[string]int) {}, history, session.Config{Min: 2},
		session.WithKey(func(t turn) string { return t.conversation }))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	if err := pool.Ready(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range []turn{{"ann", "hi"}, {"bob", "hello"}, {"ann", "what is Go?"}, {"bob", "bye"}, {"ann", "thanks"}} {
		turns, err := pool.Do(context.Background(), t)
		fmt.Println(t.conversation, turns, err)
	}
	fmt.Println("hits:", pool.Stats().AffinityHits)
	// Output:
	// ann 1 <nil>
	// bob 1 <nil>
	// ann 2 <nil>
	// bob 2 <nil>
	// ann 3 <nil>
	// hits: 3
}

// A stream holds its session until it ends.
func ExamplePool_Acquire() {
	pool, err := session.New(loader(), free, translate, session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()

	lease, err := pool.Acquire(context.Background(), "a stream")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lease.Release(nil) // does nothing if it has been released with an error
	for _, word := range []string{"one", "two"} {
		answer, err := translate(lease.Context(), lease.Session(), word)
		if err != nil {
			lease.Release(err)
			return
		}
		fmt.Println(answer)
	}
	// Output:
	// one, says 1
	// two, says 1
}

// Several small requests, or a single large one, at a time in one session.
func ExampleWithCost() {
	type prompt struct{ tokens int }
	open := func(context.Context) (struct{}, error) { return struct{}{}, nil }
	generate := func(_ context.Context, _ struct{}, p prompt) (int, error) { return p.tokens, nil }
	pool, err := session.New(open, func(struct{}) {}, generate, session.Config{PerSession: 1000},
		session.WithCost(func(p prompt) int { return p.tokens }))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	fmt.Println(pool.Do(context.Background(), prompt{1000}))
	fmt.Println(pool.Do(context.Background(), prompt{2000}))
	// Output:
	// 1000 <nil>
	// 0 session: request too large: cost 2000 is more than Config.PerSession 1000
}
