package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/scalable-ai/patterns/featurestore"
)

var (
	// ErrUnavailable is wrapped when Redis could not be asked, or not by the end of Config.Timeout: the connection failed, the node is
	// down, loading or has become a replica, it has no memory left or cannot save and so refuses writes, or the cluster has no node for the
	// key. What it wraps in turn is the client's error. The same call may succeed later.
	ErrUnavailable = errors.New("redisstore: unavailable")

	// ErrReplicas is wrapped when a row was not confirmed by as many replicas as Config.Replicas says. It may be stored, and may get lost
	// with the master.
	ErrReplicas = errors.New("redisstore: not confirmed by enough replicas")
)

var errScan = errors.New("unknown form of HSCAN's reply")

// ValueError says that what is stored for a feature is not a value of its kind. It concerns one row.
type ValueError struct {
	View    string
	Feature string // "" if it is the event time
	Err     error
}

func (e *ValueError) Error() string {
	if e.Feature == "" {
		return fmt.Sprintf("redisstore: view %q: event time: %v", e.View, e.Err)
	}
	return fmt.Sprintf("redisstore: view %q: feature %q: %v", e.View, e.Feature, e.Err)
}

// Unwrap is e.Err.
func (e *ValueError) Unwrap() error { return e.Err }

// Prefixes of what a node says that cannot serve a key at the moment.
var unavailable = []string{"MOVED ", "ASK ", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "READONLY", "MASTERDOWN", "BUSY ", "UNBLOCKED"}

// Prefixes of what a node says that cannot take writes at the moment. To ask again at once is no use.
var refused = []string{"OOM ", "MISCONF "}

// wrap gives the client's error the type that callers see.
func wrap(err error) error {
	switch reply, ok := rueidis.IsRedisErr(err); {
	case errors.Is(err, rueidis.ErrClosing):
		return fmt.Errorf("%w: %w", featurestore.ErrClosed, err)
	case !ok:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case hasPrefix(reply.Error(), unavailable...), hasPrefix(reply.Error(), refused...):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case hasPrefix(reply.Error(), "NOREPLICAS"):
		return fmt.Errorf("%w: %w", ErrReplicas, err)
	}
	return fmt.Errorf("redisstore: %w", err)
}

// hasPrefix reports whether a node's reply starts with one of the prefixes. Before version 7 what a command in a script says comes behind where in the script
// that was: "Error running script (call to f_...): @user_script:3: @user_script: 3: -OOM command not allowed ...". The client takes the "ERR " before it off.
func hasPrefix(text string, prefixes ...string) bool {
	if strings.HasPrefix(text, "Error running script") {
		_, text, _ = strings.Cut(text, ": -")
	}
	for _, p := range prefixes {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}

// ended reports whether the caller's context has ended. The client may have seen its deadline pass, by that of the connection, a moment
// before the context itself does.
func ended(ctx context.Context, err error) bool {
	if deadline, ok := ctx.Deadline(); ok && errors.Is(err, context.DeadlineExceeded) && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

// rowErrors collects what became of rows. It names the first ones only: a shard that is down would else make an error of megabytes.
type rowErrors struct {
	errs  []error
	count int
}

func (r *rowErrors) add(row int, err error) {
	const most = 16
	if r.count++; r.count <= most {
		r.errs = append(r.errs, fmt.Errorf("row %d: %w", row, err))
	}
}

func (r *rowErrors) join() error {
	if more := r.count - len(r.errs); more > 0 {
		return errors.Join(append(r.errs, fmt.Errorf("redisstore: and %d rows more", more))...)
	}
	return errors.Join(r.errs...)
}
