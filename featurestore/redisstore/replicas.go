package redisstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/rueidis"
)

// replicated writes all items and waits for their replicas. WAIT speaks of the writes of its own connection, so the rows of one node and
// the WAIT after them go out in one pipeline of a connection that nobody else uses meanwhile (the client sends what blocks that way).
// Redirections are followed here and not by the client, which would send the row to another node than the WAIT.
func (w *write) replicated(ctx context.Context) {
	items := w.items
	for attempt := 0; len(items) > 0; attempt++ {
		shards := w.store.route(ctx, items)
		var wg sync.WaitGroup
		for _, sh := range shards {
			sh.encode(w, attempt > 0)
			wg.Go(func() { sh.run(ctx, w.store.config) })
		}
		wg.Wait()
		var again []item
		down := false
		for _, sh := range shards {
			left, failed := sh.take(w, ctx.Err() != nil)
			again, down = append(again, left...), down || failed
		}
		w.store.stats.repeated.Add(uint64(len(again)))
		if items = again; len(items) == 0 {
			return
		}
		if down {
			w.store.reroute(ctx, items[0].key)
		}
	}
}

// shard is what one node is sent.
type shard struct {
	addr   string
	client rueidis.Client // nil if the client does not know the node
	items  []item
	cmds   rueidis.Commands
	places []int // by item: the place of its command

	results []rueidis.RedisResult
}

// encode makes the commands. They share the buffer of w, and so are made one shard after the other.
func (sh *shard) encode(w *write, inline bool) {
	for i := range sh.items {
		if sh.items[i].ask != "" {
			sh.cmds = append(sh.cmds, w.store.client.B().Asking().Build())
		}
		sh.places = append(sh.places, len(sh.cmds))
		sh.cmds = append(sh.cmds, w.command(&sh.items[i], inline))
	}
	c := w.store.config
	sh.cmds = append(sh.cmds, w.store.client.B().Wait().Numreplicas(int64(c.Replicas)).Timeout(c.ReplicaTimeout.Milliseconds()).Build())
}

func (sh *shard) run(ctx context.Context, c Config) {
	if sh.client != nil {
		sh.results = ask(ctx, sh.client, sh.cmds)
	}
}

// take notes the outcomes, and returns the items to be sent again: unless it is the end, those that were redirected, whose node lacked
// the script, or whose node was not available. down says that there are some of the last kind.
func (sh *shard) take(w *write, end bool) (again []item, down bool) {
	if sh.client == nil {
		for _, it := range sh.items {
			if end {
				w.fail(it.row, fmt.Errorf("%w: the client does not know the node %q", ErrUnavailable, sh.addr))
			}
		}
		if end {
			return nil, true
		}
		return sh.items, true
	}
	confirmed, waitErr := sh.results[len(sh.results)-1].AsInt64()
	for i, it := range sh.items {
		result := sh.results[sh.places[i]]
		err := result.Error()
		reply, isReply := rueidis.IsRedisErr(err)
		it.ask = ""
		switch {
		case err != nil && end:
			w.fail(it.row, wrap(err))
			continue
		case isReply && reply.IsNoScript():
			again = append(again, it)
			continue
		case isReply:
			if addr, ok := reply.IsMoved(); ok {
				w.store.moved(it.slot, addr)
				again = append(again, it)
			} else if addr, ok := reply.IsAsk(); ok {
				it.ask = addr
				again = append(again, it)
			} else if hasPrefix(reply.Error(), unavailable...) {
				again, down = append(again, it), true
			} else {
				w.fail(it.row, wrap(err))
			}
			continue
		case err != nil:
			again, down = append(again, it), true
			continue
		}
		reply, isReply = rueidis.IsRedisErr(waitErr)
		switch {
		case waitErr != nil && (end || isReply && !hasPrefix(reply.Error(), unavailable...)): // a refusal will not change
			w.fail(it.row, wrap(waitErr))
		case waitErr != nil:
			again, down = append(again, it), true // it may be there, but nobody knows whether the replicas have it
		case confirmed < int64(w.store.config.Replicas):
			w.fail(it.row, fmt.Errorf("%w: %d of %d", ErrReplicas, confirmed, w.store.config.Replicas))
		default:
			w.outcome(it.row, result)
		}
	}
	return again, down
}
