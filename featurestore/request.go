package featurestore

import (
	"fmt"
	"math"
)

// Request names the entities that a [Reader] reads, and brings the fields of the service's Request. A column has one element for each row, or
// a single one that goes for all rows: one user beside 200 items. All columns that have another number of elements than one have the same, which is the number of
// rows; it may be 0. If there is no such column there is one row. The order of the columns does not matter.
type Request struct {
	Keys []KeyColumn // one for each join key of the service's entities, see Reader.Keys

	// Fields are one for each field of the service's request; one whose feature has a default may be left out. What cannot be a value of the
	// column's kind is an ErrRequest: an Int32 out of its range, a Bool that is neither 0 nor 1, a Float32 beyond the greatest one that is not infinite.
	// A Float32 between two is taken as it is, without rounding.
	Fields []Column
}

// KeyColumn is the values of one join key: Ints for Int64 and Int32, Strs or Bytes for String and Bytes.
type KeyColumn struct {
	Name  string
	Ints  []int64
	Strs  []string
	Bytes [][]byte
}

// IntKeys is a join key of kind Int64 or Int32. It keeps ids.
func IntKeys(name string, ids ...int64) KeyColumn { return KeyColumn{Name: name, Ints: ids} }

// StringKeys is a join key of kind String or Bytes. It keeps ids.
func StringKeys(name string, ids ...string) KeyColumn { return KeyColumn{Name: name, Strs: ids} }

// BytesKeys is a join key of kind Bytes or String. It keeps ids.
func BytesKeys(name string, ids ...[]byte) KeyColumn { return KeyColumn{Name: name, Bytes: ids} }

func (k *KeyColumn) len() int { return max(len(k.Ints), len(k.Strs), len(k.Bytes)) }

// check looks whether the column is of the join key's kind.
func (k *KeyColumn) check(j *JoinKey) error {
	integer := j.Kind == Int64 || j.Kind == Int32
	given := 0
	for _, n := range []int{len(k.Ints), len(k.Strs), len(k.Bytes)} {
		if n > 0 {
			given++
		}
	}
	switch {
	case given > 1:
		return fmt.Errorf("%w: key %q has values of more than one type", ErrRequest, k.Name)
	case integer && given > 0 && len(k.Ints) == 0:
		return fmt.Errorf("%w: key %q is of type %v, text given", ErrRequest, k.Name, j.Kind)
	case !integer && len(k.Ints) > 0:
		return fmt.Errorf("%w: key %q is of type %v, integers given", ErrRequest, k.Name, j.Kind)
	}
	if j.Kind == Int32 {
		for i, n := range k.Ints {
			if n < math.MinInt32 || n > math.MaxInt32 {
				return fmt.Errorf("%w: key %q, row %d: %d is out of the range of int32", ErrRequest, k.Name, i, n)
			}
		}
	}
	return nil
}

// part is the value of a row as the key of an entity with this join key alone.
func (k *KeyColumn) part(row int) Key {
	if k.len() == 1 {
		row = 0
	}
	switch {
	case len(k.Ints) > 0: // and not != nil: a slice that is empty may stand beside the one that counts
		return Key{num: k.Ints[row]}
	case len(k.Strs) > 0:
		return Key{str: k.Strs[row]}
	}
	return Key{str: string(k.Bytes[row])}
}

// matched is a request's columns in the order of the plan, and its number of rows.
type matched struct {
	rows   int
	keys   []*KeyColumn
	fields []*Column // nil: left out
}

