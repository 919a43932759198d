package redistest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/scalable-ai/patterns/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServer(t *testing.T) {
	s := redistest.Start(t)
	s.Do(t, "SET", "a", "1\r\n2")
	assert.Equal(t, "1\r\n2", s.Do(t, "GET", "a"))
	_, err := s.TryDo("HGET", "a", "b")
	require.ErrorContains(t, err, "WRONGTYPE")
	s.Kill()
	_, err = s.TryDo("PING")
	require.Error(t, err)
	s.Restart(t)
	assert.Nil(t, s.Do(t, "GET", "a"), "it keeps nothing on disk")
}

func TestCluster(t *testing.T) {
	c := redistest.StartCluster(t, 3)
	slot := c.Slot(t, "foo")
	require.Equal(t, 12182, slot, "as Redis documents it")
	from := c.Master(t, slot)
	require.Equal(t, 2, from)
	c.Nodes[from].Do(t, "SET", "foo", "1")
	c.MoveSlot(t, slot, 0)
	assert.Equal(t, "1", c.Nodes[0].Do(t, "GET", "foo"))
	assert.Equal(t, int64(1), c.Nodes[0].Do(t, "WAIT", "1", "1000"))

	c.Nodes[0].Kill()
	c.Nodes[3].Do(t, "READONLY")
	assert.True(t, redistest.Poll(10e9, func() bool { return c.Master(t, slot) == 3 }), "the replica takes over")
	assert.Equal(t, "1", c.Nodes[3].Do(t, "GET", "foo"))
}

func TestSentinel(t *testing.T) {
	s := redistest.StartSentinel(t)
	s.Master.Do(t, "SET", "foo", "1")
	assert.Equal(t, int64(1), s.Master.Do(t, "WAIT", "1", "1000"))
	s.Master.Kill()
	assert.True(t, redistest.Poll(15e9, func() bool {
		role, err := s.Replica.TryDo("ROLE") // it ends its connections when it is promoted
		return err == nil && role.([]any)[0] == "master"
	}), "the replica takes over")
	assert.Equal(t, "1", s.Replica.Do(t, "GET", "foo"))
}
