package featurestore

import (
	"context"
	"errors"
	"fmt"
)

// answer is what the function has returned for a lookup.
type answer struct {
	records []*Record
	err     error
}

// Read asks the function for the lookups of its view and the store for the others, at the same time if there are both: the function on a goroutine of its own then, else
// on the caller's. When one of the two fails its keys get the error by means of [Lookup].Fail; only when all keys have failed it is an error of
// Read, context.Cause(ctx) if that has ended. A panic of the function on its own goroutine is a *PanicError of its keys.
func (r *ReadThrough) Read(ctx context.Context, lookups []Lookup) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	cached := 0
	for i := range lookups {
		if r.takes(&lookups[i]) {
			cached++
		}
	}
	switch cached {
	case 0:
		return r.store.Read(ctx, lookups)
	case len(lookups):
		if cached == 1 {
			records, err := r.getAll(ctx, lookups[0].Keys)
			return r.finish(ctx, lookups, lookups[0].take(answer{records, err}))
		}
		var errs []error
		for i := range lookups {
			records, err := r.getAll(ctx, lookups[i].Keys)
			errs = append(errs, lookups[i].take(answer{records, err}))
		}
		return r.finish(ctx, lookups, errs...)
	}
	return r.both(ctx, lookups, cached)
}

func (r *ReadThrough) both(ctx context.Context, lookups []Lookup, cached int) error {
	answers := make([]answer, cached)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.ask(ctx, lookups, answers)
	}()
	defer func() { <-done }() // also if the store panics: the keys are the caller's
	rest, places := make([]Lookup, 0, len(lookups)-cached), make([]int, 0, len(lookups)-cached)
	for i := range lookups {
		if !r.takes(&lookups[i]) {
			rest, places = append(rest, lookups[i]), append(places, i)
		}
	}
	err := r.store.Read(ctx, rest)
	<-done
	var errs []error
	if err != nil {
		errs = append(errs, err)
	}
	for j, i := range places {
		lookups[i].Rows, lookups[i].Errs = rest[j].Rows, rest[j].Errs
		for k := range lookups[i].Keys {
			if err != nil {
				lookups[i].Fail(k, err)
			}
		}
	}
	n := 0
	for i := range lookups {
		if r.takes(&lookups[i]) {
			errs = append(errs, lookups[i].take(answers[n]))
			n++
		}
	}
	return r.finish(ctx, lookups, errs...)
}

// ask asks the function for all lookups of its view, on a goroutine of its own.
func (r *ReadThrough) ask(ctx context.Context, lookups []Lookup, answers []answer) {
	n := 0
	defer func() {
		if n == len(answers) {
			return
		}
		err := ErrGoexit
		if value := recover(); value != nil {
			err = newPanicError(value)
		}
		for ; n < len(answers); n++ {
			answers[n].err = err
		}
	}()
	for i := range lookups {
		if r.takes(&lookups[i]) {
			answers[n].records, answers[n].err = r.getAll(ctx, lookups[i].Keys)
			n++
		}
	}
}

// take puts the function's answer into the lookup. It returns an error that concerns all keys.
func (l *Lookup) take(a answer) error {
	errs := keyErrors(a.err, len(l.Keys))
	err := a.err
	if len(a.records) != len(l.Keys) && (err == nil || errs != nil) {
		errs, err = nil, fmt.Errorf("%w: %d records for %d keys", ErrResultCount, len(a.records), len(l.Keys))
	}
	for i := range l.Keys {
		switch {
		case errs != nil && errs[i] != nil:
			l.Fail(i, errs[i])
		case errs == nil && err != nil:
			l.Fail(i, err)
		default:
			l.Rows[i] = a.records[i]
		}
	}
	return err
}

// finish is the error of a Read: none if a key has not failed.
func (r *ReadThrough) finish(ctx context.Context, lookups []Lookup, errs ...error) error {
	err := errors.Join(errs...)
	if err == nil {
		return nil
	}
	for i := range lookups {
		for j := range lookups[i].Keys {
			if lookups[i].Errs == nil || lookups[i].Errs[j] == nil {
				return nil
			}
		}
	}
	for i := range lookups {
		lookups[i].Errs = nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
