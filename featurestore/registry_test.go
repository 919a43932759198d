package featurestore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/internal/murmur3"
)

// rideDefinitions are an entity, two views and a service that are good.
func rideDefinitions() featurestore.Definitions {
	return featurestore.Definitions{
		Entities: []featurestore.Entity{
			{Name: "driver", JoinKeys: []featurestore.JoinKey{{"driver_id", featurestore.Int64}}},
			{Name: "route", JoinKeys: []featurestore.JoinKey{{"from", featurestore.String}, {"to", featurestore.String}}},
		},
		Views: []featurestore.View{
			{Name: "trips", Entity: "driver", TTL: featurestore.Duration(24 * time.Hour), Owner: "rides", Features: []featurestore.Feature{
				{Name: "count", Kind: featurestore.Int64, Default: featurestore.Int64Value(0)},
				{Name: "rating", Kind: featurestore.Float32, Default: featurestore.Float32Value(float32(math.NaN()))},
				{Name: "taste", Kind: featurestore.Vector, Dim: 3, Default: featurestore.VectorValue([]float32{1, 2.5, -3})},
			}},
			{Name: "traffic", Entity: "route", Features: []featurestore.Feature{
				{Name: "delay", Kind: featurestore.Float64, Default: featurestore.Float64Value(0.1)},
				{Name: "note", Kind: featurestore.String, Default: featurestore.StringValue("<none>")},
				{Name: "raw", Kind: featurestore.Bytes, Default: featurestore.BytesValue([]byte{0, 255})},
				{Name: "closed", Kind: featurestore.Bool, Default: featurestore.BoolValue(true)},
				{Name: "since", Kind: featurestore.Timestamp, Default: featurestore.TimestampValue(time.Unix(1, 5))},
				{Name: "lanes", Kind: featurestore.Int32},
			}},
			{Name: "weather", Features: []featurestore.Feature{{Name: "rain", Kind: featurestore.Float64}}},
		},
		Services: []featurestore.Service{{Name: "eta", Version: 1, Features: []string{"trips:rating", "traffic:*"}}},
	}
}

func newRegistry(t *testing.T, defs ...featurestore.Definitions) *featurestore.Registry {
	t.Helper()
	r, err := featurestore.NewRegistry("rides")
	require.NoError(t, err)
	for _, d := range defs {
		require.NoError(t, r.Apply(d))
	}
	return r
}

func TestRegistryIsSavedAndLoaded(t *testing.T) {
	r := newRegistry(t, rideDefinitions())
	var saved bytes.Buffer
	require.NoError(t, r.Save(&saved))
	assert.Contains(t, saved.String(), `"ttl": "24h0m0s"`)
	assert.Contains(t, saved.String(), `"type": "float32"`)

	loaded, err := featurestore.Load(bytes.NewReader(saved.Bytes()))
	require.NoError(t, err)
	var again bytes.Buffer
	require.NoError(t, loaded.Save(&again))
	assert.Equal(t, saved.String(), again.String())

	before, err := r.View("traffic")
	require.NoError(t, err)
	after, err := loaded.View("traffic")
	require.NoError(t, err)
	for i, f := range before.Features() {
		assert.True(t, f.Default.Equal(after.Features()[i].Default), "%s: %v, %v", f.Name, f.Default, after.Features()[i].Default)
	}
	assert.Equal(t, "rides", after.Project())
}

func TestLoadRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, text := range map[string]string{
		"unknown field":  `{"project":"p","colour":"red"}`,
		"trailing":       `{"project":"p"} {}`,
		"not JSON":       `project: p`,
		"no project":     `{}`,
		"unknown type":   `{"project":"p","views":[{"name":"v","features":[{"name":"f","type":"decimal"}]}]}`,
		"bad TTL":        `{"project":"p","views":[{"name":"v","ttl":"a day","features":[{"name":"f","type":"int64"}]}]}`,
		"default's type": `{"project":"p","views":[{"name":"v","features":[{"name":"f","type":"int64","default":{"type":"string","value":"1"}}]}]}`,
		"value's type":   `{"project":"p","views":[{"name":"v","features":[{"name":"f","type":"int64","default":{"type":"int64","value":"x"}}]}]}`,
		"empty":          ``,
	} {
		_, err := featurestore.Load(strings.NewReader(text))
		assert.ErrorIs(t, err, featurestore.ErrDefinition, name)
	}
}

