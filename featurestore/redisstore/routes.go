package redisstore

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// slots is how many slots a cluster has.
const slots = 16384

// routes says which node of a cluster serves each slot. It may be out of date: a node that is asked in vain replies with where the slot is.
type routes struct {
	mu    sync.RWMutex
	nodes [slots]string
}

// moved notes where a slot is.
func (s *Store) moved(slot uint16, addr string) {
	if r := s.routes.Load(); r != nil {
		r.mu.Lock()
		r.nodes[slot] = addr
		r.mu.Unlock()
	}
}

// slot is the slot of a key, of no meaning without a cluster.
func (s *Store) slot(key string) uint16 {
	cmd := s.client.B().Exists().Key(key).Build()
	return cmd.Slot() % slots
}

// route sorts items by the node that serves them. Without a cluster there is only one.
func (s *Store) route(ctx context.Context, items []item) []*shard {
	if s.client.Mode() != rueidis.ClientModeCluster {
		return []*shard{{client: s.client, items: items}}
	}
	r := s.routes.Load()
	if r == nil {
		s.askRoutes(ctx)
		if r = s.routes.Load(); r == nil {
			return []*shard{{items: items}}
		}
	}
	nodes, of := s.client.Nodes(), map[string]*shard{}
	var shards []*shard
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, it := range items {
		addr := it.ask
		if addr == "" {
			addr = r.nodes[it.slot]
		}
		sh := of[addr]
		if sh == nil {
			sh = &shard{addr: addr, client: nodes[addr]}
			of[addr], shards = sh, append(shards, sh)
		}
		sh.items = append(sh.items, it)
	}
	return shards
}

// attention is how long a node may take to say who serves what.
const attention = 250 * time.Millisecond

// reroute is for when a node did not answer or is not known. It has the client look for the key, which finds out by that which nodes
// there are now, and asks for the slots anew. Without a cluster the client finds the new master by itself. It takes its time when there
// is nothing new yet.
func (s *Store) reroute(ctx context.Context, key string) {
	limited, cancel := context.WithTimeout(ctx, attention)
	defer cancel()
	err := s.client.Do(limited, s.client.B().Exists().Key(key).Build()).Error()
	if s.client.Mode() == rueidis.ClientModeCluster {
		s.askRoutes(ctx)
	}
	if err == nil { // the node is there: it was only the connection, or the node has changed its mind since
		pause := time.NewTimer(attention / 10)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		return
	}
	<-limited.Done()
}

// askRoutes asks one node after the other for the slots, until one answers.
func (s *Store) askRoutes(ctx context.Context) {
	for addr, node := range s.client.Nodes() {
		limited, cancel := context.WithTimeout(ctx, attention)
		reply, err := node.Do(limited, node.B().ClusterSlots().Build()).ToArray()
		cancel()
		if err != nil {
			continue
		}
		r := &routes{}
		for _, part := range reply {
			if first, last, node, err := parseSlots(part, addr); err == nil {
				for slot := first; slot <= last; slot++ {
					r.nodes[slot] = node
				}
			}
		}
		s.routes.Store(r)
		return
	}
}

var errSlots = errors.New("unknown form of CLUSTER SLOTS")

// parseSlots reads one element of the reply to CLUSTER SLOTS: the first and the last slot, and the address of their master. A node that
// does not know its own name has the one that it was asked by.
func parseSlots(part rueidis.RedisMessage, asked string) (first, last int64, addr string, err error) {
	fields, err := part.ToArray()
	if err != nil || len(fields) < 3 {
		return 0, 0, "", errSlots
	}
	master, err := fields[2].ToArray()
	if err != nil || len(master) < 2 {
		return 0, 0, "", errSlots
	}
	first, err = fields[0].ToInt64()
	if err != nil || first < 0 {
		return 0, 0, "", errSlots
	}
	last, err = fields[1].ToInt64()
	if err != nil || last >= slots {
		return 0, 0, "", errSlots
	}
	port, err := master[1].ToInt64()
	if err != nil {
		return 0, 0, "", errSlots
	}
	host, err := master[0].ToString()
	if err != nil || host == "" {
		host, _, _ = net.SplitHostPort(asked)
	}
	return first, last, net.JoinHostPort(host, strconv.FormatInt(port, 10)), nil
}
