package transform

import (
	"errors"
	"time"

	"github.com/scalable-ai/patterns/featurestore"
)

// Elapsed is the number of seconds from one timestamp to a later one, negative if it is earlier: how long ago something was when the
// request came. The output is a Float64.
func Elapsed(output, from, to string) featurestore.Transform {
	return write("elapsed", output, featurestore.Float64, 0, []string{from, to}, nil)
}

func elapsed(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	if err := errors.Join(arity(t, inputs, 2, 2), timestamps(t, inputs), floatOutput(t), noParams(t)); err != nil {
		return nil, err
	}
	return func(in, out []*featurestore.Column) error {
		for row := range out[0].Valid {
			if in[0].Valid[row] && in[1].Valid[row] {
				setFloat(out[0], row, seconds(in[0].Ints[row], in[1].Ints[row]))
			}
		}
		return nil
	}, nil
}

// seconds is the time between two points in time that are given in nanoseconds. Three centuries do not fit an int64.
func seconds(from, to int64) float64 {
	if d := to - from; (d > 0) == (to > from) {
		return time.Duration(d).Seconds()
	}
	return float64(to)/1e9 - float64(from)/1e9
}

func timestamps(t featurestore.Transform, inputs []featurestore.Feature) error {
	for i, f := range inputs {
		if f.Kind != featurestore.Timestamp {
			return fail(t, "input %q is of type %v, not a timestamp", t.Inputs[i], f.Kind)
		}
	}
	return nil
}

// CalendarPart is what [Calendar] takes from a timestamp.
type CalendarPart string

// The parts of a timestamp.
const (
	Hour    CalendarPart = "hour"    // 0 to 23
	Weekday CalendarPart = "weekday" // 0 is Sunday
	Day     CalendarPart = "day"     // of the month, from 1
	YearDay CalendarPart = "yearday" // from 1
	Month   CalendarPart = "month"   // from 1
)

var calendarParts = map[CalendarPart]func(time.Time) int{
	Hour:    time.Time.Hour,
	Weekday: func(t time.Time) int { return int(t.Weekday()) },
	Day:     time.Time.Day,
	YearDay: time.Time.YearDay,
	Month:   func(t time.Time) int { return int(t.Month()) },
}

type calendarParams struct {
	Part   CalendarPart `json:"part"`
	Offset int          `json:"utc_offset_minutes,omitempty"`
}

// Calendar is a part of a timestamp in a zone that is offset minutes ahead of UTC all the year: rules for summer time change, and with them what a model was
// trained with. The output is an Int64.
func Calendar(output, input string, part CalendarPart, offset int) featurestore.Transform {
	return write("calendar", output, featurestore.Int64, 0, []string{input}, calendarParams{part, offset})
}

func calendar(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	var p calendarParams
	if err := errors.Join(arity(t, inputs, 1, 1), timestamps(t, inputs), output(t, featurestore.Int64), params(t, &p)); err != nil {
		return nil, err
	}
	part, ok := calendarParts[p.Part]
	if !ok {
		return nil, fail(t, "there is no part %q", p.Part)
	}
	if p.Offset < -24*60 || p.Offset > 24*60 {
		return nil, fail(t, "the offset from UTC is at most a day, not %d minutes", p.Offset)
	}
	zone := time.FixedZone("", p.Offset*60)
	return func(in, out []*featurestore.Column) error {
		for row := range out[0].Valid {
			if in[0].Valid[row] {
				out[0].Ints[row], out[0].Valid[row] = int64(part(time.Unix(0, in[0].Ints[row]).In(zone))), true
			}
		}
		return nil
	}, nil
}
