package featurestore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

// drivers are the definitions of the examples.
var drivers = fs.Definitions{
	Entities: []fs.Entity{{Name: "driver", JoinKeys: []fs.JoinKey{{Name: "driver_id", Kind: fs.Int64}}}},
	Views: []fs.View{{
		Name: "driver_stats", Entity: "driver", TTL: fs.Duration(24 * time.Hour),
		Features: []fs.Feature{
			{Name: "trips_7d", Kind: fs.Int64, Default: fs.Int64Value(0)},
			{Name: "rating", Kind: fs.Float32},
		},
	}},
	Services: []fs.Service{{Name: "ranking", Version: 1, Features: []string{"driver_stats:*"}}},
}

func open() (*fs.Online, *fs.Registry, error) {
	registry, err := fs.NewRegistry("taxi")
	if err != nil {
		return nil, nil, err
	}
	if err := registry.Apply(drivers); err != nil {
		return nil, nil, err
	}
	store, err := memstore.New(memstore.Config{})
	if err != nil {
		return nil, nil, err
	}
	online, err := fs.New(store, registry, fs.Config{})
	return online, registry, err
}

func Example() {
	online, registry, err := open()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()

	stats, err := registry.View("driver_stats")
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := stats.RecordOf(time.Now().Add(-time.Hour), "trips_7d", 42, "rating", float32(4.5))
	if err != nil {
		fmt.Println(err)
		return
	}
	outcomes, err := online.Write(ctx, "driver_stats", []fs.Row{{Key: fs.IntKey(1001), Record: record}})
	fmt.Println(outcomes, err)

	result, err := online.Get(ctx, "ranking", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("driver_id", 1001, 1002)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for row := range result.Rows() {
		for col, column := range result.Columns() {
			fmt.Println(row, column.Name, result.Value(row, col), result.Status(row, col))
		}
	}
	// Output:
	// [written] <nil>
	// 0 driver_stats:trips_7d 42 present
	// 0 driver_stats:rating 4.5 present
	// 1 driver_stats:trips_7d 0 default
	// 1 driver_stats:rating null missing
}

func ExampleReader_Matrix() {
	online, registry, err := open()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	stats, _ := registry.View("driver_stats")
	record, _ := stats.RecordOf(time.Now(), "trips_7d", 42, "rating", float32(4.5))
	if _, err := online.Write(ctx, "driver_stats", []fs.Row{{Key: fs.IntKey(1001), Record: record}}); err != nil {
		fmt.Println(err)
		return
	}

	reader, err := online.Reader("ranking", 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	var m fs.Matrix // used again for each request
	if err := reader.Matrix(ctx, fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("driver_id", 1001, 1002)}}, &m); err != nil {
		fmt.Println(err)
		return
	}
	for row := range m.Rows {
		fmt.Println(m.Row(row), m.PresentRow(row))
	}
	// Output:
	// [42 4.5] [true true]
	// [0 NaN] [false false]
}

func ExampleBind() {
	online, registry, err := open()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	type Driver struct {
		ID     int64     `key:"driver_id"`
		At     time.Time `event:"time"`
		Trips  int64     `feature:"trips_7d"`
		Rating *float32  `feature:"rating"` // nil: no value
	}

	stats, _ := registry.View("driver_stats")
	rows, err := fs.BindRow[Driver](stats)
	if err != nil {
		fmt.Println(err)
		return
	}
	row, err := rows.Row(&Driver{ID: 1001, At: time.Now(), Trips: 42})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := online.Write(ctx, "driver_stats", []fs.Row{row}); err != nil {
		fmt.Println(err)
		return
	}

	reader, err := online.Reader("ranking", 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	binding, err := fs.Bind[Driver](reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := reader.Do(ctx, fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("driver_id", 1001)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	var d Driver
	err = binding.Scan(result, 0, &d)
	fmt.Println(d.Trips, d.Rating == nil, err)
	// Output: 42 true <nil>
}

func ExampleOnline_Write() {
	online, registry, err := open()
	if err != nil {
		fmt.Println(err)
		return
	}
	stats, _ := registry.View("driver_stats")
	now := time.Now()
	outcomes, err := online.Write(context.Background(), "driver_stats", []fs.Row{
		{Key: fs.IntKey(1), Record: stats.NewRecord(now)},
		{Key: fs.IntKey(1), Record: stats.NewRecord(now.Add(-time.Second))}, // late
		{Key: fs.StringKey("one"), Record: stats.NewRecord(now)},            // not a key of a driver
	})
	fmt.Println(outcomes)
	var failure *fs.WriteError
	if errors.As(err, &failure) {
		for _, row := range failure.Rows {
			fmt.Println(row.Row, row.Err)
		}
	}
	// Output:
	// [written stale invalid]
	// 2 featurestore: bad key: not one of entity "driver"
}

func ExampleTransformer() {
	double := func(fs.Transform, []fs.Feature) (fs.Apply, error) {
		return func(in, out []*fs.Column) error {
			for row, ok := range in[0].Valid {
				out[0].Valid[row], out[0].Ints[row] = ok, 2*in[0].Ints[row]
			}
			return nil
		}, nil
	}
	registry, err := fs.NewRegistry("taxi", fs.WithOps(map[string]fs.Op{"double": double}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defs := drivers
	defs.Services = []fs.Service{{
		Name: "ranking", Version: 1, Features: []string{"driver_stats:rating", "trips_14d"},
		Transforms: []fs.Transform{{
			Name: "guess", Op: "double", Inputs: []string{"driver_stats:trips_7d"}, Outputs: []fs.Feature{{Name: "trips_14d", Kind: fs.Int64}},
		}},
	}}
	if err := registry.Apply(defs); err != nil {
		fmt.Println(err)
		return
	}
	offline, err := fs.NewTransformer(registry, "ranking", 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	trips := fs.Int64Column("driver_stats:trips_7d", 3, 4, 5)
	outputs, err := offline.Apply([]*fs.Column{&trips})
	fmt.Println(outputs[0].Name, outputs[0].Ints, err)
	// Output: trips_14d [6 8 10] <nil>
}
