package redisstore

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"

	"github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/internal/murmur3"
)

// Feast's numbers of the types of join keys (feast.types.ValueType).
var keyTypes = map[featurestore.Kind]uint32{featurestore.Bytes: 1, featurestore.String: 2, featurestore.Int32: 3, featurestore.Int64: 4}

// layout is how a view is laid out in Redis.
type layout struct {
	schema *featurestore.Schema
	entity string   // equal for views whose rows of one key are in one hash
	time   string   // the field of the event time
	fields []string // the fields of the features
	head   string   // how each key starts: the number of join keys, and their names
	parts  []int    // the entity's join keys in the order in which they are in the key
	tail   string   // how each key ends
	wide   wide
}

func newLayout(schema *featurestore.Schema) *layout {
	l := &layout{schema: schema, time: "_ts:" + schema.Name(), tail: schema.Project()}
	for i := range schema.Features() {
		hash := murmur3.Sum32(schema.Name() + ":" + schema.Features()[i].Name)
		l.fields = append(l.fields, string(binary.LittleEndian.AppendUint32(nil, hash)))
	}
	keys := schema.Entity().JoinKeys
	var id strings.Builder
	id.WriteString(schema.Project())
	for i, key := range keys {
		l.parts = append(l.parts, i)
		id.WriteString("\x00" + string(rune(key.Kind)) + key.Name)
	}
	l.entity = id.String()
	slices.SortFunc(l.parts, func(i, j int) int { return strings.Compare(keys[i].Name, keys[j].Name) })
	head := binary.LittleEndian.AppendUint32(nil, uint32(max(1, len(keys))))
	for _, i := range l.parts {
		head = appendPart(head, 2, keys[i].Name)
	}
	if len(keys) == 0 { // Feast gives a view without entity one with this join key and an empty value
		head = appendPart(appendPart(head, 2, "__dummy_id"), 2, "")
	}
	l.head = string(head)
	return l
}

func appendPart(dst []byte, kind uint32, s string) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, kind)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
	return append(dst, s...)
}

// appendKey appends the key of an entity, in version 3 of Feast's serialisation.
func (l *layout) appendKey(dst []byte, k featurestore.Key) ([]byte, error) {
	var room [4]featurestore.Value
	parts, err := l.schema.Entity().Parts(room[:0], k)
	if err != nil {
		return dst, err
	}
	dst = append(dst, l.head...)
	for _, i := range l.parts {
		switch part := parts[i]; part.Kind() {
		case featurestore.Int32:
			dst = append(dst, 3, 0, 0, 0, 4, 0, 0, 0)
			dst = binary.LittleEndian.AppendUint32(dst, uint32(part.Int()))
		case featurestore.Int64:
			dst = append(dst, 4, 0, 0, 0, 8, 0, 0, 0)
			dst = binary.LittleEndian.AppendUint64(dst, uint64(part.Int()))
		default:
			dst = appendPart(dst, keyTypes[part.Kind()], part.Str())
		}
	}
	return append(dst, l.tail...), nil
}

// layouts keeps the layout of each schema that has been used.
type layouts struct {
	mu sync.RWMutex
	m  map[*featurestore.Schema]*layout
}

// of is the schema's layout. A registry makes a new schema with each change of its definitions: when there are many, all are forgotten.
func (c *layouts) of(schema *featurestore.Schema) *layout {
	c.mu.RLock()
	l := c.m[schema]
	c.mu.RUnlock()
	if l != nil {
		return l
	}
	l = newLayout(schema)
	const most = 1 << 12
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= most {
		c.m = make(map[*featurestore.Schema]*layout)
	}
	c.m[schema] = l
	return l
}
