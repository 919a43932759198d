//go:build unix

package boltstore_test

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/boltstore"
)

func init() { children["full"] = childFull }

// childFull writes rows until the operating system takes no more, looks at what is there, and goes on when there is room again.
func childFull() {
	check := func(ok bool, what any) {
		if !ok {
			panic(what)
		}
	}
	ctx := context.Background()
	view, err := define(fs.View{Name: "counts", Features: []fs.Feature{{Name: "count", Kind: fs.Int64}, {Name: "pad", Kind: fs.String}}})
	check(err == nil, err)
	s, err := boltstore.Open(os.Getenv(pathEnv), boltstore.Config{}, view)
	check(err == nil, err)
	var old syscall.Rlimit
	check(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old) == nil, "getrlimit")
	signal.Ignore(syscall.SIGXFSZ)
	limit := old
	limit.Cur = 256 << 10
	check(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit) == nil, "setrlimit")

	written := map[int64]bool{}
	put := func(key int64) (fs.Outcome, error) {
		r, outcome := row(view, key, key+1), make([]fs.Outcome, 1)
		check(view.SetValue(r.Record, 1, fs.StringValue(string(make([]byte, 10_000)))) == nil, "value")
		err := s.Write(ctx, view, []fs.Row{r}, outcome)
		return outcome[0], err
	}
	has := func(key int64) bool {
		lookups := []fs.Lookup{{View: view, Keys: []fs.Key{fs.IntKey(key)}, Rows: make([]*fs.Record, 1)}}
		check(s.Read(ctx, lookups) == nil, "read")
		return lookups[0].Rows[0] != nil
	}
	var failed int64
	for failed = range int64(1000) {
		outcome, err := put(failed)
		if err != nil {
			check(outcome == fs.Failed, outcome)
			check(strings.Contains(err.Error(), syscall.EFBIG.Error()), err) // bbolt does not wrap it
			break
		}
		written[failed] = true
	}
	check(len(written) > 0 && len(written) < 999, len(written))
	for range 3 {
		outcome, err := put(failed)
		check(outcome == fs.Failed && err != nil, "it was not full for long")
	}
	check(!has(failed), "a row that was not stored is read")
	for key := range written {
		check(has(key), key)
	}
	check(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old) == nil, "setrlimit")
	outcome, err := put(failed)
	check(outcome == fs.Written && err == nil, err)
	check(has(failed), "a row that was stored is not read")
	check(s.Close() == nil, "close")
	_, _ = os.Stdout.WriteString("good")
}

func TestAFullDisk(t *testing.T) {
	out, err := child(t, "full", file(t)).Output()
	require.NoError(t, err)
	assert.Equal(t, "good", string(out))
}
