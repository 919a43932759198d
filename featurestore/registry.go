package featurestore

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"sync/atomic"
)

// Registry holds the definitions of one project, checked. What it hands out does not change when definitions are added later: a reader goes on with those that
// it was made with. It is safe for concurrent use.
type Registry struct {
	project string
	ops     map[string]Op

	defs atomic.Pointer[definitions] // never changed: replaced by a changed copy
}

// definitions are what a registry holds at one time.
type definitions struct {
	entities map[string]Entity
	views    map[string]*Schema
	services map[serviceID]Service
}

type serviceID struct {
	name    string
	version int
}

func (d *definitions) clone() *definitions {
	return &definitions{maps.Clone(d.entities), maps.Clone(d.views), maps.Clone(d.services)}
}

// change replaces the definitions by a changed copy, unless change returns an error. If another change comes between, it is done anew: so nothing is
// locked while change calls an Op.
func (r *Registry) change(change func(next *definitions) error) error {
	for {
		now := r.defs.Load()
		next := now.clone()
		if err := change(next); err != nil {
			return err
		}
		if r.defs.CompareAndSwap(now, next) {
			return nil
		}
	}
}

// RegistryOption changes a Registry in NewRegistry.
type RegistryOption func(*Registry)

// WithOps gives the registry the operations that transforms may name; package transform has a set of them. Later ones replace earlier
// ones of the same name.
func WithOps(ops map[string]Op) RegistryOption {
	return func(r *Registry) { maps.Copy(r.ops, ops) }
}

// NewRegistry is a registry without definitions. The project's name keeps apart what several projects store in one place; it follows the rules for names (see
// [Registry.Apply]).
func NewRegistry(project string, opts ...RegistryOption) (*Registry, error) {
	if err := checkName("project", project); err != nil {
		return nil, err
	}
	r := &Registry{project: project, ops: map[string]Op{}}
	r.defs.Store(&definitions{map[string]Entity{}, map[string]*Schema{}, map[serviceID]Service{}})
	for _, o := range opts {
		if o == nil {
			return nil, fmt.Errorf("%w: a RegistryOption is nil", ErrDefinition)
		}
		o(r)
	}
	return r, nil
}

// Project is the project's name.
func (r *Registry) Project() string { return r.project }

// Apply adds definitions, all of them or, with an error, none. It copies them.
//
// A name has 1 to MaxName letters, digits, '_', '-' and '.' of ASCII, and begins with a letter or '_'. A definition takes the place of one with the same
// name if the change is compatible, and is else refused by a [ChangeError]:
//   - an entity keeps its join keys, with their order and types;
//   - a view keeps its entity, and the type of each feature; features may be added, and those that no service reads may be left out;
//   - a version of a service does not change at all, for a model was trained with it: make a new version. "view:*" among its features stands
//     for those that the view has at this time.
//
// All other errors wrap [ErrDefinition] or, for a name that is not defined, [ErrNotFound]. Two features whose names would share a field in Feast's layout of Redis, because
// the 32-bit hashes of "view:feature" are equal and their views have the same join keys, are refused as well.
//
// Each service is compiled to see that it can be read: the Ops of its transforms are called, on the caller's goroutine.
func (r *Registry) Apply(d Definitions) error {
	if d.Project != "" && d.Project != r.project {
		return fmt.Errorf("%w: of project %q, the registry is of project %q", ErrDefinition, d.Project, r.project)
	}
	if err := checkTwice(d); err != nil {
		return err
	}
	return r.change(func(next *definitions) error { return next.add(r.project, d, r.ops) })
}

// add adds definitions. After an error d is of no use.
func (d *definitions) add(project string, more Definitions, ops map[string]Op) error {
	for _, e := range more.Entities {
		if err := d.addEntity(e); err != nil {
			return err
		}
	}
	for _, v := range more.Views {
		if err := d.addView(project, v); err != nil {
			return err
		}
	}
	if err := d.checkCollisions(); err != nil {
		return err
	}
	for _, s := range more.Services {
		if err := d.addService(s); err != nil {
			return err
		}
	}
	return d.checkServices(ops)
}

// View is the view of that name; an ErrNotFound if it is not defined.
func (r *Registry) View(name string) (*Schema, error) {
	if s, ok := r.defs.Load().views[name]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("%w: view %q", ErrNotFound, name)
}

// Service is the definition of a version of a service, of the newest for version 0; an ErrNotFound if it is not defined. The caller must not
// change what it points to.
func (r *Registry) Service(name string, version int) (Service, error) {
	return r.defs.Load().service(name, version)
}

func (d *definitions) service(name string, version int) (Service, error) {
	if version == 0 {
		for id := range d.services {
			if id.name == name {
				version = max(version, id.version)
			}
		}
	}
	if s, ok := d.services[serviceID{name, version}]; ok {
		return s, nil
	}
	if version == 0 { // the newest was asked for, and there is none
		return Service{}, fmt.Errorf("%w: service %q", ErrNotFound, name)
	}
	return Service{}, fmt.Errorf("%w: version %d of service %q", ErrNotFound, version, name)
}

