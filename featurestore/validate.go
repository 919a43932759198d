package featurestore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/scalable-ai/patterns/internal/murmur3"
)

// ChangeError is returned by Registry.Apply for a definition that would change one in an incompatible way. It is an ErrDefinition too.
type ChangeError struct {
	What   string // the definition: `view "trips"`
	Reason string
}

// Error says what may not change.
func (e *ChangeError) Error() string {
	return fmt.Sprintf("featurestore: incompatible change of %s: %s", e.What, e.Reason)
}

// Unwrap returns ErrDefinition.
func (e *ChangeError) Unwrap() error { return ErrDefinition }

func checkName(what, name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("%w: the name of a %s has 1 to %d bytes, not %d", ErrDefinition, what, MaxName, len(name))
	}
	for i, c := range []byte(name) {
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return fmt.Errorf("%w: the name of a %s has only letters, digits, '_', '-' and '.', and begins with a letter or '_': %q", ErrDefinition, what, name)
		}
	}
	return nil
}

// checkTwice refuses two definitions of one name in one call: which is meant would depend on their order.
func checkTwice(d Definitions) error {
	seen := map[any]bool{}
	twice := func(key any) bool {
		was := seen[key]
		seen[key] = true
		return was
	}
	type entity string
	type view string
	for _, e := range d.Entities {
		if twice(entity(e.Name)) {
			return fmt.Errorf("%w: entity %q is defined twice", ErrDefinition, e.Name)
		}
	}
	for _, v := range d.Views {
		if twice(view(v.Name)) {
			return fmt.Errorf("%w: view %q is defined twice", ErrDefinition, v.Name)
		}
	}
	for _, s := range d.Services {
		if twice(serviceID{s.Name, s.Version}) {
			return fmt.Errorf("%w: version %d of service %q is defined twice", ErrDefinition, s.Version, s.Name)
		}
	}
	return nil
}

func (e *Entity) check() error {
	if err := checkName("entity", e.Name); err != nil {
		return err
	}
	if len(e.JoinKeys) == 0 {
		return fmt.Errorf("%w: entity %q has no join key", ErrDefinition, e.Name)
	}
	seen := map[string]bool{}
	for _, j := range e.JoinKeys {
		if err := checkName("join key", j.Name); err != nil {
			return fmt.Errorf("entity %q: %w", e.Name, err)
		}
		if seen[j.Name] {
			return fmt.Errorf("%w: entity %q has two join keys %q", ErrDefinition, e.Name, j.Name)
		}
		seen[j.Name] = true
		switch j.Kind {
		case Int64, Int32, String, Bytes:
		default:
			return fmt.Errorf("%w: entity %q: join key %q cannot be of type %v", ErrDefinition, e.Name, j.Name, j.Kind)
		}
	}
	return nil
}

func (v *View) check() error {
	if err := checkName("view", v.Name); err != nil {
		return err
	}
	if v.Name == requestPrefix {
		return fmt.Errorf("%w: no view may have the name %q", ErrDefinition, v.Name)
	}
	if v.TTL < 0 {
		return fmt.Errorf("%w: view %q: the TTL is negative: %v", ErrDefinition, v.Name, v.TTL)
	}
	if len(v.Features) == 0 {
		return fmt.Errorf("%w: view %q has no feature", ErrDefinition, v.Name)
	}
	return checkFeatures(fmt.Sprintf("view %q", v.Name), "feature", v.Features)
}

