// Package memstore is a [featurestore.Store] in the memory of the process: for tests, for features that are computed where they are used, and as
// the layer in front of a slower store.
package memstore
