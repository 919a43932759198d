package scatter_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/scalable-ai/patterns/sharding"
	"github.com/scalable-ai/patterns/sharding/scatter"
)

// Features of many users, from two shards; and what is left of them when one is down.
func Example() {
	nodes := []sharding.Node{{Name: "north"}, {Name: "south"}}
	placement, err := sharding.NewRendezvous(nodes, sharding.RendezvousConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	down := ""
	fetch := func(_ context.Context, node sharding.Node, users []string) ([]int, error) {
		if node.Name == down {
			return nil, errors.New("connection refused")
		}
		ages := make([]int, len(users))
		for i, user := range users {
			ages[i] = 30 + len(user)
		}
		return ages, nil
	}
	features, err := scatter.New(placement, fetch, scatter.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	users := []string{"ann", "robert", "ann", "eve", "alexander"}
	ages, err := features.Do(context.Background(), users)
	fmt.Println(ages, err)

	down = "south"
	ages, err = features.Do(context.Background(), users)
	var partial *scatter.PartialError
	if errors.As(err, &partial) {
		fmt.Println(ages, "missing:", partial.Missing())
		fmt.Println(err)
	}
	// Output:
	// [33 36 33 33 39] <nil>
	// [0 36 0 0 39] missing: [0 2 3]
	// scatter: 3 of 5 keys have no answer, 1 of 2 shards failed; shard "south": connection refused
}
