package redisstore_test

import (
	"testing"

	"go.uber.org/goleak"
)

// The store has no goroutine. Two of the client's end by themselves, but only some seconds after it has been closed: they sleep before
// they look at the cluster again, and before they close the connections to nodes that have gone.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
	)
}
