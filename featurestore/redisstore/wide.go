package redisstore

import (
	"sync/atomic"

	"github.com/redis/rueidis"
)

// Redis keeps a small hash as a list, in which HMGET looks for each field from the start: n of n fields take about n*n/2 steps, and a
// view of hundreds of features takes the node many times as long as it should. HSCAN gives all of such a list at once, in one pass and as
// one step, whatever its COUNT, and says so by the cursor 0. Of a hash that is a table, where HMGET is fast, it gives a few fields only,
// with another cursor. So it tells by itself whether it was the right command.

// wideFields is the least number of fields for which HSCAN is thought of.
const wideFields = 64

// probeEvery is how many reads of many fields there are between two that look at what a hash is.
const probeEvery = 256

// wide is what is known about the hashes of a view.
type wide struct {
	length atomic.Int64 // fields of a hash, on average, if they are lists; 0: tables, or not known
	reads  atomic.Uint64
}

// scan reports whether HSCAN is the better way to n fields. The costs of a field, in nanoseconds of node and client, are measured: the
// ratio between them matters only.
func (w *wide) scan(n int) bool {
	const each, step, scanned, surely = 150, 4, 300, 1.5
	length := w.length.Load()
	return n >= wideFields && length > 0 && float64(n)*float64(each+step*length) > surely*scanned*float64(length)
}

// probe reports whether a read of n fields by HMGET should look at a hash as well.
func (w *wide) probe(n int) bool { return n >= wideFields && w.reads.Add(1)%probeEvery == 1 }

// scanned takes a reply of HSCAN apart. all says that it has the whole hash.
func scanned(result rueidis.RedisResult) (fields []rueidis.RedisMessage, all bool, err error) {
	reply, err := result.ToArray()
	if err != nil {
		return nil, false, err
	}
	if len(reply) != 2 {
		return nil, false, errScan
	}
	cursor, err := reply[0].ToString()
	if err != nil {
		return nil, false, err
	}
	fields, err = reply[1].ToArray()
	if err == nil && len(fields)%2 != 0 {
		err = errScan
	}
	return fields, cursor == "0", err
}

// reply is what was read of one key.
type reply struct {
	messages []rueidis.RedisMessage // nil: nothing
	places   places                 // nil: in order
}

// places are where the fields' values are among the messages of a reply, -1 for one that is not there.
type places []int32

// value is that of field i, nil if it is not there.
func (r *reply) value(i int) *rueidis.RedisMessage {
	if len(r.messages) == 0 {
		return nil
	}
	if r.places != nil {
		if i = int(r.places[i]); i < 0 {
			return nil
		}
	}
	if m := &r.messages[i]; !m.IsNil() {
		return m
	}
	return nil
}

// finder finds fields in replies of HSCAN.
type finder struct {
	first map[string]int32 // where a field is wanted first
	same  []int32          // by field: where it is wanted first
}

func newFinder(fields []string) *finder {
	f := &finder{first: make(map[string]int32, len(fields)), same: make([]int32, len(fields))}
	for i, name := range fields {
		if _, ok := f.first[name]; !ok {
			f.first[name] = int32(i)
		}
		f.same[i] = f.first[name]
	}
	return f
}

// find is the places of the fields' values.
func (f *finder) find(messages []rueidis.RedisMessage) (places, error) {
	places := make(places, len(f.same))
	for i := range places {
		places[i] = -1
	}
	for i := 0; i+1 < len(messages); i += 2 {
		name, err := messages[i].ToString()
		if err != nil {
			return nil, err
		}
		if at, ok := f.first[name]; ok {
			places[at] = int32(i + 1)
		}
	}
	for i, first := range f.same {
		places[i] = places[first]
	}
	return places, nil
}
