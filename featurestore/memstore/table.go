package memstore

import (
	"sync/atomic"

	"github.com/scalable-ai/patterns/featurestore"
)

// entry is a row in the table. It does not change, but for used: a write puts another one in its place.
type entry struct {
	view   *view
	key    featurestore.Key
	schema *featurestore.Schema // that of the record
	hash   uint64
	size   uint32              // about the bytes that it takes, in units of sizeUnit
	used   atomic.Bool         // it was written or read since the hand last passed
	record featurestore.Record // in here, so that who has looked at the key has it near
}

// sizeUnit lets a size of up to 32 GiB fit a uint32.
const sizeUnit = 8

func (e *entry) bytes() int64 { return int64(e.size) * sizeUnit }

// gone marks a slot whose entry was removed from the midst of a run: those that look for others go on behind it.
var gone = new(entry)

// table is a hash table with open addressing and linear probing. One writer at a time, under the shard's lock; readers take no lock. That
// works because an entry never changes its slot in a table: a reader that finds an empty slot at the end of the key's run knows that
// the key was not there at some moment since it began. A rebuild fills another table and leaves this one as it is, so that
// a reader that still goes through it sees the rows of the moment at which that one took its place, which is after the reader began.
//
// The slot of a hash is given by its upper bits, so that the order of entries stays the same when the table grows and the hand of the sweep need not start
// again.
type table struct {
	slots []atomic.Pointer[entry]
	shift uint8
}

const minBits = 3

func newTable(bits uint8) *table {
	return &table{slots: make([]atomic.Pointer[entry], 1<<bits), shift: 64 - bits}
}

func (e *entry) is(v *view, key *featurestore.Key, hash uint64) bool {
	return e.hash == hash && e.view == v && e.key == *key
}

// get finds a row, nil if it is not there.
func (t *table) get(v *view, key *featurestore.Key, hash uint64) *entry {
	mask := uint64(len(t.slots) - 1)
	for i := hash >> t.shift; ; i++ {
		e := t.slots[i&mask].Load()
		if e == nil || e.is(v, key, hash) {
			return e
		}
	}
}

// find is get for the writer: the slot of the row and the row, or, with nil, the slot where it would go.
func (t *table) find(v *view, key *featurestore.Key, hash uint64) (int, *entry) {
	mask := uint64(len(t.slots) - 1)
	free := -1
	for i := hash >> t.shift; ; i++ {
		switch e := t.slots[i&mask].Load(); {
		case e == nil:
			if free < 0 {
				free = int(i & mask)
			}
			return free, nil
		case e == gone:
			if free < 0 {
				free = int(i & mask)
			}
		case e.is(v, key, hash):
			return int(i & mask), e
		}
	}
}

// clear empties a slot and returns by how many the number of slots that are not nil has changed. At the end of a run no mark is needed, and those
// before it can go as well.
func (t *table) clear(slot int) (freed int) {
	mask := len(t.slots) - 1
	t.slots[slot].Store(gone)
	if t.slots[(slot+1)&mask].Load() != nil {
		return 0
	}
	for ; t.slots[slot].Load() == gone; slot = (slot - 1) & mask {
		t.slots[slot].Store(nil)
		freed++
	}
	return freed
}
