package redistest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

const slots = 16384

// Cluster is a Redis Cluster of masters with one replica each: Nodes[i] and Nodes[i+Masters] start as one shard.
type Cluster struct {
	Nodes   []*Server
	Masters int

	ids []string
}

// StartCluster runs a cluster of twice as many processes as it has masters, and waits until all of them say that it is whole. A node
// counts as failed after a second; the other shards go on without it.
func StartCluster(tb testing.TB, masters int, args ...string) *Cluster {
	tb.Helper()
	c := &Cluster{Masters: masters}
	for range 2 * masters {
		s := newServer(tb, append([]string{
			"--save", "", "--appendonly", "no", "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
			"--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0", "--cluster-require-full-coverage", "no",
			"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
		}, args...)...)
		s.args = append(s.args, "--cluster-port", strconv.Itoa(s.bus))
		s.start(tb)
		c.Nodes = append(c.Nodes, s)
		c.ids = append(c.ids, s.Do(tb, "CLUSTER", "MYID").(string))
	}
	for i, s := range c.Nodes {
		s.Do(tb, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if i < masters {
			s.Do(tb, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/masters), strconv.Itoa((i+1)*slots/masters-1))
		}
	}
	for _, s := range c.Nodes[1:] {
		s.Do(tb, "CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(c.Nodes[0].port), strconv.Itoa(c.Nodes[0].bus))
	}
	for i, s := range c.Nodes[masters:] {
		// The command needs the master to be known, which the gossip sees to.
		s.await(tb, "become a replica", func() bool {
			_, err := s.TryDo("CLUSTER", "REPLICATE", c.ids[i])
			return err == nil
		})
	}
	c.AwaitOK(tb)
	return c
}

// Addrs are the addresses of all nodes.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.Nodes))
	for i, s := range c.Nodes {
		addrs[i] = s.Addr
	}
	return addrs
}

// AwaitOK waits until each node that answers says that the cluster is whole, that all slots are served, and until each replica among them is
// connected to its master.
func (c *Cluster) AwaitOK(tb testing.TB) {
	tb.Helper()
	for _, s := range c.Nodes {
		if !s.runs() {
			continue
		}
		s.await(tb, "see a whole cluster", func() bool {
			info, _ := s.TryDo("CLUSTER", "INFO")
			text, _ := info.(string)
			role, _ := s.TryDo("ROLE")
			list, _ := role.([]any)
			return strings.Contains(text, "cluster_state:ok") && strings.Contains(text, "cluster_slots_ok:16384") &&
				strings.Contains(text, fmt.Sprintf("cluster_known_nodes:%d", len(c.Nodes))) &&
				len(list) > 0 && (list[0] == "master" || list[0] == "slave" && list[3] == "connected")
		})
	}
}

func (s *Server) runs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd != nil
}

// Master is the index of the node that serves a slot according to the cluster's first node that answers.
func (c *Cluster) Master(tb testing.TB, slot int) int {
	tb.Helper()
	for _, s := range c.Nodes {
		reply, err := s.TryDo("CLUSTER", "SLOTS")
		if err != nil {
			continue
		}
		for _, r := range reply.([]any) {
			r := r.([]any)
			if int64(slot) < r[0].(int64) || int64(slot) > r[1].(int64) {
				continue
			}
			port := int(r[2].([]any)[1].(int64))
			for i, s := range c.Nodes {
				if s.port == port {
					return i
				}
			}
		}
	}
	tb.Fatalf("slot %d is served by no node", slot)
	return -1
}

// Slot is the slot of a key.
func (c *Cluster) Slot(tb testing.TB, key string) int {
	tb.Helper()
	for _, s := range c.Nodes {
		if slot, err := s.TryDo("CLUSTER", "KEYSLOT", key); err == nil {
			return int(slot.(int64))
		}
	}
	tb.Fatal("no node answers")
	return -1
}

// BeginMove makes a slot migrating: from then on clients that look for a key that its node does not have are sent on with ASK. MoveKeys
// and EndMove are the steps that follow.
func (c *Cluster) BeginMove(tb testing.TB, slot, to int) (from int) {
	tb.Helper()
	from = c.Master(tb, slot)
	c.Nodes[to].Do(tb, "CLUSTER", "SETSLOT", strconv.Itoa(slot), "IMPORTING", c.ids[from])
	c.Nodes[from].Do(tb, "CLUSTER", "SETSLOT", strconv.Itoa(slot), "MIGRATING", c.ids[to])
	return from
}

// MoveKeys moves the keys that a migrating slot has, so that their clients are sent on with ASK.
func (c *Cluster) MoveKeys(tb testing.TB, slot, from, to int) {
	tb.Helper()
	for {
		keys := c.Nodes[from].Do(tb, "CLUSTER", "GETKEYSINSLOT", strconv.Itoa(slot), "100").([]any)
		if len(keys) == 0 {
			return
		}
		args := []string{"MIGRATE", "127.0.0.1", strconv.Itoa(c.Nodes[to].port), "", "0", "5000", "KEYS"}
		for _, key := range keys {
			args = append(args, key.(string))
		}
		c.Nodes[from].Do(tb, args...)
	}
}

// EndMove tells both masters that a slot has moved.
func (c *Cluster) EndMove(tb testing.TB, slot, from, to int) {
	tb.Helper()
	// The new node first: were the old one to forget the slot first, nobody would serve it for a moment.
	c.Nodes[to].Do(tb, "CLUSTER", "SETSLOT", strconv.Itoa(slot), "NODE", c.ids[to])
	c.Nodes[from].Do(tb, "CLUSTER", "SETSLOT", strconv.Itoa(slot), "NODE", c.ids[to])
}

// MoveSlot moves a slot with its keys to another master, all at once.
func (c *Cluster) MoveSlot(tb testing.TB, slot, to int) {
	tb.Helper()
	from := c.BeginMove(tb, slot, to)
	c.MoveKeys(tb, slot, from, to)
	c.EndMove(tb, slot, from, to)
}
