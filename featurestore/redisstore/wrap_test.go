package redisstore

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/internal/redistest"
)

// TestWhatAServerSays has a server say what it says in states that are hard to bring about.
func TestWhatAServerSays(t *testing.T) {
	server := redistest.Start(t)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr}, DisableCache: true, DisableRetry: true})
	require.NoError(t, err)
	defer client.Close()
	for text, want := range map[string]error{
		"OOM command not allowed when used memory > 'maxmemory'.":                  ErrUnavailable,
		"MISCONF Redis is configured to save RDB snapshots":                        ErrUnavailable,
		"LOADING Redis is loading the dataset in memory":                           ErrUnavailable,
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is 'no'": ErrUnavailable,
		"READONLY You can't write against a read only replica.":                    ErrUnavailable,
		"CLUSTERDOWN The cluster is down":                                          ErrUnavailable,
		"ERR Error running script (call to f_a5): @user_script:52: @user_script: 52: -OOM command not allowed when used memory > 'maxmemory'.": ErrUnavailable,
		"ERR Error running script (call to f_a5): @user_script:52: @user_script: 52: -READONLY You can't write against a read only replica.":   ErrUnavailable,
		"ERR Error running script (call to f_a5): @user_script:1: WRONGTYPE Operation against a key holding the wrong kind of value":           nil,
		"NOREPLICAS Not enough good replicas to write.":                     ErrReplicas,
		"WRONGTYPE Operation against a key holding the wrong kind of value": nil,
		"NOPERM this user has no permissions":                               nil,
	} {
		err := client.Do(t.Context(), client.B().Eval().Script("return redis.error_reply(ARGV[1])").Numkeys(0).Arg(text).Build()).Error()
		require.ErrorContains(t, err, strings.TrimPrefix(text, "ERR "))
		err = wrap(err)
		for _, sentinel := range []error{ErrUnavailable, ErrReplicas} {
			if errors.Is(want, sentinel) {
				assert.ErrorIs(t, err, sentinel, text)
			} else {
				assert.NotErrorIs(t, err, sentinel, text)
			}
		}
	}
}
