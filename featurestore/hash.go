package featurestore

// LocalHash spreads keys over the parts of a structure in memory. It is another one in each process: it must not be stored, nor decide
// which machine has a key.
func (k Key) LocalHash() uint64 { return k.localHash() }

// Size is about the number of bytes that the key takes in memory beside its fixed part.
func (k Key) Size() int { return len(k.str) }
