package sharding

// JumpBucket has no bound on the number of buckets, which the reference vectors exceed.
var JumpBucket = jump

// Shuffled is the slot of that rank.
func Shuffled(key, slots, rank uint64) uint64 {
	s := newShuffle(key, slots)
	return s.at(rank)
}
