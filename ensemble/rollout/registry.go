package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Registry holds versions of models of one shape, and the aliases by which requests reach them. It owns no goroutine: what takes time (load, warm, wait, close) runs
// on the goroutine of the caller of Load, Deploy, Unload, Sweep, Shutdown or Close. Safe for concurrent use.
//
// An alias is a place in the traffic: champion, challenger, or fraud/champion where a registry holds models for several places. It may point at a version of any
// model.
type Registry[Req, Resp any] struct {
	cfg    RegistryConfig
	closed atomic.Bool // set under mu

	// Requests read this map without a lock. It is replaced, under mu, when there is a new name.
	aliases atomic.Pointer[map[string]*Alias[Req, Resp]]

	mu       sync.Mutex
	versions map[ID]*record[Req, Resp]
	log      audit
	clock    uint64 // orders retirements and ends
}

// NewRegistry makes an empty registry.
func NewRegistry[Req, Resp any](cfg RegistryConfig) (*Registry[Req, Resp], error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Registry[Req, Resp]{cfg: cfg, versions: map[ID]*record[Req, Resp]{}, log: audit{size: cfg.AuditSize}}
	r.aliases.Store(&map[string]*Alias[Req, Resp]{})
	return r, nil
}

// tell calls the hook, outside the lock.
func (r *Registry[Req, Resp]) tell(events ...Event) {
	if r.cfg.OnEvent != nil {
		for _, e := range events {
			r.cfg.OnEvent(e)
		}
	}
}

// find returns the record of id. The lock is held.
func (r *Registry[Req, Resp]) find(id ID) (*record[Req, Resp], error) {
	if r.closed.Load() {
		return nil, ErrClosed
	}
	v := r.versions[id]
	if v == nil {
		return nil, fmt.Errorf("%w: %v", ErrUnknown, id)
	}
	return v, nil
}

// Register makes a version known. It is not loaded. The errors are ErrExists, ErrClosed, or say what the ID or the source lacks. why, here as everywhere, is for the audit log:
// who did it, for what reason. A version that is never loaded is kept until it is forgotten.
func (r *Registry[Req, Resp]) Register(id ID, source Source[Req, Resp], why string) error {
	if err := id.check(); err != nil {
		return err
	}
	if source.Load == nil {
		return fmt.Errorf("rollout: Source of %v has no Load", id)
	}
	r.mu.Lock()
	if r.closed.Load() {
		r.mu.Unlock()
		return ErrClosed
	}
	if r.versions[id] != nil {
		r.mu.Unlock()
		return fmt.Errorf("%w: %v", ErrExists, id)
	}
	r.versions[id] = &record[Req, Resp]{id: id, source: source}
	e := r.log.add(Event{Kind: EventRegistered, ID: id, Why: why})
	r.mu.Unlock()
	r.tell(e)
	return nil
}

// Forget removes a version that is not loaded. Its ID may then be registered again. The errors are ErrUnknown, ErrLoaded, ErrAliased, ErrBusy and ErrClosed.
func (r *Registry[Req, Resp]) Forget(id ID, why string) error {
	r.mu.Lock()
	v, err := r.find(id)
	switch {
	case err != nil:
	case v.busy != nil:
		err = ErrBusy
	case v.aliases > 0:
		err = ErrAliased
	case v.live != nil:
		err = ErrLoaded
	}
	if err != nil {
		r.mu.Unlock()
		return err
	}
	delete(r.versions, id)
	e := r.log.add(Event{Kind: EventForgotten, ID: id, Why: why})
	r.mu.Unlock()
	r.tell(e)
	return nil
}

// trim forgets the oldest of the versions that have ended, beyond KeepUnloaded. The lock is held.
func (r *Registry[Req, Resp]) trim() (events []Event) {
	for {
		var oldest *record[Req, Resp]
		n := 0
		for _, v := range r.versions {
			if (v.state == Unloaded || v.state == Failed) && v.busy == nil {
				n++
				if oldest == nil || v.ended < oldest.ended {
					oldest = v
				}
			}
		}
		if n <= r.cfg.KeepUnloaded {
			return events
		}
		delete(r.versions, oldest.id)
		events = append(events, r.log.add(Event{Kind: EventForgotten, ID: oldest.id, Why: "KeepUnloaded"}))
	}
}