// checkFeatures checks the features of a view, the fields of a request, or the outputs of a transform.
func checkFeatures(where, what string, features []Feature) error {
	if len(features) > MaxFeatures {
		return fmt.Errorf("%w: %s has %d %ss, more than %d", ErrDefinition, where, len(features), what, MaxFeatures)
	}
	seen := make(map[string]bool, len(features))
	for i := range features {
		f := &features[i]
		if err := f.check(what); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		if seen[f.Name] {
			return fmt.Errorf("%w: %s has two %ss %q", ErrDefinition, where, what, f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

func (f *Feature) check(what string) error {
	if err := checkName(what, f.Name); err != nil {
		return err
	}
	switch {
	case !f.Kind.Valid():
		return fmt.Errorf("%w: %s %q has no type", ErrDefinition, what, f.Name)
	case f.Kind == Vector && (f.Dim < 1 || f.Dim > MaxDim):
		return fmt.Errorf("%w: %s %q: a vector has 1 to %d elements, not %d", ErrDefinition, what, f.Name, MaxDim, f.Dim)
	case f.Kind != Vector && f.Dim != 0:
		return fmt.Errorf("%w: %s %q: only a vector has a Dim", ErrDefinition, what, f.Name)
	}
	if _, err := f.convert(f.Default); err != nil {
		return fmt.Errorf("%w: the default of %s: %w", ErrDefinition, what, err)
	}
	for _, x := range f.Default.vec {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return fmt.Errorf("%w: the default of %s %q has an element that is not finite", ErrDefinition, what, f.Name)
		}
	}
	return nil
}

// checkChange refuses a new form of the view that rows written in the old one do not fit. That no service reads a feature that is left out is
// checked with the services.
func (s *Schema) checkChange(v View) error {
	what := fmt.Sprintf("view %q", v.Name)
	if s.view.Entity != v.Entity {
		return &ChangeError{what, fmt.Sprintf("it is of entity %q, not %q", s.view.Entity, v.Entity)}
	}
	for _, f := range v.Features {
		if i := s.Index(f.Name); i >= 0 {
			if old := s.view.Features[i]; old.Kind != f.Kind || old.Dim != f.Dim {
				return &ChangeError{what, fmt.Sprintf("feature %q is of type %s, not %s", f.Name, old.typeName(), f.typeName())}
			}
		}
	}
	return nil
}

// typeName is the feature's type with its size.
func (f *Feature) typeName() string {
	if f.Kind == Vector {
		return fmt.Sprintf("vector of %d", f.Dim)
	}
	return f.Kind.String()
}

// checkCollisions looks for features whose values would be in one field of one Redis hash. A hash holds all views of one set of join keys.
func (d *definitions) checkCollisions() error {
	type field struct {
		keys string
		hash uint32
	}
	seen := map[field]string{}
	for _, v := range d.sortedViews() {
		var keys []string
		for _, j := range d.views[v.Name].entity.JoinKeys {
			keys = append(keys, fmt.Sprintf("%s %v", j.Name, j.Kind))
		}
		slices.Sort(keys)
		joined := strings.Join(keys, ",")
		for _, f := range v.Features {
			name := v.Name + ":" + f.Name
			at := field{joined, murmur3.Sum32(name)}
			if other, ok := seen[at]; ok {
				return fmt.Errorf("%w: %s and %s have the same murmur3 hash, which is the name of their field in Redis: rename one", ErrDefinition, other, name)
			}
			seen[at] = name
		}
	}
	return nil
}

func (s *Service) check() error {
	if err := checkName("service", s.Name); err != nil {
		return err
	}
	where := fmt.Sprintf("version %d of service %q", s.Version, s.Name)
	switch {
	case s.Version < 1:
		return fmt.Errorf("%w: %s: versions count from 1", ErrDefinition, where)
	case len(s.Features) == 0:
		return fmt.Errorf("%w: %s has no features", ErrDefinition, where)
	case len(s.Features) > MaxFeatures:
		return fmt.Errorf("%w: %s has %d features, more than %d", ErrDefinition, where, len(s.Features), MaxFeatures)
	}
	if err := checkFeatures(where, "field", s.Request); err != nil {
		return err
	}
	transforms, outputs := map[string]bool{}, []Feature(nil)
	for i := range s.Transforms {
		t := &s.Transforms[i]
		if err := checkName("transform", t.Name); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		switch {
		case transforms[t.Name]:
			return fmt.Errorf("%w: %s has two transforms %q", ErrDefinition, where, t.Name)
		case len(t.Outputs) == 0:
			return fmt.Errorf("%w: %s: transform %q has no output", ErrDefinition, where, t.Name)
		case len(t.Params) > 0 && !json.Valid(t.Params):
			return fmt.Errorf("%w: %s: transform %q: the parameters are not JSON", ErrDefinition, where, t.Name)
		}
		transforms[t.Name] = true
		outputs = append(outputs, t.Outputs...)
	}
	return checkFeatures(where, "output", outputs)
}

// clone copies all that the definition points to.
func (s Service) clone() Service {
	s.Features, s.Request, s.Transforms = slices.Clone(s.Features), slices.Clone(s.Request), slices.Clone(s.Transforms)
	for i := range s.Transforms {
		t := &s.Transforms[i]
		t.Inputs, t.Outputs, t.Params = slices.Clone(t.Inputs), slices.Clone(t.Outputs), bytes.Clone(t.Params)
	}
	return s
}

// equal reports whether both say the same, whatever the white space in parameters, and whether lists are empty or nil.
func (s Service) equal(other Service) bool {
	a, errA := json.Marshal(s)
	b, errB := json.Marshal(other)
	return errA == nil && errB == nil && reflect.DeepEqual(a, b)
}

// expand puts the names of a view's features in the place of "view:*", so that the service's columns stay what they are when the view gets more.
func (d *definitions) expand(s Service) (Service, error) {
	var features []string
	for _, name := range s.Features {
		view, ok := strings.CutSuffix(name, ":*")
		if !ok {
			features = append(features, name)
			continue
		}
		schema, ok := d.views[view]
		if !ok {
			return s, fmt.Errorf("%w: view %q, which version %d of service %q reads", ErrNotFound, view, s.Version, s.Name)
		}
		for _, f := range schema.view.Features {
			features = append(features, view+":"+f.Name)
		}
	}
	if len(features) > MaxFeatures {
		return s, fmt.Errorf("%w: version %d of service %q has %d features, more than %d", ErrDefinition, s.Version, s.Name, len(features), MaxFeatures)
	}
	s.Features = features
	return s, nil
}

// reference is a feature of a view that a service reads.
type reference struct{ view, feature string }

// requestPrefix is what the name of a field of the request begins with, as the input of a transform. No view may have this name.
const requestPrefix = "request"

// references are the features of views that the service names.
func (s *Service) references() []reference {
	var refs []reference
	add := func(names []string) {
		for _, name := range names {
			if view, feature, ok := strings.Cut(name, ":"); ok && view != requestPrefix {
				refs = append(refs, reference{view, feature})
			}
		}
	}
	add(s.Features)
	for _, t := range s.Transforms {
		add(t.Inputs)
	}
	return refs
}

// checkServices looks whether the services can be read: also those that were defined before, since a view may have changed.
func (d *definitions) checkServices(ops map[string]Op) error {
	for _, s := range d.sortedServices() {
		if _, err := compile(s, d.views, ops); err != nil {
			return err
		}
	}
	return nil
}
