package sharding

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"reflect"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// Key are the types that [Hash] takes.
type Key interface {
	~string | ~[]byte |
		~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

// Hash is the stable hash of a key: the same in each process, on each machine and in each release of the same [Version]. It is
// XXH64 with seed 0 of the bytes of a string or slice, or of the 8 bytes, least significant first, of an integer extended to 64
// bits. So int32(7) and uint64(7) have the same hash. It does not allocate.
//
// It is no defence against keys that are chosen to collide.
func Hash[K Key](key K) uint64 {
	p := unsafe.Pointer(&key)
	// The compiler knows the size where it knows no other property of a type parameter. Where strings have 16 bytes it is enough to tell the kind, or all that
	// matters of an integer.
	if unsafe.Sizeof("") == 16 {
		switch unsafe.Sizeof(key) {
		case 8:
			return hashUint64(*(*uint64)(p))
		case 16:
			return xxhash.Sum64String(*(*string)(p))
		case 24:
			return xxhash.Sum64(*(*[]byte)(p))
		}
	}
	return hashLeaf(reflect.TypeFor[K]().Kind(), p)
}

// hashLeaf hashes the string, []byte or integer of that kind at p.
func hashLeaf(kind reflect.Kind, p unsafe.Pointer) uint64 {
	switch kind {
	case reflect.String:
		return xxhash.Sum64String(*(*string)(p))
	case reflect.Slice:
		return xxhash.Sum64(*(*[]byte)(p))
	}
	return hashUint64(loadInt(kind, p))
}

// hashUint64 is XXH64 of the 8 bytes of v, least significant first.
func hashUint64(v uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return xxhash.Sum64(b[:])
}

// loadInt is the integer or bool of that kind at p, extended to 64 bits.
func loadInt(kind reflect.Kind, p unsafe.Pointer) uint64 {
	switch kind {
	case reflect.Int:
		return uint64(*(*int)(p))
	case reflect.Int8:
		return uint64(*(*int8)(p))
	case reflect.Int16:
		return uint64(*(*int16)(p))
	case reflect.Int32:
		return uint64(*(*int32)(p))
	case reflect.Int64, reflect.Uint64:
		return *(*uint64)(p)
	case reflect.Uint:
		return uint64(*(*uint)(p))
	case reflect.Uint8, reflect.Bool:
		return uint64(*(*uint8)(p))
	case reflect.Uint16:
		return uint64(*(*uint16)(p))
	case reflect.Uint32:
		return uint64(*(*uint32)(p))
	default: // reflect.Uintptr
		return uint64(*(*uintptr)(p))
	}
}

// leaf is a string, []byte, integer, bool or array of bytes inside of a key.
type leaf struct {
	offset uintptr
	kind   reflect.Kind
	size   uintptr // of an array
}

// maxLeaves bounds how many leaves a key may have.
const maxLeaves = 1024

const tooManyLeaves = "has more than 1024 strings, numbers and arrays of bytes"

// NewHasher makes the stable hash of a type: of those that [Hash] takes, with the same results; of bool; and of structs and arrays of all
// these, nested as you like. The function does not allocate and is safe for concurrent use.
//
// The hash of a struct or array is XXH64 with seed 0 of its fields or elements in their order: an integer or bool as 8 bytes,
// least significant first, a string or slice of bytes as its length in that form and then its bytes, an array of bytes as its
// bytes. Names of fields and types do not count; fields named _ are left out.
//
// Types that hold anything else are ErrKeyType: floats (a NaN is not equal to itself, and zero has two forms), pointers, interfaces
// and maps; and those of more than 1024 leaves, arrays of bytes being one. Hash what identifies the key yourself then.
func NewHasher[K any]() (func(K) uint64, error) {
	typ := reflect.TypeFor[K]()
	leaves, bad := leavesOf(nil, typ, 0)
	if bad != "" {
		return nil, fmt.Errorf("%w: %v %s", ErrKeyType, typ, bad)
	}
	if kind := typ.Kind(); kind != reflect.Struct && kind != reflect.Array {
		return func(key K) uint64 { return hashLeaf(kind, unsafe.Pointer(&key)) }, nil
	}
	return func(key K) uint64 { return hashLeaves(leaves, unsafe.Pointer(&key)) }, nil
}

// leavesOf appends the leaves of a type to the list, or says what about it has no stable hash.
func leavesOf(leaves []leaf, typ reflect.Type, offset uintptr) (_ []leaf, bad string) {
	one := leaf{offset: offset, kind: typ.Kind()}
	switch typ.Kind() {
	case reflect.Struct:
		for i := range typ.NumField() {
			if f := typ.Field(i); f.Name != "_" && bad == "" {
				leaves, bad = leavesOf(leaves, f.Type, offset+f.Offset)
			}
		}
		return leaves, bad
	case reflect.Array:
		if typ.Elem().Kind() != reflect.Uint8 {
			return elementLeaves(leaves, typ, offset)
		}
		one.size = typ.Size()
	case reflect.Slice:
		if typ.Elem().Kind() != reflect.Uint8 {
			return nil, fmt.Sprint("holds a ", typ)
		}
	case reflect.String, reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
	default:
		return nil, fmt.Sprint("holds a ", typ)
	}
	if len(leaves) == maxLeaves {
		return nil, tooManyLeaves
	}
	return append(leaves, one), ""
}

// elementLeaves appends the leaves of an array's elements. An array can have more elements than could be counted in a lifetime: those that
// have no leaves take no memory either.
func elementLeaves(leaves []leaf, typ reflect.Type, offset uintptr) (_ []leaf, bad string) {
	if typ.Len() == 0 {
		return leaves, ""
	}
	first, bad := leavesOf(nil, typ.Elem(), offset)
	if bad != "" || len(first) == 0 {
		return leaves, bad
	}
	if typ.Len() > (maxLeaves-len(leaves))/len(first) {
		return nil, tooManyLeaves
	}
	for i := range typ.Len() {
		for _, l := range first {
			l.offset += uintptr(i) * typ.Elem().Size()
			leaves = append(leaves, l)
		}
	}
	return leaves, ""
}

// hashLeaves hashes the leaves of the key at p.
func hashLeaves(leaves []leaf, p unsafe.Pointer) uint64 {
	var d xxhash.Digest
	d.Reset()
	for _, l := range leaves {
		at := unsafe.Add(p, l.offset)
		switch l.kind {
		case reflect.String:
			writeString(&d, *(*string)(at))
		case reflect.Slice:
			b := *(*[]byte)(at)
			writeUint64(&d, uint64(len(b)))
			_, _ = d.Write(b)
		case reflect.Array:
			_, _ = d.Write(unsafe.Slice((*byte)(at), l.size))
		default:
			writeUint64(&d, loadInt(l.kind, at))
		}
	}
	return d.Sum64()
}

func writeString(d *xxhash.Digest, s string) {
	writeUint64(d, uint64(len(s)))
	_, _ = d.WriteString(s)
}

func writeUint64(d *xxhash.Digest, v uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	_, _ = d.Write(b[:])
}

// mix makes independent hashes from one: the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), for which
// equal arguments are the only ones with equal results.
func mix(v uint64) uint64 {
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// slotOf maps a hash to one of so many slots, in order: slot s has the hashes from s/slots to (s+1)/slots of all.
func slotOf(hash, slots uint64) uint64 {
	slot, _ := bits.Mul64(hash, slots)
	return slot
}
