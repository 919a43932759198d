package redisstore_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
	"github.com/scalable-ai/patterns/internal/redistest"
)

// load writes and reads the same entities all the time, and checks that no row is older than what was acknowledged before it was read.
type load struct {
	schema *fs.Schema
	keys   []fs.Key
	acked  []atomic.Int64 // by key: the newest event time that was said to be there
	writes atomic.Int64   // rounds, and those of them without any error
	clean  atomic.Int64
	reads  atomic.Int64 // likewise
	whole  atomic.Int64
	failed atomic.Int64 // rows and keys with an error
	lossy  bool         // what was acknowledged may get lost
}

func newLoad(t *testing.T, first, n int) *load {
	l := &load{schema: view(t, "v", time.Hour, number), acked: make([]atomic.Int64, n)}
	for i := range n {
		l.keys = append(l.keys, fs.IntKey(int64(first+i)))
	}
	return l
}

// typed reports whether err is one of those that the package says to expect of nodes that go.
func typed(err error) bool {
	return errors.Is(err, redisstore.ErrUnavailable) || errors.Is(err, redisstore.ErrReplicas)
}

func (l *load) write(ctx context.Context, t *testing.T, store *redisstore.Store) {
	event := time.Now()
	rows, outcomes := make([]fs.Row, len(l.keys)), make([]fs.Outcome, len(l.keys))
	for i, k := range l.keys {
		r := l.schema.NewRecord(event)
		l.schema.SetBits(r, 0, uint64(event.UnixNano()))
		rows[i] = fs.Row{Key: k, Record: r}
	}
	err := store.Write(ctx, l.schema, rows, outcomes)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		assert.True(t, typed(err), "%v", err)
	}
	for i, o := range outcomes {
		switch o {
		case fs.Written, fs.Stale:
			if !l.lossy {
				l.acked[i].Store(event.UnixNano())
			}
		case fs.Failed:
			l.failed.Add(1)
		default:
			assert.Fail(t, "outcome", "%v", o)
		}
	}
	if l.writes.Add(1); err == nil {
		l.clean.Add(1)
	}
}

func (l *load) read(ctx context.Context, t *testing.T, store *redisstore.Store) {
	acked := make([]int64, len(l.keys))
	for i := range acked {
		acked[i] = l.acked[i].Load()
	}
	lookups := []fs.Lookup{lookup(l.schema, l.keys...)}
	err := store.Read(ctx, lookups)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		assert.True(t, typed(err), "%v", err)
		return
	}
	for i, r := range lookups[0].Rows {
		switch {
		case lookups[0].Errs != nil && lookups[0].Errs[i] != nil:
			assert.True(t, typed(lookups[0].Errs[i]), "%v", lookups[0].Errs[i])
			l.failed.Add(1)
			err = lookups[0].Errs[i]
		case r == nil:
			assert.Zero(t, acked[i], "row %d is lost", i)
		default:
			assert.GreaterOrEqual(t, r.EventNanos(), acked[i], "a write of row %d is lost", i)
			assert.Equal(t, r.EventNanos(), l.schema.Value(r, 0).Int(), "row %d is torn", i)
		}
	}
	if l.reads.Add(1); err == nil {
		l.whole.Add(1)
	}
}

