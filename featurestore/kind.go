package featurestore

import (
	"encoding/json"
	"fmt"
)

// Kind is the type of a feature, of a join key or of a field of a request.
type Kind uint8

// The kinds. In JSON they are written by the name in the comment.
const (
	Int64     Kind = iota + 1 // int64
	Float64                   // float64
	Float32                   // float32
	Bool                      // bool
	String                    // string: text in UTF-8
	Bytes                     // bytes
	Timestamp                 // timestamp: a point in time, to the nanosecond, in UTC
	Vector                    // vector: a fixed number of float32
	Int32                     // int32
)

var kindNames = [...]string{
	Int64: "int64", Float64: "float64", Float32: "float32", Bool: "bool", String: "string", Bytes: "bytes",
	Timestamp: "timestamp", Vector: "vector", Int32: "int32",
}

// Valid reports whether k is one of the kinds.
func (k Kind) Valid() bool { return k >= Int64 && k <= Int32 }

// Numeric reports whether a value of the kind is one number, and so can be a column of a [Matrix]: all but String, Bytes and Vector. (A
// Vector takes as many columns as it has elements.)
func (k Kind) Numeric() bool { return k.Valid() && k != String && k != Bytes && k != Vector }

// String is the kind's name.
func (k Kind) String() string {
	if !k.Valid() {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) {
	if !k.Valid() {
		return nil, fmt.Errorf("featurestore: no such kind: %d", uint8(k))
	}
	return []byte(kindNames[k]), nil
}

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(text []byte) error {
	for i := Int64; i.Valid(); i++ {
		if kindNames[i] == string(text) {
			*k = i
			return nil
		}
	}
	return fmt.Errorf("featurestore: no such kind: %q", text)
}

var (
	_ json.Marshaler   = Value{}
	_ json.Unmarshaler = (*Value)(nil)
)
