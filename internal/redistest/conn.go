package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// Conn is a plain connection that knows nothing but RESP2, so that tests see the bytes that are stored and not what a client library
// makes of them. It is for one goroutine.
type Conn struct {
	conn net.Conn
	r    *bufio.Reader
}

// ReplyError is an error that Redis replied, as it is.
type ReplyError string

func (e ReplyError) Error() string { return string(e) }

// Dial connects to a server.
func Dial(addr string) (*Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return nil, err
	}
	return &Conn{conn: conn, r: bufio.NewReader(conn)}, nil
}

// Close ends the connection.
func (c *Conn) Close() { _ = c.conn.Close() }

// Do sends a command and reads its reply: a string, an int64, nil or a []any of these.
func (c *Conn) Do(args ...string) (any, error) {
	if err := c.conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, err
	}
	msg := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, arg := range args {
		msg = fmt.Appendf(msg, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := c.conn.Write(msg); err != nil {
		return nil, err
	}
	return c.reply()
}

func (c *Conn) reply() (any, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 {
		return nil, errors.New("short reply")
	}
	kind, text := line[0], line[1:len(line)-2]
	if kind == '+' {
		return text, nil
	}
	if kind == '-' {
		return nil, ReplyError(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, err
	}
	switch {
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		body := make([]byte, n+2)
		if _, err := io.ReadFull(c.r, body); err != nil {
			return nil, err
		}
		return string(body[:n]), nil
	case kind == '*':
		list := make([]any, n)
		for i := range list {
			item, err := c.reply()
			if err != nil && !errors.As(err, new(ReplyError)) {
				return nil, err
			}
			if list[i] = item; err != nil {
				list[i] = err
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("unknown reply %q", line)
}
