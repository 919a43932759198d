package stripe

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCount(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for procs, want := range map[int]int{1: 1, 2: 8, 3: 16, 4: 16, 64: 16} {
		runtime.GOMAXPROCS(procs)
		require.Equal(t, want, Count(), "%d processors", procs)
	}
}

func TestIndex(t *testing.T) {
	seen := make(chan int, 1)
	used := map[int]bool{}
	for range 200 {
		release := make(chan struct{})
		go func() {
			seen <- Index(8)
			<-release // keeps its stack, so that the next one has another
		}()
		defer close(release)
		i := <-seen
		require.GreaterOrEqual(t, i, 0)
		require.Less(t, i, 8)
		used[i] = true
	}
	if !raceEnabled { // with the race detector's checks of unsafe pointers the address is not one of the stack
		require.Greater(t, len(used), 4) // how far apart stacks are is the runtime's business
	}
	require.Zero(t, Index(1))
}
