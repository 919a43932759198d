package featurestore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// KeyErrors carries one error for each key, nil for those that have succeeded. The function of [NewLoader] returns it when some keys could not be read.
// Bulk loaders of package cache may return such a slice.
type KeyErrors []error

// Error names the number of failed keys and the first failure.
func (e KeyErrors) Error() string {
	errs := e.Unwrap()
	if len(errs) == 0 {
		return "featurestore: no key failed"
	}
	return fmt.Sprintf("featurestore: %d of %d keys failed, the first: %v", len(errs), len(e), errs[0])
}

// Unwrap returns the errors that are not nil.
func (e KeyErrors) Unwrap() []error {
	return slices.DeleteFunc(slices.Clone(e), func(err error) bool { return err == nil })
}

// ErrResultCount is the error of keys for which the function of a [ReadThrough] has returned another number of records than it was given keys.
var ErrResultCount = errors.New("featurestore: wrong number of records")

// NewLoader makes the function that loads rows of a view into a cache: it reads the keys from the store in one call, a nil record for each row that is not
// there. Its form is that of a bulk loader of package cache. It loads the features that are named, or all. An ErrNotFound says that the view has no such feature.
//
// The records are clones: one that is kept does not keep the memory of all that were read with it. If some keys fail it returns the other
// records and a KeyErrors, so that a cache keeps what is good.
func NewLoader(store Store, schema *Schema, features ...string) (func(ctx context.Context, keys []Key) ([]*Record, error), error) {
	if store == nil || schema == nil {
		return nil, errors.New("featurestore: NewLoader: nil store or schema")
	}
	indexes, err := featureIndexes(schema, features)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, keys []Key) ([]*Record, error) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		l := [1]Lookup{{View: schema, Features: indexes, Keys: keys, Rows: make([]*Record, len(keys))}}
		if err := store.Read(ctx, l[:]); err != nil {
			return nil, err
		}
		for i, r := range l[0].Rows {
			if r != nil {
				l[0].Rows[i] = r.Clone()
			}
		}
		if l[0].Errs != nil {
			return l[0].Rows, KeyErrors(l[0].Errs)
		}
		return l[0].Rows, nil
	}, nil
}

// featureIndexes are the positions of features in their view, ascending; of all if none is named.
func featureIndexes(schema *Schema, names []string) ([]int, error) {
	var indexes []int
	for _, name := range names {
		i := schema.Index(name)
		if i < 0 {
			return nil, fmt.Errorf("%w: view %q: feature %q", ErrNotFound, schema.Name(), name)
		}
		indexes = append(indexes, i)
	}
	if len(names) == 0 {
		for i := range schema.Features() {
			indexes = append(indexes, i)
		}
	}
	slices.Sort(indexes)
	return slices.Compact(indexes), nil
}

// ReadThroughOption changes a [ReadThrough] in NewReadThrough.
type ReadThroughOption func(*ReadThrough) error

// WithCachedFeatures says which features the function's records have, if its loader was made for some only. A read that wants others goes to the store.
func WithCachedFeatures(names ...string) ReadThroughOption {
	return func(r *ReadThrough) error {
		indexes, err := featureIndexes(r.schema, names)
		if err != nil {
			return err
		}
		r.cached = make([]bool, len(r.schema.Features()))
		for _, i := range indexes {
			r.cached[i] = true
		}
		return nil
	}
}

// WithInvalidate is called for each key whose row a Write or Delete may have changed, when the store has returned and before the method does, on the
// caller's goroutine: pass the Delete of the cache. A read that begins after a write has returned then does not see an older row, on this
// process; one that was loading the key meanwhile may, and with package cache what it has loaded is not kept. It is called even if the store has returned an
// error or panicked, as the row may have been written; not for rows that are Invalid.
//
// It does nothing about other processes, nor about writes that do not come through this ReadThrough: their rows are seen when the cache's entry expires. The
// cache's TTL bounds that.
func WithInvalidate(invalidate func(Key)) ReadThroughOption {
	return func(r *ReadThrough) error {
		if invalidate == nil {
			return errors.New("featurestore: WithInvalidate: nil function")
		}
		r.invalidate = invalidate
		return nil
	}
}

// ReadThrough is a [Store] with a cache before it for one view: reads of that view go through a function, all others and all writes to the store. Use
// NewReadThrough to make one; several views are cached by putting one before the other. It is safe for concurrent use if the function is.
//
// What a cache keeps is a row with its event time. A row whose view's TTL has passed is therefore still found to be expired by the reader, however long the cache
// keeps it. A row that is not there is a nil record, which the cache keeps like any other: for its TTL, not as an error, so that the cache's
// NegativeTTL has nothing to do with it. A row that is written by another process is then not seen for that long; give nil records a
// short life (cache.WithTTL) if that matters.
type ReadThrough struct {
	store      Store
	schema     *Schema
	getAll     Func[[]Key, []*Record]
	cached     []bool // by feature; nil: all
	invalidate func(Key)
}

var _ Store = (*ReadThrough)(nil)

// NewReadThrough makes a ReadThrough. getAll returns the records of keys, in their order: the method GetAll of a cache.NewBulk over the function of
// NewLoader, whose store is the same. Its error may be a slice of errors, one for each key, as those of package cache are.
func NewReadThrough(store Store, schema *Schema, getAll Func[[]Key, []*Record], opts ...ReadThroughOption) (*ReadThrough, error) {
	if store == nil || schema == nil || getAll == nil {
		return nil, errors.New("featurestore: NewReadThrough: nil store, schema or function")
	}
	r := &ReadThrough{store: store, schema: schema, getAll: getAll}
	for _, opt := range opts {
		if opt == nil {
			return nil, errors.New("featurestore: NewReadThrough: nil option")
		}
		if err := opt(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Write is the store's, with WithInvalidate after it.
func (r *ReadThrough) Write(ctx context.Context, view *Schema, rows []Row, outcomes []Outcome) error {
	if r.invalidate != nil && r.same(view) {
		defer func() { // also if the store panics
			for i := range rows {
				if i >= len(outcomes) || outcomes[i] != Invalid {
					r.invalidate(rows[i].Key)
				}
			}
		}()
	}
	return r.store.Write(ctx, view, rows, outcomes)
}

// Delete is the store's, with WithInvalidate after it.
func (r *ReadThrough) Delete(ctx context.Context, view *Schema, keys []Key) error {
	if r.invalidate != nil && r.same(view) {
		defer func() {
			for _, k := range keys {
				r.invalidate(k)
			}
		}()
	}
	return r.store.Delete(ctx, view, keys)
}

// same reports whether it is the cached view, whatever version of it.
func (r *ReadThrough) same(view *Schema) bool {
	return view.name() == r.schema.name()
}

type viewName struct{ project, view string }

func (s *Schema) name() viewName { return viewName{s.project, s.view.Name} }

// takes reports whether a lookup can be answered from the cache: of another version of the view the records may be laid out in another way.
func (r *ReadThrough) takes(l *Lookup) bool {
	if l.View != r.schema {
		return false
	}
	for _, f := range l.Features {
		if r.cached != nil && !r.cached[f] {
			return false
		}
	}
	return true
}

// keyErrors returns the entries of an error that is a slice of n errors. Other packages have such types, of which this one cannot know.
func keyErrors(err error, n int) []error {
	v := reflect.ValueOf(err)
	if !v.IsValid() || v.Kind() != reflect.Slice || v.Type().Elem() != reflect.TypeFor[error]() || v.Len() != n {
		return nil
	}
	return v.Convert(reflect.TypeFor[[]error]()).Interface().([]error)
}
