package storetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// testVersions makes up views, writes rows by several versions of their definitions, and reads them by all of these, in all the ways that a reader has.
func testVersions(t *testing.T, f *fixture) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for i := range max(f.rounds/80, 3) {
		newVersions(t, f, rand.New(rand.NewPCG(seed, uint64(i))), fmt.Sprint("versions", i)).run(t)
	}
}

const (
	users, items = 6, 12
	versionCount = 3
)

// versions is a project of two views with several versions, as processes of different age have them.
type versions struct {
	*fixture
	random *rand.Rand
	views  [versionCount]map[string]*fs.Schema
	reader [versionCount]*fs.Reader
	rows   map[modelKey]versionsRow
}

// versionsRow is what was written, and by which version.
type versionsRow struct {
	version int
	event   time.Time
	values  map[string]fs.Value
}

func newVersions(t *testing.T, f *fixture, random *rand.Rand, project string) *versions {
	v := &versions{fixture: f, random: random, rows: map[modelKey]versionsRow{}}
	entities := []fs.Entity{
		{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}},
		{Name: "item", JoinKeys: []fs.JoinKey{{Name: "item_id", Kind: fs.String}}},
		{Name: "pair", JoinKeys: []fs.JoinKey{{Name: "item_id", Kind: fs.String}, {Name: "user_id", Kind: fs.Int64}}},
	}
	text, few := random.IntN(3) == 0, random.IntN(2) == 0 // with text there is no matrix
	var views []fs.View
	for _, name := range []string{"a", "b"} {
		view := fs.View{Name: name, Entity: entities[random.IntN(3)].Name, TTL: fs.Duration(random.IntN(2)) * fs.Duration(brief)}
		for i := range 1 + random.IntN(12)*(1+9*random.IntN(2)) {
			feature := fs.Feature{Name: fmt.Sprint("f", i), Kind: fs.Kind(1 + random.IntN(int(fs.Int32)))}
			if few || !text && (feature.Kind == fs.String || feature.Kind == fs.Bytes) {
				feature.Kind = []fs.Kind{fs.Float32, fs.Vector}[random.IntN(2)]
			}
			if feature.Kind == fs.Vector {
				feature.Dim = 1 + random.IntN(4)
			}
			view.Features = append(view.Features, feature)
		}
		views = append(views, view)
	}
	for i := range versionCount {
		d := fs.Definitions{Project: project, Entities: entities}
		service := fs.Service{Name: "s", Version: 1}
		for _, view := range views {
			view.Features = v.some(view.Features)
			d.Views = append(d.Views, view)
			for j := range view.Features {
				feature := &view.Features[j]
				if feature.Default = (fs.Value{}); random.IntN(4) == 0 && feature.Kind != fs.Vector { // whose default must be finite
					feature.Default = v.value(feature)
				}
				name := view.Name + ":" + feature.Name
				service.Features = append(service.Features, name)
				if random.IntN(4) == 0 {
					out := fs.Feature{Name: "same_" + view.Name + feature.Name, Kind: feature.Kind, Dim: feature.Dim}
					service.Transforms = append(service.Transforms, fs.Transform{Name: out.Name, Op: "same", Inputs: []string{name}, Outputs: []fs.Feature{out}})
					service.Features = append(service.Features, out.Name)
				}
			}
		}
		if random.IntN(2) == 0 {
			random.Shuffle(len(service.Features), func(i, j int) {
				service.Features[i], service.Features[j] = service.Features[j], service.Features[i]
			})
		}
		d.Services = []fs.Service{service}
		v.define(t, i, d)
	}
	return v
}

