package route_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/route"
)

var (
	errDown = errors.New("down")
	errBad  = errors.New("bad request")
	errFull = errors.New("full")
)

// retryError asks for a wait.
type retryError time.Duration

func (e retryError) Error() string             { return "too many requests" }
func (e retryError) RetryAfter() time.Duration { return time.Duration(e) }

func classify(err error) route.Verdict {
	switch {
	case errors.Is(err, errBad):
		return route.RequestFailed
	case errors.Is(err, errFull):
		return route.MemberBusy
	}
	return route.MemberFailed
}

type member = route.Member[string, string]
type table = route.Table[string, string]
type router = route.Router[string, string]

// says is a member that answers with its name.
func says(name string) member {
	return member{Name: name, Do: func(context.Context, string) (string, error) { return name, nil }}
}

// fails is a member that returns what *err is; nil is an answer.
func fails(name string, err *error) member {
	return member{Name: name, Do: func(context.Context, string) (string, error) {
		if *err != nil {
			return "", *err
		}
		return name, nil
	}}
}

// hangs is a member that returns when its context ends.
func hangs(name string) member {
	return member{Name: name, Do: func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}}
}

func newRouter(t testing.TB, cfg route.Config, members ...member) *router {
	t.Helper()
	r, err := route.New(table{Members: members}, cfg)
	require.NoError(t, err)
	return r
}

func stats(r interface{ Stats() route.Stats }, name string) route.MemberStats {
	for _, m := range r.Stats().Members {
		if m.Name == name {
			return m
		}
	}
	return route.MemberStats{}
}

// checkAccounts checks that each attempt has one outcome, when nothing runs.
func checkAccounts(t testing.TB, r interface{ Stats() route.Stats }) {
	t.Helper()
	for _, m := range r.Stats().Members {
		require.Zero(t, m.InFlight, m.Name)
		require.Equal(t, m.Calls, m.Answered+m.Failed+m.Busy+m.RequestFailed+m.Cancelled, m.Name)
	}
}
