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
	err := guarded(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket(viewsBucket).Bucket(v.bucket)
			if b == nil {
				return nil
			}
			err := s.loadRows(v, schema, b)
			if err != nil { // the rows before are of no use, and would be in the way of another try
				_ = b.Bucket(rowsBucket).ForEach(func(k, _ []byte) error {
					key, err := featurestore.DecodeKey(k)
					if err == nil {
						err = s.mem.Delete(context.Background(), schema, []featurestore.Key{key})
					}
					return err
				})
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("view %q: %w", schema.Name(), err)
	}
	views := maps.Clone(*s.views.Load())
	views[viewID{schema.Project(), schema.Name()}] = v
	s.views.Store(&views)
	return v, nil
}

func (s *Store) loadRows(v *view, schema *featurestore.Schema, b *bbolt.Bucket) error {
	layouts := map[uint32][]byte{}
	err := b.Bucket(layoutsBucket).ForEach(func(number, layout []byte) error {
		if len(number) != 4 {
			return fmt.Errorf("%w: a layout with the number %x", ErrCorrupt, number)
		}
		n := binary.LittleEndian.Uint32(number)
		layouts[n] = layout
		v.layouts[string(layout)] = n
		return nil
	})
	if err != nil {
		return err
	}
	decoders := map[uint32]*featurestore.Decoder{}
	now, rows, outcomes := time.Now(), make([]featurestore.Row, 1), make([]featurestore.Outcome, 1)
	return b.Bucket(rowsBucket).ForEach(func(k, value []byte) error {
		number, data, err := unseal(k, value)
		if err != nil {
			return err
		}
		if decoders[number] == nil {
			layout, ok := layouts[number]
			if !ok {
				return fmt.Errorf("%w: a row with a layout that is not there", ErrCorrupt)
			}
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
			s.evicted(memstore.Eviction{View: schema, Key: key, Expired: true})
			return nil
		}
		rows[0] = featurestore.Row{Key: key, Record: record}
		return s.mem.Write(context.Background(), schema, rows, outcomes)
	})
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
