package featurestore

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// ValueOf is a Go value as a [Value]: an int64, int (of kind Int64), int32, float64, float32, bool, string, []byte, time.Time, []float32, a Value itself, or
// nil for null. It copies slices.
func ValueOf(v any) (Value, error) {
	switch v := v.(type) {
	case nil:
		return Value{}, nil
	case Value:
		return v, nil
	case int64:
		return Int64Value(v), nil
	case int:
		return Int64Value(int64(v)), nil
	case int32:
		return Int32Value(v), nil
	case float64:
		return Float64Value(v), nil
	case float32:
		return Float32Value(v), nil
	case bool:
		return BoolValue(v), nil
	case string:
		return StringValue(v), nil
	case []byte:
		return BytesValue(v), nil
	case time.Time:
		return timestampOf(v)
	case []float32:
		return VectorValue(v), nil
	}
	return Value{}, fmt.Errorf("%w: a %T is no value of a feature", ErrRow, v)
}

// The times that nanoseconds since 1970 in 64 bits can tell.
var firstTime, lastTime = time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64)

func timestampOf(t time.Time) (Value, error) {
	if t.Before(firstTime) || t.After(lastTime) {
		return Value{}, fmt.Errorf("%w: the time %v is before the year 1678 or after 2262", ErrRow, t)
	}
	return TimestampValue(t), nil
}

// Record is a record of the view with these values by the names of their features; the others have none. An ErrRow says what does not fit.
func (s *Schema) Record(event time.Time, values map[string]Value) (*Record, error) {
	if err := checkEvent(event); err != nil {
		return nil, fmt.Errorf("%w: view %q: %w", ErrRow, s.view.Name, err)
	}
	r := s.NewRecord(event)
	found := 0
	for i := range s.view.Features {
		v, ok := values[s.view.Features[i].Name]
		if !ok {
			continue
		}
		found++
		if err := s.SetValue(r, i, v); err != nil {
			return nil, err
		}
	}
	if found < len(values) {
		var unknown []string
		for name := range values {
			if s.Index(name) < 0 {
				unknown = append(unknown, name)
			}
		}
		return nil, s.noFeature(slices.Min(unknown))
	}
	return r, nil
}

// RecordOf is a record of the view of names and values in turn, as [ValueOf] takes them: RecordOf(now, "trips", 7, "rating", 4.5). The
// kinds are those of [Schema.SetValue], so that 7 is no value of a Float64, and 4.5, which is a float64, none of a Float32: write 7.0 and float32(4.5). An ErrRow says what
// does not fit.
func (s *Schema) RecordOf(event time.Time, pairs ...any) (*Record, error) {
	if err := checkEvent(event); err != nil {
		return nil, fmt.Errorf("%w: view %q: %w", ErrRow, s.view.Name, err)
	}
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("%w: view %q: a name without a value", ErrRow, s.view.Name)
	}
	r := s.NewRecord(event)
	given := make([]bool, len(s.view.Features))
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("%w: view %q: the name of a feature is a %T, not a string", ErrRow, s.view.Name, pairs[i])
		}
		at := s.Index(name)
		if at < 0 {
			return nil, s.noFeature(name)
		}
		if given[at] {
			return nil, fmt.Errorf("%w: view %q: feature %q is given twice", ErrRow, s.view.Name, name)
		}
		given[at] = true
		v, err := ValueOf(pairs[i+1])
		if err != nil {
			return nil, fmt.Errorf("view %q: feature %q: %w", s.view.Name, name, err)
		}
		if err := s.SetValue(r, at, v); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (s *Schema) noFeature(name string) error {
	return fmt.Errorf("%w: view %q has no feature %q", ErrRow, s.view.Name, name)
}

func checkEvent(event time.Time) error {
	if event.IsZero() {
		return fmt.Errorf("no event time")
	}
	if event.Before(firstTime) || event.After(lastTime) {
		return fmt.Errorf("the event time %v is before the year 1678 or after 2262", event)
	}
	return nil
}
