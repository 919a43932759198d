// Package redistest starts real Redis processes for tests: a single server, a cluster, or a master with a replica and a sentinel. They
// listen on free ports of the loopback interface, keep their files in the test's temporary directory, and end with the test.
//
// It needs redis-server 7 on the PATH (Debian's package redis-server). Without it the test is skipped, or fails under CI=true.
package redistest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// patience bounds each wait for a process. It is only reached when something is broken.
const patience = 20 * time.Second

// Server is one redis-server process.
type Server struct {
	Addr string // host:port

	port, bus int
	dir       string
	args      []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	log  *syncBuffer
	conn *Conn // for administration, made when it is needed
}

// Start runs a server that keeps nothing on disk. args are further options of redis-server, as on its command line.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s := newServer(tb, append([]string{"--save", "", "--appendonly", "no"}, args...)...)
	s.start(tb)
	return s
}

func newServer(tb testing.TB, args ...string) *Server {
	tb.Helper()
	ports := freePorts(tb, 2)
	s := &Server{Addr: addr(ports[0]), port: ports[0], bus: ports[1], dir: tb.TempDir()}
	s.args = append([]string{"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--daemonize", "no"}, args...)
	tb.Cleanup(func() {
		s.stop()
		if tb.Failed() {
			tb.Logf("redis-server %s:\n%s", s.Addr, s.log)
		}
	})
	return s
}

// binary is the path of redis-server.
func binary(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("redis-server")
	if err == nil {
		return path
	}
	const missing = "no redis-server on the PATH: install Debian's package redis-server (7.0 or newer)"
	if os.Getenv("CI") == "true" {
		tb.Fatal(missing)
	}
	tb.Skip(missing)
	return ""
}

// start runs the process and waits until it answers.
func (s *Server) start(tb testing.TB) {
	tb.Helper()
	path := binary(tb)
	s.mu.Lock()
	s.log = &syncBuffer{}
	s.cmd = exec.Command(path, s.args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = dieWithParent()
	err := s.cmd.Start()
	s.mu.Unlock()
	if err != nil {
		tb.Fatalf("redis-server: %v", err)
	}
	s.await(tb, "answer PING", func() bool {
		_, err := s.TryDo("PING")
		return err == nil
	})
}

// Kill ends the process at once (SIGKILL), as a crash would. Killing it twice is harmless.
func (s *Server) Kill() { s.stop() }

// Pause stops the process without ending it (SIGSTOP), as a machine that hangs would; Resume lets it go on.
func (s *Server) Pause(tb testing.TB) { s.signal(tb, sigstop) }

// Resume is the opposite of Pause.
func (s *Server) Resume(tb testing.TB) { s.signal(tb, sigcont) }

func (s *Server) signal(tb testing.TB, sig os.Signal) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		tb.Fatalf("redis-server %s does not run", s.Addr)
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		tb.Fatalf("redis-server %s: %v", s.Addr, err)
	}
}

// Restart runs a killed server again on the same port and with the same files.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.stop()
	s.start(tb)
}

func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Do sends a command over a connection of its own and returns the reply: a string, an int64, nil or a []any of these. Any error fails the
// test.
func (s *Server) Do(tb testing.TB, args ...string) any {
	tb.Helper()
	reply, err := s.TryDo(args...)
	if err != nil {
		tb.Fatalf("%s: %q: %v", s.Addr, args, err)
	}
	return reply
}

// TryDo is Do with an error. Commands are sent one at a time.
func (s *Server) TryDo(args ...string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		conn, err := Dial(s.Addr)
		if err != nil {
			return nil, err
		}
		s.conn = conn
	}
	reply, err := s.conn.Do(args...)
	if _, ok := err.(ReplyError); err != nil && !ok { //nolint:errorlint // Do returns it as it is
		s.conn.Close()
		s.conn = nil
	}
	return reply, err
}

// await polls until ok says that s has become what it should be.
func (s *Server) await(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	if !Poll(patience, ok) {
		tb.Fatalf("redis-server %s did not %s within %v:\n%s", s.Addr, what, patience, s.log)
	}
}

// Poll asks again and again, with short pauses, whether ok, for at most d. It is for what another process does.
func Poll(d time.Duration, ok func() bool) bool {
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok() {
			return true
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return ok()
		}
	}
}

// freePorts finds ports that nobody listens on. Another process may take one before it is used: rare, and the test fails then.
func freePorts(tb testing.TB, n int) []int {
	tb.Helper()
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

func addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// writeFile makes a file in the server's directory and returns its path.
func (s *Server) writeFile(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// syncBuffer takes what a process writes while a test may read it. String is the end of it.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	if b == nil {
		return "(never started)"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	const last = 4 << 10
	text := b.buf.String()
	return text[max(0, len(text)-last):]
}
