package featurestore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

func names(columns []fs.ColumnInfo) []string {
	var out []string
	for _, c := range columns {
		out = append(out, c.Name)
	}
	return out
}

func TestReaderKnowsColumnsAndKeys(t *testing.T) {
	defs := userAndItem()
	defs.Services = []fs.Service{{
		Name: "m", Version: 1, Features: []string{"sum", "stock:left", "profile:*", "seen:times", "world:holiday"},
		Request:    []fs.Feature{{Name: "now", Kind: fs.Int64}},
		Transforms: []fs.Transform{{Name: "add", Op: "add", Inputs: []string{"request:now", "stock:left"}, Outputs: []fs.Feature{{Name: "sum", Kind: fs.Int64}}}},
	}}
	online, _ := newOnline(t, nil, defs, ops())
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"sum", "stock:left", "profile:age", "profile:country", "profile:spend", "profile:taste", "profile:vip", "seen:times", "world:holiday",
	}, names(reader.Columns()))
	assert.ElementsMatch(t, []fs.JoinKey{{Name: "sku", Kind: fs.String}, {Name: "user_id", Kind: fs.Int64}}, reader.Keys())
	assert.Equal(t, "m", reader.Service().Name)
	at, err := reader.Column("country")
	require.NoError(t, err)
	assert.Equal(t, 3, at)
	_, err = reader.Column("nothing")
	assert.ErrorIs(t, err, fs.ErrNotFound)
}

func TestReaderOfWhatIsNotDefined(t *testing.T) {
	defs := userAndItem()
	transform := func(x fs.Transform) fs.Service {
		return fs.Service{Features: []string{"profile:age"}, Transforms: []fs.Transform{x}}
	}
	out := []fs.Feature{{Name: "out", Kind: fs.Int64}}
	for name, c := range map[string]struct {
		service fs.Service
		want    error
		says    string
	}{
		"twice":              {fs.Service{Features: []string{"profile:age", "profile:age"}}, fs.ErrDefinition, `"profile:age" twice`},
		"no such operation":  {transform(fs.Transform{Name: "x", Op: "nope", Outputs: out}), fs.ErrDefinition, `no operation "nope"`},
		"refused parameters": {transform(fs.Transform{Name: "x", Op: "refuses", Outputs: out}), fs.ErrDefinition, "not like this"},
		"no function":        {transform(fs.Transform{Name: "x", Op: "nil", Outputs: out}), fs.ErrDefinition, "gives no function"},
		"not an output":      {fs.Service{Features: []string{"age"}}, fs.ErrNotFound, `"age"`},
		"no such view":       {fs.Service{Features: []string{"nobody:age"}}, fs.ErrNotFound, "nobody"},
		"no such feature":    {fs.Service{Features: []string{"profile:shoe"}}, fs.ErrNotFound, "shoe"},
		"no such field":      {transform(fs.Transform{Name: "x", Op: "add", Inputs: []string{"request:x"}, Outputs: out}), fs.ErrNotFound, "request:x"},
		"later output": {fs.Service{Features: []string{"profile:age"}, Transforms: []fs.Transform{
			{Name: "x", Op: "add", Inputs: []string{"b"}, Outputs: []fs.Feature{{Name: "a", Kind: fs.Int64}}},
			{Name: "y", Op: "add", Inputs: []string{"a"}, Outputs: []fs.Feature{{Name: "b", Kind: fs.Int64}}},
		}}, fs.ErrNotFound, `"b"`},
	} {
		t.Run(name, func(t *testing.T) {
			c.service.Name, c.service.Version = "m", 1
			registry, err := fs.NewRegistry("test", fs.WithOps(ops()))
			require.NoError(t, err)
			require.NoError(t, registry.Apply(defs))
			// What the registry refuses already is not the plan's to find.
			if err = registry.Apply(fs.Definitions{Services: []fs.Service{c.service}}); err == nil {
				var online *fs.Online
				online, err = fs.New(newMemory(t), registry, fs.Config{})
				require.NoError(t, err)
				_, err = online.Reader("m", 0)
			}
			require.ErrorIs(t, err, c.want)
			assert.ErrorContains(t, err, c.says)
		})
	}
	online, _ := newOnline(t, nil, defs, nil)
	for _, version := range []int{0, 1, -1} {
		_, err := online.Reader("m", version)
		assert.ErrorIs(t, err, fs.ErrNotFound)
	}
	_, err := online.Get(t.Context(), "m", fs.Request{})
	assert.ErrorIs(t, err, fs.ErrNotFound)
}

func TestJoinKeyOfTwoKinds(t *testing.T) {
	online, _ := newOnline(t, nil, fs.Definitions{
		Entities: []fs.Entity{
			{Name: "a", JoinKeys: []fs.JoinKey{{Name: "id", Kind: fs.Int64}}},
			{Name: "b", JoinKeys: []fs.JoinKey{{Name: "id", Kind: fs.String}}},
		},
		Views: []fs.View{
			{Name: "va", Entity: "a", Features: []fs.Feature{{Name: "f", Kind: fs.Int64}}},
			{Name: "vb", Entity: "b", Features: []fs.Feature{{Name: "f", Kind: fs.Int64}}},
		},
	}, nil)
	_ = online
	registry, err := fs.NewRegistry("test")
	require.NoError(t, err)
	err = registry.Apply(fs.Definitions{
		Entities: []fs.Entity{
			{Name: "a", JoinKeys: []fs.JoinKey{{Name: "id", Kind: fs.Int64}}},
			{Name: "b", JoinKeys: []fs.JoinKey{{Name: "id", Kind: fs.String}}},
		},
		Views: []fs.View{
			{Name: "va", Entity: "a", Features: []fs.Feature{{Name: "f", Kind: fs.Int64}}},
			{Name: "vb", Entity: "b", Features: []fs.Feature{{Name: "f", Kind: fs.Int64}}},
		},
		Services: []fs.Service{{Name: "m", Version: 1, Features: []string{"va:f", "vb:f"}}},
	})
	if err == nil {
		online, err = fs.New(newMemory(t), registry, fs.Config{})
		require.NoError(t, err)
		_, err = online.Reader("m", 0)
	}
	require.ErrorIs(t, err, fs.ErrDefinition)
	assert.ErrorContains(t, err, `"id"`)
}

