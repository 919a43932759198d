package boltstore_test

import (
	"testing"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/boltstore"
	"github.com/scalable-ai/patterns/featurestore/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) fs.Store { return open(t, file(t), boltstore.Config{}) }, storetest.WithRounds(200))
}
