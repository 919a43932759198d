package featurestore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
	"github.com/scalable-ai/patterns/internal/redistest"
)

// BenchmarkRedis reads entities of a server into a matrix.
func BenchmarkRedis(b *testing.B) {
	server := redistest.Start(b)
	client := must(rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr}, DisableCache: true}))
	defer client.Close()
	store := must(redisstore.New(client, redisstore.Config{}))
	registry, schema := define(b)
	if err := store.Write(b.Context(), schema, rows(schema), make([]fs.Outcome, entities)); err != nil {
		b.Fatal(err)
	}
	ids := make([]int64, perCall)
	for i := range ids {
		ids[i] = rand.Int64N(entities)
	}
	names, fields := layout(b, client)
	hashes := make([]string, perCall)
	for i, id := range ids {
		hashes[i] = names[id]
	}
	data := make([]float32, perCall*features)
	run := func(name string, read func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				clear(data)
				if err := read(); err != nil {
					b.Fatal(err)
				}
				check(b, ids, data)
			}
		})
	}
	ctx := context.Background()
	online := must(fs.New(store, registry, fs.Config{}))
	reader := must(online.Reader(service, 1))
	req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys(joinKey, ids...)}}
	m := fs.Matrix{Data: data}
	run("patterns", func() error { return reader.Matrix(ctx, req, &m) })
	run("rueidis", func() error { return byHand(ctx, client, hashes, fields, data) })
	dated := append(slices.Clone(fields), "_ts:"+view)
	run("rueidis-event-time", func() error { return byHand(ctx, client, hashes, dated, data) })
	other := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer other.Close()
	run("go-redis", func() error {
		pipeline := other.Pipeline()
		cmds := make([]*redis.SliceCmd, perCall)
		for i, name := range hashes {
			cmds[i] = pipeline.HMGet(ctx, name, fields...)
		}
		if _, err := pipeline.Exec(ctx); err != nil {
			return err
		}
		for i, cmd := range cmds {
			for j, v := range cmd.Val() {
				text, _ := v.(string)
				var err error
				if data[i*features+j], err = decode(text); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// byHand reads with the client alone. If there is a field behind those of the features, the event time, it looks whether that is there.
func byHand(ctx context.Context, client rueidis.Client, hashes, fields []string, data []float32) error {
	cmds := make(rueidis.Commands, len(hashes))
	for i, name := range hashes {
		cmds[i] = client.B().Hmget().Key(name).Field(fields...).Build()
	}
	for i, result := range client.DoMulti(ctx, cmds...) {
		values, err := result.ToArray()
		if err != nil {
			return err
		}
		if len(fields) > features && values[features].IsNil() {
			return errValue
		}
		for j, v := range values[:features] {
			text, err := v.ToString()
			if err != nil {
				return err
			}
			if data[i*features+j], err = decode(text); err != nil {
				return err
			}
		}
	}
	return nil
}

var errValue = errors.New("not a float")

// decode reads the value of a Float32: a tag of one byte, and four bytes.
func decode(text string) (float32, error) {
	if len(text) != 5 {
		return 0, errValue
	}
	return math.Float32frombits(uint32(text[1]) | uint32(text[2])<<8 | uint32(text[3])<<16 | uint32(text[4])<<24), nil
}

// layout finds the hashes of the entities and the fields of the features in what the store has written.
func layout(b *testing.B, client rueidis.Client) (names map[int64]string, fields []string) {
	b.Helper()
	names, fields = map[int64]string{}, make([]string, features)
	const project = "benchmark"
	for _, name := range must(client.Do(b.Context(), client.B().Keys().Pattern("*").Build()).AsStrSlice()) {
		end := len(name) - len(project) // before it stands the key, in eight bytes
		names[int64(binary.LittleEndian.Uint64([]byte(name[end-8:end])))] = name
	}
	for field, text := range must(client.Do(b.Context(), client.B().Hgetall().Key(names[0]).Build()).AsStrMap()) {
		if v, err := decode(text); err == nil && len(field) == 4 {
			fields[int(v)] = field
		}
	}
	if len(names) != entities {
		b.Fatalf("%d entities are there", len(names))
	}
	return names, fields
}
