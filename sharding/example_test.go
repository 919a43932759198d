package sharding_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/scalable-ai/patterns/sharding"
)

func exampleNodes() []sharding.Node {
	return []sharding.Node{
		{Name: "gpu-0", Zone: "a"}, {Name: "gpu-1", Zone: "a"},
		{Name: "gpu-2", Zone: "b"}, {Name: "gpu-3", Zone: "b"},
	}
}

// Which node has a key, and which have its replicas.
func Example() {
	p, err := sharding.NewRendezvous(exampleNodes(), sharding.RendezvousConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("owner:", sharding.Owner(p, "user:42").Name)
	for _, n := range sharding.Owners(p, "user:42", 2) {
		fmt.Println("replica on", n.Name, "in zone", n.Zone)
	}
	// Output:
	// owner: gpu-2
	// replica on gpu-2 in zone b
	// replica on gpu-0 in zone a
}

// What a fifth node takes from the others, and that it takes no more than it must.
func ExampleDiff() {
	before, _ := sharding.NewRendezvous(exampleNodes(), sharding.RendezvousConfig{})
	after, _ := sharding.NewRendezvous(append(exampleNodes(), sharding.Node{Name: "gpu-4", Zone: "b"}), sharding.RendezvousConfig{})
	plan, err := sharding.Diff(before, after)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range plan.Moves {
		fmt.Printf("%s -> %s %.1f%%\n", m.From.Name, m.To.Name, 100*m.Share)
	}
	fmt.Printf("moved %.2f%%, minimum %.2f%%\n", 100*plan.Moved, 100*plan.Minimum)
	_, _, moves := plan.Move(sharding.Hash("user:42"))
	fmt.Println("user:42 moves:", moves)
	// Output:
	// gpu-0 -> gpu-4 5.0%
	// gpu-1 -> gpu-4 5.0%
	// gpu-2 -> gpu-4 5.0%
	// gpu-3 -> gpu-4 5.0%
	// moved 19.97%, minimum 19.97%
	// user:42 moves: false
}

// A ring with the positions of Envoy's.
func ExampleRing() {
	p, err := sharding.NewRing(exampleNodes(), sharding.RingConfig{VirtualNodes: 160})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, key := range []int{1, 2, 3} {
		fmt.Println(key, sharding.Owner(p, key).Name)
	}
	// Output:
	// 1 gpu-1
	// 2 gpu-0
	// 3 gpu-2
}

// Shares are as even as they can be.
func ExampleMaglev() {
	p, err := sharding.NewMaglev(exampleNodes(), sharding.MaglevConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("max/mean %.4f\n", sharding.Balance(p.Nodes(), sharding.Shares(p)))
	// Output:
	// max/mean 1.0000
}

// Numbered shards.
func ExampleJump() {
	p, err := sharding.NewJump(exampleNodes())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sharding.Owner(p, "user:42").Name)
	// Output:
	// gpu-3
}

// Slots are assigned explicitly, and saved.
func ExampleTable() {
	table, err := sharding.NewTable(exampleNodes()[:2], sharding.TableConfig{Slots: 8})
	if err != nil {
		fmt.Println(err)
		return
	}
	if table, err = table.Assign(0, 0, "gpu-1"); err != nil {
		fmt.Println(err)
		return
	}
	data, _ := json.Marshal(table)
	fmt.Println(string(data))
	// Output:
	// {"version":1,"slots":8,"nodes":[{"name":"gpu-0","weight":1,"zone":"a","ranges":[[1,3]]},{"name":"gpu-1","weight":1,"zone":"a","ranges":[[0,0],[4,7]]}]}
}

// A hot key does not overload its owner.
func ExampleBounded() {
	p, _ := sharding.NewRing(exampleNodes(), sharding.RingConfig{})
	bounded, err := sharding.NewBounded(p, sharding.BoundedConfig{Factor: 1.5})
	if err != nil {
		fmt.Println(err)
		return
	}
	var leases []sharding.Lease
	for range 8 {
		leases = append(leases, bounded.Acquire(sharding.Hash("hot")))
	}
	for _, n := range bounded.Stats().Nodes {
		fmt.Println(n.Node.Name, n.InFlight, "of at most", n.Bound)
	}
	for _, lease := range leases {
		lease.Release()
	}
	// Output:
	// gpu-0 0 of at most 3
	// gpu-1 3 of at most 3
	// gpu-2 3 of at most 3
	// gpu-3 2 of at most 3
}

// Keys move while they are read and written.
func ExampleMigration() {
	nodes := exampleNodes()
	before, _ := sharding.NewJump(nodes[:3])
	after, _ := sharding.NewJump(nodes)
	m, err := sharding.NewMigration(before, after)
	if err != nil {
		fmt.Println(err)
		return
	}
	key := sharding.Hash("user:42")
	ctx := context.Background()
	_ = m.Write(ctx, key, func(_ context.Context, n sharding.Node) error {
		fmt.Println("write to", n.Name)
		return nil
	})
	_, _ = m.Read(ctx, key, func(_ context.Context, n sharding.Node) (bool, error) {
		fmt.Println("read from", n.Name)
		return n.Name != "gpu-3", nil // not copied yet
	})
	m.FinishAll()
	fmt.Printf("left to move: %.0f%%\n", 100*m.Stats().Left)
	// Output:
	// write to gpu-3
	// write to gpu-0
	// read from gpu-3
	// read from gpu-0
	// left to move: 0%
}

// A node that is new starts with little of its weight.
func ExampleRamp() {
	ramp, err := sharding.NewRamp(sharding.RampConfig{Duration: time.Minute, Steps: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	for elapsed := time.Duration(0); elapsed <= time.Minute; elapsed += 20 * time.Second {
		nodes, _ := sharding.Scale(exampleNodes(), "gpu-3", ramp.Up(elapsed))
		p, err := sharding.NewRendezvous(nodes, sharding.RendezvousConfig{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("after %v: %.1f%% of the keys\n", elapsed, 100*sharding.Shares(p)[3])
	}
	// Output:
	// after 0s: 3.2% of the keys
	// after 20s: 11.9% of the keys
	// after 40s: 18.9% of the keys
	// after 1m0s: 25.0% of the keys
}

// Keys of any type without pointers or floats.
func ExampleNewHasher() {
	type key struct {
		Tenant uint32
		User   string
	}
	hash, err := sharding.NewHasher[key]()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%016x\n", hash(key{7, "ann"}))
	// Output:
	// 27d051719441b023
}

// Counters of many goroutines.
func ExampleMap() {
	m, err := sharding.NewMap[string, int](sharding.MapConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, word := range []string{"to", "be", "or", "not", "to", "be"} {
		m.Compute(word, func(n int, _ bool) (int, bool) { return n + 1, true })
	}
	n, _ := m.Load("be")
	fmt.Println(n, m.Len())
	// Output:
	// 2 4
}
