package featurestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// ErrEncoding is wrapped by every error about bytes that are not an encoded record, layout or key, or of a version that is not known.
var ErrEncoding = errors.New("featurestore: bad encoding")

const codecVersion = 1

// AppendLayout appends to dst the names and kinds of the features, in their order, and returns it. It is what is needed beside a schema to read
// records that were encoded with another version of the view, and equal for schemas with the same layout.
//
// A byte for the version of the encoding, the number of features; then for each the length of its name and the name, a byte for the kind, and for a vector
// the number of its elements. Numbers are uvarints.
func (s *Schema) AppendLayout(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, codecVersion), uint64(len(s.view.Features)))
	for i := range s.view.Features {
		f := &s.view.Features[i]
		dst = append(binary.AppendUvarint(dst, uint64(len(f.Name))), f.Name...)
		dst = append(dst, byte(f.Kind))
		if f.Kind == Vector {
			dst = binary.AppendUvarint(dst, uint64(f.Dim))
		}
	}
	return dst
}

// AppendRecord appends an encoded record to dst and returns it. r must be a record of s.
//
// A byte for the version of the encoding, the event time in 8 bytes, the created time as varint (0: not known), a bit for each feature that has a
// value, in bytes; then these values: integers and points in time as varints, a bool as a byte, floats by their bits, strings and
// bytes after their length as uvarint. All in little-endian order.
func (s *Schema) AppendRecord(dst []byte, r *Record) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, codecVersion), uint64(r.event))
	dst = binary.AppendVarint(dst, r.created)
	for i := range (len(s.view.Features) + 7) / 8 {
		dst = append(dst, byte(r.set[i/8]>>(i%8*8)))
	}
	for i := range s.view.Features {
		if !r.Has(i) {
			continue
		}
		switch f, slot := &s.view.Features[i], s.slots[i]; f.Kind {
		case Float64:
			dst = binary.LittleEndian.AppendUint64(dst, r.nums[slot])
		case Float32:
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(r.vecs[slot]))
		case Bool:
			dst = append(dst, byte(r.nums[slot]))
		case String, Bytes:
			dst = append(binary.AppendUvarint(dst, uint64(len(r.strs[slot]))), r.strs[slot]...)
		case Vector:
			for _, x := range r.vecs[slot : slot+f.Dim] {
				dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(x))
			}
		default:
			dst = binary.AppendVarint(dst, int64(r.nums[slot]))
		}
	}
	return dst
}

// Decoder reads records that were encoded with one layout as records of a schema. It does not change and is safe for concurrent use.
type Decoder struct {
	schema *Schema
	fields []decoderField
}

type decoderField struct {
	kind Kind
	dim  int
	to   int // the feature's position in the schema, -1 if it is not one of it any more
}

// Decoder makes one for a layout that AppendLayout wrote, of this version of the view or of another: values go to the features of the same name. A feature of
// another kind or dimension than in the layout is an ErrRow.
func (s *Schema) Decoder(layout []byte) (*Decoder, error) {
	in := input{rest: layout}
	in.version()
	n := in.uvarint(MaxFeatures)
	d := &Decoder{schema: s}
	seen := map[string]bool{}
	for range n {
		name := string(in.bytes(int(in.uvarint(MaxName))))
		g := Feature{Name: name, Kind: Kind(in.byte())}
		if g.Kind == Vector {
			g.Dim = int(in.uvarint(MaxDim))
		}
		if in.bad || !g.Kind.Valid() || g.Kind == Vector && g.Dim == 0 || seen[name] {
			in.bad = true
			break
		}
		seen[name] = true
		to := s.Index(name)
		if to >= 0 {
			if f := &s.view.Features[to]; f.Kind != g.Kind || f.Dim != g.Dim {
				return nil, s.changed(f, &g)
			}
		}
		d.fields = append(d.fields, decoderField{g.Kind, g.Dim, to})
	}
	if in.bad || len(in.rest) > 0 {
		return nil, fmt.Errorf("%w: view %q: not a layout", ErrEncoding, s.view.Name)
	}
	return d, nil
}

