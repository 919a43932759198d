package redisstore_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
	"github.com/scalable-ai/patterns/internal/redistest"
)

// bench is a server with rows of floats, and three ways to read them.
type bench struct {
	store   *redisstore.Store
	client  rueidis.Client
	schema  *fs.Schema
	keys    []fs.Key
	names   []string // the keys in Redis
	fields  []string
	lookups []fs.Lookup
}

func newBench(tb testing.TB, entities, features int) *bench {
	server := redistest.Start(tb)
	b := &bench{client: connect(tb, rueidis.ClientOption{InitAddress: []string{server.Addr}})}
	var err error
	b.store, err = redisstore.New(b.client, redisstore.Config{})
	require.NoError(tb, err)
	var columns []fs.Feature
	for i := range features {
		columns = append(columns, fs.Feature{Name: fmt.Sprintf("feature_%d", i), Kind: fs.Float32})
		b.fields = append(b.fields, field("v", columns[i].Name))
	}
	b.fields = append(b.fields, "_ts:v")
	b.schema = view(tb, "v", 0, columns...)
	rows := make([]fs.Row, entities)
	for i := range rows {
		b.keys = append(b.keys, fs.IntKey(int64(i)))
		name := strings.TrimSuffix(unhex(tb, driverKey), "\xe9\x03\x00\x00\x00\x00\x00\x00p")
		b.names = append(b.names, string(append(binary.LittleEndian.AppendUint64([]byte(name), uint64(i)), 'p')))
		rows[i] = fs.Row{Key: b.keys[i], Record: b.schema.NewRecord(time.Now())}
		for j := range features {
			b.schema.SetBits(rows[i].Record, j, uint64(math.Float32bits(float32(i*j))))
		}
	}
	require.NoError(tb, b.store.Write(context.Background(), b.schema, rows, make([]fs.Outcome, len(rows))))
	b.lookups = []fs.Lookup{lookup(b.schema, b.keys...)}
	return b
}

func (b *bench) ours(tb testing.TB) {
	clear(b.lookups[0].Rows)
	if err := b.store.Read(context.Background(), b.lookups); err != nil || b.lookups[0].Rows[0] == nil {
		tb.Fatal(err)
	}
}

// raw is the same commands by hand.
func (b *bench) raw(tb testing.TB) [][]rueidis.RedisMessage {
	cmds := make(rueidis.Commands, len(b.names))
	for i, name := range b.names {
		cmds[i] = b.client.B().Hmget().Key(name).Field(b.fields...).Build()
	}
	rows := make([][]rueidis.RedisMessage, len(cmds))
	for i, result := range b.client.DoMulti(context.Background(), cmds...) {
		var err error
		if rows[i], err = result.ToArray(); err != nil {
			tb.Fatal(err)
		}
	}
	return rows
}

// decoded is raw, and the simplest thing that makes floats of it.
func (b *bench) decoded(tb testing.TB) [][]float32 {
	rows := b.raw(tb)
	values := make([][]float32, len(rows))
	for i, row := range rows {
		values[i] = make([]float32, len(b.fields)-1)
		for j := range values[i] {
			text, err := row[j].ToString()
			if err != nil || len(text) != 5 {
				tb.Fatal(err)
			}
			values[i][j] = math.Float32frombits(binary.LittleEndian.Uint32([]byte(text[1:])))
		}
	}
	return values
}

// BenchmarkRead reads 100 entities of 50 features at a time: with the store, and with the pipeline that one would write by hand, which
// decodes the values into floats or does not. Concurrent readers share the connections.
func BenchmarkRead(b *testing.B) {
	s := newBench(b, 100, 50)
	for _, c := range []struct {
		name string
		read func()
	}{
		{"store", func() { s.ours(b) }},
		{"pipeline", func() { s.decoded(b) }},
		{"pipeline-undecoded", func() { s.raw(b) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.read()
			}
			b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "entities/s")
		})
	}
}

// BenchmarkRatio interleaves the three, so that a noisy machine is as noisy for each, and reports the median time of the baseline over
// that of the store.
func BenchmarkRatio(b *testing.B) {
	for _, features := range []int{50, 250} {
		b.Run(strconv.Itoa(features), func(b *testing.B) { ratio(b, newBench(b, 100, features)) })
	}
}

func ratio(b *testing.B, s *bench) {
	var store, decoded, raw []time.Duration
	for b.Loop() {
		store = append(store, timed(func() { s.ours(b) }))
		decoded = append(decoded, timed(func() { s.decoded(b) }))
		raw = append(raw, timed(func() { s.raw(b) }))
	}
	for _, t := range [][]time.Duration{store, decoded, raw} {
		slices.Sort(t)
	}
	b.ReportMetric(float64(percentile(decoded, 50))/float64(percentile(store, 50)), "of-pipeline")
	b.ReportMetric(float64(percentile(raw, 50))/float64(percentile(store, 50)), "of-undecoded")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkWrite(b *testing.B) {
	s := newBench(b, 100, 50)
	rows, outcomes := make([]fs.Row, len(s.keys)), make([]fs.Outcome, len(s.keys))
	b.ReportAllocs()
	for b.Loop() {
		now := time.Now()
		for i, k := range s.keys {
			r := s.schema.NewRecord(now)
			for j := range s.schema.Features() {
				s.schema.SetBits(r, j, uint64(math.Float32bits(float32(i*j))))
			}
			rows[i] = fs.Row{Key: k, Record: r}
		}
		if err := s.store.Write(context.Background(), s.schema, rows, outcomes); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "rows/s")
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

var latency = flag.Bool("latency", false, "print a table of latencies (TestLatency)")

// TestLatency prints the latencies of reads, beside those of the pipeline by hand:
//
//	go test -run TestLatency -v ./featurestore/redisstore -latency
func TestLatency(t *testing.T) {
	if !*latency {
		t.Skip("only with -latency")
	}
	// What the Feast project has published of its Go server, on machines of its own: a shape to compare with, not a race.
	feast := map[int]string{50: "1.78ms", 250: "3.92ms"}
	t.Logf("%8s %8s %12s %12s %12s %12s %12s", "entities", "features", "store p50", "store p99", "by hand p50", "by hand p99", "Feast p99")
	for _, entities := range []int{1, 10, 100} {
		for _, features := range []int{50, 250} {
			s := newBench(t, entities, features)
			rounds := 200_000/(entities*features) + 300
			var store, decoded []time.Duration
			for range rounds {
				store = append(store, timed(func() { s.ours(t) }))
				decoded = append(decoded, timed(func() { s.decoded(t) }))
			}
			slices.Sort(store)
			slices.Sort(decoded)
			t.Logf("%8d %8d %12v %12v %12v %12v %12s", entities, features, percentile(store, 50), percentile(store, 99),
				percentile(decoded, 50), percentile(decoded, 99), feast[features])
		}
	}
}
