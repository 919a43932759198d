package rollout

import (
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// BucketConfig is by what keys are divided.
type BucketConfig struct {
	// Salt names the experiment. Experiments with different salts divide the keys independently of each other, so that it is not always the same users who get what is
	// new. Required.
	Salt string

	// Namespace, if not empty, keeps experiments apart: it gives each key a place from 0 to 1, and the experiment takes the keys from From up to, and without, To. Two experiments of the same
	// namespace whose ranges do not overlap have no key in common. Default: all keys.
	Namespace string

	// From and To need a Namespace. Default of To: 1.
	From, To float64
}

// Bucket divides keys. The same key is always on the same side, in every process, as long as the share is the same; when the share changes, only as many keys as must move do: a
// key that is in at some share is in at every greater one. It holds no key. Safe for concurrent use.
type Bucket struct {
	cfg        BucketConfig
	salt, zone uint64
}

// NewBucket makes a Bucket.
func NewBucket(cfg BucketConfig) (*Bucket, error) {
	if cfg.Salt == "" {
		return nil, fmt.Errorf("rollout: BucketConfig.Salt is empty")
	}
	if cfg.Namespace == "" && (cfg.From != 0 || cfg.To != 0) {
		return nil, fmt.Errorf("rollout: BucketConfig.From and To need a Namespace")
	}
	if cfg.To == 0 {
		cfg.To = 1
	}
	if !(cfg.From >= 0 && cfg.From < cfg.To && cfg.To <= 1) {
		return nil, fmt.Errorf("rollout: BucketConfig.From %v and To %v are no range between 0 and 1", cfg.From, cfg.To)
	}
	// The salts of experiments and those of namespaces differ even if they have the same name: a place in the range must say nothing about the arm.
	return &Bucket{cfg: cfg, salt: xxhash.Sum64String("salt\x00" + cfg.Salt), zone: xxhash.Sum64String("namespace\x00" + cfg.Namespace)}, nil
}

func hash(seed uint64, key string) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.WriteString(key) // never fails
	return d.Sum64()
}

// place makes a hash a number from 0 up to, and without, 1.
func place(hash uint64) float64 { return float64(hash>>11) / (1 << 53) }

// Eligible says whether the key is in the experiment's range of the namespace.
func (b *Bucket) Eligible(key string) bool {
	if b.cfg.From == 0 && b.cfg.To == 1 {
		return true
	}
	p := place(hash(b.zone, key))
	return p >= b.cfg.From && p < b.cfg.To
}

// In says whether the key is eligible and among the share, from 0 to 1, of the eligible keys.
func (b *Bucket) In(key string, share float64) bool {
	return b.Eligible(key) && place(hash(b.salt, key)) < share
}
