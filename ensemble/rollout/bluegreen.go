package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// DefaultBlueGreenKeepWarm is the default of BlueGreenConfig.KeepWarm.
const DefaultBlueGreenKeepWarm = 10 * time.Minute

// BlueGreenConfig is for NewBlueGreen. A negative value is an error.
type BlueGreenConfig struct {
	// Alias is the alias that is switched. The previous version is held by another, this name with "/previous". Required.
	Alias string

	// KeepWarm is how long the previous version stays loaded at least. Default: DefaultBlueGreenKeepWarm.
	KeepWarm time.Duration
}

// BlueGreen switches an alias of a Registry from one version to the next all at once, and keeps the previous one warm for a time, so that the way back is instant. It has no goroutine: the
// previous version is unloaded by [BlueGreen.Step], which the user calls now and then, or has called by [BlueGreen.Run], or by the next Switch. Safe for concurrent use.
type BlueGreen[Req, Resp any] struct {
	cfg            BlueGreenConfig
	r              *Registry[Req, Resp]
	live, previous *Alias[Req, Resp]

	// Guarded by the registry's lock, as the aliases are.
	until           time.Time // the previous version is kept
	leaving         []ID      // to be unloaded
	switches, backs uint64
}

// NewBlueGreen makes a BlueGreen for an alias of r, which may point at a version already.
func NewBlueGreen[Req, Resp any](r *Registry[Req, Resp], cfg BlueGreenConfig) (*BlueGreen[Req, Resp], error) {
	if r == nil {
		return nil, fmt.Errorf("rollout: NewBlueGreen: nil Registry")
	}
	if cfg.Alias == "" {
		return nil, fmt.Errorf("rollout: BlueGreenConfig.Alias is empty")
	}
	if cfg.KeepWarm < 0 {
		return nil, fmt.Errorf("rollout: BlueGreenConfig.KeepWarm is negative: %v", cfg.KeepWarm)
	}
	if cfg.KeepWarm == 0 {
		cfg.KeepWarm = DefaultBlueGreenKeepWarm
	}
	return &BlueGreen[Req, Resp]{cfg: cfg, r: r, live: r.Alias(cfg.Alias), previous: r.Alias(cfg.Alias + "/previous")}, nil
}

// Do answers the request by the live version, see [Alias.Do].
func (b *BlueGreen[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	return b.live.Do(ctx, req)
}

// Switch loads and warms a registered version, makes it the live one, keeps that which was live as the previous one, and unloads the previous one of before. If load or warm fails everything is as it was. If only
// the unloading has not been completed, the error holds a *DrainError or a *LifeCycleError of the call "close"; the next Step or Switch goes on with it.
func (b *BlueGreen[Req, Resp]) Switch(ctx context.Context, id ID, why string) error {
	if err := b.r.Load(ctx, id, why); err != nil {
		return err
	}
	b.r.mu.Lock()
	if b.live.ID() == id {
		b.r.mu.Unlock()
		return nil
	}
	err := b.swap(id, why, &b.switches)
	if err != nil {
		return err
	}
	return b.unload(ctx, why)
}

// Back makes the previous version the live one, at once, and keeps the one that was live as the previous one. It fails with ErrNoWayBack if there is none.
func (b *BlueGreen[Req, Resp]) Back(why string) error {
	b.r.mu.Lock()
	id := b.previous.ID()
	if id == (ID{}) {
		closed := b.r.closed.Load()
		b.r.mu.Unlock()
		if closed {
			return ErrClosed
		}
		return ErrNoWayBack
	}
	return b.swap(id, why, &b.backs)
}

// swap makes id the live version and the live one the previous one. It is called with the registry's lock held, and gives it back.
func (b *BlueGreen[Req, Resp]) swap(id ID, why string, count *uint64) error {
	was, older := b.live.ID(), b.previous.ID()
	_, e1, err := b.r.pointLocked(b.live.name, nil, id, why)
	if err != nil {
		b.r.mu.Unlock()
		return err
	}
	// It cannot fail: the version has had an alias until now, so it is ready.
	_, e2, err := b.r.pointLocked(b.previous.name, nil, was, why)
	if older != (ID{}) && older != id {
		b.leaving = append(b.leaving, older)
	}
	b.until = time.Now().Add(b.cfg.KeepWarm)
	*count++
	b.r.mu.Unlock()
	b.r.tell(e1)
	if e2.Seq != 0 {
		b.r.tell(e2)
	}
	return err
}

// Step unloads the previous version if its time is over, and goes on with what could not be unloaded before. It waits for leases like [Registry.Unload]; the errors are a *DrainError for each version that is
// still held when ctx ends, and those of Close.
func (b *BlueGreen[Req, Resp]) Step(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	const why = "KeepWarm is over"
	b.r.mu.Lock()
	var e Event
	if id := b.previous.ID(); id != (ID{}) && !time.Now().Before(b.until) {
		_, e, _ = b.r.pointLocked(b.previous.name, nil, ID{}, why) // fails only if the registry is closed, which has no aliases then
		b.leaving = append(b.leaving, id)
	}
	b.r.mu.Unlock()
	if e.Seq != 0 {
		b.r.tell(e)
	}
	return b.unload(ctx, why)
}

// Run calls Step at once and then in every interval, on the caller's goroutine, until ctx ends, and returns its cause. It goes on when a Step fails.
func (b *BlueGreen[Req, Resp]) Run(ctx context.Context, interval time.Duration) error {
	if interval <= 0 {
		return fmt.Errorf("rollout: interval must be positive: %v", interval)
	}
	return every(ctx, interval, func() (bool, error) {
		_ = b.Step(ctx)
		return false, nil
	})
}

// unload unloads what is leaving. What is still held stays in the list.
func (b *BlueGreen[Req, Resp]) unload(ctx context.Context, why string) error {
	b.r.mu.Lock()
	ids := b.leaving
	b.leaving = nil
	b.r.mu.Unlock()
	var errs []error
	for i, id := range ids {
		returned := false
		func() {
			defer func() {
				if !returned { // Close has panicked
					b.r.mu.Lock()
					b.leaving = append(b.leaving, ids[i+1:]...)
					b.r.mu.Unlock()
				}
			}()
			err := b.r.Unload(ctx, id, why)
			returned = true
			var drain *DrainError
			switch {
			case errors.As(err, &drain):
				b.r.mu.Lock()
				b.leaving = append(b.leaving, id)
				b.r.mu.Unlock()
				errs = append(errs, err)
			case errors.Is(err, ErrAliased), errors.Is(err, ErrUnknown), errors.Is(err, ErrBusy):
				// It is in use again, or somebody else has unloaded it.
			default:
				errs = append(errs, err)
			}
		}()
	}
	return errors.Join(errs...)
}

// BlueGreenStats are the counters and gauges of a BlueGreen.
type BlueGreenStats struct {
	Live, Previous  ID        // zero: none
	WarmUntil       time.Time // when Step will unload Previous; zero if there is none
	Leaving         int       // versions whose unloading has been given up for now
	Switches, Backs uint64
}

// Stats are the counters and gauges at this moment.
func (b *BlueGreen[Req, Resp]) Stats() BlueGreenStats {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	st := BlueGreenStats{Live: b.live.ID(), Previous: b.previous.ID(), Leaving: len(b.leaving), Switches: b.switches, Backs: b.backs}
	if st.Previous != (ID{}) {
		st.WarmUntil = b.until
	}
	return st
}
