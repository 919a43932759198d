package featurestore

import "fmt"

// A view's definition may change while rows written before are in a store, and while readers made before go on: features may be added or
// left out. A record's slots are those of the schema that made it. kinship is what one schema of a view finds out about another, so that it is
// done once and not for each row.
type kinship struct {
	from *Schema
	same bool  // their records have the same layout
	err  error // they are not of one view
}

func (s *Schema) kinshipTo(from *Schema) *kinship {
	switch {
	case from == nil:
		return &kinship{err: fmt.Errorf("%w: view %q: a record that no schema has made", ErrRow, s.view.Name)}
	case from.view.Name != s.view.Name || from.project != s.project:
		return &kinship{from: from, err: fmt.Errorf("%w: view %q of project %q: a record of view %q of project %q",
			ErrRow, s.view.Name, s.project, from.view.Name, from.project)}
	}
	return &kinship{from: from, same: s.SameLayout(from)}
}

// convert is the record in the layout of s: itself if that is its own.
func (k *kinship) convert(s *Schema, r *Record) (*Record, error) {
	switch {
	case k.err != nil:
		return nil, k.err
	case k.same:
		return r, nil
	}
	return s.Convert(r, k.from)
}

// loses is the name of a feature that has a value in r and no place in a record of s.
func (s *Schema) loses(r *Record) (string, bool) {
	for i := range r.schema.view.Features {
		if name := r.schema.view.Features[i].Name; r.Has(i) && s.Index(name) < 0 {
			return name, true
		}
	}
	return "", false
}
