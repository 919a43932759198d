package redisstore

import (
	"encoding/binary"
	"math"
	"time"
)

// A google.protobuf.Timestamp has whole seconds in field 1, which may be negative, and the nanoseconds after them in field 2. Zeros
// are not written, so that the message of 1970 is empty.

const second = int64(time.Second)

// split takes a time in nanoseconds apart; nanos is never negative.
func split(ns int64) (seconds, nanos int64) {
	seconds, nanos = ns/second, ns%second
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+second
	}
	return seconds, nanos
}

// join is the opposite of split. A time that an int64 has no room for becomes the first or the last one that it has, and ok is false.
func join(seconds, nanos int64) (ns int64, ok bool) {
	first, firstNanos := split(math.MinInt64)
	last, lastNanos := split(math.MaxInt64)
	switch {
	case seconds < first || seconds == first && nanos < firstNanos:
		return math.MinInt64, false
	case seconds > last || seconds == last && nanos > lastNanos:
		return math.MaxInt64, false
	case seconds == first:
		return (seconds+1)*second + (nanos - second), true // seconds*second alone has no room
	}
	return seconds*second + nanos, true
}

func appendTimestamp(dst []byte, ns int64) []byte {
	seconds, nanos := split(ns)
	if seconds != 0 {
		dst = binary.AppendUvarint(appendTag(dst, 1, wireVarint), uint64(seconds))
	}
	if nanos != 0 {
		dst = binary.AppendUvarint(appendTag(dst, 2, wireVarint), uint64(nanos))
	}
	return dst
}

// parseTimestamp reads an event time. Others may have written one in the year 9999 to mean that a row never ends: it becomes the last
// time that there is.
func parseTimestamp(s string) (ns int64, err error) {
	var seconds, nanos int64
	for s != "" {
		var f wireField
		if f, s, err = nextField(s); err != nil {
			return 0, err
		}
		switch {
		case f.number == 1 && f.wire == wireVarint:
			seconds = int64(f.num)
		case f.number == 2 && f.wire == wireVarint:
			nanos = int64(int32(f.num))
		}
	}
	if nanos < 0 || nanos >= second {
		return 0, errNanos
	}
	ns, _ = join(seconds, nanos)
	return ns, nil
}
