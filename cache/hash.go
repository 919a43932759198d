package cache

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/cespare/xxhash/v2"
)

// The hashes below are xxHash64 (Collet), the same on every machine and in every run. Of n different requests the chance that any two share
// a key is about n²/2⁶⁵: 3 in a hundred million for a million requests, 3 in ten thousand for a hundred million. That holds for requests that
// nobody has made to collide, which is easy with this function: where strangers choose the requests, or where a wrong answer is
// a leak, use WithEqual, or a cryptographic sum as the key (the [32]byte of crypto/sha256.Sum256 is a key like any other).

// HashText hashes texts, in order: a prompt, and what else decides the answer (the system prompt, the model's name, the parameters as
// text). Each counts with its length, so that ("ab", "c") and ("a", "bc") differ. See CanonicalText for texts that
// differ only in white space.
func HashText(texts ...string) uint64 {
	var d xxhash.Digest
	d.Reset()
	for _, text := range texts {
		writeUint64(&d, uint64(len(text)))
		_, _ = d.WriteString(text)
	}
	return d.Sum64()
}

// HashBytes hashes bytes: an image, an encoded tensor. It does not know their shape.
func HashBytes(b []byte) uint64 { return xxhash.Sum64(b) }

// HashFloats hashes the values of a tensor, and their number: values that are equal (==) have the same hash, 0 and -0 too, and so have all NaNs. Two
// shapes of the same values do not differ, nor do a float32 and a float64 of the same value.
func HashFloats[F ~float32 | ~float64](values []F) uint64 {
	var d xxhash.Digest
	d.Reset()
	writeUint64(&d, uint64(len(values)))
	var buf [512]byte
	n := 0
	for _, v := range values {
		binary.LittleEndian.PutUint64(buf[n:], canonicalBits(float64(v)))
		if n += 8; n == len(buf) {
			_, _ = d.Write(buf[:])
			n = 0
		}
	}
	_, _ = d.Write(buf[:n])
	return d.Sum64()
}

// HashQuantized hashes the values rounded to whole multiples of step, so that tensors that differ by noise may share a key and with
// it an answer. Values to the two sides of a rounding boundary still differ, however near they are: it raises the hit rate and cannot find all near
// neighbours. A value that divided by step is more than 2⁵³ is taken as it is. The step must be a positive number.
func HashQuantized[F ~float32 | ~float64](values []F, step F) (uint64, error) {
	if !(step > 0) || math.IsInf(float64(step), 0) {
		return 0, fmt.Errorf("cache: HashQuantized: the step is %v, it must be a positive number", step)
	}
	var d xxhash.Digest
	d.Reset()
	writeUint64(&d, uint64(len(values)))
	for _, v := range values {
		at := float64(v) / float64(step)
		if math.Abs(at) <= 1<<53 {
			writeUint64(&d, canonicalBits(math.RoundToEven(at)))
		} else {
			writeUint64(&d, math.MaxUint64) // no rounded value has these bits
			writeUint64(&d, canonicalBits(float64(v)))
		}
	}
	return d.Sum64(), nil
}

// CanonicalText trims text and makes every run of white space in it one space, so that prompts that differ in nothing else are the same. Case
// and the forms in which Unicode writes one character are left as they are. Do not use it where white space has a meaning, as in code.
func CanonicalText(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for word := range strings.FieldsFuncSeq(text, unicode.IsSpace) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	return b.String()
}

// canonicalBits gives equal values equal bits.
func canonicalBits(v float64) uint64 {
	switch {
	case v == 0:
		return 0
	case v != v:
		return math.Float64bits(math.NaN())
	}
	return math.Float64bits(v)
}

func writeUint64(d *xxhash.Digest, v uint64) {
	var buf [8]byte
	binary.LittleEndian.PutUint64(buf[:], v)
	_, _ = d.Write(buf[:])
}
