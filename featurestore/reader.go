package featurestore

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Reader reads the features of one version of a service, compiled for the definitions at the time when [Online.Reader] made it. It is safe
// for concurrent use.
type Reader struct {
	store  Store
	plan   *plan
	counts *counters
	views  []*viewCounters // by plan.views
	matrix matrixPlan
	spare  sync.Pool // of *Result, for Matrix
}

// Service is the definition that the reader was made for. The caller must not change what it points to.
func (r *Reader) Service() Service { return r.plan.service }

// Columns are the columns of a [Result]. The caller must not change them.
func (r *Reader) Columns() []ColumnInfo { return r.plan.columns }

// Column is the position of a column by its name; that of the feature alone will do if only one column has it. An ErrNotFound if there is none.
func (r *Reader) Column(name string) (int, error) { return r.plan.find(name) }

// Keys are the join keys that a request must have. The caller must not change them.
func (r *Reader) Keys() []JoinKey { return r.plan.keys }

// Do reads the features of the request's entities. It looks up all views in one call of the store, each entity that goes for all rows once.
//
// If rows could not be read Do returns the result beside a *[PartialError]; their values have the status [Unavailable]. If none could be read, or for
// any other error, there is no result. A request that does not fit is an ErrRequest, and an error of the store or of a transform comes as it is or
// wrapped. Do runs on the caller's goroutine, and so does each transform: its panic is the caller's.
func (r *Reader) Do(ctx context.Context, req Request) (*Result, error) {
	result := new(Result)
	err := r.Read(ctx, req, result)
	if err != nil && !isPartial(err) {
		return nil, err
	}
	return result, err
}

// Read is Do into a result that was used before, whose memory it takes. With an error other than a *[PartialError] the result has no rows.
func (r *Reader) Read(ctx context.Context, req Request, into *Result) error {
	into.prepare(r)
	into.empty()
	err := r.read(ctx, &req, into)
	r.counts.reads.Add(1)
	if err == nil || isPartial(err) {
		r.counts.rows.Add(uint64(into.rows))
	}
	switch {
	case err == nil:
	case isPartial(err):
		r.counts.partial.Add(1)
	default:
		into.empty()
		into.forgetRequest()
		r.counts.failed.Add(1)
	}
	return err
}

func (r *Reader) read(ctx context.Context, req *Request, into *Result) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p := r.plan
	if err := p.match(req, &into.matched); err != nil {
		return err
	}
	n := into.matched.rows
	if n == 0 {
		into.now = time.Now().UnixNano()
		into.forgetRequest()
		return nil
	}
	for i := range p.keySets {
		into.keys[i] = p.keysFor(&p.keySets[i], &into.matched, into.keys[i])
	}
	for i := range p.views {
		v := &p.views[i]
		keys := into.keys[v.keySet]
		into.records[i] = resize(into.records[i], len(keys))
		clear(into.records[i])
		into.lookups[i] = Lookup{View: v.schema, Features: v.features, Keys: keys, Rows: into.records[i]}
		if into.spares != nil {
			into.lookups[i].spare = &into.spares[i]
		}
	}
	if len(p.views) > 0 {
		if err := r.store.Read(ctx, into.lookups); err != nil {
			if isPartial(err) { // of another reader, in the store: there is no result of this one
				err = fmt.Errorf("featurestore: the store: %v", err) //nolint:errorlint // so that it is not taken for one
			}
			return err
		}
	}
	into.now = time.Now().UnixNano() // after the store, so that what is handed out as fresh is
	failed, readable := 0, 0
	for i := range p.views {
		unread, err := r.classify(i, into)
		if err != nil {
			return err
		}
		failed += unread
		readable += len(into.lookups[i].Keys) - unread
	}
	into.rows = n
	if failed > 0 && readable == 0 {
		return nothingRead(into)
	}
	if len(p.steps) > 0 {
		for i := range p.vars {
			if p.vars[i].view != varOutput {
				into.fillVar(i)
			}
		}
		if err := p.run(n, into.vars, &into.args); err != nil {
			return err
		}
	}
	into.forgetRequest()
	if failed > 0 {
		return newPartialError(into)
	}
	return nil
}

// classify finds out what became of each row of a view and counts it. It returns the number of those that could not be read.
func (r *Reader) classify(view int, into *Result) (unread int, err error) {
	l, v := &into.lookups[view], &r.plan.views[view]
	if len(l.Rows) != len(l.Keys) || l.Errs != nil && len(l.Errs) != len(l.Keys) {
		return 0, errStoreShape(v.schema.Name())
	}
	states := resize(into.states[view], len(l.Keys))
	into.states[view] = states
	now, ttl := into.now, int64(v.schema.TTL())
	oldest := now - ttl // a row that is not newer has expired
	if oldest > now {
		oldest = -1 << 63 // below the least int64
	}
	var tally viewTally
	for i, row := range l.Rows {
		switch {
		case l.Errs != nil && l.Errs[i] != nil:
			states[i] = rowUnavailable
			unread++
			continue
		case row == nil:
			states[i] = rowMissing
			tally.missing++
			continue
		case row.schema != v.schema:
			if row, err = v.own(row); err != nil {
				l.Fail(i, err)
				states[i] = rowUnavailable
				unread++
				continue
			}
			l.Rows[i] = row
		}
		tally.aged(now, row.event)
		if ttl > 0 && row.event <= oldest {
			states[i] = rowExpired
			tally.expired++
			continue
		}
		tally.present++
		if nulls := missingBits(row.set, v.need); nulls > 0 {
			states[i] = rowPart
			tally.nulls += uint64(nulls)
			continue
		}
		states[i] = rowFull
	}
	tally.unavailable = uint64(unread)
	r.views[view].add(&tally)
	return unread, nil
}

// own is a record of another schema of the view in the layout of this one.
func (v *planView) own(row *Record) (*Record, error) {
	k := v.foreign.Load()
	if k == nil || k.from != row.schema {
		k = v.schema.kinshipTo(row.schema)
		v.foreign.Store(k)
	}
	return k.convert(v.schema, row)
}

// newReader makes a reader of a plan.
func newReader(store Store, p *plan, fill float32, counts *counters) *Reader {
	r := &Reader{store: store, plan: p, counts: counts, matrix: newMatrixPlan(p, fill)}
	for i := range p.views {
		r.views = append(r.views, counts.view(p.views[i].schema.Name()))
	}
	r.spare.New = func() any { return newHidden(r) }
	return r
}

// reads reports whether the reader's views are still what the definitions say. The registry keeps the schema of a view that has not changed.
func (r *Reader) reads(views map[string]*Schema) bool {
	for i := range r.plan.views {
		if schema := r.plan.views[i].schema; views[schema.Name()] != schema {
			return false
		}
	}
	return true
}