func TestApplyRefusesBadDefinitions(t *testing.T) {
	int64s := func(names ...string) (fs []featurestore.Feature) {
		for _, n := range names {
			fs = append(fs, featurestore.Feature{Name: n, Kind: featurestore.Int64})
		}
		return fs
	}
	view := func(name string, fs ...featurestore.Feature) featurestore.Definitions {
		return featurestore.Definitions{Views: []featurestore.View{{Name: name, Features: fs}}}
	}
	service := func(s featurestore.Service) featurestore.Definitions {
		return featurestore.Definitions{Services: []featurestore.Service{s}}
	}
	ok := []string{"trips:count"}
	for name, d := range map[string]featurestore.Definitions{
		"entity without name":      {Entities: []featurestore.Entity{{JoinKeys: []featurestore.JoinKey{{"id", featurestore.Int64}}}}},
		"entity without keys":      {Entities: []featurestore.Entity{{Name: "e"}}},
		"join key twice":           {Entities: []featurestore.Entity{{Name: "e", JoinKeys: []featurestore.JoinKey{{"a", featurestore.Int64}, {"a", featurestore.String}}}}},
		"join key's type":          {Entities: []featurestore.Entity{{Name: "e", JoinKeys: []featurestore.JoinKey{{"a", featurestore.Float64}}}}},
		"entity twice":             {Entities: []featurestore.Entity{{Name: "e", JoinKeys: []featurestore.JoinKey{{"a", featurestore.Int64}}}, {Name: "e", JoinKeys: []featurestore.JoinKey{{"a", featurestore.Int64}}}}},
		"view without features":    view("v"),
		"view's name has a colon":  view("v:w", int64s("a")...),
		"view's name has a space":  view("v w", int64s("a")...),
		"view's name begins so":    view("7v", int64s("a")...),
		"view's name is long":      view(strings.Repeat("v", featurestore.MaxName+1), int64s("a")...),
		"view's name is a prefix":  view("request", int64s("a")...),
		"view's name is not ASCII": view("größe", int64s("a")...),
		"feature twice":            view("v", int64s("a", "a")...),
		"feature without type":     view("v", featurestore.Feature{Name: "a"}),
		"feature of unknown type":  view("v", featurestore.Feature{Name: "a", Kind: 99}),
		"vector without size":      view("v", featurestore.Feature{Name: "a", Kind: featurestore.Vector}),
		"vector of negative size":  view("v", featurestore.Feature{Name: "a", Kind: featurestore.Vector, Dim: -1}),
		"vector too large":         view("v", featurestore.Feature{Name: "a", Kind: featurestore.Vector, Dim: featurestore.MaxDim + 1}),
		"number with a size":       view("v", featurestore.Feature{Name: "a", Kind: featurestore.Int64, Dim: 1}),
		"default's type":           view("v", featurestore.Feature{Name: "a", Kind: featurestore.Int64, Default: featurestore.StringValue("1")}),
		"default's size":           view("v", featurestore.Feature{Name: "a", Kind: featurestore.Vector, Dim: 2, Default: featurestore.VectorValue([]float32{1})}),
		"default is not finite":    view("v", featurestore.Feature{Name: "a", Kind: featurestore.Vector, Dim: 1, Default: featurestore.VectorValue([]float32{float32(math.NaN())})}),
		"default's range":          view("v", featurestore.Feature{Name: "a", Kind: featurestore.Int32, Default: featurestore.Int64Value(1 << 40)}),
		"default not UTF-8":        view("v", featurestore.Feature{Name: "a", Kind: featurestore.String, Default: featurestore.StringValue("\xff")}),
		"negative TTL":             {Views: []featurestore.View{{Name: "v", TTL: -1, Features: int64s("a")}}},
		"too many features":        view("v", make([]featurestore.Feature, featurestore.MaxFeatures+1)...),
		"unknown entity":           {Views: []featurestore.View{{Name: "v", Entity: "none", Features: int64s("a")}}},
		"other project":            {Project: "other"},
		"service without version":  service(featurestore.Service{Name: "s", Features: ok}),
		"service without features": service(featurestore.Service{Name: "s", Version: 1}),
		"service, unknown view":    service(featurestore.Service{Name: "s", Version: 1, Features: []string{"none:a"}}),
		"service, unknown views":   service(featurestore.Service{Name: "s", Version: 1, Features: []string{"none:*"}}),
		"service, unknown feature": service(featurestore.Service{Name: "s", Version: 1, Features: []string{"trips:none"}}),
		"service, field twice":     service(featurestore.Service{Name: "s", Version: 1, Features: ok, Request: int64s("a", "a")}),
		"transform without name":   service(featurestore.Service{Name: "s", Version: 1, Features: ok, Transforms: []featurestore.Transform{{Op: "x", Outputs: int64s("o")}}}),
		"transform, no output":     service(featurestore.Service{Name: "s", Version: 1, Features: ok, Transforms: []featurestore.Transform{{Name: "t", Op: "x"}}}),
		"transform, parameters":    service(featurestore.Service{Name: "s", Version: 1, Features: ok, Transforms: []featurestore.Transform{{Name: "t", Op: "x", Outputs: int64s("o"), Params: json.RawMessage("{")}}}),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, rideDefinitions())
			before := r.Definitions()
			err := r.Apply(d)
			require.Error(t, err)
			assert.Regexp(t, "^featurestore: |: featurestore: ", err.Error())
			assert.Equal(t, before, r.Definitions(), "nothing is applied")
		})
	}
}

