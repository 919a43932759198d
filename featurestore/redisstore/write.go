package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/scalable-ai/patterns/featurestore"
)

// Write implements [featurestore.Store]. Each key is written by one script, which compares the event times and stores the row in one
// step, so that concurrent writers need no lock. Of rows with one key in the same call only the newest is sent; the others are Stale, or
// Failed with it.
//
// Rows are sent again, until Config.Timeout, when the connection fails, a slot moves or a shard of a cluster has no master: that is
// harmless. But a row that was stored by an attempt whose reply got lost is Stale by the next one, whether that is made here or by a caller
// who writes Failed rows again.
func (s *Store) Write(ctx context.Context, view *featurestore.Schema, rows []featurestore.Row, outcomes []featurestore.Outcome) error {
	if len(rows) != len(outcomes) {
		return errLength("outcomes", len(outcomes), len(rows))
	}
	if ctx.Err() != nil {
		for i := range outcomes {
			outcomes[i] = featurestore.Failed
		}
		s.stats.wrote(outcomes)
		return context.Cause(ctx)
	}
	w := write{store: s, layout: s.layouts.of(view), rows: rows, outcomes: outcomes}
	w.prepare()
	limited, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	if s.config.Replicas > 0 {
		w.replicated(limited)
	} else {
		w.send(limited)
	}
	for i, winner := range w.winners {
		if winner == i {
			continue
		}
		if outcomes[i] = outcomes[winner]; outcomes[i] == featurestore.Written {
			outcomes[i] = featurestore.Stale
		}
	}
	s.stats.wrote(outcomes)
	err := w.errs.join()
	if w.errs.count > w.invalid && ended(ctx, err) {
		return context.Cause(ctx)
	}
	return err
}

// write is one call of Write.
type write struct {
	store    *Store
	layout   *layout
	rows     []featurestore.Row
	outcomes []featurestore.Outcome
	winners  []int // by row: the newest row of its key, itself if it is that or is invalid
	items    []item
	errs     rowErrors
	invalid  int

	buf  []byte   // what has been encoded; strings point into it, so that it is never written to twice
	args []string // of one command, copied by the client
}

// item is a row to be sent.
type item struct {
	row  int
	key  string
	slot uint16
	ask  string // the node to be asked next, and only then, because the slot is on its way to it
}

// prepare sorts out what is invalid or not the newest of its key.
func (w *write) prepare() {
	clear(w.outcomes)
	schema := w.layout.schema
	newest := make(map[featurestore.Key]int, len(w.rows))
	w.winners = make([]int, len(w.rows))
	for i, row := range w.rows {
		w.winners[i] = i
		if err := schema.Check(row.Record); err != nil {
			w.reject(i, err)
			continue
		}
		first, ok := newest[row.Key]
		if !ok || row.Record.EventNanos() > w.rows[first].Record.EventNanos() {
			newest[row.Key] = i
		}
	}
	for i, row := range w.rows {
		if w.outcomes[i] == featurestore.Invalid {
			continue
		}
		if w.winners[i] = newest[row.Key]; w.winners[i] != i {
			continue
		}
		var key string
		var err error
		if w.buf, key, err = w.layout.cutKey(w.buf, row.Key); err != nil {
			w.reject(i, err)
			continue
		}
		it := item{row: i, key: key}
		if w.store.config.Replicas > 0 {
			it.slot = w.store.slot(key)
		}
		w.items = append(w.items, it)
	}
}

func (w *write) reject(row int, err error) {
	w.outcomes[row] = featurestore.Invalid
	w.errs.add(row, err)
	w.invalid++
}

func (w *write) fail(row int, err error) {
	w.outcomes[row] = featurestore.Failed
	w.errs.add(row, err)
}

// send writes all items without waiting for replicas. The client sees to redirections and lost connections.
func (w *write) send(ctx context.Context) {
	items := w.items
	for _, inline := range []bool{false, true} {
		if len(items) == 0 {
			return
		}
		cmds := make(rueidis.Commands, len(items))
		for i := range items {
			cmds[i] = w.command(&items[i], inline)
		}
		var missing []item
		for i, result := range ask(ctx, w.store.client, cmds) {
			if noScript(result) && !inline {
				missing = append(missing, items[i])
			} else {
				w.outcome(items[i].row, result)
			}
		}
		w.store.stats.unscripted.Add(uint64(len(missing)))
		items = missing
	}
}

func noScript(result rueidis.RedisResult) bool {
	reply, ok := rueidis.IsRedisErr(result.Error())
	return ok && reply.IsNoScript()
}

// outcome takes the reply of the script.
func (w *write) outcome(row int, result rueidis.RedisResult) {
	switch newer, err := result.AsInt64(); {
	case err != nil:
		w.fail(row, wrap(err))
	case newer == 1:
		w.outcomes[row] = featurestore.Written
	default:
		w.outcomes[row] = featurestore.Stale
	}
}

// command is the script with a row, by its hash or inline.
func (w *write) command(it *item, inline bool) rueidis.Completed {
	l, r := w.layout, w.rows[it.row].Record
	w.args = w.args[:0]
	start := len(w.buf)
	w.buf = appendTimestamp(w.buf, r.EventNanos())
	w.args = append(w.args, l.time, rueidis.BinaryString(w.buf[start:]))
	for i, field := range l.fields {
		start = len(w.buf)
		w.buf = appendValue(w.buf, l.schema, r, i)
		w.args = append(w.args, field, rueidis.BinaryString(w.buf[start:]))
	}
	seconds, nanos := split(r.EventNanos())
	forAll, touch := "0", "0"
	if w.store.config.KeyTTL > 0 {
		forAll = "1"
	}
	if w.store.config.Replicas > 0 {
		touch = "1"
	}
	ttl := keyTTL(w.store.config.KeyTTL, l.schema.TTL(), r.EventTime())
	w.args = append(w.args, strconv.FormatInt(seconds, 10), strconv.FormatInt(nanos, 10), strconv.FormatInt(ttl.Milliseconds(), 10), forAll, touch)

	b := w.store.client.B()
	if inline {
		return b.Eval().Script(writeScript).Numkeys(1).Key(it.key).Arg(w.args...).Build().ToRetryable()
	}
	return b.Evalsha().Sha1(writeSHA).Numkeys(1).Key(it.key).Arg(w.args...).Build().ToRetryable()
}

// keyTTL is how long the key must live for a row, 0 for ever. It counts from now, also if the row is old: as long as it is there it keeps out
// rows that are older still.
func keyTTL(config, view time.Duration, event time.Time) time.Duration {
	if view == 0 {
		return config
	}
	ttl := view
	if ahead := time.Until(event); ahead > 0 {
		ttl += ahead
	}
	const most = 100 * 365 * 24 * time.Hour // what Redis adds to its clock must fit too
	if ttl < view || ttl > most {
		ttl = most
	}
	return max(config, ttl, time.Millisecond)
}