// run starts writers and readers and returns what ends them.
func (l *load) run(t *testing.T, config redisstore.Config, option rueidis.ClientOption) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, f := range []func(context.Context, *testing.T, *redisstore.Store){l.write, l.read, l.read} {
		store, err := redisstore.New(connect(t, option), config)
		require.NoError(t, err)
		wg.Go(func() {
			for ctx.Err() == nil {
				f(ctx, t, store)
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// rounds waits until there were n more rounds of writes and of reads without an error.
func (l *load) rounds(t *testing.T, n int64) {
	t.Helper()
	clean, whole := l.clean.Load(), l.whole.Load()
	require.True(t, redistest.Poll(15*time.Second, func() bool { return l.clean.Load() >= clean+n && l.whole.Load() >= whole+n }),
		"writes %d of %d, reads %d of %d", l.clean.Load(), l.writes.Load(), l.whole.Load(), l.reads.Load())
}

func TestAClusterThatMovesAndFails(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	l := newLoad(t, 0, 60)
	stop := l.run(t, redisstore.Config{Replicas: 1}, rueidis.ClientOption{InitAddress: cluster.Addrs()})
	defer stop()
	plain := newLoad(t, 100, 20)
	plain.lossy = true
	stopPlain := plain.run(t, redisstore.Config{}, rueidis.ClientOption{InitAddress: cluster.Addrs()})
	defer stopPlain()
	l.rounds(t, 5)

	// Slots move, with ASK while they do and MOVED afterwards: nobody notices.
	slots := map[int]bool{}
	for _, key := range cluster.Nodes[0].Do(t, "KEYS", "*").([]any)[:6] {
		slots[cluster.Slot(t, key.(string))] = true
	}
	for slot := range slots {
		from := cluster.BeginMove(t, slot, 1)
		l.rounds(t, 1)
		cluster.MoveKeys(t, slot, from, 1)
		l.rounds(t, 2)
		cluster.EndMove(t, slot, from, 1)
	}
	l.rounds(t, 5)
	plain.rounds(t, 5)
	assert.Zero(t, l.failed.Load()+plain.failed.Load(), "slots move without an error")

	// A master dies with writes that its replica does not have. The replica takes over, and has all that was acknowledged.
	cluster.Nodes[4].Pause(t)
	cluster.Nodes[1].Do(t, "CLIENT", "KILL", "TYPE", "replica") // or the kernel would keep them for it
	reads := l.reads.Load()
	require.True(t, redistest.Poll(time.Second, func() bool { return l.reads.Load() >= reads+20 }))
	cluster.Nodes[1].Kill()
	cluster.Nodes[4].Resume(t)
	whole := l.whole.Load()
	require.True(t, redistest.Poll(15*time.Second, func() bool { return l.whole.Load() >= whole+20 }), "reads recover")
	plain.rounds(t, 5)
	require.Equal(t, "master", cluster.Nodes[4].Do(t, "ROLE").([]any)[0])

	// Until the shard has a replica again there is nobody to confirm its rows.
	require.True(t, redistest.Poll(10*time.Second, func() bool { return l.failed.Load() > 0 }))
	cluster.Nodes[1].Restart(t)
	cluster.AwaitOK(t)
	l.rounds(t, 5)
	stop()
	l.read(t.Context(), t, on(t, redisstore.Config{}, cluster.Addrs()...))
	t.Logf("%d rounds of writes, %d clean; %d of reads, %d whole; %d errors", l.writes.Load(), l.clean.Load(), l.reads.Load(), l.whole.Load(), l.failed.Load())
}

func TestASentinelReplacesTheMaster(t *testing.T) {
	s := redistest.StartSentinel(t)
	l := newLoad(t, 0, 20)
	stop := l.run(t, redisstore.Config{Replicas: 1, ReplicaTimeout: 100 * time.Millisecond}, rueidis.ClientOption{
		InitAddress: []string{s.Addr}, Sentinel: rueidis.SentinelOption{MasterSet: s.Name},
	})
	defer stop()
	l.rounds(t, 5)
	s.Master.Kill()
	whole := l.whole.Load()
	require.True(t, redistest.Poll(15*time.Second, func() bool { return l.whole.Load() >= whole+20 }), "reads recover")
	require.True(t, redistest.Poll(15*time.Second, func() bool { return l.failed.Load() > 0 }), "nobody confirms")
	stop()
}

// Rows are there at once, but no replica says so in time.
func TestRowsThatNoReplicaConfirms(t *testing.T) {
	server := redistest.Start(t)
	schema := view(t, "v", 0, number)
	store := on(t, redisstore.Config{Replicas: 1, ReplicaTimeout: 10 * time.Millisecond}, server.Addr)
	outcomes := make([]fs.Outcome, 2)
	rows := []fs.Row{row(t, schema, fs.IntKey(1), at(1, 0)), row(t, schema, fs.IntKey(2), at(1, 0))}
	err := store.Write(t.Context(), schema, rows, outcomes)
	require.ErrorIs(t, err, redisstore.ErrReplicas)
	require.ErrorContains(t, err, "0 of 1")
	assert.Equal(t, []fs.Outcome{fs.Failed, fs.Failed}, outcomes)
	assert.NotNil(t, read(t, store, schema, fs.IntKey(1))[0])
}

// A row that is stale was written by somebody who may not have waited: it is confirmed only once the replica has it. (WAIT
// promises that for writes of its own connection only.)
func TestStaleRowsAreConfirmedToo(t *testing.T) {
	s := redistest.StartSentinel(t)
	schema := view(t, "v", 0, number)
	careful := on(t, redisstore.Config{Replicas: 1, ReplicaTimeout: 100 * time.Millisecond}, s.Master.Addr)
	rows, outcomes := []fs.Row{row(t, schema, fs.IntKey(1), at(1, 0))}, make([]fs.Outcome, 1)
	require.True(t, redistest.Poll(10*time.Second, func() bool { return careful.Write(t.Context(), schema, rows, outcomes) == nil }))
	s.Replica.Pause(t)
	newer := []fs.Row{row(t, schema, fs.IntKey(1), at(2, 0))}
	assert.Equal(t, []fs.Outcome{fs.Written}, write(t, on(t, redisstore.Config{}, s.Master.Addr), schema, newer...))
	for _, late := range [][]fs.Row{rows, newer} {
		require.ErrorIs(t, careful.Write(t.Context(), schema, late, outcomes), redisstore.ErrReplicas)
		assert.Equal(t, fs.Failed, outcomes[0])
	}
	s.Replica.Resume(t)
	require.True(t, redistest.Poll(10*time.Second, func() bool { return careful.Write(t.Context(), schema, newer, outcomes) == nil }))
	assert.Equal(t, fs.Stale, outcomes[0])
	got := read(t, careful, schema, fs.IntKey(1))[0]
	assert.Equal(t, at(2, 0), got.EventTime(), "the stale row has changed nothing")
}

// A node that refuses WAIT is not asked for it until the time is over: the caller sees why.
func TestWaitIsRefused(t *testing.T) {
	server := redistest.Start(t)
	server.Do(t, "ACL", "SETUSER", "u", "on", ">pw", "~*", "+@all", "-wait")
	client := connect(t, rueidis.ClientOption{InitAddress: []string{server.Addr}, Username: "u", Password: "pw"})
	store, err := redisstore.New(client, redisstore.Config{Replicas: 1})
	require.NoError(t, err)
	schema := view(t, "v", 0, number)
	outcomes := make([]fs.Outcome, 1)
	err = store.Write(t.Context(), schema, []fs.Row{row(t, schema, fs.IntKey(1), at(1, 0))}, outcomes)
	require.ErrorContains(t, err, "NOPERM")
	assert.Equal(t, fs.Failed, outcomes[0])
	assert.EqualValues(t, 1, store.Stats().Repeated, "with the script")
}
