// Package storetest checks that a [featurestore.Store] does what its interface says: for whoever writes one of their own.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) featurestore.Store { return openEmpty(t) })
//	}
//
// It sleeps nowhere and needs no fake clock, as stores talk to real servers. What it cannot check that way is the very moment at which a TTL passes:
// its rows are an hour on this side or on the other.
package storetest
