// Package boltstore is a [featurestore.Store] of one process that survives it: all rows are in memory, as in package memstore, and in a file, which
// go.etcd.io/bbolt keeps.
//
// Use it where features are computed in the process that reads them and must be there after a restart, without a server to run. Do not use it for more
// rows than fit into memory, nor where several processes need the same rows: the file belongs to one process at a time. If all rows can be had again
// from elsewhere at the start, package memstore is enough.
//
// # What is promised
//
// When Write or Delete has returned without an error, what it did is on disk: a crash at any later moment does not lose it. That is as good as the
// disk's word; bbolt syncs the data, then the page that makes them count. After a crash in the midst of a write each row is the old one or the
// new one. Readers see a row once it is on disk, so what has been read is never lost either.
//
// A write that fails, such as on a full disk, leaves the memory as it was, and its rows are Failed. They may be in the file all the same if the
// failure was that of the last sync; then they are there after a restart, unless something newer was written in between.
//
// Each row has a checksum (CRC-32C), with that of its view and layout in it, and each view the number and the sum of those of its rows. Rows that are not what was
// written, that are missing, or that are older ones are an [ErrCorrupt] when their view is loaded, and nothing of that view is served. Two kinds of damage are not
// noticed in that way, as bbolt has no checksums of pages: of the file's two first pages the newer one, which bbolt passes over, so that the last commit is
// undone; and a length or a reference inside of a page, with which bbolt may run out of memory or not come to an end.
//
// # How writes are grouped
//
// A commit syncs the file twice, which takes far longer than all the rest. Calls that come while one is under way wait, and are all committed
// together by the next, so that the more of them there are the less each costs; a single call does not wait for company. Give Write many rows at a
// time where they come in order, and call it from many goroutines where they do not.
//
// # Bounds
//
// MaxRows and MaxBytes are those of memstore, and what the memory drops goes from the file with one of the next commits, or with Close. The file does not
// shrink: its free pages are used again. To have it smaller, compact it while it is not open, by the bbolt command or bbolt.Compact.
//
// # Versions of a view
//
// The layout of the features is kept with the rows, see [Open]. Views that are never named stay in the file untouched.
package boltstore
