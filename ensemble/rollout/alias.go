package rollout

import (
	"context"
	"sync/atomic"
)

// Alias is a name that points at one ready version of a registry at a time, or at none. Its Do can be handed to any other pattern, and stays valid when the
// alias moves. Safe for concurrent use.
type Alias[Req, Resp any] struct {
	name     string
	registry *Registry[Req, Resp]

	// An instance is sealed only after no alias points at it any more. So a request that finds the instance sealed finds another pointer here when it looks
	// again, and the loop in hold ends unless aliases move for ever.
	live atomic.Pointer[instance[Req, Resp]]
}

// Name is the alias's name.
func (a *Alias[Req, Resp]) Name() string { return a.name }

// ID is the version that the alias points at now, the zero ID for none.
func (a *Alias[Req, Resp]) ID() ID {
	if i := a.live.Load(); i != nil {
		return i.id
	}
	return ID{}
}

// hold takes a hold of the version that the alias points at.
func (a *Alias[Req, Resp]) hold() (*instance[Req, Resp], *stripe) {
	for {
		i := a.live.Load()
		if i == nil {
			return nil, nil
		}
		if s := i.enter(); s != nil {
			return i, s
		}
	}
}

// Do answers the request by the version that the alias points at when it begins, from beginning to end. That version is not closed before Do returns. The errors are
// the cause of ctx if that has ended already, ErrNoVersion, ErrClosed, or those of the model. A panic or a Goexit in the model goes on to the caller.
func (a *Alias[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	if ctx.Err() != nil {
		var zero Resp
		return zero, context.Cause(ctx)
	}
	i, s := a.hold()
	if i == nil {
		var zero Resp
		return zero, a.none()
	}
	defer i.leave(s)
	return i.model.Do(ctx, req)
}

// Acquire takes a lease of the version that the alias points at: for a stream or a session, whose requests must all see the same version. Release it. The errors are
// ErrNoVersion and ErrClosed.
func (a *Alias[Req, Resp]) Acquire() (*Lease[Req, Resp], error) {
	i, s := a.hold()
	if i == nil {
		return nil, a.none()
	}
	return &Lease[Req, Resp]{live: i, stripe: s}, nil
}

func (a *Alias[Req, Resp]) none() error {
	if a.registry.closed.Load() {
		return ErrClosed
	}
	return ErrNoVersion
}