// Alias returns the alias of this name, which may point at no version yet. It is always the same for the same name, and kept for ever: do not take names
// from requests.
func (r *Registry[Req, Resp]) Alias(name string) *Alias[Req, Resp] {
	if a := (*r.aliases.Load())[name]; a != nil {
		return a
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.alias(name)
}

// alias is Alias with the lock held.
func (r *Registry[Req, Resp]) alias(name string) *Alias[Req, Resp] {
	old := *r.aliases.Load()
	if a := old[name]; a != nil {
		return a
	}
	a := &Alias[Req, Resp]{name: name, registry: r}
	all := maps.Clone(old)
	all[name] = a
	r.aliases.Store(&all)
	return a
}

// Acquire takes a lease of the version that an alias points at, see [Alias.Acquire]. It may be given any name.
func (r *Registry[Req, Resp]) Acquire(alias string) (*Lease[Req, Resp], error) {
	if a := (*r.aliases.Load())[alias]; a != nil {
		return a.Acquire()
	}
	if r.closed.Load() {
		return nil, ErrClosed
	}
	return nil, ErrNoVersion
}

// SetAlias makes an alias point at a ready version, or with the zero ID at none, and returns what it has pointed at. Requests that have begun stay on the version that they
// began on. The errors are ErrUnknown, ErrNotReady, ErrClosed, or that the alias has no name; it is then as it was.
func (r *Registry[Req, Resp]) SetAlias(alias string, to ID, why string) (old ID, err error) {
	return r.point(alias, nil, to, why)
}

// CompareAndSetAlias is SetAlias if the alias points at old, the zero ID being none, and fails with a *ConflictError otherwise.
func (r *Registry[Req, Resp]) CompareAndSetAlias(alias string, old, to ID, why string) error {
	_, err := r.point(alias, &old, to, why)
	return err
}

func (r *Registry[Req, Resp]) point(alias string, want *ID, to ID, why string) (old ID, err error) {
	r.mu.Lock()
	old, e, err := r.pointLocked(alias, want, to, why)
	r.mu.Unlock()
	if err == nil && e.Seq != 0 {
		r.tell(e)
	}
	return old, err
}

// pointLocked is point with the lock held. The event is zero if nothing has changed.
func (r *Registry[Req, Resp]) pointLocked(alias string, want *ID, to ID, why string) (old ID, e Event, err error) {
	if r.closed.Load() {
		return old, e, ErrClosed
	}
	if alias == "" {
		return old, e, errNoAlias
	}
	var v *record[Req, Resp]
	if to != (ID{}) {
		if v, err = r.find(to); err != nil {
			return old, e, err
		}
		if v.state != Ready {
			return old, e, fmt.Errorf("%w: %v is %v", ErrNotReady, to, v.state)
		}
	}
	a := (*r.aliases.Load())[alias]
	if a != nil {
		old = a.ID()
	}
	if want != nil && old != *want {
		return old, e, &ConflictError{Alias: alias, Want: *want, Current: old}
	}
	if old == to {
		return old, e, nil
	}
	if a == nil {
		a = r.alias(alias)
	}
	if v == nil {
		a.live.Store(nil)
	} else {
		v.aliases++
		v.retired = 0
		a.live.Store(v.live)
	}
	if was := r.versions[old]; was != nil {
		was.aliases--
		if was.aliases == 0 {
			r.clock++
			was.retired = r.clock
		}
	}
	return old, r.log.add(Event{Kind: EventAlias, ID: to, Alias: alias, Old: old, New: to, Why: why}), nil
}

// Deploy is Load, SetAlias and Sweep in one: it brings a registered version live under an alias, and unloads what is not needed any more. Requests go to the new version before the
// unloading begins; that may take long if a stream holds the old one, so give ctx a deadline or set KeepWarm. If load or warm fails the alias stays
// as it was and old is the zero ID. If the alias has moved and only the unloading of a former version has not been completed, the error holds a *DrainError or a *LifeCycleError of
// the call "close", and old is what the alias has pointed at.
func (r *Registry[Req, Resp]) Deploy(ctx context.Context, alias string, id ID, why string) (old ID, err error) {
	if alias == "" { // before the work
		return ID{}, errNoAlias
	}
	if err := r.Load(ctx, id, why); err != nil {
		return ID{}, err
	}
	if old, err = r.SetAlias(alias, id, why); err != nil {
		return ID{}, err
	}
	return old, r.Sweep(ctx, why)
}

// Audit returns the events in the log, the oldest first.
func (r *Registry[Req, Resp]) Audit() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.events()
}

// Shutdown ends the registry: requests get ErrClosed, as does every other call that changes it; each version is unloaded when its last lease has been released. When ctx ends before
// that, Shutdown returns a *DrainError for each version that is left, and may be called again. Other errors are those of Close of the models, each returned once, by the call that has
// closed the model.
func (r *Registry[Req, Resp]) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	var events []Event
	if !r.closed.Swap(true) {
		events = append(events, r.log.add(Event{Kind: EventClosed}))
		for _, a := range *r.aliases.Load() {
			a.live.Store(nil) // before seal, see Alias.live
		}
		for _, v := range r.versions {
			v.aliases = 0
		}
	}
	all := slices.SortedFunc(maps.Values(r.versions), func(a, b *record[Req, Resp]) int { return a.id.compare(b.id) })
	for _, v := range all {
		if v.state == Ready {
			events = append(events, r.seal(v, "shutdown"))
		}
	}
	r.mu.Unlock()
	r.tell(events...)
	var errs []error
	for _, v := range all {
		errs = append(errs, r.finish(ctx, v, "shutdown"))
	}
	return errors.Join(errs...)
}

// Close is Shutdown without a bound: it waits until the last request and the last lease have ended, and every model has been closed. It ends none of them, for their contexts are those of
// their callers; a lease that is never released makes it wait for ever. Called by someone who holds one, or from inside a request, it waits for itself.
func (r *Registry[Req, Resp]) Close() error { return r.Shutdown(context.Background()) }
