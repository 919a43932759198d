package main

import (
	"math"
	"time"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/breaker/bulkhead"
	"github.com/scalable-ai/patterns/breaker/limiter"
	"github.com/scalable-ai/patterns/cache"
)

// settings are the configurations of the layers.
type settings struct {
	cache    cache.Config
	limiter  limiter.KeyedConfig
	bulkhead bulkhead.Config
	breaker  breaker.Config
	batcher  batching.Config

	uncached  bool // requests go past the cache
	unguarded bool // the breaker is kept closed
	unpooled  bool // a session is opened for each batch
}

// tenantShare is the number of requests per second that each tenant may make of the device: an eighth of what it can answer.
const tenantShare = int(sessions * maxBatch * time.Second / (fixedTime + maxBatch*timePerImage) / 8)

// everything are the settings of the whole chain.
func everything() settings {
	return settings{
		cache: cache.Config{Size: 5000},
		// No tenant gets more than an eighth of the device, but for small bursts. It learns so at once.
		limiter: limiter.KeyedConfig{Each: limiter.Config{Requests: limiter.Limit{Events: tenantShare, Per: time.Second, Burst: tenantShare / 5}, NoWait: true}},
		// Three times what the sessions work on: a batch in each, and two that wait for each.
		bulkhead: bulkhead.Config{Capacity: 3 * sessions * maxBatch},
		// It opens when a batch has failed, and asks often, as a run has only seconds. In production the times would be those of the defaults.
		breaker: breaker.Config{Name: "device", Window: 2 * maxBatch, MinCalls: maxBatch, OpenFor: objective / 2, MaxOpenFor: objective, Probes: 3, ProbeConcurrency: 3},
		batcher: batching.Config{MaxSize: maxBatch, Concurrency: sessions, Policy: batching.Deadline(objective)},
	}
}

// variant is a chain that lacks something.
type variant struct {
	key, name string
	change    func(*settings)
}

// variants begin with the whole chain. A layer is switched off by settings with which it lets everything through.
var variants = []variant{
	{"", "the whole chain", func(*settings) {}},
	{"cache", "no cache", func(s *settings) { s.uncached = true }},
	{"limiter", "no limiter", noLimiter},
	{"bulkhead", "no bulkhead", noBulkhead},
	{"deadline", "plain window", noDeadline},
	{"three", "none of the three", func(s *settings) { noLimiter(s); noBulkhead(s); noDeadline(s) }},
	{"breaker", "no breaker", func(s *settings) { s.unguarded = true }},
	{"batcher", "batches of one", func(s *settings) { s.batcher.MaxSize = 1 }},
	{"pool", "no session pool", func(s *settings) { s.unpooled = true }},
	{"any", "only the sessions", func(s *settings) {
		s.uncached, s.unguarded, s.batcher.MaxSize = true, true, 1
		noLimiter(s)
		noBulkhead(s)
		noDeadline(s)
	}},
}

func noLimiter(s *settings)  { s.limiter = limiter.KeyedConfig{} }
func noBulkhead(s *settings) { s.bulkhead = bulkhead.Config{Capacity: math.MaxInt32} }
func noDeadline(s *settings) { s.batcher.Policy = batching.Window() }

func variantKeys() []string {
	var keys []string
	for _, v := range variants[1:] {
		keys = append(keys, v.key)
	}
	return keys
}
