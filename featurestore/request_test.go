package featurestore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// A slice without elements stands beside the one that counts: it must not be taken for it, whatever keys a result had before.
func TestEmptySlicesBesideTheKeys(t *testing.T) {
	defs := userAndItem()
	defs.Entities = append(defs.Entities, fs.Entity{Name: "blob", JoinKeys: []fs.JoinKey{{Name: "digest", Kind: fs.Bytes}}})
	defs.Views = append(defs.Views, fs.View{Name: "blobs", Entity: "blob", Features: []fs.Feature{{Name: "size", Kind: fs.Int64}}})
	defs.Services = []fs.Service{
		{Name: "m", Version: 1, Features: []string{"stock:left"}}, {Name: "pairs", Version: 1, Features: []string{"seen:times"}},
		{Name: "blobs", Version: 1, Features: []string{"blobs:size"}},
	}
	online, registry := newOnline(t, nil, defs, nil)
	for i, sku := range []string{"a", "b", "c"} {
		put(t, online, view(t, registry, "stock"), time.Now(), []any{sku}, "left", i+1)
		put(t, online, view(t, registry, "blobs"), time.Now(), []any{sku}, "size", i+1)
		put(t, online, view(t, registry, "seen"), time.Now(), []any{7, sku}, "times", i+1)
	}
	user := fs.IntKeys("user_id", 7)
	for service, columns := range map[string][][]fs.KeyColumn{
		"m":     {{fs.StringKeys("sku", "a", "b")}, {{Name: "sku", Ints: []int64{}, Strs: []string{"c", "a"}}}, {{Name: "sku", Ints: []int64{}, Strs: []string{"b"}}}},
		"pairs": {{user, fs.StringKeys("sku", "a", "b")}, {user, {Name: "sku", Ints: []int64{}, Strs: []string{"c", "a"}}}, {user, {Name: "sku", Ints: []int64{}, Strs: []string{"b"}}}},
		"blobs": {{fs.StringKeys("digest", "a", "b")}, {{Name: "digest", Strs: []string{}, Bytes: [][]byte{{'c'}, {'a'}}}}, {{Name: "digest", Ints: []int64{}, Bytes: [][]byte{{'b'}}}}},
	} {
		reader, err := online.Reader(service, 0)
		require.NoError(t, err)
		var result fs.Result
		for i, want := range [][]int64{{1, 2}, {3, 1}, {2}} {
			require.NoError(t, reader.Read(t.Context(), fs.Request{Keys: columns[i]}, &result))
			require.Equal(t, len(want), result.Rows())
			for row := range want {
				assert.Equal(t, want[row], result.Value(row, 0).Int(), "service %s, request %d, row %d", service, i, row)
			}
		}
	}
}