func (v *versions) define(t *testing.T, version int, d fs.Definitions) {
	t.Helper()
	registry, err := fs.NewRegistry(d.Project, fs.WithOps(map[string]fs.Op{"same": same}))
	if err == nil {
		err = registry.Apply(d)
	}
	if err != nil {
		t.Fatal(err)
	}
	v.views[version] = map[string]*fs.Schema{}
	for _, view := range d.Views {
		if v.views[version][view.Name], err = registry.View(view.Name); err != nil {
			t.Fatal(err)
		}
	}
	online, err := fs.New(v.store, registry, fs.Config{})
	if err == nil {
		v.reader[version], err = online.Reader("s", 0)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// same is the operation whose output is its input.
func same(fs.Transform, []fs.Feature) (fs.Apply, error) {
	return func(in, out []*fs.Column) error {
		copy(out[0].Valid, in[0].Valid)
		copy(out[0].Ints, in[0].Ints)
		copy(out[0].Floats, in[0].Floats)
		copy(out[0].Strs, in[0].Strs)
		copy(out[0].Vecs, in[0].Vecs)
		return nil
	}, nil
}

// some are one or more of the features, at times all, in any order.
func (v *versions) some(all []fs.Feature) []fs.Feature {
	features := slices.Clone(all)
	if v.random.IntN(2) == 0 {
		v.random.Shuffle(len(features), func(i, j int) { features[i], features[j] = features[j], features[i] })
		features = features[:1+v.random.IntN(len(features))]
	}
	return features
}

func (v *versions) float() float64 {
	special := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat32, 1e-45, -1e-40, 0.1}
	if i := v.random.IntN(2 * len(special)); i < len(special) {
		return special[i]
	}
	return v.random.NormFloat64()
}

func (v *versions) value(f *fs.Feature) fs.Value {
	switch f.Kind {
	case fs.Int64:
		return fs.Int64Value(v.random.Int64()>>v.random.IntN(64) - 1<<10)
	case fs.Int32:
		return fs.Int32Value(int32(v.random.Uint32()))
	case fs.Float64:
		return fs.Float64Value(v.float())
	case fs.Float32:
		return fs.Float32Value(float32(v.float()))
	case fs.Bool:
		return fs.BoolValue(v.random.IntN(2) == 0)
	case fs.String:
		return fs.StringValue(fmt.Sprint(v.random.IntN(1000)))
	case fs.Bytes:
		return fs.BytesValue([]byte{0, 255, byte(v.random.IntN(256))}[:v.random.IntN(4)])
	case fs.Timestamp:
		return fs.TimestampValue(v.now.Add(time.Duration(v.random.Int64N(1e15))).Truncate(v.timestamp))
	}
	vector := make([]float32, f.Dim)
	for i := range vector {
		vector[i] = float32(v.float())
	}
	return fs.VectorValue(vector)
}

func keyOf(t *testing.T, view *fs.Schema, user int64, item string) fs.Key {
	t.Helper()
	var parts []any
	for _, j := range view.Entity().JoinKeys {
		if j.Name == "user_id" {
			parts = append(parts, user)
		} else {
			parts = append(parts, item)
		}
	}
	key, err := view.Entity().Key(parts...)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (v *versions) user() int64 { return v.random.Int64N(users) - 1 }

func (v *versions) item() string { return fmt.Sprint(v.random.IntN(items)) }

// run writes many rows and reads them.
func (v *versions) run(t *testing.T) {
	for n := range 40 {
		v.writeRow(t, []string{"a", "b"}[v.random.IntN(2)], n)
	}
	for version := range versionCount {
		for range 2 {
			v.readRows(t, version)
		}
	}
}

// writeRow writes a row by any version, or by that which has written it before: what becomes of features that only one of them knows is not laid down.
func (v *versions) writeRow(t *testing.T, name string, n int) {
	t.Helper()
	version := v.random.IntN(versionCount)
	at := modelKey{name, keyOf(t, v.views[0][name], v.user(), v.item())}
	old, exists := v.rows[at]
	if exists {
		version = old.version
	}
	schema := v.views[version][name]
	row := versionsRow{version, v.at(n), map[string]fs.Value{}}
	if !exists && v.random.IntN(4) == 0 {
		row.event = v.now.Add(-brief - time.Hour)
	}
	nulls := []int{1, 2, 100}[v.random.IntN(3)]
	for i := range schema.Features() {
		if feature := &schema.Features()[i]; v.random.IntN(nulls+1) > 0 {
			row.values[feature.Name] = v.value(feature)
		}
	}
	record, err := schema.Record(row.event, row.values)
	if err != nil {
		t.Fatal(err)
	}
	outcomes := make([]fs.Outcome, 1)
	if err := v.store.Write(t.Context(), schema, []fs.Row{{Key: at.key, Record: record}}, outcomes); err != nil || outcomes[0] != fs.Written {
		t.Fatalf("Write: %v, %v", outcomes[0], err)
	}
	v.rows[at] = row
}
