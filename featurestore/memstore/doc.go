// Package memstore is a [featurestore.Store] in the memory of the process.
//
// Use it for tests; for features that are computed in the process that reads them, such as by a stream of events; and for tables that are small enough to be loaded
// at the start. Do not use it where a restart must not lose rows (package boltstore keeps them in a file as well) or where other
// processes must see them (a server, such as in package redisstore): there is nothing to be shared here.
//
// # What is promised
//
// A read takes no lock and does not allocate. For each row it sees what was written whole, and never an older row than a read that ended before; rows of
// different keys may be of different moments. A write that has returned is seen by every read that begins afterwards.
//
// A store keeps copies of the records that it is given, so that a single row does not keep the batch in memory that it came with; the strings are shared.
//
// # Bounds
//
// Without a bound in its Config a store grows with the number of entities. With one, a write of a new row drops others: those whose TTL has
// passed as the hand comes across them, and those that were neither read nor written since it last did. That is the algorithm CLOCK (Corbató, A
// Paging Experiment with the Multics System, 1968), an approximation of dropping the least recently used that costs reads a bit per row and no
// lock. The row being written is never the one to go. A row that was dropped is as if it had been deleted: a row with any event time can be written
// afterwards, so that a late one may come back as the newest. Set bounds so that this is the exception.
//
// No goroutine looks for rows whose TTL has passed. Each write looks at a few, at such a rate that they are never more than about twice those that count; in a
// store that is written to no more they stay, until [Store.Sweep]. The TTL is that of the version of the view that was last written with. Reads may
// return such rows, as the interface says: the reader looks at the event time.
//
// # Versions of a view
//
// Rows that were written with another version of their view are converted by the names of the features when they are read, which allocates, until they are
// written anew. A feature whose kind has changed is an error of the row, in Lookup.Errs.
//
// # Cost
//
// A read costs about what a map under a read lock does; go test -bench Read shows both. A write makes a small object and what the
// record holds. A table that is full is rebuilt by the write that finds it so, which for one shard of many rows takes a
// moment; reads go on meanwhile, and writes to other shards.
package memstore
