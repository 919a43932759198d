package rollout

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

var (
	errNoDo      = errors.New("Load returned a Model without Do")
	errNoAlias   = errors.New("rollout: the alias has no name")
	errAbandoned = errors.New("panic or runtime.Goexit")
)

// Load loads and warms a version, on the caller's goroutine, and returns when it is ready. It does nothing if it is ready already. The errors are ErrUnknown, ErrBusy,
// ErrClosed, the cause of ctx if that has ended already, a *DrainError if a former load of it is still draining, or a *LifeCycleError of the call that failed. A panic or a Goexit in a
// callback goes on to the caller, and the version has failed.
func (r *Registry[Req, Resp]) Load(ctx context.Context, id ID, why string) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.mu.Lock()
	v, err := r.find(id)
	switch {
	case err != nil:
	case v.state == Ready:
		r.mu.Unlock()
		return nil
	case v.state == Draining:
		err = &DrainError{ID: id, Leases: v.live.want - v.live.out(), Err: ErrNotReady}
	case v.busy != nil:
		err = ErrBusy
	}
	if err != nil {
		r.mu.Unlock()
		return err
	}
	v.begin()
	v.state, v.err = Loading, nil
	e := r.log.add(Event{Kind: EventLoading, ID: id, Why: why})
	r.mu.Unlock()

	var live *instance[Req, Resp]
	err = errAbandoned // which it still is in the defer if a callback panics or calls Goexit
	defer func() { err = r.loaded(v, live, err, why) }()
	r.tell(e)
	live, err = r.prepare(ctx, v)
	return err
}

// prepare runs load and warm, and closes the model if warm fails.
func (r *Registry[Req, Resp]) prepare(ctx context.Context, v *record[Req, Resp]) (*instance[Req, Resp], error) {
	model, err := v.source.Load(ctx)
	if err != nil {
		return nil, &LifeCycleError{v.id, "load", err}
	}
	warm := false
	defer func() {
		if !warm && model.Close != nil {
			_ = model.Close() // why warm has failed matters more
		}
	}()
	if model.Do == nil {
		return nil, &LifeCycleError{v.id, "load", errNoDo}
	}
	r.mu.Lock()
	v.state = Warming
	r.mu.Unlock()
	if v.source.Warm != nil {
		if err := v.source.Warm(ctx, model.Do); err != nil {
			return nil, &LifeCycleError{v.id, "warm", err}
		}
	}
	warm = true
	return &instance[Req, Resp]{id: v.id, model: model, holds: newHolds()}, nil
}

// loaded ends a load. It closes the model if the registry has been shut down meanwhile, since no alias can point at it any more.
func (r *Registry[Req, Resp]) loaded(v *record[Req, Resp], live *instance[Req, Resp], err error, why string) error {
	r.mu.Lock()
	if live != nil && !r.closed.Load() {
		v.state, v.live = Ready, live
		v.end()
		e := r.log.add(Event{Kind: EventReady, ID: v.id, Why: why})
		r.mu.Unlock()
		r.tell(e)
		return nil
	}
	if errors.Is(err, errAbandoned) {
		err = &LifeCycleError{v.id, map[State]string{Loading: "load", Warming: "warm"}[v.state], err}
	}
	r.mu.Unlock()
	if live != nil {
		err = ErrClosed
	}
	defer func() {
		r.mu.Lock()
		r.clock++
		v.state, v.err, v.ended = Failed, err, r.clock
		v.end()
		events := append([]Event{r.log.add(Event{Kind: EventFailed, ID: v.id, Why: why, Err: err})}, r.trim()...)
		r.mu.Unlock()
		r.tell(events...)
	}()
	if live != nil && live.model.Close != nil {
		if cerr := live.model.Close(); cerr != nil {
			err = errors.Join(err, &LifeCycleError{v.id, "close", cerr})
		}
	}
	return err
}