// match finds the columns that the plan wants in the request, and refuses a request that does not fit it.
func (p *plan) match(req *Request, m *matched) error {
	m.keys, m.fields = resize(m.keys, len(p.keys)), resize(m.fields, len(p.service.Request))
	clear(m.keys)
	clear(m.fields)
	rows, from := -1, ""
	count := func(n int, what string) error {
		if n == 1 || n == rows {
			return nil
		}
		if rows >= 0 {
			return fmt.Errorf("%w: column %q has %d rows, column %q has %d", ErrRequest, what, n, from, rows)
		}
		rows, from = n, what
		return nil
	}
	for i := range req.Keys {
		k := &req.Keys[i]
		at := 0
		for at < len(p.keys) && p.keys[at].Name != k.Name {
			at++
		}
		if at == len(p.keys) {
			return fmt.Errorf("%w: key %q is none of the service's", ErrRequest, k.Name)
		}
		if m.keys[at] != nil {
			return fmt.Errorf("%w: key %q is given twice", ErrRequest, k.Name)
		}
		if err := k.check(&p.keys[at]); err != nil {
			return err
		}
		if err := count(k.len(), k.Name); err != nil {
			return err
		}
		m.keys[at] = k
	}
	for i := range req.Fields {
		c := &req.Fields[i]
		at := 0
		for at < len(p.service.Request) && p.service.Request[at].Name != c.Name {
			at++
		}
		if at == len(p.service.Request) {
			return fmt.Errorf("%w: field %q is none of the service's", ErrRequest, c.Name)
		}
		if m.fields[at] != nil {
			return fmt.Errorf("%w: field %q is given twice", ErrRequest, c.Name)
		}
		want := &p.service.Request[at]
		if !c.fits(want) {
			return fmt.Errorf("%w: field %q is of type %s, not %s", ErrRequest, c.Name, c.typeName(), want.typeName())
		}
		if err := c.Check(); err != nil {
			return fmt.Errorf("%w: %w", ErrRequest, err)
		}
		if err := c.checkRange(); err != nil {
			return fmt.Errorf("%w: %w", ErrRequest, err)
		}
		if err := count(len(c.Valid), c.Name); err != nil {
			return err
		}
		m.fields[at] = c
	}
	for i, k := range m.keys {
		if k == nil {
			return fmt.Errorf("%w: key %q is missing", ErrRequest, p.keys[i].Name)
		}
	}
	for i, c := range m.fields {
		if f := &p.service.Request[i]; c == nil && f.Default.IsNull() {
			return fmt.Errorf("%w: field %q is missing and has no default", ErrRequest, f.Name)
		}
	}
	m.rows = 1
	if rows >= 0 {
		m.rows = rows
	}
	return nil
}

// fits reports whether a column of a request can be taken for a feature: it is of its kind, or of one that is part of it.
func (c *Column) fits(f *Feature) bool {
	switch {
	case c.Kind == f.Kind:
		return c.Kind != Vector || c.Dim == f.Dim
	case c.Kind == Int32:
		return f.Kind == Int64
	case c.Kind == Float32:
		return f.Kind == Float64
	}
	return false
}

// checkRange looks whether the values are ones of the column's kind, which has less room than the slice that holds them. The column has passed Check.
func (c *Column) checkRange() error {
	switch c.Kind {
	case Int32, Bool:
		least, most := int64(math.MinInt32), int64(math.MaxInt32)
		if c.Kind == Bool {
			least, most = 0, 1
		}
		for row, n := range c.Ints {
			if (n < least || n > most) && c.Valid[row] {
				return fmt.Errorf("column %q, row %d: %d is no %v", c.Name, row, n, c.Kind)
			}
		}
	case Float32:
		for row, x := range c.Floats {
			if math.Abs(x) > math.MaxFloat32 && !math.IsInf(x, 0) && c.Valid[row] {
				return fmt.Errorf("column %q, row %d: %v is no %v", c.Name, row, x, c.Kind)
			}
		}
	}
	return nil
}

// keysFor fills keys with those of one entity: one for each row, or a single one if none of its columns has more.
func (p *plan) keysFor(set *keySet, m *matched, keys []Key) []Key {
	n := 1
	for _, at := range set.keys {
		if m.keys[at].len() != 1 {
			n = m.rows
		}
	}
	keys = resize(keys, n)
	switch len(set.keys) {
	case 0:
		keys[0] = Key{}
	case 1:
		column := m.keys[set.keys[0]]
		if len(column.Ints) > 0 {
			clear(keys)
			for i, id := range column.Ints {
				keys[i].num = id
			}
			break
		}
		for i := range keys {
			keys[i] = column.part(i)
		}
	default:
		for from := 0; from < len(keys); {
			from += p.pack(set, m, from, keys[from:min(from+together, len(keys))])
		}
	}
	return keys
}

// Keys that share one string: so many allocations are saved, and so much is kept in memory by who keeps one of them, such as a cache.
const (
	together    = 16  // keys
	togetherLen = 512 // bytes; the last key may go beyond
)

// pack fills keys, up to together of them, with those of the rows from first on, of an entity with several join keys. It returns how many.
func (p *plan) pack(set *keySet, m *matched, first int, keys []Key) int {
	var space [togetherLen]byte
	var ends [together]int
	packed, n := space[:0], 0
	for n < len(keys) && len(packed) < togetherLen {
		for _, at := range set.keys {
			packed = appendPart(packed, p.keys[at].Kind, m.keys[at].part(first+n))
		}
		ends[n] = len(packed)
		n++
	}
	shared, start := string(packed), 0
	for i := range n {
		keys[i] = Key{str: shared[start:ends[i]]}
		start = ends[i]
	}
	return n
}
