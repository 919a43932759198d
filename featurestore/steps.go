package featurestore

import (
	"fmt"
	"strings"
)

// transform adds a transform to the plan: its inputs and outputs become variables, and its operation gives the function.
func (c *compiler) transform(t *Transform, ops map[string]Op) error {
	where := fmt.Sprintf("transform %q of %s", t.Name, c.where)
	op, ok := ops[t.Op]
	if !ok || op == nil {
		return fmt.Errorf("%w: %s: the registry has no operation %q", ErrDefinition, where, t.Op)
	}
	s := step{name: t.Name}
	inputs := make([]Feature, 0, len(t.Inputs))
	for _, name := range t.Inputs {
		at, err := c.input(name)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		s.in = append(s.in, at)
		inputs = append(inputs, c.vars[at].Feature)
	}
	for _, f := range t.Outputs {
		f, err := c.withDefault(f)
		if err != nil {
			return err
		}
		s.out = append(s.out, c.variable(planVar{Feature: f, name: f.Name, view: varOutput}))
	}
	apply, err := op(*t, inputs)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDefinition, where, err)
	}
	if apply == nil {
		return fmt.Errorf("%w: %s: operation %q gives no function", ErrDefinition, where, t.Op)
	}
	s.apply = apply
	c.steps = append(c.steps, s)
	return nil
}

func (c *compiler) variable(v planVar) int {
	at := len(c.vars)
	c.varAt[v.name] = at
	c.vars = append(c.vars, v)
	return at
}

// input is the variable that a transform names as its input.
func (c *compiler) input(name string) (int, error) {
	if at, ok := c.varAt[name]; ok {
		return at, nil
	}
	prefix, rest, ok := strings.Cut(name, ":")
	if !ok {
		return 0, fmt.Errorf("%w: input %q is not an output of an earlier transform", ErrNotFound, name)
	}
	if prefix == requestPrefix {
		for i, f := range c.service.Request {
			if f.Name == rest {
				f, err := c.withDefault(f)
				return c.variable(planVar{f, name, varRequest, i}), err
			}
		}
		return 0, fmt.Errorf("%w: input %q: the service has no such field of the request", ErrNotFound, name)
	}
	v, f, at, err := c.feature(prefix, rest)
	if err != nil {
		return 0, err
	}
	return c.variable(planVar{f, name, v, at}), nil
}

// variable is a column while transforms run.
type variable struct {
	Column
	absent   []bool // of an output: the row had no value before the default was put in its place
	borrowed bool   // the slices are the caller's
}

// run runs the transforms over n rows. The inputs are there; vars are as long as p.vars.
func (p *plan) run(n int, vars []variable, args *[2][]*Column) error {
	for i := range p.steps {
		s := &p.steps[i]
		in, out := args[0][:0], args[1][:0]
		for _, at := range s.in {
			in = append(in, &vars[at].Column)
		}
		for _, at := range s.out {
			vars[at].reset(p.vars[at].Feature, n)
			out = append(out, &vars[at].Column)
		}
		args[0], args[1] = in, out
		if err := s.apply(in, out); err != nil {
			return fmt.Errorf("featurestore: transform %q of version %d of service %q: %w", s.name, p.service.Version, p.service.Name, err)
		}
		for _, at := range s.out {
			v := &vars[at]
			if err := v.check(n); err != nil {
				return fmt.Errorf("featurestore: transform %q of version %d of service %q has spoilt an output: %w",
					s.name, p.service.Version, p.service.Name, err)
			}
			v.absent = resize(v.absent, n)
			for i, ok := range v.Valid {
				v.absent[i] = !ok
			}
			v.setDefaults(&p.vars[at].Default)
		}
	}
	return nil
}
