package memstore_test

import (
	"testing"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
	"github.com/scalable-ai/patterns/featurestore/storetest"
)

func TestConformance(t *testing.T) {
	for name, cfg := range map[string]memstore.Config{"default": {}, "one shard": {Shards: 1}, "bounded": {MaxRows: 1 << 20, MaxBytes: 1 << 40}} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) fs.Store { return open(t, cfg) })
		})
	}
}
