package memstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

// FuzzSequence does what two bytes at a time say, to a store with a single small table and to a map.
func FuzzSequence(f *testing.F) {
	f.Add([]byte{0, 1, 1, 2, 64, 1, 0, 3, 65, 0, 2, 9})
	long := make([]byte, 4000)
	for i := range long {
		long[i] = byte(i * i >> 3)
	}
	f.Add(long)
	f.Fuzz(func(t *testing.T, ops []byte) {
		view := counts(t, 0)
		s := open(t, memstore.Config{Shards: 1})
		model := map[fs.Key]int64{}
		for i := 0; i+1 < len(ops); i += 2 {
			key, event := fs.IntKey(int64(ops[i]%64)), int64(ops[i+1])
			if ops[i] >= 128 {
				require.NoError(t, s.Delete(t.Context(), view, []fs.Key{key}))
				delete(model, key)
			} else {
				want := fs.Stale
				if newest, ok := model[key]; !ok || newest < event {
					want, model[key] = fs.Written, event
				}
				require.Equal(t, want, write(t, s, view, row(t, view, key, event))[0])
			}
			require.Equal(t, len(model), s.Stats().Rows)
			for k := range int64(64) {
				newest, ok := s.EventTime(view, fs.IntKey(k))
				want, there := model[fs.IntKey(k)]
				require.Equal(t, there, ok, "key %d after %d operations", k, i/2+1)
				require.Equal(t, want, newest)
			}
		}
	})
}