// seal lets nobody get at a ready version any more. The lock is held, and no alias points at it.
func (r *Registry[Req, Resp]) seal(v *record[Req, Resp], why string) Event {
	v.live.seal()
	r.clock++
	v.state, v.retired, v.ended = Draining, 0, r.clock
	return r.log.add(Event{Kind: EventDraining, ID: v.id, Why: why})
}

// Unload lets no request get at a version any more, waits until the last lease has been released, and closes the model, all on the caller's goroutine. It does nothing if the version is not
// loaded. The errors are ErrUnknown, ErrAliased, ErrBusy while it is being loaded, ErrClosed, a *DrainError if ctx ends first, or a *LifeCycleError with that of Close, after which the version is
// unloaded all the same. Called by someone who holds a lease of the version it waits until ctx ends.
func (r *Registry[Req, Resp]) Unload(ctx context.Context, id ID, why string) error {
	r.mu.Lock()
	v, err := r.find(id)
	switch {
	case err != nil:
	case v.state == Loading || v.state == Warming:
		err = ErrBusy
	case v.aliases > 0:
		err = ErrAliased
	}
	if err != nil {
		r.mu.Unlock()
		return err
	}
	var events []Event
	if v.state == Ready {
		events = append(events, r.seal(v, why))
	}
	r.mu.Unlock()
	r.tell(events...)
	return r.finish(ctx, v, why)
}

// Sweep unloads the versions that have lost their last alias, but for the latest KeepWarm of them, and goes on with those whose unloading was given up. It waits like Unload, but not
// for what another call is unloading.
func (r *Registry[Req, Resp]) Sweep(ctx context.Context, why string) error {
	var events []Event
	var retired, leaving []*record[Req, Resp]
	r.mu.Lock()
	if r.closed.Load() {
		r.mu.Unlock()
		return ErrClosed
	}
	for _, v := range r.versions {
		switch {
		case v.state == Ready && v.retired > 0:
			retired = append(retired, v)
		case v.state == Draining && v.busy == nil:
			leaving = append(leaving, v)
		}
	}
	// The oldest first, in both.
	slices.SortFunc(leaving, func(a, b *record[Req, Resp]) int { return cmp.Compare(a.ended, b.ended) })
	slices.SortFunc(retired, func(a, b *record[Req, Resp]) int { return cmp.Compare(a.retired, b.retired) })
	for _, v := range retired[:max(0, len(retired)-r.cfg.KeepWarm)] {
		events = append(events, r.seal(v, why))
		leaving = append(leaving, v)
	}
	r.mu.Unlock()
	r.tell(events...)
	var errs []error
	for _, v := range leaving {
		errs = append(errs, r.finish(ctx, v, why))
	}
	return errors.Join(errs...)
}

// finish waits until nobody else is at work on the version and, if it is draining then, until its leases have been released, and closes it.
func (r *Registry[Req, Resp]) finish(ctx context.Context, v *record[Req, Resp], why string) (err error) {
	r.mu.Lock()
	for v.busy != nil {
		busy := v.busy
		r.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return &DrainError{ID: v.id, Err: context.Cause(ctx)}
		}
		r.mu.Lock()
	}
	if v.state != Draining {
		r.mu.Unlock()
		return nil
	}
	v.begin()
	live := v.live
	r.mu.Unlock()

	drained := false
	defer func() {
		var events []Event
		r.mu.Lock()
		v.end()
		if drained {
			r.clock++
			v.state, v.live, v.ended = Unloaded, nil, r.clock
			v.served += live.want
			events = append([]Event{r.log.add(Event{Kind: EventUnloaded, ID: v.id, Why: why, Err: err})}, r.trim()...)
		}
		r.mu.Unlock()
		r.tell(events...)
	}()
	if err := live.drain(ctx); err != nil {
		return &DrainError{ID: v.id, Leases: live.want - live.out(), Err: err}
	}
	drained = true
	if live.model.Close != nil {
		err = errAbandoned
		if err = live.model.Close(); err != nil {
			err = &LifeCycleError{v.id, "close", err}
		}
	}
	return err
}