// RemoveService takes a version of a service away; an ErrNotFound if there is none. Readers that were made before go on.
func (r *Registry) RemoveService(name string, version int) error {
	return r.change(func(next *definitions) error {
		id := serviceID{name, version}
		if _, ok := next.services[id]; !ok {
			return fmt.Errorf("%w: version %d of service %q", ErrNotFound, version, name)
		}
		delete(next.services, id)
		return nil
	})
}

// RemoveView takes a view away; an ErrNotFound if there is none, an ErrDefinition if a service reads it. Its rows stay in the stores.
func (r *Registry) RemoveView(name string) error {
	return r.change(func(next *definitions) error {
		if _, ok := next.views[name]; !ok {
			return fmt.Errorf("%w: view %q", ErrNotFound, name)
		}
		for _, s := range next.sortedServices() {
			if slices.ContainsFunc(s.references(), func(ref reference) bool { return ref.view == name }) {
				return fmt.Errorf("%w: view %q is read by version %d of service %q", ErrDefinition, name, s.Version, s.Name)
			}
		}
		delete(next.views, name)
		return nil
	})
}

// RemoveEntity takes an entity away; an ErrNotFound if there is none, an ErrDefinition if a view is of it.
func (r *Registry) RemoveEntity(name string) error {
	return r.change(func(next *definitions) error {
		if _, ok := next.entities[name]; !ok {
			return fmt.Errorf("%w: entity %q", ErrNotFound, name)
		}
		for _, v := range next.sortedViews() {
			if v.Entity == name {
				return fmt.Errorf("%w: entity %q has the view %q", ErrDefinition, name, v.Name)
			}
		}
		delete(next.entities, name)
		return nil
	})
}

// Definitions are all definitions, sorted by name and version. The caller must not change what they point to.
func (r *Registry) Definitions() Definitions {
	now := r.defs.Load()
	d := Definitions{Project: r.project, Views: now.sortedViews(), Services: now.sortedServices()}
	for _, name := range slices.Sorted(maps.Keys(now.entities)) {
		d.Entities = append(d.Entities, now.entities[name])
	}
	return d
}

func (d *definitions) sortedViews() []View {
	var views []View
	for _, name := range slices.Sorted(maps.Keys(d.views)) {
		views = append(views, d.views[name].view)
	}
	return views
}

func (d *definitions) sortedServices() []Service {
	services := slices.Collect(maps.Values(d.services))
	slices.SortFunc(services, func(a, b Service) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return services
}

// Save writes the definitions as JSON for people to read and to keep beside the code: the same definitions give the same bytes.
func (r *Registry) Save(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r.Definitions())
}

// Load makes a registry of what Save has written. A field that it does not know is an error, as is anything after the definitions.
func Load(from io.Reader, opts ...RegistryOption) (*Registry, error) {
	if from == nil {
		return nil, errors.New("featurestore: Load: nil reader")
	}
	dec := json.NewDecoder(from)
	dec.DisallowUnknownFields()
	var d Definitions
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDefinition, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: something follows the definitions", ErrDefinition)
	}
	r, err := NewRegistry(d.Project, opts...)
	if err != nil {
		return nil, err
	}
	if err := r.Apply(d); err != nil {
		return nil, err
	}
	return r, nil
}

// addEntity adds an entity or changes one.
func (d *definitions) addEntity(e Entity) error {
	if err := e.check(); err != nil {
		return err
	}
	e.JoinKeys = slices.Clone(e.JoinKeys)
	if old, ok := d.entities[e.Name]; ok && !slices.Equal(old.JoinKeys, e.JoinKeys) {
		return &ChangeError{What: fmt.Sprintf("entity %q", e.Name), Reason: "other join keys"}
	}
	d.entities[e.Name] = e
	// Views hold their entity: its description may have changed.
	for name, s := range d.views {
		if s.view.Entity == e.Name && !reflect.DeepEqual(s.entity, e) {
			d.views[name] = newSchema(s.project, s.view, e)
		}
	}
	return nil
}

// addView adds a view or changes one. If nothing changes the schema stays the same, by its address.
func (d *definitions) addView(project string, v View) error {
	if err := v.check(); err != nil {
		return err
	}
	entity, ok := d.entities[v.Entity]
	if !ok && v.Entity != "" {
		return fmt.Errorf("%w: view %q: entity %q", ErrNotFound, v.Name, v.Entity)
	}
	if old, ok := d.views[v.Name]; ok {
		if err := old.checkChange(v); err != nil {
			return err
		}
		if reflect.DeepEqual(old.view, v) {
			return nil
		}
	}
	d.views[v.Name] = newSchema(project, v, entity)
	return nil
}

// addService adds a version of a service.
func (d *definitions) addService(s Service) error {
	if err := s.check(); err != nil {
		return err
	}
	id := serviceID{s.Name, s.Version}
	s, err := d.expand(s.clone())
	if err != nil {
		return err
	}
	if old, ok := d.services[id]; ok && !old.equal(s) {
		return &ChangeError{What: fmt.Sprintf("version %d of service %q", s.Version, s.Name), Reason: "a version does not change"}
	}
	d.services[id] = s
	return nil
}
