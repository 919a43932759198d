package route_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/scalable-ai/patterns/ensemble/route"
)

type prompt struct {
	Text  string
	User  string
	Image bool
}

// named stands for a model.
func named(name string) route.Func[prompt, string] {
	return func(_ context.Context, p prompt) (string, error) { return name + ": " + p.Text, nil }
}

// A primary and its fallback. After its first failure the primary is put aside.
func ExampleRouter() {
	primary := func(context.Context, prompt) (string, error) { return "", errors.New("connection refused") }
	r, err := route.New(route.Table[prompt, string]{Members: []route.Member[prompt, string]{
		{Name: "primary", Do: primary},
		{Name: "fallback", Do: named("fallback")},
	}}, route.Config{MaxFailures: 1, Cooldown: time.Minute, OnStateChange: func(e route.StateEvent) {
		fmt.Println(e.Member, e.From, "→", e.To, e.Wait, e.Err)
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Do(context.Background(), prompt{Text: "one"}))
	fmt.Println(r.Do(context.Background(), prompt{Text: "two"}))
	for _, m := range r.Stats().Members {
		fmt.Println(m.Name, m.State, m.Calls, m.Failed, m.Fallbacks)
	}
	// Output:
	// primary up → cooling 1m0s connection refused
	// fallback: one <nil>
	// fallback: two <nil>
	// primary cooling 1 1 0
	// fallback up 2 0 1
}

// Long prompts go to one model, and each user to one of two others.
func ExampleRule() {
	long := func(p prompt) bool { return len(p.Text) > 20 }
	r, err := route.New(route.Table[prompt, string]{
		Members: []route.Member[prompt, string]{
			{Name: "large", Do: named("large")},
			{Name: "v1", Do: named("v1")},
			{Name: "v2", Do: named("v2")},
		},
		Rules: []route.Rule[prompt]{
			{Name: "long", When: long, Use: []route.Share{{Member: "large"}}},
			{Name: "default", Use: []route.Share{{Member: "v1", Weight: 0.8}, {Member: "v2", Weight: 0.2}}, Pick: route.Sticky("experiment 7")},
		},
	}, route.Config{}, route.WithKey(func(p prompt) string { return p.User }))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	fmt.Println(r.Do(ctx, prompt{Text: "a prompt that is rather long"}))
	for _, user := range []string{"ann", "bob", "eve", "ann", "bob", "eve"} {
		fmt.Println(r.Do(ctx, prompt{Text: "for " + user, User: user}))
	}
	// Output:
	// large: a prompt that is rather long <nil>
	// v1: for ann <nil>
	// v1: for bob <nil>
	// v2: for eve <nil>
	// v1: for ann <nil>
	// v1: for bob <nil>
	// v2: for eve <nil>
}

// A new version takes over, while requests run.
func ExampleRouter_Update() {
	type member = route.Member[prompt, string]
	r, err := route.New(route.Table[prompt, string]{Members: []member{{Name: "v1", Do: named("v1")}}}, route.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Do(context.Background(), prompt{Text: "one"}))
	err = r.Update(func(t route.Table[prompt, string]) route.Table[prompt, string] {
		t.Members = append([]member{{Name: "v2", Do: named("v2")}}, t.Members...) // v1 is its fallback
		return t
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Do(context.Background(), prompt{Text: "two"}))
	// Output:
	// v1: one <nil>
	// v2: two <nil>
}

// Images go to what can see.
func ExampleWithNeeds() {
	vision := []string{"vision"}
	r, err := route.New(route.Table[prompt, string]{Members: []route.Member[prompt, string]{
		{Name: "text", Do: named("text")},
		{Name: "eyes", Do: named("eyes"), Capabilities: vision, Accepts: func(p prompt) bool { return len(p.Text) < 20 }},
	}}, route.Config{}, route.WithNeeds(func(p prompt) []string {
		if p.Image {
			return vision
		}
		return nil
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Do(context.Background(), prompt{Text: "what is 2+2?"}))
	fmt.Println(r.Do(context.Background(), prompt{Text: "what is this?", Image: true}))
	_, err = r.Do(context.Background(), prompt{Text: "what is this, in more words?", Image: true})
	fmt.Println(err)
	// Output:
	// text: what is 2+2? <nil>
	// eyes: what is this? <nil>
	// route: no member is capable of the request
}

// One model has a price for each letter, the other for each request.
func ExampleCheapest() {
	r, err := route.New(route.Table[prompt, string]{Members: []route.Member[prompt, string]{
		{Name: "flat", Do: named("flat"), Cost: 10},
		{Name: "metered", Do: named("metered"), CostOf: func(p prompt) float64 { return float64(len(p.Text)) }},
	}}, route.Config{Pick: route.Cheapest()})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Do(context.Background(), prompt{Text: "short"}))
	fmt.Println(r.Do(context.Background(), prompt{Text: "a longer prompt"}))
	// Output:
	// metered: short <nil>
	// flat: a longer prompt <nil>
}

// A stream whose first member breaks off before its first word.
func ExampleStreamer() {
	type stream = iter.Seq2[string, error]
	breaks := func(context.Context, string) (stream, error) {
		return func(yield func(string, error) bool) { yield("", errors.New("overloaded")) }, nil
	}
	words := func(context.Context, string) (stream, error) {
		return func(yield func(string, error) bool) {
			for _, word := range []string{"all", "is", "well"} {
				if !yield(word, nil) {
					return
				}
			}
		}, nil
	}
	s, err := route.NewStream(route.Table[string, stream]{Members: []route.Member[string, stream]{
		{Name: "first", Do: breaks},
		{Name: "second", Do: words},
	}}, route.Config{Timeout: 10 * time.Second}) // to the first word
	if err != nil {
		fmt.Println(err)
		return
	}
	for word, err := range s.Stream(context.Background(), "how is it?") {
		fmt.Println(word, err)
	}
	fmt.Println(s.Stats().Members[0].Failed)
	// Output:
	// all <nil>
	// is <nil>
	// well <nil>
	// 1
}

// Two of three experts, by the scores of a gate, and their weighted mean.
func ExampleMixture() {
	predicts := func(price float64) route.Func[string, float64] {
		return func(context.Context, string) (float64, error) { return price, nil }
	}
	gate := func(_ context.Context, house string) ([]float64, error) { // a model too, usually
		if house == "in town" {
			return []float64{2, 2, -1}, nil
		}
		return []float64{-1, 0, 5}, nil
	}
	m, err := route.NewMixture(gate, []route.Expert[string, float64]{
		{Name: "flats", Do: predicts(300)},
		{Name: "houses", Do: predicts(500)},
		{Name: "farms", Do: predicts(900)},
	}, route.CombineValues, route.MixtureConfig{TopK: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, house := range []string{"in town", "in the country"} {
		price, err := m.Do(context.Background(), house)
		fmt.Printf("%.1f %v\n", price, err)
	}
	// Output:
	// 400.0 <nil>
	// 897.3 <nil>
}
