package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

// All of it together: the new version is deployed beside the old one, shadowed, ramped up, and made the champion when it agrees and does not fail.
func Example() {
	ctx := context.Background()
	registry, err := rollout.NewRegistry[request, int](rollout.RegistryConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	deploy := func(alias string, id rollout.ID, do rollout.Func[request, int]) {
		load := func(context.Context) (rollout.Model[request, int], error) {
			return rollout.Model[request, int]{Do: do}, nil
		}
		if err := registry.Register(id, rollout.Source[request, int]{Load: load}, "ann"); err != nil {
			fmt.Println(err)
		}
		if _, err := registry.Deploy(ctx, alias, id, "ann"); err != nil {
			fmt.Println(err)
		}
	}
	v1, v2 := rollout.ID{Model: "ranker", Version: "1"}, rollout.ID{Model: "ranker", Version: "2"}
	deploy("champion", v1, func(_ context.Context, r request) (int, error) { return r.N * 2, nil })
	deploy("challenger", v2, func(_ context.Context, r request) (int, error) { return r.N + r.N, nil })
	champion, challenger := registry.Alias("champion"), registry.Alias("challenger")

	var canary *rollout.Canary[request, int]
	shadow, err := rollout.NewShadow(champion.Do, challenger.Do, rollout.ShadowConfig{Sample: 0.1, MaxQueue: 1000},
		rollout.WithCompare(func(_ request, a, b int) bool { return a == b }),
		rollout.WithResult(func(_ context.Context, r rollout.ShadowResult[request, int]) {
			canary.Agreed(r.Compared && r.Agree)
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	canary, err = rollout.NewCanary(shadow.Do, challenger.Do, rollout.CanaryConfig{
		Bucket: rollout.BucketConfig{Salt: v2.String()},
		Steps:  []rollout.Step{{Share: 0.1}},
		Gates:  []rollout.Gate{{Metric: rollout.Errors, Margin: 0.02}, {Metric: rollout.Disagreement, Max: 0.05}},
		Promote: func(context.Context) error {
			return registry.CompareAndSetAlias("champion", v1, v2, "all gates have passed")
		},
	}, rollout.WithKey(func(_ context.Context, r request) string { return r.User }))
	if err != nil {
		fmt.Println(err)
		return
	}
	for n := range 10_000 {
		if _, err := canary.Do(ctx, request{User: strconv.Itoa(n), N: n}); err != nil {
			fmt.Println(err)
		}
	}
	if err := shadow.Shutdown(ctx); err != nil { // only so that all that was sampled has been compared
		fmt.Println(err)
	}
	st, err := canary.Step(ctx)
	fmt.Println(st.Phase, err)
	fmt.Println("champion:", champion.ID())
	if err := registry.Sweep(ctx, "ann: the old one is not needed any more"); err != nil {
		fmt.Println(err)
	}
	for _, v := range registry.Stats().Versions {
		fmt.Println(v.ID, v.State)
	}
	// Output:
	// promoted <nil>
	// champion: ranker@2
	// ranker@1 unloaded
	// ranker@2 ready
}

// A registry: a version is loaded, warmed and swapped in under traffic; one that does not load changes nothing.
func ExampleRegistry() {
	ctx := context.Background()
	version := func(greeting string) rollout.Source[string, string] {
		return rollout.Source[string, string]{
			Load: func(context.Context) (rollout.Model[string, string], error) {
				if greeting == "" {
					return rollout.Model[string, string]{}, errors.New("no such file")
				}
				return rollout.Model[string, string]{
					Do:    func(_ context.Context, name string) (string, error) { return greeting + ", " + name, nil },
					Close: func() error { fmt.Println("close", greeting); return nil },
				}, nil
			},
			Warm: func(ctx context.Context, do rollout.Func[string, string]) error {
				_, err := do(ctx, "nobody")
				return err
			},
		}
	}
	registry, err := rollout.NewRegistry[string, string](rollout.RegistryConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	champion := registry.Alias("champion")
	for i, greeting := range []string{"Hello", "Good morning", ""} {
		id := rollout.ID{Model: "greeter", Version: strconv.Itoa(i + 1)}
		if err := registry.Register(id, version(greeting), "ann: new"); err != nil {
			fmt.Println(err)
		}
		if _, err := registry.Deploy(ctx, "champion", id, "ann: go"); err != nil {
			fmt.Println(err)
		}
		fmt.Println(champion.Do(ctx, "Bob"))
	}
	if err := registry.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	for _, e := range registry.Audit() {
		if e.Kind == rollout.EventAlias {
			fmt.Println(e)
		}
	}
	// Output:
	// Hello, Bob <nil>
	// close Hello
	// Good morning, Bob <nil>
	// rollout: load greeter@3: no such file
	// Good morning, Bob <nil>
	// close Good morning
	// 4 alias champion: none -> greeter@1 (ann: go)
	// 8 alias champion: greeter@1 -> greeter@2 (ann: go)
}

// A lease: the requests of a conversation all see the same version, whatever is deployed meanwhile.
func ExampleLease() {
	ctx := context.Background()
	registry, err := rollout.NewRegistry[int, string](rollout.RegistryConfig{KeepWarm: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	deploy := func(name string) {
		id := rollout.ID{Model: "chat", Version: name}
		load := func(context.Context) (rollout.Model[int, string], error) {
			return rollout.Model[int, string]{Do: func(_ context.Context, turn int) (string, error) { return fmt.Sprintf("%s, turn %d", name, turn), nil }}, nil
		}
		if err := registry.Register(id, rollout.Source[int, string]{Load: load}, ""); err != nil {
			fmt.Println(err)
		}
		if _, err := registry.Deploy(ctx, "chat", id, ""); err != nil {
			fmt.Println(err)
		}
	}
	deploy("old")
	lease, err := registry.Acquire("chat")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lease.Release()
	fmt.Println(lease.Do(ctx, 1))
	deploy("new")
	fmt.Println(lease.Do(ctx, 2))
	fmt.Println(registry.Alias("chat").Do(ctx, 1))
	// Output:
	// old, turn 1 <nil>
	// old, turn 2 <nil>
	// new, turn 1 <nil>
}

type request struct {
	User string
	N    int
}

// A canary: a good challenger is promoted step by step, a bad one is rolled back by the requests that it fails.
func ExampleCanary() {
	ctx := context.Background()
	old := func(_ context.Context, r request) (string, error) { return "old", nil }
	good := func(_ context.Context, r request) (string, error) { return "new", nil }
	bad := func(_ context.Context, r request) (string, error) {
		if r.N%4 == 0 {
			return "", errors.New("out of memory")
		}
		return "new", nil
	}
	for _, challenger := range []rollout.Func[request, string]{good, bad} {
		canary, err := rollout.NewCanary(old, challenger, rollout.CanaryConfig{
			Bucket:  rollout.BucketConfig{Salt: "ranker v7"},
			Steps:   []rollout.Step{{Share: 0.1}, {Share: 0.5}},
			Gates:   []rollout.Gate{{Metric: rollout.Errors, Margin: 0.02}, {Metric: rollout.Slow, SlowAfter: time.Minute, Max: 0.05}},
			OnEvent: func(e rollout.CanaryEvent) { fmt.Println(e.Kind, e.Share, "because:", e.Why) },
		}, rollout.WithKey(func(_ context.Context, r request) string { return r.User }))
		if err != nil {
			fmt.Println(err)
			return
		}
		for n := range 20_000 {
			_, _ = canary.Do(ctx, request{User: strconv.Itoa(n), N: n})
			if n%100 == 0 {
				if _, err := canary.Step(ctx); err != nil { // or have it called by Run
					fmt.Println(err)
				}
			}
		}
		fmt.Println(canary.Stats().Phase)
	}
	// Output:
	// step 0.1 because: the ramp begins
	// step 0.5 because: all gates have passed
	// promoted 0.5 because: all gates have passed
	// promoted
	// step 0.1 because: the ramp begins
	// rolled back 0.1 because: gate errors: mean 0.3 of 100 samples is above the limit
	// rolled back
}

// A shadow: the caller sees the primary's answers only, the differences are found on the side.
func ExampleShadow() {
	ctx := context.Background()
	primary := func(_ context.Context, n int) (string, error) { return strconv.Itoa(n * n), nil }
	candidate := func(_ context.Context, n int) (string, error) {
		if n == 2 {
			panic("not yet written")
		}
		return strconv.Itoa(n + n), nil
	}
	shadow, err := rollout.NewShadow(primary, candidate, rollout.ShadowConfig{Concurrency: 1},
		rollout.WithCompare(func(_ int, primary, shadow string) bool { return primary == shadow }),
		rollout.WithResult(func(_ context.Context, r rollout.ShadowResult[int, string]) {
			if r.Compared && !r.Agree {
				fmt.Println("differ:", r.Request, r.Primary, r.Shadow)
			}
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for n := range 4 {
		if answer, err := shadow.Do(ctx, n); err != nil || answer != strconv.Itoa(n*n) {
			fmt.Println(answer, err)
		}
	}
	if err := shadow.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	st := shadow.Stats()
	fmt.Println("agree:", st.Agreed, "differ:", st.Differed, "panics:", st.Panics)
	// Output:
	// differ: 1 1 2
	// differ: 3 9 6
	// agree: 1 differ: 2 panics: 1
}

// Blue-green: all at once, and back at once.
func ExampleBlueGreen() {
	ctx := context.Background()
	registry, err := rollout.NewRegistry[int, string](rollout.RegistryConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	live, err := rollout.NewBlueGreen(registry, rollout.BlueGreenConfig{Alias: "live", KeepWarm: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, color := range []string{"blue", "green"} {
		id := rollout.ID{Model: "ranker", Version: color}
		load := func(context.Context) (rollout.Model[int, string], error) {
			fmt.Println("load", color)
			return rollout.Model[int, string]{Do: func(context.Context, int) (string, error) { return color, nil }}, nil
		}
		if err := registry.Register(id, rollout.Source[int, string]{Load: load}, ""); err != nil {
			fmt.Println(err)
		}
		if err := live.Switch(ctx, id, "ann: go"); err != nil {
			fmt.Println(err)
		}
		fmt.Println(live.Do(ctx, 1))
	}
	if err := live.Back("ann: complaints"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(live.Do(ctx, 1))
	// Output:
	// load blue
	// blue <nil>
	// load green
	// green <nil>
	// blue <nil>
}

// Two experiments of one namespace have no user in common, and a user keeps the arm while the share grows.
func ExampleBucket() {
	ranking, err := rollout.NewBucket(rollout.BucketConfig{Salt: "ranking v7", Namespace: "search", To: 0.5})
	if err != nil {
		fmt.Println(err)
		return
	}
	layout, err := rollout.NewBucket(rollout.BucketConfig{Salt: "wide layout", Namespace: "search", From: 0.5})
	if err != nil {
		fmt.Println(err)
		return
	}
	var both, in, left int
	for n := range 10_000 {
		user := "user-" + strconv.Itoa(n)
		if ranking.Eligible(user) && layout.Eligible(user) {
			both++
		}
		if ranking.In(user, 0.1) {
			in++
			if !ranking.In(user, 0.2) {
				left++
			}
		}
	}
	fmt.Println("in both:", both)
	fmt.Println("a tenth of a half:", in > 400 && in < 600)
	fmt.Println("left when the share grew:", left)
	// Output:
	// in both: 0
	// a tenth of a half: true
	// left when the share grew: 0
}

// A test that may be looked at after each sample.
func ExampleMeanTest() {
	test, err := rollout.NewMeanTest(rollout.MeanTestConfig{Limit: 0.02})
	if err != nil {
		fmt.Println(err)
		return
	}
	for n := 1; test.Verdict() == rollout.Inconclusive; n++ {
		failed := 0.0
		if n%10 == 0 {
			failed = 1
		}
		test.Add(failed)
	}
	fmt.Printf("%v after %d samples, mean %.3f\n", test.Verdict(), test.Samples(), test.Mean())
	// Output: fail after 90 samples, mean 0.100
}
