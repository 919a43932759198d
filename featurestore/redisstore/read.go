package redisstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/rueidis"

	"github.com/scalable-ai/patterns/featurestore"
)

// group is the lookups that read the same hashes: one command for each key serves all of them.
type group struct {
	layouts []*layout
	lookups []*featurestore.Lookup
	fields  []string // of all lookups: the wanted features, then the event time
	cmds    []int32  // by key: its command, -1 if it has none
	scan    bool     // the commands are HSCAN, up to again; those from there on are HMGET
	again   int      // as many commands as were sent at first
	probe   int      // the HSCAN of one key beside the HMGETs, -1 if there is none
	places  []places // by key: where HSCAN's reply has the fields; nil without HSCAN
}

// Read implements [featurestore.Store]. All keys of all lookups go out in one pipeline for each node, with one command for each hash:
// lookups of views of the same entity share it if their Keys are equal. A value that is not of its feature's kind fails the row with a
// [*ValueError].
func (s *Store) Read(ctx context.Context, lookups []featurestore.Lookup) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	groups, err := s.group(lookups)
	if err != nil {
		return err
	}
	size, bytes := 0, 0
	for i := range groups {
		n := len(groups[i].lookups[0].Keys)
		size, bytes = size+n, bytes+n*(len(groups[i].layouts[0].head)+len(groups[i].layouts[0].tail)+16)
	}
	if size == 0 {
		return nil
	}
	cmds, buf := make(rueidis.Commands, 0, size), make([]byte, 0, bytes)
	for i := range groups {
		cmds, buf = s.commands(&groups[i], cmds, buf)
	}
	limited, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	results := ask(limited, s.client, cmds)
	if cmds = s.repeat(groups, results); len(cmds) > 0 {
		results = append(results, ask(limited, s.client, cmds)...)
	}

	found, failed := 0, 0
	var failure error
	for i := range groups {
		n, bad, err := groups[i].take(s, results)
		found, failed = found+n, failed+bad
		if err != nil {
			failure = err
		}
	}
	s.stats.read(size, found, failed)
	switch {
	case failure == nil:
		return nil
	case ended(ctx, failure):
		return context.Cause(ctx)
	case failed == size:
		return failure
	}
	return nil
}

// group puts the lookups together that can share commands.
func (s *Store) group(lookups []featurestore.Lookup) ([]group, error) {
	groups := make([]group, 0, len(lookups))
next:
	for i := range lookups {
		l := &lookups[i]
		if len(l.Rows) != len(l.Keys) {
			return nil, errLength("Lookup.Rows of view "+l.View.Name(), len(l.Rows), len(l.Keys))
		}
		of := s.layouts.of(l.View)
		for j := range groups {
			g := &groups[j]
			if g.layouts[0].entity == of.entity && sameKeys(g.lookups[0].Keys, l.Keys) {
				g.layouts, g.lookups = append(g.layouts, of), append(g.lookups, l)
				continue next
			}
		}
		groups = append(groups, group{layouts: []*layout{of}, lookups: []*featurestore.Lookup{l}})
	}
	return groups, nil
}

func sameKeys(a, b []featurestore.Key) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// commands appends the commands of a group to cmds. Their keys share memory with buf.
func (s *Store) commands(g *group, cmds rueidis.Commands, buf []byte) (rueidis.Commands, []byte) {
	n := 0
	for _, l := range g.lookups {
		n += len(l.Features) + 1
	}
	g.fields = make([]string, 0, n)
	for i, l := range g.lookups {
		for _, f := range l.Features {
			g.fields = append(g.fields, g.layouts[i].fields[f])
		}
		g.fields = append(g.fields, g.layouts[i].time)
	}
	keys, known := g.lookups[0].Keys, &g.layouts[0].wide
	g.scan, g.probe = known.scan(len(g.fields)), -1
	g.cmds = make([]int32, len(keys))
	for i, k := range keys {
		var key string
		var err error
		if buf, key, err = g.layouts[0].cutKey(buf, k); err != nil {
			g.cmds[i] = -1
			g.fail(i, err)
			continue
		}
		g.cmds[i] = int32(len(cmds))
		if g.scan {
			cmds = append(cmds, s.client.B().Hscan().Key(key).Cursor(0).Count(1).Build())
			continue
		}
		cmds = append(cmds, s.client.B().Hmget().Key(key).Field(g.fields...).Build())
		if g.probe < 0 && known.probe(len(g.fields)) {
			g.probe = len(cmds)
			cmds = append(cmds, s.client.B().Hscan().Key(key).Cursor(0).Count(1).Build())
		}
	}
	return cmds, buf
}

