package featurestore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
)

// Online reads and writes the newest features of entities. It is safe for concurrent use, has no goroutine, and does not own the store: close
// that afterwards.
type Online struct {
	store    Store
	registry *Registry
	config   Config
	fill     float32
	counts   counters

	mu      sync.Mutex
	readers map[serviceID]cachedReader // versions that were asked for
}

// cachedReader is a reader, and the definition for which it was last found to be right: the address of its features, which the registry does not change.
type cachedReader struct {
	*Reader
	features *string
}

// New makes an Online that reads and writes the registry's views in store. Definitions that are added to the registry later count too.
func New(store Store, registry *Registry, cfg Config) (*Online, error) {
	switch {
	case store == nil:
		return nil, errors.New("featurestore: New needs a store")
	case registry == nil:
		return nil, errors.New("featurestore: New needs a registry")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	o := &Online{
		store: store, registry: registry, config: cfg, fill: float32(math.NaN()),
		counts: counters{views: map[string]*viewCounters{}}, readers: map[serviceID]cachedReader{},
	}
	if cfg.Fill != nil {
		o.fill = *cfg.Fill
	}
	return o, nil
}

// Reader is a reader of a version of a service, of the newest for version 0. It is bound to the definitions of this moment: a service's newest
// version and the views may change in the registry, and it goes on with what it has. The same reader is returned again until they do. An
// ErrNotFound says that the service is not defined, an ErrDefinition what is wrong with it.
func (o *Online) Reader(service string, version int) (*Reader, error) {
	if version < 0 {
		return nil, fmt.Errorf("%w: version %d of service %q", ErrNotFound, version, service)
	}
	s, views, err := o.registry.snapshot(service, version)
	if err != nil {
		return nil, err
	}
	id := serviceID{s.Name, s.Version}
	features := &s.Features[0] // there is one: the registry has looked
	o.mu.Lock()
	cached := o.readers[id]
	o.mu.Unlock()
	if cached.Reader != nil && cached.reads(views) && (cached.features == features || cached.plan.service.equal(s)) {
		if cached.features != features {
			o.keep(id, cachedReader{cached.Reader, features})
		}
		return cached.Reader, nil
	}
	p, err := compile(s, views, o.registry.ops) // which calls operations: not under the lock
	if err != nil {
		return nil, err
	}
	made := newReader(o.store, p, o.fill, &o.counts)
	o.keep(id, cachedReader{made, features})
	return made, nil
}

func (o *Online) keep(id serviceID, r cachedReader) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.readers[id] = r
}

// Get reads the features of the newest version of a service: Reader and Do in one call. See [Reader.Do] for its errors.
func (o *Online) Get(ctx context.Context, service string, req Request) (*Result, error) {
	r, err := o.Reader(service, 0)
	if err != nil {
		return nil, err
	}
	return r.Do(ctx, req)
}
