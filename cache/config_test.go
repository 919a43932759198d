package cache_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

func TestBadConfig(t *testing.T) {
	negative := cache.WithNegative(func(error) bool { return false })
	ttl := cache.WithTTL(func(int, int) time.Duration { return time.Hour })
	weight := cache.WithWeight(func(int, int) int { return 1 })
	for want, c := range map[string]struct {
		cfg  cache.Config
		opts []cache.Option
	}{
		"Config.Size is negative: -1":                      {cfg: cache.Config{Size: -1}},
		"Config.MaxWeight is negative: -1":                 {cfg: cache.Config{MaxWeight: -1}},
		"Config.TTL is negative: -1":                       {cfg: cache.Config{TTL: -1}},
		"Config.NegativeTTL is negative: -1":               {cfg: cache.Config{NegativeTTL: -1}},
		"Config.RefreshAhead is negative: -1":              {cfg: cache.Config{RefreshAhead: -1}},
		"Config.StaleWhileRevalidate is negative: -1":      {cfg: cache.Config{StaleWhileRevalidate: -1}},
		"Config.StaleIfError is negative: -1":              {cfg: cache.Config{StaleIfError: -1}},
		"Config.RetryAfter is negative: -1":                {cfg: cache.Config{RetryAfter: -1}},
		"Config.MaxRefreshes is negative: -1":              {cfg: cache.Config{MaxRefreshes: -1}},
		"Config.RefreshTimeout is negative: -1":            {cfg: cache.Config{RefreshTimeout: -1}},
		"Config.LoadTimeout is negative: -1":               {cfg: cache.Config{LoadTimeout: -1}},
		"Config.MaxBulk is negative: -1":                   {cfg: cache.Config{MaxBulk: -1}},
		"Config.BulkConcurrency is negative: -1":           {cfg: cache.Config{BulkConcurrency: -1}},
		"Config.Jitter is NaN":                             {cfg: cache.Config{TTL: 1, Jitter: math.NaN()}},
		"Config.Jitter is -0.1":                            {cfg: cache.Config{TTL: 1, Jitter: -0.1}},
		"Config.Jitter is 1.1":                             {cfg: cache.Config{TTL: 1, Jitter: 1.1}},
		"Size and MaxWeight exclude":                       {cfg: cache.Config{Size: 1, MaxWeight: 1}, opts: []cache.Option{weight}},
		"MaxWeight and WithWeight need each other":         {cfg: cache.Config{MaxWeight: 1}},
		"Config.MaxWeight and WithWeight need":             {opts: []cache.Option{weight}},
		"NegativeTTL and WithNegative need each other":     {cfg: cache.Config{NegativeTTL: 1}},
		"Config.NegativeTTL and WithNegative need":         {opts: []cache.Option{negative}},
		"StaleIfError need a TTL":                          {cfg: cache.Config{StaleIfError: 1}},
		"StaleWhileRevalidate and StaleIfError need a TTL": {cfg: cache.Config{RefreshAhead: 1, NegativeTTL: 1}, opts: []cache.Option{negative}},
		"Config.Jitter needs":                              {cfg: cache.Config{Jitter: 0.1}},
		"RefreshAhead 1s is not less":                      {cfg: cache.Config{TTL: time.Second, RefreshAhead: time.Second}},
		"RefreshAhead 950ms is not less":                   {cfg: cache.Config{TTL: time.Second, RefreshAhead: 950 * ms, Jitter: 0.1}},
		"MaxRefreshes and RefreshTimeout need":             {cfg: cache.Config{TTL: 1, MaxRefreshes: 1}},
		"Config.MaxRefreshes and RefreshTimeout need":      {cfg: cache.Config{TTL: 1, RefreshTimeout: 1}},
		"Config.RetryAfter needs":                          {cfg: cache.Config{TTL: 1, RetryAfter: 1}},
		"MaxBulk and BulkConcurrency need":                 {cfg: cache.Config{MaxBulk: 1}},
		"Config.MaxBulk and BulkConcurrency need":          {cfg: cache.Config{BulkConcurrency: 1}},
		"nil Option":                  {opts: []cache.Option{nil}},
		"WithTTL: nil function":       {opts: []cache.Option{cache.WithTTL[int, int](nil)}},
		"WithWeight: nil function":    {opts: []cache.Option{cache.WithWeight[int, int](nil)}},
		"WithAdmission: nil function": {opts: []cache.Option{cache.WithAdmission[int, int](nil)}},
		"WithNamespace: nil function": {opts: []cache.Option{cache.WithNamespace[int](nil)}},
		"WithNegative: nil function":  {opts: []cache.Option{cache.WithNegative(nil)}},
		"WithEqual: nil function":     {opts: []cache.Option{cache.WithEqual[int](nil)}},
		"WithTTL: the function is a func(string, int) time.Duration, this cache needs a func(int, int) time.Duration": {
			opts: []cache.Option{cache.WithTTL(func(string, int) time.Duration { return 1 })}},
		"WithWeight: the function is a func(int, string) int": {
			cfg: cache.Config{MaxWeight: 1}, opts: []cache.Option{cache.WithWeight(func(int, string) int { return 1 })}},
		"WithAdmission: the function is": {opts: []cache.Option{cache.WithAdmission(func(string, int, cache.Cost) bool { return true })}},
		"WithNamespace: the function is": {opts: []cache.Option{cache.WithNamespace(func(string) cache.Namespace { return cache.Namespace{} })}},
		"WithEqual: the function is":     {opts: []cache.Option{cache.WithEqual(func(a, b string) bool { return a == b })}},
	} {
		got, err := cache.New(double, c.cfg, c.opts...)
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "cache: ")
		assert.Nil(t, got)
	}
	_, err := cache.NewBulk(newModel(0).loadAll, cache.Config{LoadInline: true})
	require.EqualError(t, err, "cache: Config.LoadInline is not for a bulk loader")
	c, err := cache.New(double, cache.Config{RefreshAhead: time.Hour, StaleIfError: time.Hour}, ttl)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

