package redistest

import (
	"fmt"
	"strconv"
	"testing"
)

// Sentinel is a master with one replica, watched by one sentinel that replaces the master a second after it has gone.
type Sentinel struct {
	Master, Replica *Server
	Addr            string // of the sentinel
	Name            string // of what it watches

	sentinel *Server
}

// StartSentinel runs the three processes and waits until the replica follows and the sentinel knows of it.
func StartSentinel(tb testing.TB) *Sentinel {
	tb.Helper()
	s := &Sentinel{Name: "features", Master: Start(tb, "--repl-diskless-sync-delay", "0")}
	s.Replica = Start(tb, "--replicaof", "127.0.0.1 "+strconv.Itoa(s.Master.port))
	s.Replica.await(tb, "follow its master", func() bool {
		role, _ := s.Replica.TryDo("ROLE")
		list, _ := role.([]any)
		return len(list) > 3 && list[0] == "slave" && list[3] == "connected"
	})
	s.sentinel = newServer(tb)
	conf := s.sentinel.writeFile(tb, "sentinel.conf", fmt.Sprintf(
		"sentinel monitor %[1]s 127.0.0.1 %[2]d 1\nsentinel down-after-milliseconds %[1]s 1000\nsentinel failover-timeout %[1]s 5000\n",
		s.Name, s.Master.port))
	s.sentinel.args = append([]string{conf, "--sentinel"}, s.sentinel.args...)
	s.sentinel.start(tb)
	s.Addr = s.sentinel.Addr
	s.sentinel.await(tb, "find the replica", func() bool {
		replicas, _ := s.sentinel.TryDo("SENTINEL", "REPLICAS", s.Name)
		list, _ := replicas.([]any)
		return len(list) == 1
	})
	return s
}