func TestReaderStaysUntilDefinitionsChange(t *testing.T) {
	defs := userAndItem()
	defs.Services = []fs.Service{{Name: "m", Version: 1, Features: []string{"profile:age"}}}
	online, registry := newOnline(t, nil, defs, nil)
	old, err := online.Reader("m", 0)
	require.NoError(t, err)
	put(t, online, view(t, registry, "profile"), time.Now(), []any{1}, "age", int32(30))

	again, err := online.Reader("m", 1)
	require.NoError(t, err)
	assert.Same(t, old, again)
	require.NoError(t, registry.Apply(defs)) // changes nothing
	again, err = online.Reader("m", 0)
	require.NoError(t, err)
	assert.Same(t, old, again)

	// The view gets a feature in front of the others: rows that are there have another layout.
	profile := defs.Views[0]
	profile.Features = append([]fs.Feature{{Name: "shoe", Kind: fs.Int32}}, profile.Features...)
	require.NoError(t, registry.Apply(fs.Definitions{
		Views:    []fs.View{profile},
		Services: []fs.Service{{Name: "m", Version: 2, Features: []string{"profile:shoe", "profile:age"}}},
	}))
	newer, err := online.Reader("m", 0)
	require.NoError(t, err)
	assert.Equal(t, []string{"profile:shoe", "profile:age"}, names(newer.Columns()))
	again, err = online.Reader("m", 1)
	require.NoError(t, err)
	assert.NotSame(t, old, again, "its view has changed")

	put(t, online, view(t, registry, "profile"), time.Now(), []any{2}, "age", int32(40), "shoe", int32(43))
	req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1, 2)}}
	for name, r := range map[string]*fs.Reader{"old": old, "same version": again, "newer": newer} {
		result, err := r.Do(t.Context(), req)
		require.NoError(t, err, name)
		age, err := r.Column("age")
		require.NoError(t, err)
		assert.EqualValues(t, 30, result.Value(0, age).Int(), name)
		assert.EqualValues(t, 40, result.Value(1, age).Int(), name)
	}
	result, err := newer.Do(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, fs.Missing, result.Status(0, 0))
	assert.EqualValues(t, 43, result.Value(1, 0).Int())
}

func TestNilIsAnError(t *testing.T) {
	_, err := fs.Bind[struct {
		X float64 `feature:"x"`
	}](nil)
	assert.ErrorContains(t, err, "nil reader")
	_, err = fs.BindRow[struct {
		X float64 `feature:"x"`
	}](nil)
	assert.ErrorContains(t, err, "nil schema")
	_, err = fs.NewTransformer(nil, "s", 0)
	assert.ErrorContains(t, err, "nil registry")
	_, err = fs.Load(nil)
	assert.ErrorContains(t, err, "nil reader")
}

func TestNewRefuses(t *testing.T) {
	registry, err := fs.NewRegistry("test")
	require.NoError(t, err)
	_, err = fs.New(nil, registry, fs.Config{})
	assert.ErrorContains(t, err, "needs a store")
	_, err = fs.New(newMemory(t), nil, fs.Config{})
	assert.ErrorContains(t, err, "needs a registry")
	_, err = fs.New(newMemory(t), registry, fs.Config{MaxFuture: -1})
	assert.ErrorContains(t, err, "MaxFuture is negative")
}

// ops are operations for tests.
func ops() map[string]fs.Op {
	return map[string]fs.Op{
		"add": func(fs.Transform, []fs.Feature) (fs.Apply, error) {
			return func(in, out []*fs.Column) error {
				for row := range out[0].Valid {
					out[0].Valid[row] = true
					for _, c := range in {
						out[0].Valid[row] = out[0].Valid[row] && c.Valid[row]
						out[0].Ints[row] += c.Ints[row]
					}
				}
				return nil
			}, nil
		},
		"length": func(fs.Transform, []fs.Feature) (fs.Apply, error) {
			return func(in, out []*fs.Column) error {
				for row, s := range in[0].Strs {
					out[0].Ints[row], out[0].Valid[row] = int64(len(s)), in[0].Valid[row]
				}
				return nil
			}, nil
		},
		"fails":   apply(func(_, _ []*fs.Column) error { return errApply }),
		"panics":  apply(func(_, _ []*fs.Column) error { panic("boom") }),
		"spoils":  apply(func(_, out []*fs.Column) error { out[0].Valid = nil; return nil }),
		"nil":     apply(nil),
		"refuses": func(fs.Transform, []fs.Feature) (fs.Apply, error) { return nil, errors.New("not like this") },
	}
}

var errApply = errors.New("apply")

func apply(f fs.Apply) fs.Op {
	return func(fs.Transform, []fs.Feature) (fs.Apply, error) { return f, nil }
}

func TestAnUnknownServiceIsNamed(t *testing.T) {
	registry, err := fs.NewRegistry("test")
	require.NoError(t, err)
	_, err = registry.Service("s", 0)
	require.ErrorIs(t, err, fs.ErrNotFound)
	require.EqualError(t, err, `featurestore: not defined: service "s"`)
	_, err = registry.Service("s", 3)
	require.EqualError(t, err, `featurestore: not defined: version 3 of service "s"`)
}
