package sharding

import (
	"errors"

	"github.com/scalable-ai/patterns/internal/reject"
)

// ErrPlacement is returned for a custom [Placement] that does not do what the interface says, such as one whose Owner is no index of a node: by Check and Diff and, before
// they have called anything, by Migration.Read and Migration.Write. It comes wrapped in an error that says more.
var ErrPlacement = reject.New("sharding: the placement breaks the interface")

// The errors of the constructors. They come wrapped in an error that says more; test with errors.Is.
var (
	// ErrNoNodes is returned for a placement without nodes.
	ErrNoNodes = errors.New("sharding: no nodes")

	// ErrName is returned for a node without a name, for two of the same name, and for a name that is not in the placement.
	ErrName = errors.New("sharding: bad node name")

	// ErrWeight is returned for a weight that is negative, not a number, too large, or so small that the node would
	// get nothing; and by Jump for weights that differ.
	ErrWeight = errors.New("sharding: bad weight")

	// ErrSize is returned for a table or a ring that is too small for its nodes, too large, not a prime number where it must be (Maglev), and
	// for more than MaxNodes nodes.
	ErrSize = errors.New("sharding: bad size")

	// ErrKeyType is returned for a type of keys that has no stable hash; see [NewHasher].
	ErrKeyType = errors.New("sharding: keys of this type have no stable hash")
)
