package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/redis/rueidis"

	"github.com/scalable-ai/patterns/featurestore"
)

// Store keeps rows in Redis. It is safe for concurrent use, has nothing to close, and goroutines only while calls run: one that is given
// up before its client is may go on until Config.Timeout.
type Store struct {
	client  rueidis.Client
	config  Config
	layouts layouts
	stats   counters
	routes  atomic.Pointer[routes] // of a cluster, for writes that wait for replicas
}

var _ featurestore.Store = (*Store)(nil)

// New is a store on the server, on the master that sentinels name, or on the cluster that the client is for. The caller closes the client,
// after its last use by the store; from then on all calls give featurestore.ErrClosed.
func New(client rueidis.Client, cfg Config) (*Store, error) {
	if client == nil {
		return nil, errors.New("redisstore: no client")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Store{client: client, config: cfg}, nil
}

// Delete implements [featurestore.Store]. It removes the view's fields from each hash; Redis removes a hash that has none left.
func (s *Store) Delete(ctx context.Context, view *featurestore.Schema, keys []featurestore.Key) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l := s.layouts.of(view)
	cmds := make(rueidis.Commands, len(keys))
	var buf []byte
	for i, k := range keys {
		var key string
		var err error
		if buf, key, err = l.cutKey(buf, k); err != nil {
			return err // before anything is deleted
		}
		cmds[i] = s.client.B().Hdel().Key(key).Field(l.fields...).Field(l.time).Build().ToRetryable()
	}
	limited, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	var failed rowErrors
	for i, result := range ask(limited, s.client, cmds) {
		if err := result.Error(); err != nil {
			failed.add(i, wrap(err))
		}
	}
	err := failed.join()
	if err != nil && ended(ctx, err) {
		return context.Cause(ctx)
	}
	return err
}

// ask sends commands, and does not wait for the replies longer than ctx lets it. The client does, when it connects or has a connection for
// itself: it heeds the deadline of a context then, and not that it is cancelled. So it has a goroutine of its own, which ends when the
// client gives up, at the deadline at the latest. Nothing that the commands are made of is used again.
func ask(ctx context.Context, client rueidis.Client, cmds rueidis.Commands) []rueidis.RedisResult {
	done := make(chan []rueidis.RedisResult, 1)
	go func() { done <- client.DoMulti(ctx, cmds...) }()
	select {
	case results := <-done:
		return results
	case <-ctx.Done():
	}
	select {
	case results := <-done: // both
		return results
	default:
	}
	results := make([]rueidis.RedisResult, len(cmds))
	for i := range results {
		results[i] = rueidis.NewErrorResult(ctx.Err())
	}
	return results
}

// cutKey appends a key to buf and returns it as a string that shares its memory. What is in buf is never changed again.
func (l *layout) cutKey(buf []byte, k featurestore.Key) ([]byte, string, error) {
	start := len(buf)
	buf, err := l.appendKey(buf, k)
	return buf, rueidis.BinaryString(buf[start:]), err
}

// errLength is for a lookup or a write whose slices do not fit together.
func errLength(what string, n, want int) error {
	return fmt.Errorf("redisstore: %s: %d, want %d", what, n, want)
}