// repeat looks at the replies of HSCAN. It makes a command for each key that was not read by it, because its hash is a table.
func (s *Store) repeat(groups []group, results []rueidis.RedisResult) (cmds rueidis.Commands) {
	for i := range groups {
		g := &groups[i]
		known := &g.layouts[0].wide
		g.again = len(results)
		if g.probe >= 0 {
			fields, all, err := scanned(results[g.probe])
			if err != nil || !all {
				fields = nil
			}
			known.length.Store(int64(len(fields) / 2))
		}
		if !g.scan {
			continue
		}
		length, whole, tables := 0, 0, false
		for j, c := range g.cmds {
			if c < 0 {
				continue
			}
			fields, all, err := scanned(results[c])
			if err != nil {
				continue
			}
			if all {
				if len(fields) > 0 {
					length, whole = length+len(fields)/2, whole+1
				}
				continue
			}
			tables = true
			_, key, _ := g.layouts[0].cutKey(nil, g.lookups[0].Keys[j]) // that of a key with a command is no error
			g.cmds[j] = int32(len(results) + len(cmds))
			cmds = append(cmds, s.client.B().Hmget().Key(key).Field(g.fields...).Build())
		}
		switch {
		case tables:
			known.length.Store(0)
		case whole > 0:
			known.length.Store(int64(length / whole))
		}
	}
	return cmds
}

// check looks whether the reply to command c, which was about key i, has the form that it must have, and finds the fields in it.
func (g *group) check(result *rueidis.RedisResult, i, c int, f *finder) error {
	if g.scan && c < g.again {
		messages, _, err := scanned(*result)
		if err == nil {
			g.places[i], err = f.find(messages)
		}
		return err
	}
	messages, err := result.ToArray()
	if err == nil && len(messages) != len(g.fields) {
		err = fmt.Errorf("%d values for %d fields", len(messages), len(g.fields))
	}
	return err
}

// reply is what was read of key i: nothing if it has no command or its reply was bad.
func (g *group) reply(results []rueidis.RedisResult, i int) (r reply) {
	c := int(g.cmds[i])
	switch {
	case c < 0:
	case g.scan && c < g.again:
		r.messages, _, _ = scanned(results[c])
		r.places = g.places[i]
	default:
		r.messages, _ = results[c].ToArray()
	}
	return r
}

func (g *group) fail(i int, err error) {
	for _, l := range g.lookups {
		l.Fail(i, err)
	}
}

// take decodes the replies into the rows. It returns how many keys had a row, how many could not be read, and an error of one of these.
func (g *group) take(s *Store, results []rueidis.RedisResult) (found, failed int, failure error) {
	var f *finder
	if g.scan {
		f, g.places = newFinder(g.fields), make([]places, len(g.cmds))
	}
	for i, c := range g.cmds {
		if c < 0 {
			failed++
			continue
		}
		if err := g.check(&results[c], i, int(c), f); err != nil {
			failed, failure = failed+1, wrap(err)
			g.fail(i, failure)
			g.cmds[i] = -1
		}
	}
	start := 0
	for _, l := range g.lookups {
		end := start + len(l.Features)
		found += g.takeRows(s, l, results, start, end)
		start = end + 1
	}
	return found, failed, failure
}

// takeRows decodes the rows of one lookup, whose features are the elements from start to end of each reply, and whose event time is the
// one at end.
func (g *group) takeRows(s *Store, l *featurestore.Lookup, results []rueidis.RedisResult, start, end int) (found int) {
	for i := range g.cmds {
		if r := g.reply(results, i); r.value(end) != nil {
			found++
		}
	}
	if found == 0 {
		return 0
	}
	schema := l.View
	records := l.NewRecords(s, found)
	for i := range g.cmds {
		reply := g.reply(results, i)
		if reply.value(end) == nil {
			continue
		}
		r := &records[0]
		records = records[1:]
		if err := takeRow(schema, r, l.Features, &reply, start, end); err != nil {
			l.Fail(i, err)
			continue
		}
		l.Rows[i] = r
	}
	return found
}

func takeRow(schema *featurestore.Schema, r *featurestore.Record, features []int, reply *reply, start, end int) error {
	text, err := reply.value(end).ToString()
	if err == nil {
		var ns int64
		ns, err = parseTimestamp(text)
		r.SetEventNanos(ns)
	}
	if err != nil {
		return &ValueError{View: schema.Name(), Err: err}
	}
	for j, f := range features {
		message := reply.value(start + j)
		if message == nil {
			continue
		}
		text, err := message.ToString()
		if err != nil {
			return &ValueError{View: schema.Name(), Feature: schema.Features()[f].Name, Err: err}
		}
		if err := setValue(schema, r, f, text); err != nil {
			return err
		}
	}
	return nil
}
