// Package redisstore keeps features in Redis: on one server, on the master that sentinels watch over, or on a cluster. It implements
// [featurestore.Store] on a client of github.com/redis/rueidis, which the caller makes and closes.
//
// Use it when features must outlive a process or be shared by many, when they do not fit into the memory of one, or when Feast
// (feast.dev) writes or serves the same ones. Do not use it when they fit into each process and can be computed or loaded there: package
// memstore answers without a network. Redis is not an archive either: it has the newest row of each entity, and loses what was written
// last when a machine dies.
//
// # Layout
//
// It is that of Feast's online store for Redis with version 3 of its entity keys, so that either side reads what the other has written.
// An entity is one hash, with the rows of all views of it:
//
//   - The key is the serialised entity key, in which join keys are sorted by name, followed by the project's name. Entities with the same
//     join keys are one, whatever their names.
//   - A feature is a field whose name is murmur3_x86_32("view:feature"), four bytes, little-endian. Its value is a serialised
//     feast.types.Value: of zero length for a feature without a value, and so is a field that is not there.
//   - The event time is the field "_ts:view", a serialised google.protobuf.Timestamp. Without that field there is no row. It is of zero
//     length for the first moment of 1970, which Feast takes for no time at all.
//
// A Vector is a FloatList. A Timestamp is a unix_timestamp_val, which has whole seconds; nanoseconds, if there are any, follow in a field
// 1000 that is not Feast's and that it skips. The created time of a record is not stored.
//
// Reading is tolerant where nothing is lost: an int32 for an Int64 or Float64, an int64 in range for an Int32, a float for a Float64. A
// DoubleList is rounded to a Vector. Any other type fails the row with a [*ValueError]; the other rows are good.
//
// # Reads
//
// A read is one pipeline for each node, whatever the numbers of entities and views, with one HMGET for each hash: views of the same
// entity that are read for the same keys share it. Of many fields (64 or more, and a good part of the hash) HSCAN is used instead when
// hashes are lists, see Cost; a second pipeline reads those that turn out to be tables. The store does not look at TTLs; the reader compares event times with them. With
// rueidis.ClientOption.SendToReplicas reads go to replicas, which may be behind.
//
// # Writes
//
// A row is stored by one script, which compares its event time with the stored one, sets all features of the view and the time, and
// prolongs the key's life. Nobody sees half a row, and of concurrent writers the newest event time wins. Feast compares in the client and
// writes then, so that an older row may win over a newer one while it and this store write the same view at the same time.
//
// A key lives as long as the view that needs it longest: from each write on, also of a row that is stale, for the view's TTL or
// Config.KeyTTL, whichever is longer; for an event time still to come the TTL counts from that. A life that another view has made longer
// is never shortened, and a key of a view without TTL lives for ever unless Config.KeyTTL is set. Thus Redis removes entities that
// nothing is written for any more; a row of a short TTL may stay longer than that, with the others of its hash.
//
// # Consistency
//
// Redis replicates after it has answered. When a master dies, writes that it has acknowledged and not yet passed on are lost, and an
// older row is back; the next write repairs it. With Config.Replicas, Write says that a row is there only once so many replicas have it
// (WAIT): then it survives the master as long as one of these is promoted. The price is a round trip between the machines for each write,
// and that rows fail while a shard has too few replicas. Rows that are Stale are confirmed likewise, so that a row that is written again
// after an error is safe as well. It is not consensus: see the documentation of WAIT.
//
// # Deployment
//
// Set maxmemory-policy to noeviction or volatile-ttl; the others remove entities that are needed. Give the client a ConnWriteTimeout of
// about Config.Timeout, lest a hanging node is noticed only much later. The script needs Redis 5 or newer and the commands EVAL, EVALSHA,
// HGET, HSET, PTTL, PEXPIRE and PERSIST; reads HMGET and HSCAN, deletes HDEL; Config.Replicas WAIT, EXISTS and CLUSTER SLOTS as well.
//
// # Cost
//
// Redis keeps a hash as a list while it has no more than hash-max-listpack-entries fields (512 by default) and no value longer than
// hash-max-listpack-value (64 bytes). In a list HMGET looks for each field from the start, so that reading n of n fields takes time that
// grows with their square: 250 features cost the node about 20 times what 50 do, whatever client asks. A table takes constant time for a
// field, and several times the memory. For reads of most of a list the store uses HSCAN, which takes one pass: a fraction of the time of
// HMGET from some hundred features on, and still more than of a table. Where reads matter more than memory set
// hash-max-listpack-entries to 32 or so: that speeds reads of 50 features up as well. Sizes of the client's buffers, and whether it
// pipelines by itself, hardly matter beside this.
//
// A read of other hashes takes the time of the same HMGETs sent by hand. Nearly all allocations are the client's, one for each value; decoding adds a few
// for each lookup, and their records unless it is for a Reader.Matrix without a layer between. The rows of one lookup share memory: a cache that keeps few of
// many should keep their Clone.
package redisstore
