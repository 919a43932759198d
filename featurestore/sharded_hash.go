package featurestore

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// ShardHash is the hash by which a [Sharded] places a key of an entity: the same in each process, on each machine and in each release. All views of an entity have
// a key's rows in the same place.
//
// It is XXH64 with seed 0 of: the length of the entity's name as uvarint, the name, and the key. A key of one join key of kind Int64 or Int32 is its 8 bytes,
// least significant first; one of a single String or Bytes is 8 zero bytes and its bytes; that of several join keys is 8 zero bytes and its
// packed form, see [Key]. The name of an entity that has none is empty. It does not allocate for keys of up to about 200 bytes.
func ShardHash(entity *Entity, k Key) uint64 {
	var room [256]byte
	b := binary.AppendUvarint(room[:0], uint64(len(entity.Name)))
	b = append(b, entity.Name...)
	b = binary.LittleEndian.AppendUint64(b, uint64(k.num))
	return xxhash.Sum64(append(b, k.str...))
}
