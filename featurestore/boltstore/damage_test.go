package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/boltstore"
)

// Whatever part of a file is damaged, rows must not be missing, or without their values, as if they had never been written. bbolt has no checksums of its own.
func TestDamageDoesNotHideRows(t *testing.T) {
	const rows = 700 // several pages
	view := counts(t)
	path := file(t)
	s := open(t, path, boltstore.Config{}, view)
	var all []fs.Row
	for i := range int64(rows) {
		all = append(all, row(view, i, i+1))
	}
	write(t, s, view, all...)
	write(t, s, view, row(view, 0, rows+1)) // it takes the place of one
	require.NoError(t, s.Delete(t.Context(), view, []fs.Key{fs.IntKey(1), fs.IntKey(-1)}))
	require.NoError(t, s.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	check := func(t *testing.T, what string, broken []byte) (corrupt bool) {
		t.Helper()
		path := file(t)
		require.NoError(t, os.WriteFile(path, broken, 0o600))
		s, err := boltstore.Open(path, boltstore.Config{}, view)
		if err != nil {
			require.ErrorIs(t, err, boltstore.ErrCorrupt, what)
			return true
		}
		defer s.Close()
		require.Equal(t, rows-1, s.Stats().Memory.Rows, what)
		for i := range int64(rows) {
			want := i + 1
			switch i {
			case 0:
				want = rows + 1
			case 1:
				want = 0
			}
			require.Equal(t, want, event(t, s, view, i), what)
		}
		outcomes := make([]fs.Outcome, 1)
		_ = s.Write(t.Context(), view, []fs.Row{row(view, 5, rows+9)}, outcomes) // it ends, with an error or without
		return false
	}
	require.False(t, check(t, "nothing", data))
	page := os.Getpagesize()
	each := func(t *testing.T, change func(page []byte) bool) {
		found, changed := 0, 0
		for at := 2 * page; at < len(data); at += page {
			broken := bytes.Clone(data)
			if change(broken[at : at+page]) {
				changed++
				if check(t, "page", broken) {
					found++
				}
			}
		}
		assert.Positive(t, changed)
		assert.Positive(t, found) // pages that are free do not count
	}
	const flags, count, overflow, leaf = 8, 10, 12, 2
	t.Run("the last row of a page", func(t *testing.T) {
		each(t, func(p []byte) bool {
			n := binary.LittleEndian.Uint16(p[count:])
			binary.LittleEndian.PutUint16(p[count:], n-1)
			return binary.LittleEndian.Uint16(p[flags:]) == leaf && n > 10
		})
	})
	t.Run("a row twice, another not at all", func(t *testing.T) {
		each(t, func(p []byte) bool {
			const head, element, pos = 16, 16, 4
			a, b := p[head:], p[head+element:]
			at := binary.LittleEndian.Uint32(a[pos:])
			copy(b[:element], a[:element])
			binary.LittleEndian.PutUint32(b[pos:], at-element)
			return binary.LittleEndian.Uint16(p[flags:]) == leaf && binary.LittleEndian.Uint16(p[count:]) > 10
		})
	})
	t.Run("a page that is longer than the file", func(t *testing.T) {
		each(t, func(p []byte) bool {
			p[overflow+3] = 0x99
			return binary.LittleEndian.Uint16(p[flags:]) != 0
		})
	})
	t.Run("the name of a view", func(t *testing.T) {
		each(t, func(p []byte) bool {
			at := bytes.Index(p, []byte("\x04testcounts"))
			if at >= 0 {
				p[at+9] ^= 1
			}
			return at >= 0
		})
	})
	t.Run("the name of a feature", func(t *testing.T) {
		each(t, func(p []byte) bool {
			at := bytes.Index(p, []byte("\x05count\x01"))
			if at >= 0 {
				p[at+5] ^= 1
			}
			return at >= 0
		})
	})
	t.Run("a layout", func(t *testing.T) {
		each(t, func(p []byte) bool {
			at := bytes.Index(p, []byte("\x05count\x01"))
			if at >= 0 {
				p[at] = 200
			}
			return at >= 0
		})
	})
}
