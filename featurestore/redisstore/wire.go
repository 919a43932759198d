package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The little of protobuf's encoding (protobuf.dev/programming-guides/encoding) that Feast's messages need.

// Types of fields on the wire, the low three bits of a tag.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

var errTruncated = errors.New("truncated protobuf message")

func appendTag(dst []byte, field, wire int) []byte {
	return binary.AppendUvarint(dst, uint64(field)<<3|uint64(wire))
}

// wireField is one field of a message: num has the value of a varint or of a fixed width, str that of bytes.
type wireField struct {
	number int
	wire   int
	num    uint64
	str    string
}

// nextField cuts the first field off a message.
func nextField(s string) (f wireField, rest string, err error) {
	tag, n := varint(s)
	if n == 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
		return f, "", errTruncated
	}
	f.number, f.wire, s = int(tag>>3), int(tag&7), s[n:]
	switch f.wire {
	case wireVarint:
		if f.num, n = varint(s); n == 0 {
			return f, "", errTruncated
		}
		return f, s[n:], nil
	case wire32:
		if len(s) < 4 {
			return f, "", errTruncated
		}
		f.num = uint64(le32(s))
		return f, s[4:], nil
	case wire64:
		if len(s) < 8 {
			return f, "", errTruncated
		}
		f.num = le64(s)
		return f, s[8:], nil
	case wireBytes:
		size, n := varint(s)
		if n == 0 || size > uint64(len(s)-n) {
			return f, "", errTruncated
		}
		f.str = s[n : n+int(size)]
		return f, s[n+int(size):], nil
	}
	return f, "", fmt.Errorf("protobuf field %d of unknown wire type %d", f.number, f.wire)
}

// varint decodes the varint at the start of s, and says how many bytes it has: 0 if there is none.
func varint(s string) (v uint64, n int) {
	for i := 0; i < len(s) && i < binary.MaxVarintLen64; i++ {
		b := s[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

func le32(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func le64(s string) uint64 { return uint64(le32(s)) | uint64(le32(s[4:]))<<32 }
