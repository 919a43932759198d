package sharding

// JumpBucket has no bound on the number of buckets, which the reference vectors exceed.
var JumpBucket = jump
