package boltstore_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/boltstore"
)

const childEnv, pathEnv, seedEnv = "BOLTSTORE_CHILD", "BOLTSTORE_PATH", "BOLTSTORE_SEED"

// children are what this binary does instead of tests when it is its own child.
var children = map[string]func(){"writer": childWriter}

func child(t *testing.T, name, path string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), childEnv+"="+name, pathEnv+"="+path), env...)
	cmd.Stderr = os.Stderr
	return cmd
}

const (
	crashWriters = 4
	crashKeys    = 5 // of each writer
)

// childWriter writes and deletes until it is killed. Each writer has keys of its own. It prints what it is about to do, and after that, that it is done: lines
// "try" or "ok", key, event time (0: deleted).
func childWriter() {
	view, err := define(fs.View{Name: "counts", Features: []fs.Feature{{Name: "count", Kind: fs.Int64}}})
	if err != nil {
		panic(err)
	}
	s, err := boltstore.Open(os.Getenv(pathEnv), boltstore.Config{}, view)
	if err != nil {
		panic(err)
	}
	seed, err := strconv.ParseUint(os.Getenv(seedEnv), 10, 64)
	if err != nil {
		panic(err)
	}
	var all sync.WaitGroup
	for w := range crashWriters {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(w)))
			for {
				key, outcome := int64(w*crashKeys+random.IntN(crashKeys)), make([]fs.Outcome, 1)
				newest := int64(0)
				lookups := []fs.Lookup{{View: view, Keys: []fs.Key{fs.IntKey(key)}, Rows: make([]*fs.Record, 1)}}
				if err := s.Read(context.Background(), lookups); err != nil {
					panic(err)
				}
				if r := lookups[0].Rows[0]; r != nil {
					newest = r.EventNanos()
				}
				next := newest + 1 + random.Int64N(10)
				if newest > 0 && random.IntN(5) == 0 {
					next = 0
				}
				fmt.Fprintf(os.Stdout, "try %d %d\n", key, next)
				if next == 0 {
					err = s.Delete(context.Background(), view, []fs.Key{fs.IntKey(key)})
				} else {
					err := s.Write(context.Background(), view, []fs.Row{row(view, key, next)}, outcome)
					if err != nil || outcome[0] != fs.Written {
						panic(fmt.Sprint(outcome, err))
					}
				}
				fmt.Fprintf(os.Stdout, "ok %d %d\n", key, next)
			}
		})
	}
	all.Wait()
}

// TestKilled: a process that writes is killed at random points, again and again. After each time every row is as it was when the last operation on it was
// acknowledged, or as the operation after that would have it.
func TestKilled(t *testing.T) {
	times := 100
	if testing.Short() {
		times = 10
	}
	path, view := file(t), counts(t)
	acknowledged := map[int64]int64{} // by key; 0: not there
	operations := 0
	for round := range times {
		cmd := child(t, "writer", path, fmt.Sprintf("%s=%d", seedEnv, round))
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		tried := map[int64]int64{}
		// Killed after some lines: at whatever point the child is then. What it printed before it died is still in the pipe.
		for left := rand.IntN(60); lines.Scan(); left-- {
			if left == 0 {
				require.NoError(t, cmd.Process.Kill())
			}
			var what string
			var key, event int64
			if n, _ := fmt.Sscan(lines.Text(), &what, &key, &event); n != 3 {
				continue
			}
			switch what {
			case "try":
				tried[key] = event
			case "ok":
				require.Equal(t, tried[key], event)
				acknowledged[key] = event
				delete(tried, key)
				operations++
			}
		}
		err = cmd.Wait()
		require.True(t, err != nil && strings.Contains(err.Error(), "killed"), "the child ended by itself: %v", err)

		s := open(t, path, boltstore.Config{}, view)
		for key := range int64(crashWriters * crashKeys) {
			got := event(t, s, view, key)
			if next, ok := tried[key]; ok && got == next {
				acknowledged[key] = got // it was stored, but there was no time to say so
			}
			require.Equal(t, acknowledged[key], got, "round %d, key %d", round, key)
		}
		require.NoError(t, s.Close())
	}
	t.Logf("%d operations acknowledged", operations)
}
