// Package featurestore keeps the features of models: defined once, written as they change, read fast and fresh when a request comes.
//
// Definitions say what there is: an [Entity] is what features are about, a [View] is a table of features of one entity that are written together, and a
// [Service] is the input of one version of a model, its columns in their order. A [Registry] checks them. [Online] reads and writes the newest rows in a [Store]:
//
//	online, err := featurestore.New(store, registry, featurestore.Config{})
//	...
//	outcomes, err := online.Write(ctx, "driver_stats", rows)
//	reader, err := online.Reader("ranking", 0) // once, or when definitions have changed
//	err = reader.Matrix(ctx, featurestore.Request{Keys: []featurestore.KeyColumn{featurestore.IntKeys("driver_id", ids...)}}, &matrix)
//
// [Reader.Do] gives a [Result], from which values are taken with what they are: present, missing, expired, a default, or not readable.
// [Reader.Matrix] fills a dense [Matrix] of float32, the input of a model. [Bind] fills structs, and [BindRow] makes rows of structs. A
// [Transform] computes columns on each read, and for training by the same code: see [Transformer].
//
// # Stores
//
// Package memstore keeps rows in memory, boltstore in memory and in a file, redisstore in Redis, in the layout of Feast. storetest checks a store of your own.
// [NewSharded] spreads entities over several stores, with replicas and hedged reads; [NewReadThrough] puts a cache before one view. They go around each other:
// a ReadThrough around a Sharded around stores. Give [NewIngest], which writes a stream of rows, the outermost, so that the cache hears of what is written.
//
// # What is promised
//
// A row whose age is its view's TTL or more is not handed out, whatever the store does: a read says Expired or gives the default. A row takes the place of another only
// if its event time is later, in whatever order writes come. A value is never that of another entity, and a row is of one write. If rows could not be
// read the others are there, beside a [PartialError]. A reader goes on with the definitions that it was made for; records that were written with
// other versions of their view are read by the names of their features.
//
// # When to use it
//
// When several models read features that are computed elsewhere and before; when training must see what serving has seen; when it matters how
// old a value is, and whether it is there at all.
//
// # When not to use it
//
// Not for features that come with the request or are computed from it alone: those are the model's own code. Not as a database: it looks up by
// key, keeps one row for each, and has no transactions over views. One model with one table of features that a nightly job replaces is
// served well by a map.
//
// # Order in a chain
//
// [Reader.Do] is a Func: a timeout, a limiter or a breaker for the store goes around it or, so that they see each part of the store for itself,
// into the store. A batcher or cache for predictions is outside of it. A cache of rows belongs into the store, where it knows event times.
//
// # Cost
//
// A read is one call of the store for all views; an entity that goes for all rows of the request is looked up once. Matrix does not allocate in the steady state, see
// there; a Do allocates a few slices for the result, whatever its size, and [Reader.Read] can use them again. The matrix is filled by runs of columns of one kind
// that are side by side both in the view and in the service: the view's own order, "view:*", is the fastest. Float32 and Vector count as one kind there, take 4 bytes
// an element and are copied, others are converted. Taking single values out of a Result
// costs several times as much as the matrix does. go test -bench . shows it beside a map of slices.
package featurestore
