package boltstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"time"

	"go.etcd.io/bbolt"

	"github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

type viewID struct{ project, name string }

// view is a view whose rows are in memory. What it has is used by whoever has the turn.
type view struct {
	bucket  []byte
	layouts map[string]uint32 // numbers by layout
}

func (s *Store) view(schema *featurestore.Schema) *view {
	return (*s.views.Load())[viewID{schema.Project(), schema.Name()}]
}

// need loads a view if it is not loaded.
func (s *Store) need(ctx context.Context, schema *featurestore.Schema) error {
	if s.view(schema) != nil {
		return nil
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if s.isClosed() {
		return featurestore.ErrClosed
	}
	_, err := s.load(schema)
	return err
}

// load brings a view's rows into memory, once. The caller has the turn.
func (s *Store) load(schema *featurestore.Schema) (*view, error) {
	if v := s.view(schema); v != nil {
		return v, nil
	}
	v := &view{bucket: bucketName(schema), layouts: map[string]uint32{}}
	var loaded []featurestore.Key
	err := guarded(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket(viewsBucket).Bucket(v.bucket)
			if b == nil {
				return nil
			}
			return s.loadRows(v, schema, b, &loaded)
		})
	})
	if err != nil { // the rows before are of no use, and would be in the way of another try
		_ = s.mem.Delete(context.Background(), schema, loaded) // which does not fail without an end of its context
		return nil, fmt.Errorf("view %q: %w", schema.Name(), err)
	}
	views := maps.Clone(*s.views.Load())
	views[viewID{schema.Project(), schema.Name()}] = v
	s.views.Store(&views)
	return v, nil
}

func (s *Store) loadRows(v *view, schema *featurestore.Schema, b *bbolt.Bucket, loaded *[]featurestore.Key) error {
	layouts := map[uint32][]byte{}
	size := b.Tx().Size() // lengths beyond it are those of memory that may not be there
	err := b.Bucket(layoutsBucket).ForEach(func(number, layout []byte) error {
		if len(number) != 4 || int64(len(layout)) > size {
			return fmt.Errorf("%w: a layout with a number of %d bytes and a length of %d", ErrCorrupt, len(number), len(layout))
		}
		n := binary.LittleEndian.Uint32(number)
		layouts[n] = layout
		v.layouts[string(layout)] = n
		return nil
	})
	if err != nil {
		return err
	}
	decoders, origins := map[uint32]*featurestore.Decoder{}, map[uint32]uint32{}
	now, rows, outcomes := time.Now(), make([]featurestore.Row, 1), make([]featurestore.Outcome, 1)
	var have entries
	err = b.Bucket(rowsBucket).ForEach(func(k, value []byte) error {
		if len(k) > MaxKey+binary.MaxVarintLen64 || int64(len(value)) > size {
			return fmt.Errorf("%w: a row with a key of %d and a value of %d bytes", ErrCorrupt, len(k), len(value))
		}
		number, err := layoutNumber(value)
		if err != nil {
			return err
		}
		layout, ok := layouts[number]
		if !ok {
			return fmt.Errorf("%w: a row with a layout that is not there", ErrCorrupt)
		}
		if decoders[number] == nil {
			origins[number] = origin(v.bucket, string(layout))
		}
		sum, data, err := unseal(origins[number], k, value)
		if err != nil {
			return err
		}
		have.add(sum)
		if decoders[number] == nil { // not before a row has shown that the layout is what was written
			if decoders[number], err = schema.Decoder(layout); err != nil {
				return err
			}
		}
		record, err := decoders[number].Record(data)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		key, err := featurestore.DecodeKey(k)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if ttl := schema.TTL(); ttl > 0 && record.EventNanos() <= now.UnixNano()-int64(ttl) {
			s.evicted(memstore.EvictEvent{View: schema, Key: key, Expired: true})
			return nil
		}
		*loaded = append(*loaded, key)
		rows[0] = featurestore.Row{Key: key, Record: record}
		return s.mem.Write(context.Background(), schema, rows, outcomes)
	})
	if err == nil && uint64(have) != b.Bucket(rowsBucket).Sequence() {
		err = fmt.Errorf("%w: rows are missing, or not the newest", ErrCorrupt)
	}
	return err
}

// newLayout puts a layout into a view's bucket and returns its number.
func newLayout(b *bbolt.Bucket, layout string) (uint32, error) {
	layouts := b.Bucket(layoutsBucket)
	n := uint32(0)
	for layouts.Get(binary.LittleEndian.AppendUint32(nil, n)) != nil { // there are as many as the view has had versions
		n++
	}
	return n, layouts.Put(binary.LittleEndian.AppendUint32(nil, n), []byte(layout))
}
