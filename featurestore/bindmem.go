package featurestore

import (
	"time"
	"unsafe"
)

// The only place where the bindings touch memory by its address: at(p, offset) is a field of the struct that p, a *T, points to. The offset and the field's
// type are those that package reflect has given for T, or for a struct embedded in it by value.

func at[F any](p unsafe.Pointer, offset uintptr) *F { return (*F)(unsafe.Add(p, offset)) }

// setter puts a value into a field, the zero value (or a nil pointer) for null.
type setter func(p unsafe.Pointer, offset uintptr, v Value)

// getter takes a field as a value, a nil pointer as null.
type getter func(p unsafe.Pointer, offset uintptr) (Value, error)

func setPlain[F any](from func(Value) F) setter {
	return func(p unsafe.Pointer, offset uintptr, v Value) {
		var zero F
		if !v.IsNull() {
			zero = from(v)
		}
		*at[F](p, offset) = zero
	}
}

func setPointer[F any](from func(Value) F) setter {
	return func(p unsafe.Pointer, offset uintptr, v Value) {
		if v.IsNull() {
			*at[*F](p, offset) = nil
			return
		}
		*at[*F](p, offset) = new(from(v)) // a new one: the old may have been copied with the struct
	}
}

func setVector(p unsafe.Pointer, offset uintptr, v Value) {
	field := at[[]float32](p, offset)
	if v.IsNull() {
		*field = nil
		return
	}
	*field = append((*field)[:0], v.vec...)
}

// setArray is for a field of type [n]float32.
func setArray(n int) setter {
	return func(p unsafe.Pointer, offset uintptr, v Value) {
		field := unsafe.Slice(at[float32](p, offset), n)
		clear(field)
		copy(field, v.vec)
	}
}

func getPlain[F any](to func(F) (Value, error)) getter {
	return func(p unsafe.Pointer, offset uintptr) (Value, error) { return to(*at[F](p, offset)) }
}

func getPointer[F any](to func(F) (Value, error)) getter {
	return func(p unsafe.Pointer, offset uintptr) (Value, error) {
		field := *at[*F](p, offset)
		if field == nil {
			return Value{}, nil
		}
		return to(*field)
	}
}

func getArray(n int) getter {
	return func(p unsafe.Pointer, offset uintptr) (Value, error) {
		return Value{kind: Vector, vec: unsafe.Slice(at[float32](p, offset), n)}, nil // SetValue copies it
	}
}

func setStatus(p unsafe.Pointer, offset uintptr, s Status) { *at[Status](p, offset) = s }

func setTime(p unsafe.Pointer, offset uintptr, t time.Time) { *at[time.Time](p, offset) = t }

func getTime(p unsafe.Pointer, offset uintptr) time.Time { return *at[time.Time](p, offset) }