// Record decodes a record. It shares no memory with data.
func (d *Decoder) Record(data []byte) (*Record, error) {
	in := input{rest: data}
	in.version()
	event, created := int64(in.uint64()), in.varint()
	set := in.bytes((len(d.fields) + 7) / 8)
	if in.bad || len(d.fields)%8 > 0 && set[len(set)-1]>>(len(d.fields)%8) != 0 {
		return nil, fmt.Errorf("%w: view %q: not a record", ErrEncoding, d.schema.view.Name)
	}
	r := d.schema.NewRecord(time.Unix(0, event))
	r.event, r.created = event, created
	for i, field := range d.fields {
		if set[i/8]&(1<<(i%8)) != 0 {
			d.value(&in, field, r)
		}
	}
	if in.bad || len(in.rest) > 0 {
		return nil, fmt.Errorf("%w: view %q: not a record", ErrEncoding, d.schema.view.Name)
	}
	return r, nil
}

// value decodes a value into its place in r, or passes over it.
func (d *Decoder) value(in *input, field decoderField, r *Record) {
	var num uint64
	var str, vec []byte
	switch field.kind {
	case Float64:
		num = in.uint64()
	case Float32:
		num = uint64(in.uint32())
	case Bool:
		num = uint64(in.byte())
		in.bad = in.bad || num > 1
	case String, Bytes:
		str = in.bytes(int(in.uvarint(math.MaxInt32)))
		in.bad = in.bad || field.kind == String && !utf8.Valid(str)
	case Vector:
		vec = in.bytes(4 * field.dim)
	default:
		n := in.varint()
		in.bad = in.bad || field.kind == Int32 && int64(int32(n)) != n
		num = uint64(n)
	}
	if in.bad || field.to < 0 {
		return
	}
	slot := d.schema.slots[field.to]
	switch field.kind {
	case String, Bytes:
		r.strs[slot] = string(str)
	case Vector:
		for i := range field.dim {
			r.vecs[slot+i] = math.Float32frombits(binary.LittleEndian.Uint32(vec[4*i:]))
		}
	case Float32:
		r.vecs[slot] = math.Float32frombits(uint32(num))
	default:
		r.nums[slot] = num
	}
	r.set[field.to>>6] |= 1 << (field.to & 63)
}

// AppendKey appends an encoded key to dst and returns it: its number as varint, and its string. It is never empty.
func (k Key) AppendKey(dst []byte) []byte {
	return append(binary.AppendVarint(dst, k.num), k.str...)
}

// DecodeKey reads what AppendKey wrote. It shares no memory with data.
func DecodeKey(data []byte) (Key, error) {
	num, n := binary.Varint(data)
	if n <= 0 {
		return Key{}, fmt.Errorf("%w: not a key", ErrEncoding)
	}
	return Key{num: num, str: string(data[n:])}, nil
}

// input takes values off bytes. Once it has come to something that cannot be, it is bad, and gives zeros.
type input struct {
	rest []byte
	bad  bool
}

func (in *input) version() { in.bad = in.byte() != codecVersion || in.bad }

func (in *input) bytes(n int) []byte {
	if in.bad || n < 0 || n > len(in.rest) {
		in.bad = true
		return nil
	}
	taken := in.rest[:n]
	in.rest = in.rest[n:]
	return taken
}

func (in *input) byte() byte {
	if b := in.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (in *input) uint32() uint32 {
	if b := in.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (in *input) uint64() uint64 {
	if b := in.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (in *input) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(in.rest)
	if n <= 0 || v > most || in.bad {
		in.bad = true
		return 0
	}
	in.rest = in.rest[n:]
	return v
}

func (in *input) varint() int64 {
	v, n := binary.Varint(in.rest)
	if n <= 0 || in.bad {
		in.bad = true
		return 0
	}
	in.rest = in.rest[n:]
	return v
}
