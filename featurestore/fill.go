package featurestore

import "math"

// fillVar makes the column of an input that comes from a view or from the request.
func (r *Result) fillVar(at int) {
	spec, v := &r.reader.plan.vars[at], &r.vars[at]
	if spec.view == varRequest {
		r.fillField(spec, v)
		return
	}
	v.reset(spec.Feature, r.rows)
	states, records := r.states[spec.view], r.lookups[spec.view].Rows
	if len(states) == 1 {
		if states[0] <= rowPart && records[0].Has(spec.feature) {
			value := r.lookups[spec.view].View.Value(records[0], spec.feature)
			for i := range v.Valid {
				v.set(i, &value)
			}
		}
	} else {
		v.fillFrom(records, states, spec.feature, r.lookups[spec.view].View.slots[spec.feature])
	}
	v.setDefaults(&spec.Default)
}

// fillFrom takes a feature out of records.
func (c *Column) fillFrom(records []*Record, states []rowState, feature, slot int) {
	for i, state := range states {
		c.Valid[i] = state == rowFull || state == rowPart && records[i].Has(feature)
	}
	switch c.Kind {
	case String, Bytes:
		for i, ok := range c.Valid {
			if ok {
				c.Strs[i] = records[i].strs[slot]
			}
		}
	case Vector:
		for i, ok := range c.Valid {
			if ok {
				copy(c.Vecs[i*c.Dim:(i+1)*c.Dim], records[i].vecs[slot:slot+c.Dim])
			}
		}
	case Float64:
		for i, ok := range c.Valid {
			if ok {
				c.Floats[i] = math.Float64frombits(records[i].nums[slot])
			}
		}
	case Float32:
		for i, ok := range c.Valid {
			if ok {
				c.Floats[i] = float64(records[i].vecs[slot])
			}
		}
	default:
		for i, ok := range c.Valid {
			if ok {
				c.Ints[i] = int64(records[i].nums[slot])
			}
		}
	}
}

// fillField makes the column of a field of the request: the caller's own if nothing in it has to change.
func (r *Result) fillField(spec *planVar, v *variable) {
	if v.borrowed { // by a read that a panic has ended: it must not be written to
		*v = variable{}
	}
	field := r.matched.fields[spec.feature]
	if field != nil && field.Len() == r.rows && (spec.Default.IsNull() || allTrue(field.Valid)) {
		*v = variable{Column: *field, borrowed: true}
		v.Feature = spec.Feature
		return
	}
	switch {
	case field == nil:
		v.reset(spec.Feature, r.rows)
	case field.Len() == 1:
		v.repeat(field, spec.Feature, r.rows)
	default:
		v.reset(spec.Feature, r.rows)
		copy(v.Valid, field.Valid)
		copy(v.Ints, field.Ints)
		copy(v.Floats, field.Floats)
		copy(v.Strs, field.Strs)
		copy(v.Vecs, field.Vecs)
	}
	v.setDefaults(&spec.Default)
}

// repeat makes the column one of f with n rows that are all like the only one of from.
func (c *Column) repeat(from *Column, f Feature, n int) {
	c.reset(f, n)
	if from.Valid[0] {
		value := Column{Feature: f, Valid: from.Valid, Ints: from.Ints, Floats: from.Floats, Strs: from.Strs, Vecs: from.Vecs}.first()
		for i := range c.Valid {
			c.set(i, &value)
		}
	}
}

func (c Column) first() Value { return c.Value(0) }

func allTrue(valid []bool) bool {
	for _, ok := range valid {
		if !ok {
			return false
		}
	}
	return true
}
