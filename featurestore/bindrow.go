package featurestore

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unsafe"
)

// RowBinding makes rows of a view from structs of type T. It is safe for concurrent use.
type RowBinding[T any] struct {
	schema *Schema
	fields []rowField
	keys   []rowField // by join key, if T has them
	event  []tagged   // one, if T has it
}

type rowField struct {
	feature int
	offset  uintptr
	get     getter
}

// BindRow finds the features of a view that the fields of T hold, which is a struct:
//
//	type Driver struct {
//		ID     int64     `key:"driver_id"`
//		At     time.Time `event:"time"`
//		Trips  int64     `feature:"trips_7d"`
//		Rating *float64  `feature:"driver_stats:rating"` // nil: no value
//	}
//
// A field may say which view it is of; those of other views are left alone, so that one struct serves several. A field takes the types that [Bind]
// takes, if nothing can be lost (a float64 is not for a Float32); nil and the zero time are
// no value. The key and the event time may be missing in T: see Record. Features that T does not have get no value.
func BindRow[T any](schema *Schema) (*RowBinding[T], error) {
	if schema == nil {
		return nil, errors.New("featurestore: BindRow: nil schema")
	}
	t := reflect.TypeFor[T]()
	fields, err := taggedFields(t, "feature")
	if err != nil {
		return nil, err
	}
	b := &RowBinding[T]{schema: schema}
	taken := map[int]string{}
	for i := range fields {
		f := &fields[i]
		name := f.name
		if view, feature, ok := strings.Cut(name, ":"); ok {
			if view != schema.Name() {
				continue
			}
			name = feature
		}
		at := schema.Index(name)
		if at < 0 {
			return nil, fmt.Errorf("%w: field %s: view %q has no feature %q", ErrNotFound, f.path, schema.Name(), name)
		}
		if len(f.options) > 0 {
			if f.options[0] == "status" || f.options[0] == "event" {
				continue // for reading
			}
			if f.options[0] != "required" {
				return nil, fmt.Errorf("%w: field %s: no such option: %q", ErrDefinition, f.path, f.options[0])
			}
		}
		if other, ok := taken[at]; ok {
			return nil, fmt.Errorf("%w: fields %s and %s are both feature %q", ErrDefinition, other, f.path, name)
		}
		taken[at] = f.path
		_, get, err := access(f, &schema.view.Features[at], true)
		if err != nil {
			return nil, err
		}
		b.fields = append(b.fields, rowField{at, f.offset, get})
	}
	if len(b.fields) == 0 {
		return nil, fmt.Errorf("%w: no field of %v is a feature of view %q", ErrDefinition, t, schema.Name())
	}
	if err := b.bindKeys(t); err != nil {
		return nil, err
	}
	if b.event, err = taggedFields(t, "event"); err != nil {
		return nil, err
	}
	if len(b.event) > 1 || len(b.event) == 1 && (b.event[0].name != "time" || b.event[0].typ != reflect.TypeFor[time.Time]()) {
		return nil, fmt.Errorf("%w: %v: one field of type time.Time may have the tag event:\"time\"", ErrDefinition, t)
	}
	return b, nil
}

// bindKeys finds the fields with the entity's join keys. Keys of other entities are left alone.
func (b *RowBinding[T]) bindKeys(t reflect.Type) error {
	fields, err := taggedFields(t, "key")
	if err != nil {
		return err
	}
	entity := b.schema.Entity()
	for _, j := range entity.JoinKeys {
		for i := range fields {
			f := &fields[i]
			if f.name != j.Name {
				continue
			}
			if f.typ.Kind() == reflect.Pointer {
				return fmt.Errorf("%w: field %s: a key cannot be a pointer", ErrDefinition, f.path)
			}
			_, get, err := access(f, &Feature{Name: j.Name, Kind: j.Kind}, true)
			if err != nil {
				return err
			}
			b.keys = append(b.keys, rowField{len(b.keys), f.offset, get})
			break
		}
	}
	if n := len(b.keys); n > 0 && n < len(entity.JoinKeys) {
		return fmt.Errorf("%w: %v has %d of the %d join keys of entity %q", ErrDefinition, t, n, len(entity.JoinKeys), entity.Name)
	}
	return nil
}

// Row is the row that from says. T must have the join keys of the view's entity and the event time.
func (b *RowBinding[T]) Row(from *T) (Row, error) {
	key, err := b.Key(from)
	if err != nil {
		return Row{}, err
	}
	r, err := b.Record(from, time.Time{})
	return Row{Key: key, Record: r}, err
}

// Key is the key that from says. T must have the join keys of the view's entity.
func (b *RowBinding[T]) Key(from *T) (Key, error) {
	entity := b.schema.Entity()
	if len(b.keys) < len(entity.JoinKeys) {
		return Key{}, fmt.Errorf("%w: %v has no field with the tag key:%q", ErrKey, reflect.TypeFor[T](), entity.JoinKeys[0].Name)
	}
	if len(b.keys) == 0 {
		return Key{}, nil
	}
	_ = *from // see Scan
	values := make([]any, len(b.keys))
	for i, f := range b.keys {
		v, err := f.get(unsafe.Pointer(from), f.offset)
		if err != nil {
			return Key{}, err
		}
		if values[i] = any(v.str); v.kind.Numeric() {
			values[i] = v.Int()
		}
	}
	return entity.Key(values...)
}

// Record is the record that from says, with this event time; with the zero time it is that of the field with the tag event:"time".
func (b *RowBinding[T]) Record(from *T, event time.Time) (*Record, error) {
	_ = *from // see Scan
	p := unsafe.Pointer(from)
	if event.IsZero() && len(b.event) == 1 {
		event = getTime(p, b.event[0].offset)
	}
	if err := checkEvent(event); err != nil {
		return nil, fmt.Errorf("%w: view %q: %w", ErrRow, b.schema.Name(), err)
	}
	r := b.schema.NewRecord(event)
	for i := range b.fields {
		f := &b.fields[i]
		v, err := f.get(p, f.offset)
		if err == nil {
			err = b.schema.SetValue(r, f.feature, v)
		}
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}
