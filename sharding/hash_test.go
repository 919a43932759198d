package sharding_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

type (
	userID   string
	shardNo  int32
	blob     []byte
	uuid     [16]byte
	compound struct {
		Tenant uint32
		_      int64
		User   userID
		Parts  [2]int16
		ID     uuid
		Tail   blob
		On     bool
		none   struct{}
	}
)

func le(values ...uint64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func hasher[K any](t *testing.T) func(K) uint64 {
	t.Helper()
	h, err := sharding.NewHasher[K]()
	require.NoError(t, err)
	return h
}

func TestHashOfEachType(t *testing.T) {
	text := xxhash.Sum64String("key")
	assert.Equal(t, text, sharding.Hash("key"))
	assert.Equal(t, text, sharding.Hash(userID("key")))
	assert.Equal(t, text, sharding.Hash([]byte("key")))
	assert.Equal(t, text, sharding.Hash(blob("key")))
	assert.Equal(t, xxhash.Sum64(nil), sharding.Hash([]byte(nil)))

	minus, big := xxhash.Sum64(le(math.MaxUint64-1)), xxhash.Sum64(le(200))
	assert.Equal(t, minus, sharding.Hash(-2))
	assert.Equal(t, minus, sharding.Hash(int8(-2)))
	assert.Equal(t, minus, sharding.Hash(int16(-2)))
	assert.Equal(t, minus, sharding.Hash(shardNo(-2)))
	assert.Equal(t, minus, sharding.Hash(int64(-2)))
	assert.Equal(t, minus, sharding.Hash(uint64(math.MaxUint64-1)))
	assert.Equal(t, big, sharding.Hash(uint(200)))
	assert.Equal(t, big, sharding.Hash(uint8(200)))
	assert.Equal(t, big, sharding.Hash(uint16(200)))
	assert.Equal(t, big, sharding.Hash(uint32(200)))
	assert.Equal(t, big, sharding.Hash(uintptr(200)))
}

// Hash tells the kinds of keys by their size, NewHasher by reflection.
func TestHashOfNamedTypes(t *testing.T) {
	type (
		text  string
		bytes []byte
		i     int
		i8    int8
		i16   int16
		i32   int32
		i64   int64
		u     uint
		u8    uint8
		u16   uint16
		u32   uint32
		u64   uint64
		ptr   uintptr
	)
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		v := random.Uint64() >> random.IntN(64)
		raw := make([]byte, n)
		for j := range raw {
			raw[j] = byte(random.Uint32())
		}
		sameHash(t, text(raw), raw)
		sameHash(t, bytes(raw), raw)
		sameHash(t, bytes(raw[n/3:n/2]), raw[n/3:n/2])
		sameHash(t, i(v), le(uint64(int(v))))
		sameHash(t, i8(v), le(uint64(int8(v))))
		sameHash(t, i16(v), le(uint64(int16(v))))
		sameHash(t, i32(v), le(uint64(int32(v))))
		sameHash(t, i64(v), le(v))
		sameHash(t, u(v), le(uint64(uint(v))))
		sameHash(t, u8(v), le(uint64(uint8(v))))
		sameHash(t, u16(v), le(uint64(uint16(v))))
		sameHash(t, u32(v), le(uint64(uint32(v))))
		sameHash(t, u64(v), le(v))
		sameHash(t, ptr(v), le(uint64(uintptr(v))))
	}
	sameHash(t, bytes(nil), nil)
}

func sameHash[K sharding.Key](t *testing.T, key K, bytes []byte) {
	t.Helper()
	want := xxhash.Sum64(bytes)
	require.Equal(t, want, sharding.Hash(key), "%T %v", key, key)
	require.Equal(t, want, hasher[K](t)(key), "%T %v", key, key)
}

func TestHasherAgreesWithHash(t *testing.T) {
	assert.Equal(t, sharding.Hash("key"), hasher[string](t)("key"))
	assert.Equal(t, sharding.Hash(-5), hasher[shardNo](t)(-5))
	assert.Equal(t, sharding.Hash("key"), hasher[blob](t)(blob("key")))
	assert.Equal(t, sharding.Hash(1), hasher[bool](t)(true))
}

func TestHashOfStructs(t *testing.T) {
	id := uuid{1, 2, 3}
	key := compound{Tenant: 7, User: "me", Parts: [2]int16{-1, 2}, ID: id, Tail: blob("xyz"), On: true}
	want := le(7, 2)
	want = append(want, "me"...)
	want = append(want, le(math.MaxUint64, 2)...)
	want = append(want, id[:]...)
	want = append(want, le(3)...)
	want = append(want, "xyz"...)
	want = append(want, le(1)...)
	assert.Equal(t, xxhash.Sum64(want), hasher[compound](t)(key))
	assert.Equal(t, xxhash.Sum64(id[:]), hasher[uuid](t)(id))
	_ = key.none

	type pair struct{ A, B string }
	h := hasher[pair](t)
	assert.NotEqual(t, h(pair{"ab", "c"}), h(pair{"a", "bc"}))
}

func TestHasherRejectsWhatIsNotStable(t *testing.T) {
	reject := func(_ any, err error) {
		t.Helper()
		assert.ErrorIs(t, err, sharding.ErrKeyType)
	}
	reject(sharding.NewHasher[float64]())
	reject(sharding.NewHasher[*int]())
	reject(sharding.NewHasher[any]())
	reject(sharding.NewHasher[[]string]())
	reject(sharding.NewHasher[map[string]int]())
	reject(sharding.NewHasher[struct{ X complex64 }]())
	reject(sharding.NewHasher[[2]func()]())
	reject(sharding.NewHasher[[1 << 20]int]())
	_, err := sharding.NewHasher[struct{ F float32 }]()
	assert.ErrorContains(t, err, "struct { F float32 } holds a float32")
}

func TestHasherBoundsTheLeaves(t *testing.T) {
	tooMany := func(_ any, err error) {
		t.Helper()
		require.ErrorIs(t, err, sharding.ErrKeyType)
		assert.ErrorContains(t, err, "has more than 1024")
	}
	tooMany(sharding.NewHasher[[1025]int]())
	tooMany(sharding.NewHasher[[1025][1]byte]())
	tooMany(sharding.NewHasher[[513][2]uuid]())
	tooMany(sharding.NewHasher[struct {
		A [1024]int
		B uuid
	}]())
	most := hasher[[1024][1]byte](t)
	assert.Equal(t, xxhash.Sum64(make([]byte, 1024)), most([1024][1]byte{}))
	// Elements without leaves are as many as you like, and take no time.
	nothing := hasher[[1 << 30][1 << 30]struct{}](t)
	assert.Equal(t, xxhash.Sum64(nil), nothing([1 << 30][1 << 30]struct{}{}))
}

// What is between the fields does not count.
func TestHashIgnoresPadding(t *testing.T) {
	type padded struct {
		A uint8
		B uint64
	}
	var x, y padded
	dirty := unsafe.Slice((*byte)(unsafe.Pointer(&y)), unsafe.Sizeof(y))
	for i := range dirty {
		dirty[i] = 0xff
	}
	y.A, y.B = 0, 0
	assert.Equal(t, hasher[padded](t)(x), hasher[padded](t)(y))
}
