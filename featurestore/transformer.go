package featurestore

import (
	"errors"
	"fmt"
	"slices"
)

// Transformer applies the transforms of one version of a service to columns that the caller has: to those of a training set, for which they
// are the same code as for a read. It is safe for concurrent use.
type Transformer struct{ plan *plan }

// NewTransformer compiles the transforms of a version of a service, of the newest for version 0.
func NewTransformer(registry *Registry, service string, version int) (*Transformer, error) {
	if registry == nil {
		return nil, errors.New("featurestore: NewTransformer: nil registry")
	}
	s, views, err := registry.snapshot(service, version)
	if err != nil {
		return nil, err
	}
	p, err := compile(s, views, registry.ops)
	if err != nil {
		return nil, err
	}
	return &Transformer{p}, nil
}

// Inputs are the columns that Apply needs, by their names as transforms name them: "view:feature" and "request:field". Outputs are those that it
// makes. Each call makes new slices.
func (t *Transformer) Inputs() []Feature { return t.features(false) }

// Outputs are the columns that Apply makes, in their order.
func (t *Transformer) Outputs() []Feature { return t.features(true) }

func (t *Transformer) features(outputs bool) []Feature {
	var features []Feature
	for i := range t.plan.vars {
		v := &t.plan.vars[i]
		if outputs == (v.view == varOutput) {
			f := v.Feature
			f.Name = v.name
			features = append(features, f)
		}
	}
	return features
}

// Apply computes the outputs for columns that are named as Inputs says; it does not change them, and does not look at others. All must have the same
// number of rows, but that a field of the request may have a single one, which goes for all, as in a read. Where an input or an output has no value, its
// default takes the place, as in a read; Valid of an output is true there. A column that is missing, of another kind, or with a value that its kind does not
// have (see [Request]) is an ErrRequest. The outputs come in the order of Outputs. A panic of a transform is the caller's.
func (t *Transformer) Apply(columns []*Column) ([]*Column, error) {
	p := t.plan
	byName := make(map[string]*Column, len(columns))
	for i, c := range columns {
		if c == nil {
			return nil, fmt.Errorf("%w: column %d is nil", ErrRequest, i)
		}
		if byName[c.Name] != nil {
			return nil, fmt.Errorf("%w: column %q is given twice", ErrRequest, c.Name)
		}
		byName[c.Name] = c
	}
	inputs, rows, err := p.inputs(byName)
	if err != nil {
		return nil, err
	}
	if rows < 0 { // transforms without an input: a constant for as many rows as there are
		rows = 0
		for _, c := range columns {
			rows = max(rows, c.Len())
		}
	}
	vars := make([]variable, len(p.vars))
	for i, c := range inputs {
		want, v := &p.vars[i], &vars[i]
		switch {
		case c == nil: // an output
			continue
		case c.Len() != rows:
			v.repeat(c, want.Feature, rows)
		case want.Default.IsNull() || allTrue(c.Valid):
			v.Column = *c
			v.Feature = want.Feature
			continue
		default:
			v.Column = c.clone(want.Feature)
		}
		v.setDefaults(&want.Default)
	}
	var outputs []*Column
	if rows == 0 { // as in a read, no transform runs
		for i := range p.vars {
			if p.vars[i].view == varOutput {
				vars[i].reset(p.vars[i].Feature, 0)
			}
		}
	} else if err := p.run(rows, vars, new([2][]*Column)); err != nil {
		return nil, err
	}
	for i := range vars {
		if p.vars[i].view == varOutput {
			outputs = append(outputs, &vars[i].Column)
		}
	}
	return outputs, nil
}

// inputs are the columns of the plan's variables, nil for its outputs, and their number of rows, -1 if there are none.
func (p *plan) inputs(byName map[string]*Column) (inputs []*Column, rows int, err error) {
	inputs, rows = make([]*Column, len(p.vars)), -1
	one := false
	for i := range p.vars {
		want := &p.vars[i]
		if want.view == varOutput {
			continue
		}
		c := byName[want.name]
		switch {
		case c == nil:
			return nil, 0, fmt.Errorf("%w: column %q is missing", ErrRequest, want.name)
		case !c.fits(&want.Feature):
			return nil, 0, fmt.Errorf("%w: column %q is of type %s, not %s", ErrRequest, want.name, c.typeName(), want.typeName())
		}
		if err = c.Check(); err == nil {
			err = c.checkRange()
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%w: %w", ErrRequest, err)
		}
		inputs[i] = c
		switch {
		case c.Len() == 1 && want.view == varRequest:
			one = true
		case rows >= 0 && c.Len() != rows:
			return nil, 0, fmt.Errorf("%w: column %q has %d rows, the others have %d", ErrRequest, want.name, c.Len(), rows)
		default:
			rows = c.Len()
		}
	}
	if rows < 0 && one {
		rows = 1
	}
	return inputs, rows, nil
}

// clone is a copy of the column as one of f.
func (c *Column) clone(f Feature) Column {
	return Column{
		Feature: f, Valid: slices.Clone(c.Valid), Ints: slices.Clone(c.Ints), Floats: slices.Clone(c.Floats),
		Strs: slices.Clone(c.Strs), Vecs: slices.Clone(c.Vecs),
	}
}
