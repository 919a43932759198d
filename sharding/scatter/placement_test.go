package scatter_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
	"github.com/scalable-ai/patterns/sharding/scatter"
)

// A placement that is a nil pointer, as after a constructor whose error was not looked at, is none.
func TestPlacementThatIsANilPointer(t *testing.T) {
	s := newScatter(t, makeTable(t, 2), answer, scatter.Config{})
	before := s.Placement()
	for _, p := range []sharding.Placement{
		nil, (*sharding.Ring)(nil), (*sharding.Table)(nil), (*sharding.Jump)(nil), (*sharding.Maglev)(nil), (*sharding.Rendezvous)(nil), new(sharding.Ring),
	} {
		_, err := scatter.New(p, answer, scatter.Config{})
		require.ErrorIs(t, err, sharding.ErrNoNodes)
		require.ErrorIs(t, s.SetPlacement(p), sharding.ErrNoNodes)
	}
	assert.Same(t, before, s.Placement())
}
