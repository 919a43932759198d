package limiter_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

type prompt struct{ tokens, maxTokens int }

type answer struct{ usage int }

// chat is a language model whose answers have ten tokens.
func chat(_ context.Context, p prompt) (answer, error) { return answer{usage: p.tokens + 10}, nil }

// The most that a prompt may cost is reserved; what it did not use is given back.
func Example() {
	model, err := limiter.New(chat, limiter.Config{
		Requests: limiter.PerMinute(60),
		Cost:     limiter.Limit{Events: 1000, Per: time.Hour}, // tokens
		NoWait:   true,
	},
		limiter.WithCost(func(p prompt) int { return p.tokens + p.maxTokens }),
		limiter.WithActual(func(_ prompt, a answer, _ error) int { return a.usage }))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for range 2 {
		_, err = model.Do(ctx, prompt{tokens: 40, maxTokens: 900})
		fmt.Println(err, int(model.Level().Cost), "left")
	}
	_, err = model.Do(ctx, prompt{tokens: 60, maxTokens: 900})
	var limited *limiter.LimitedError
	if errors.As(err, &limited) {
		fmt.Println("limited by", limited.Cause, "for", limited.RetryAfter().Round(time.Minute))
	}
	_, err = model.Do(ctx, prompt{tokens: 5000})
	fmt.Println(errors.Is(err, limiter.ErrTooLarge))
	// Output:
	// <nil> 950 left
	// <nil> 900 left
	// limited by cost for 4m0s
	// true
}

// A stream holds its permit until its cost is known.
func ExampleLimiter_Acquire() {
	model, err := limiter.New(chat, limiter.Config{Cost: limiter.Limit{Burst: 100}}, // 100 tokens in all
		limiter.WithCost(func(p prompt) int { return p.tokens }))
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, err := model.Acquire(context.Background(), 80)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(model.Level().Cost)
	permit.Settle(30)
	fmt.Println(model.Level().Cost)
	// Output:
	// 20
	// 70
}

// Tenants have limits of their own, and share the account's.
func ExampleNewKeyed() {
	type request struct{ tenant string }
	next := func(context.Context, request) (string, error) { return "ok", nil }
	keyed, err := limiter.NewKeyed(func(r request) string { return r.tenant }, next, limiter.KeyedConfig{
		Each:  limiter.Config{Requests: limiter.Limit{Events: 2, Per: time.Hour}, NoWait: true},
		Total: limiter.Config{Requests: limiter.Limit{Events: 3, Per: time.Hour}, NoWait: true},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, tenant := range []string{"ant", "ant", "ant", "bee", "bee"} {
		_, err := keyed.Do(context.Background(), request{tenant})
		var limited *limiter.LimitedError
		if errors.As(err, &limited) {
			fmt.Println(tenant, "is limited; by the total:", limited.Total)
			continue
		}
		fmt.Println(tenant, "goes")
	}
	// Output:
	// ant goes
	// ant goes
	// ant is limited; by the total: false
	// bee goes
	// bee is limited; by the total: true
}

type tooManyRequestsError struct{ retryAfter time.Duration }

func (tooManyRequestsError) Error() string { return "429 Too Many Requests" }

// A back-end asks for a pause; what it rejected does not count.
func ExampleWithPause() {
	calls := 0
	next := func(context.Context, string) (string, error) {
		calls++
		return "", tooManyRequestsError{retryAfter: time.Minute}
	}
	guard, err := limiter.New(next, limiter.Config{Requests: limiter.PerMinute(100), MaxWait: time.Second},
		limiter.WithActual(func(_, _ string, err error) int {
			if errors.As(err, new(tooManyRequestsError)) {
				return limiter.NeverRan
			}
			return 1
		}),
		limiter.WithPause(func(_, _ string, err error) time.Duration {
			var e tooManyRequestsError
			errors.As(err, &e)
			return e.retryAfter
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		_, err := guard.Do(context.Background(), "hello")
		var limited *limiter.LimitedError
		fmt.Println(errors.As(err, new(tooManyRequestsError)), errors.As(err, &limited) && limited.Cause == limiter.CausePause)
	}
	fmt.Println(calls, "call,", guard.Level().Requests, "left")
	// Output:
	// true false
	// false true
	// false true
	// 1 call, 100 left
}

// A minute's limit inside a day's: what the inner one rejects does not count in the outer one.
func ExampleNeverRan() {
	minute, err := limiter.New(chat, limiter.Config{Requests: limiter.PerMinute(1), NoWait: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	day, err := limiter.New(minute.Do, limiter.Config{Requests: limiter.Limit{Events: 100, Per: 24 * time.Hour}},
		limiter.WithActual(func(_ prompt, _ answer, err error) int {
			if errors.Is(err, limiter.ErrLimited) {
				return limiter.NeverRan
			}
			return 1
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		_, err := day.Do(context.Background(), prompt{})
		fmt.Println(errors.Is(err, limiter.ErrLimited), int(day.Level().Requests))
	}
	// Output:
	// false 99
	// true 99
	// true 99
}
