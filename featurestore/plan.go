package featurestore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// plan is a service compiled against definitions. It does not change, but for the caches in its views.
type plan struct {
	service Service
	columns []ColumnInfo // in the service's order
	sources []source     // of each column
	index   map[string]int

	views   []planView
	keySets []keySet
	keys    []JoinKey // that a request has to have

	vars  []planVar // the columns that transforms take and make
	steps []step
}

// ColumnInfo describes one column of a service.
type ColumnInfo struct {
	Name    string  // as the service says: "view:feature", or the name of an output
	View    string  // "" for an output of a transform
	Feature Feature // its name is without the view's
}

// source is where the values of a column come from: a feature of a view or, with view -1, a variable.
type source struct{ view, at int }

// planView is what is read of one view.
type planView struct {
	schema   *Schema
	features []int    // ascending
	need     []uint64 // the same as bits of Record.set
	keySet   int
	foreign  atomic.Pointer[kinship] // to the schema of the last record that was made by another
}

// keySet is the join keys of one entity, by position in plan.keys.
type keySet struct {
	entity *Entity
	keys   []int
}

// planVar is a column that transforms work on: a feature of a view, a field of the request, or an output.
type planVar struct {
	Feature
	name    string
	view    int // or one of varRequest, varOutput
	feature int // its position in the view or the request
}

const (
	varRequest = -1 - iota
	varOutput
)

// step is one transform.
type step struct {
	name    string
	apply   Apply
	in, out []int // positions in plan.vars
}

// snapshot is a version of a service, of the newest for version 0, with the views as they are defined at the same time. The map does
// not change.
func (r *Registry) snapshot(name string, version int) (Service, map[string]*Schema, error) {
	now := r.defs.Load()
	s, err := now.service(name, version)
	return s, now.views, err
}

// compiler makes a plan.
type compiler struct {
	plan
	defined map[string]*Schema
	viewAt  map[string]int
	varAt   map[string]int
	where   string
}

func compile(s Service, views map[string]*Schema, ops map[string]Op) (*plan, error) {
	c := &compiler{
		plan: plan{service: s, index: map[string]int{}}, defined: views, viewAt: map[string]int{}, varAt: map[string]int{},
		where: fmt.Sprintf("version %d of service %q", s.Version, s.Name),
	}
	c.views = make([]planView, 0, len(views)) // they hold an atomic and stay where they are
	for i := range s.Transforms {
		if err := c.transform(&s.Transforms[i], ops); err != nil {
			return nil, err
		}
	}
	for _, name := range s.Features {
		if err := c.column(name); err != nil {
			return nil, err
		}
	}
	for i := range c.views {
		v := &c.views[i]
		slices.Sort(v.features)
		v.features = slices.Compact(v.features)
		v.need = make([]uint64, (len(v.schema.view.Features)+63)/64)
		for _, f := range v.features {
			v.need[f>>6] |= 1 << (f & 63)
		}
		if err := c.keysOf(v); err != nil {
			return nil, err
		}
	}
	return &c.plan, nil
}

// column adds a column. A "view:*" is not there any more: see expand.
func (c *compiler) column(name string) error {
	if view, feature, ok := strings.Cut(name, ":"); ok {
		return c.stored(name, view, feature)
	}
	at, ok := c.varAt[name]
	if !ok {
		return fmt.Errorf("%w: column %q of %s is neither \"view:feature\" nor an output of a transform", ErrNotFound, name, c.where)
	}
	return c.add(ColumnInfo{Name: name, Feature: c.vars[at].Feature}, source{-1, at})
}

func (c *compiler) stored(name, view, feature string) error {
	v, f, at, err := c.feature(view, feature)
	if err != nil {
		return err
	}
	return c.add(ColumnInfo{Name: name, View: view, Feature: f}, source{v, at})
}

func (c *compiler) add(info ColumnInfo, from source) error {
	if _, twice := c.index[info.Name]; twice {
		return fmt.Errorf("%w: %s has the column %q twice", ErrDefinition, c.where, info.Name)
	}
	c.index[info.Name] = len(c.columns)
	c.columns, c.sources = append(c.columns, info), append(c.sources, from)
	return nil
}

// feature notes that a feature of a view is read.
func (c *compiler) feature(view, feature string) (v int, f Feature, at int, err error) {
	schema, ok := c.defined[view]
	if !ok {
		return 0, f, 0, fmt.Errorf("%w: view %q, which %s reads", ErrNotFound, view, c.where)
	}
	if at = schema.Index(feature); at < 0 {
		return 0, f, 0, fmt.Errorf("%w: view %q has no feature %q, which %s reads", ErrNotFound, view, feature, c.where)
	}
	v, ok = c.viewAt[view]
	if !ok {
		v = len(c.views)
		c.viewAt[view] = v
		c.views = append(c.views, planView{schema: schema})
	}
	c.views[v].features = append(c.views[v].features, at)
	f, err = c.withDefault(schema.view.Features[at])
	return v, f, at, err
}

// withDefault is the feature with its default in its own kind.
func (c *compiler) withDefault(f Feature) (Feature, error) {
	v, err := f.convert(f.Default)
	if err != nil {
		return f, fmt.Errorf("%w: %s: the default of %w", ErrDefinition, c.where, err)
	}
	f.Default = v
	return f, nil
}

// keysOf finds the join keys of a view's entity among those of the request.
func (c *compiler) keysOf(v *planView) error {
	entity := v.schema.Entity()
	for i := range c.keySets {
		if c.keySets[i].entity.Name == entity.Name {
			v.keySet = i
			return nil
		}
	}
	set := keySet{entity: entity}
	for _, j := range entity.JoinKeys {
		at := slices.IndexFunc(c.keys, func(k JoinKey) bool { return k.Name == j.Name })
		switch {
		case at < 0:
			at = len(c.keys)
			c.keys = append(c.keys, j)
		case c.keys[at].Kind != j.Kind:
			return fmt.Errorf("%w: %s: join key %q is of type %v for entity %q, and of type %v for another",
				ErrDefinition, c.where, j.Name, j.Kind, entity.Name, c.keys[at].Kind)
		}
		set.keys = append(set.keys, at)
	}
	v.keySet = len(c.keySets)
	c.keySets = append(c.keySets, set)
	return nil
}

// find is the position of a column by its full name or, if it is that of one column only, by that of its feature.
func (p *plan) find(name string) (int, error) {
	if at, ok := p.index[name]; ok {
		return at, nil
	}
	found := -1
	for i := range p.columns {
		if p.columns[i].Feature.Name != name {
			continue
		}
		if found >= 0 {
			return -1, fmt.Errorf("%w: column %q could be %q or %q", ErrDefinition, name, p.columns[found].Name, p.columns[i].Name)
		}
		found = i
	}
	if found < 0 {
		return -1, fmt.Errorf("%w: column %q of version %d of service %q", ErrNotFound, name, p.service.Version, cmp.Or(p.service.Name, "?"))
	}
	return found, nil
}