func TestApplyRefusesIncompatibleChanges(t *testing.T) {
	for name, change := range map[string]func(*featurestore.Definitions){
		"entity's join key":  func(d *featurestore.Definitions) { d.Entities[0].JoinKeys[0].Kind = featurestore.String },
		"order of join keys": func(d *featurestore.Definitions) { k := d.Entities[1].JoinKeys; k[0], k[1] = k[1], k[0] },
		"view's entity":      func(d *featurestore.Definitions) { d.Views[0].Entity = "route" },
		"feature's type": func(d *featurestore.Definitions) {
			d.Views[0].Features[0] = featurestore.Feature{Name: "count", Kind: featurestore.Int32}
		},
		"vector's size": func(d *featurestore.Definitions) {
			d.Views[0].Features[2] = featurestore.Feature{Name: "taste", Kind: featurestore.Vector, Dim: 4}
		},
		"a feature that is read": func(d *featurestore.Definitions) { d.Views[0].Features = d.Views[0].Features[:1] },
		"service":                func(d *featurestore.Definitions) { d.Services[0].Features = []string{"trips:count"} },
		"service's order":        func(d *featurestore.Definitions) { f := d.Services[0].Features; f[0], f[1] = f[1], f[0] },
		"a view under a star": func(d *featurestore.Definitions) {
			d.Views[1].Features = append(d.Views[1].Features, featurestore.Feature{Name: "new", Kind: featurestore.Bool})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, rideDefinitions())
			d := rideDefinitions()
			change(&d)
			err := r.Apply(d)
			require.Error(t, err)
			if name != "a feature that is read" {
				var changed *featurestore.ChangeError
				require.ErrorAs(t, err, &changed)
				require.ErrorIs(t, err, featurestore.ErrDefinition)
			}
		})
	}
}

func TestCompatibleChanges(t *testing.T) {
	r := newRegistry(t, rideDefinitions())
	before, err := r.View("trips")
	require.NoError(t, err)
	require.NoError(t, r.Apply(rideDefinitions()), "the same again")
	same, err := r.View("trips")
	require.NoError(t, err)
	assert.Same(t, before, same)

	d := rideDefinitions()
	d.Services = nil
	d.Entities[0].Description = "who drives"
	d.Views[0].TTL = 0
	d.Views[0].Features = append([]featurestore.Feature{{Name: "new", Kind: featurestore.Bool}}, d.Views[0].Features[1:]...) // count goes: no service reads it
	require.NoError(t, r.Apply(d))
	after, err := r.View("trips")
	require.NoError(t, err)
	assert.Equal(t, 0, after.Index("new"))
	assert.Equal(t, -1, after.Index("count"))
	assert.Equal(t, "who drives", after.Entity().Description)
	assert.Equal(t, 0, before.Index("count"), "what was handed out stays")
}

func TestStarStandsForTheFeaturesOfNow(t *testing.T) {
	r := newRegistry(t, rideDefinitions())
	d := rideDefinitions()
	d.Services, d.Views = nil, d.Views[1:2]
	d.Views[0].Features = append(d.Views[0].Features, featurestore.Feature{Name: "new", Kind: featurestore.Bool})
	require.NoError(t, r.Apply(d))
	s, err := r.Service("eta", 1)
	require.NoError(t, err)
	assert.Equal(t, []string{"trips:rating", "traffic:delay", "traffic:note", "traffic:raw", "traffic:closed", "traffic:since", "traffic:lanes"}, s.Features)
}

func TestDefinitionsAreCopied(t *testing.T) {
	d := rideDefinitions()
	r := newRegistry(t, d)
	d.Views[0].Features[0].Name = "changed"
	d.Entities[0].JoinKeys[0].Name = "changed"
	d.Services[0].Features[0] = "changed"
	again := newRegistry(t, rideDefinitions())
	assert.Equal(t, again.Definitions(), r.Definitions())
}

