package featurestore

import (
	"fmt"
	"maps"
	"sync"
)

// Registry holds the definitions of one project, checked. It is safe for concurrent use.
type Registry struct {
	project string
	ops     map[string]Op

	mu       sync.Mutex // serialises Apply
	entities map[string]Entity
	views    map[string]*Schema
	services map[serviceID]Service
}

type serviceID struct {
	name    string
	version int
}

// RegistryOption changes a Registry in NewRegistry.
type RegistryOption func(*Registry)

// WithOps gives the registry the operations that transforms may name; package transform has a set of them. Later ones replace earlier
// ones of the same name.
func WithOps(ops map[string]Op) RegistryOption {
	return func(r *Registry) { maps.Copy(r.ops, ops) }
}

// NewRegistry is a registry without definitions.
func NewRegistry(project string, opts ...RegistryOption) (*Registry, error) {
	r := &Registry{
		project: project, ops: map[string]Op{}, entities: map[string]Entity{}, views: map[string]*Schema{},
		services: map[serviceID]Service{},
	}
	for _, o := range opts {
		o(r)
	}
	return r, nil
}

// Apply adds definitions, all of them or, with an error, none.
func (r *Registry) Apply(d Definitions) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	entities, views, services := maps.Clone(r.entities), maps.Clone(r.views), maps.Clone(r.services)
	for _, e := range d.Entities {
		entities[e.Name] = e
	}
	for _, v := range d.Views {
		entity, ok := entities[v.Entity]
		if !ok && v.Entity != "" {
			return fmt.Errorf("%w: view %q: entity %q is not defined", ErrDefinition, v.Name, v.Entity)
		}
		views[v.Name] = newSchema(r.project, v, entity)
	}
	for _, s := range d.Services {
		services[serviceID{s.Name, s.Version}] = s
	}
	r.entities, r.views, r.services = entities, views, services
	return nil
}

// View is the view of that name; an ErrNotFound if it is not defined.
func (r *Registry) View(name string) (*Schema, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.views[name]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("%w: view %q", ErrNotFound, name)
}
