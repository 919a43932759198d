package featurestore

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
)

// Key identifies one entity: the values of its join keys, packed. It is comparable, and so can be the key of a map or of a cache. Which
// entity it belongs to is not part of it: the keys of user 7 and of item 7 are equal.
//
// An entity with a single join key of kind Int64 or Int32 has its number in num and an empty str; with a single String or Bytes it has str.
// With several join keys str holds them one after the other: 8 bytes, little-endian, for an integer; the length as uvarint and the
// bytes for the others. The zero Key is that of a view without entity.
type Key struct {
	num int64
	str string
}

// IntKey is the key of an entity with one join key of kind Int64 or Int32.
func IntKey(id int64) Key { return Key{num: id} }

// StringKey is the key of an entity with one join key of kind String or Bytes.
func StringKey(id string) Key { return Key{str: id} }

// What the hash of this process starts from. Who does not know them cannot choose keys that collide.
var (
	keySeed  = maphash.MakeSeed()
	keySeeds = [4]uint64{
		maphash.Comparable(keySeed, 0), maphash.Comparable(keySeed, 1), maphash.Comparable(keySeed, 2), maphash.Comparable(keySeed, 3),
	}
)

// localHash spreads keys over parts of this process. It is another one in each process. A number takes two multiplications to 128 bits, whose halves
// are folded (as in wyhash64 of github.com/wangyi-fudan/wyhash): a fraction of the time of the general hash of a struct. All bits of the hash depend on
// all of the key.
func (k Key) localHash() uint64 {
	n := uint64(k.num)
	if k.str != "" {
		n ^= maphash.String(keySeed, k.str)
	}
	hi, lo := bits.Mul64(n^keySeeds[0], keySeeds[1])
	hi, lo = bits.Mul64(hi^keySeeds[2], lo^keySeeds[3])
	return hi ^ lo
}

// Key packs the values of the entity's join keys, in their order. It takes int64, int32, int, string and []byte, and an error says which one
// does not fit.
func (e *Entity) Key(values ...any) (Key, error) {
	if len(values) != len(e.JoinKeys) {
		return Key{}, fmt.Errorf("%w: entity %q has %d join keys, %d values given", ErrKey, e.Name, len(e.JoinKeys), len(values))
	}
	var packed []byte
	for i, value := range values {
		part, err := e.JoinKeys[i].part(value)
		if err != nil {
			return Key{}, fmt.Errorf("%w: entity %q: %w", ErrKey, e.Name, err)
		}
		if len(values) == 1 {
			return part, nil
		}
		packed = appendPart(packed, e.JoinKeys[i].Kind, part)
	}
	return Key{str: string(packed)}, nil
}

// appendPart packs one part of a key with several.
func appendPart(dst []byte, kind Kind, part Key) []byte {
	if kind == Int64 || kind == Int32 {
		return binary.LittleEndian.AppendUint64(dst, uint64(part.num))
	}
	return append(binary.AppendUvarint(dst, uint64(len(part.str))), part.str...)
}

func (j *JoinKey) part(value any) (Key, error) {
	switch j.Kind {
	case Int64, Int32:
		var n int64
		switch v := value.(type) {
		case int64:
			n = v
		case int32:
			n = int64(v)
		case int:
			n = int64(v)
		default:
			return Key{}, fmt.Errorf("join key %q is of type %v, not %T", j.Name, j.Kind, value)
		}
		if j.Kind == Int32 && (n < math.MinInt32 || n > math.MaxInt32) {
			return Key{}, fmt.Errorf("join key %q: %d is out of the range of int32", j.Name, n)
		}
		return IntKey(n), nil
	case String, Bytes:
		switch v := value.(type) {
		case string:
			return StringKey(v), nil
		case []byte:
			return StringKey(string(v)), nil
		}
	}
	return Key{}, fmt.Errorf("join key %q is of type %v, not %T", j.Name, j.Kind, value)
}

// Parts appends to dst the values of the key's join keys, in the entity's order, and returns it. The entity must be the one that the key was made
// for; a key that cannot be one of it is an ErrKey.
func (e *Entity) Parts(dst []Value, k Key) ([]Value, error) {
	if len(e.JoinKeys) == 1 {
		kind := e.JoinKeys[0].Kind
		integer := kind == Int64 || kind == Int32
		if integer && k.str != "" || !integer && k.num != 0 || kind == Int32 && k.num != int64(int32(k.num)) {
			return dst, fmt.Errorf("%w: not one of entity %q", ErrKey, e.Name)
		}
		return append(dst, Value{kind: kind, num: uint64(k.num), str: k.str}), nil
	}
	rest := k.str
	for _, j := range e.JoinKeys {
		if j.Kind == Int64 || j.Kind == Int32 {
			if len(rest) < 8 {
				return dst, fmt.Errorf("%w: not one of entity %q", ErrKey, e.Name)
			}
			var num uint64
			for i := range 8 {
				num |= uint64(rest[i]) << (8 * i)
			}
			if n := int64(num); j.Kind == Int32 && n != int64(int32(n)) {
				return dst, fmt.Errorf("%w: not one of entity %q: join key %q: %d is out of the range of int32", ErrKey, e.Name, j.Name, n)
			}
			dst, rest = append(dst, Value{kind: j.Kind, num: num}), rest[8:]
			continue
		}
		size, n := uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return dst, fmt.Errorf("%w: not one of entity %q", ErrKey, e.Name)
		}
		dst, rest = append(dst, Value{kind: j.Kind, str: rest[n : n+int(size)]}), rest[n+int(size):]
	}
	if rest != "" || k.num != 0 {
		return dst, fmt.Errorf("%w: not one of entity %q", ErrKey, e.Name)
	}
	return dst, nil
}

// uvarint is binary.Uvarint for a string.
func uvarint(s string) (uint64, int) {
	var head [binary.MaxVarintLen64]byte
	return binary.Uvarint(head[:copy(head[:], s)])
}