func TestRemove(t *testing.T) {
	r := newRegistry(t, rideDefinitions())
	require.ErrorIs(t, r.RemoveView("none"), featurestore.ErrNotFound)
	require.ErrorIs(t, r.RemoveEntity("none"), featurestore.ErrNotFound)
	require.ErrorIs(t, r.RemoveService("eta", 2), featurestore.ErrNotFound)
	require.ErrorIs(t, r.RemoveView("trips"), featurestore.ErrDefinition)
	require.ErrorIs(t, r.RemoveEntity("driver"), featurestore.ErrDefinition)
	require.NoError(t, r.RemoveService("eta", 1))
	require.NoError(t, r.RemoveView("trips"))
	require.NoError(t, r.RemoveEntity("driver"))
	_, err := r.View("trips")
	require.ErrorIs(t, err, featurestore.ErrNotFound)
	_, err = r.Service("eta", 0)
	require.ErrorIs(t, err, featurestore.ErrNotFound)
	// A name that was removed is free for something else.
	require.NoError(t, r.Apply(featurestore.Definitions{Views: []featurestore.View{{Name: "trips", Features: []featurestore.Feature{{Name: "count", Kind: featurestore.String}}}}}))
}

func TestNewestVersion(t *testing.T) {
	r := newRegistry(t, rideDefinitions(), featurestore.Definitions{Services: []featurestore.Service{
		{Name: "eta", Version: 10, Features: []string{"trips:count"}}, {Name: "eta", Version: 9, Features: []string{"trips:rating"}},
	}})
	s, err := r.Service("eta", 0)
	require.NoError(t, err)
	assert.Equal(t, 10, s.Version)
}

// Two names with the same murmur3 hash, found by trying: the values of both would be in the same field.
func TestCollisionIsRefused(t *testing.T) {
	seen := map[uint32]int{}
	for i := 0; ; i++ {
		h := murmur3.Sum32(fmt.Sprintf("v:f%d", i))
		j, ok := seen[h]
		if !ok {
			seen[h] = i
			continue
		}
		features := []featurestore.Feature{{Name: fmt.Sprintf("f%d", i), Kind: featurestore.Int64}, {Name: fmt.Sprintf("f%d", j), Kind: featurestore.Int64}}
		r := newRegistry(t)
		err := r.Apply(featurestore.Definitions{Views: []featurestore.View{{Name: "v", Features: features}}})
		require.ErrorIs(t, err, featurestore.ErrDefinition)
		require.ErrorContains(t, err, "murmur3")
		require.NoError(t, r.Apply(featurestore.Definitions{Views: []featurestore.View{{Name: "v", Features: features[:1]}}}))
		return
	}
}

// A service is compiled when it is defined, and again when a view changes. The operations may look at the registry.
func TestApplyCompilesServices(t *testing.T) {
	var r *featurestore.Registry
	var asked atomic.Int32
	op := func(tr featurestore.Transform, _ []featurestore.Feature) (featurestore.Apply, error) {
		asked.Add(1)
		_, err := r.View("none")
		require.ErrorIs(t, err, featurestore.ErrNotFound)
		if tr.Params != nil {
			return nil, errors.New("no parameters, please")
		}
		return func(_, _ []*featurestore.Column) error { return nil }, nil
	}
	r, err := featurestore.NewRegistry("rides", featurestore.WithOps(map[string]featurestore.Op{"mine": op}))
	require.NoError(t, err)
	require.NoError(t, r.Apply(rideDefinitions()))
	service := func(op, params string) featurestore.Definitions {
		tr := featurestore.Transform{
			Name: "t", Op: op, Inputs: []string{"trips:count"}, Outputs: []featurestore.Feature{{Name: "o", Kind: featurestore.Float64}},
		}
		if params != "" {
			tr.Params = json.RawMessage(params)
		}
		return featurestore.Definitions{Services: []featurestore.Service{{Name: "s", Version: 1, Features: []string{"o"}, Transforms: []featurestore.Transform{tr}}}}
	}
	require.ErrorIs(t, r.Apply(service("other", "")), featurestore.ErrDefinition)
	require.ErrorContains(t, r.Apply(service("mine", "{}")), "no parameters, please")
	require.NoError(t, r.Apply(service("mine", "")))
	assert.EqualValues(t, 2, asked.Load())

	// Changes at the same time are not lost.
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			assert.NoError(t, r.Apply(featurestore.Definitions{Views: []featurestore.View{{
				Name: fmt.Sprintf("v%d", i), Features: []featurestore.Feature{{Name: "f", Kind: featurestore.Bool}},
			}}}))
		})
	}
	wg.Wait()
	assert.Len(t, r.Definitions().Views, 3+50)
}