func TestNilLoad(t *testing.T) {
	_, err := cache.New[int, int](nil, cache.Config{})
	assert.Error(t, err)
	_, err = cache.NewBulk[int, int](nil, cache.Config{})
	assert.Error(t, err)
	_, err = cache.NewKeyed[int, int, int](nil, double, cache.Config{})
	assert.Error(t, err)
	_, err = cache.NewKeyed[int, int, int](func(i int) int { return i }, nil, cache.Config{})
	assert.Error(t, err)
	_, err = cache.NewKeyedBulk[int, int, int](func(i int) int { return i }, nil, cache.Config{})
	assert.Error(t, err)
	_, err = cache.NewKeyed(length, func(context.Context, []float32) (int, error) { return 0, nil }, cache.Config{Size: -1})
	assert.Error(t, err)
	_, err = cache.NewKeyedBulk(length, func(context.Context, [][]float32) ([]int, error) { return nil, nil }, cache.Config{Size: -1})
	assert.Error(t, err)
}

// The longest times must not wrap around.
func TestLongestTimes(t *testing.T) {
	const longest = time.Duration(math.MaxInt64)
	cfg := cache.Config{TTL: longest, RefreshAhead: longest - 1, StaleWhileRevalidate: longest, StaleIfError: longest, RetryAfter: longest}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		want(t, c, 1, 1001)
		m.set(func(m *model) { m.err = errModel })
		time.Sleep(time.Hour)
		want(t, c, 1, 1001)
		time.Sleep(time.Hour)
		want(t, c, 1, 1001)
	})
	bubble(t, cache.Config{TTL: 1, StaleWhileRevalidate: longest, RefreshTimeout: longest, LoadTimeout: longest}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		time.Sleep(time.Hour)
		want(t, c, 1, 1001)
	})
}

// Config shows what is in force, and New takes it again.
func TestConfigInForce(t *testing.T) {
	for _, cfg := range []cache.Config{{}, {TTL: 1, StaleIfError: 1}, {TTL: 1, StaleWhileRevalidate: 1}} {
		c, err := cache.New(double, cfg)
		require.NoError(t, err)
		require.Equal(t, cache.DefaultSize, c.Config().Size)
		again, err := cache.New(double, c.Config())
		require.NoError(t, err)
		require.Equal(t, c.Config(), again.Config())
	}
	c, err := cache.NewKeyedBulk(func(i int) int { return i }, func(_ context.Context, reqs []int) ([]int, error) { return reqs, nil }, cache.Config{})
	require.NoError(t, err)
	require.Equal(t, cache.Config{Size: cache.DefaultSize, BulkConcurrency: cache.DefaultBulkConcurrency}, c.Config())
}
