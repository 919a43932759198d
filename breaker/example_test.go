package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/breaker"
)

// A back-end goes down. After a few calls it is left alone.
func Example() {
	calls := 0
	predict := func(_ context.Context, text string) (int, error) {
		calls++
		return 0, errors.New("model: connection refused")
	}
	guard, err := breaker.New(predict, breaker.Config{FailureRate: 0.5, MinCalls: 5, OpenFor: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 100 {
		_, err = guard.Do(context.Background(), "hello")
	}
	fmt.Println("calls:", calls)
	fmt.Println("rejected:", guard.Stats().Rejected)

	var open *breaker.OpenError
	if errors.As(err, &open) {
		fmt.Println(open.State, open.RetryAfter() > 50*time.Second)
	}
	// Output:
	// calls: 5
	// rejected: 95
	// open true
}

// Each replica has a breaker of its own, but at most half of them may be cut off.
func ExampleNewKeyed() {
	type request struct{ replica, text string }
	predict := func(_ context.Context, r request) (int, error) {
		if r.replica == "gpu-1" {
			return 0, errors.New("out of memory")
		}
		return len(r.text), nil
	}
	guard, err := breaker.NewKeyed(func(r request) string { return r.replica }, predict,
		breaker.Config{MinCalls: 5, MaxOpenShare: 0.5})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 5 {
		_, _ = guard.Do(context.Background(), request{"gpu-1", "hello"})
	}
	_, err = guard.Do(context.Background(), request{"gpu-1", "hello"})
	fmt.Println(errors.Is(err, breaker.ErrOpen))
	n, err := guard.Do(context.Background(), request{"gpu-2", "hello"})
	fmt.Println(n, err)
	fmt.Println(guard.State("gpu-1"), guard.State("gpu-2"))
	// Output:
	// true
	// 5 <nil>
	// open closed
}

// statusError is what an HTTP client might make of a response.
type statusError struct {
	code int
	wait time.Duration
}

func (e statusError) Error() string             { return fmt.Sprint("status ", e.code) }
func (e statusError) RetryAfter() time.Duration { return e.wait } // the header of that name

// What the caller did wrong is no failure, and a 429 is obeyed at once.
func ExampleWithClassify() {
	generate := func(_ context.Context, status statusError) (string, error) { return "", status }
	guard, err := breaker.New(generate, breaker.Config{},
		breaker.WithClassify(func(_ statusError, _ string, err error) breaker.Outcome {
			var status statusError
			switch {
			case !errors.As(err, &status):
				return breaker.Default
			case status.code == 429:
				return breaker.Throttled
			case status.code < 500:
				return breaker.Success
			}
			return breaker.Failure
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 1000 {
		_, _ = guard.Do(context.Background(), statusError{code: 400})
	}
	fmt.Println(guard.State())
	_, err = guard.Do(context.Background(), statusError{code: 429, wait: 30 * time.Second})
	fmt.Println(err, "->", guard.State())
	// Output:
	// closed
	// status 429 -> open
}

// A stream holds its permit until it ends. How slow it is, its first token says.
func ExampleBreaker_Allow() {
	open := func(_ context.Context, prompt string) (io.Reader, error) { return strings.NewReader(prompt), nil }
	guard, err := breaker.New(open, breaker.Config{SlowAfter: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := func(ctx context.Context, prompt string) error {
		permit, err := guard.Allow(ctx)
		if err != nil {
			return err
		}
		defer permit.Settle(breaker.Failure, nil) // if what follows panics; otherwise Done came before
		stream, err := open(ctx, prompt)
		for token := make([]byte, 1); err == nil; {
			if _, err = stream.Read(token); err == nil {
				permit.FirstToken()
				fmt.Printf("%s.", token)
			}
		}
		if err == io.EOF { //nolint:errorlint // as io.Reader has it
			err = nil
		}
		permit.Done(err)
		return err
	}
	fmt.Println(answer(context.Background(), "tea"))
	fmt.Println(guard.Stats().Calls, guard.Stats().Failed)
	// Output:
	// t.e.a.<nil>
	// 1 0
}
