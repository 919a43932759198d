// Package boltstore is a [featurestore.Store] for one process that survives it: all rows are in memory, as in package memstore, and in a file, by go.etcd.io/bbolt.
package boltstore
