package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/scalable-ai/patterns/featurestore"
)

// The file has two buckets: "format" says what it is, and "views" holds a bucket for each view, by its project and name. In that "layouts" has the
// layouts with which its rows were written, by number, and "rows" the rows by their keys. The value of a row is
//
//	4 bytes CRC-32C of the key and of what follows, 4 bytes number of the layout, the encoded record
//
// All numbers are little-endian.
var (
	formatBucket  = []byte("format")
	viewsBucket   = []byte("views")
	layoutsBucket = []byte("layouts")
	rowsBucket    = []byte("rows")

	formatKey = []byte("featurestore")
	formatNow = []byte("1")
)

const headSize = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendValue is the value of a row in the file, with its head to be filled in by seal.
func appendValue(dst []byte, schema *featurestore.Schema, r *featurestore.Record) []byte {
	return schema.AppendRecord(append(dst, make([]byte, headSize)...), r)
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value[4:])
}

func seal(key, value []byte, layout uint32) {
	binary.LittleEndian.PutUint32(value[4:], layout)
	binary.LittleEndian.PutUint32(value, checksum(key, value))
}

// unseal checks a value and takes its head off.
func unseal(key, value []byte) (layout uint32, record []byte, err error) {
	if len(value) < headSize || binary.LittleEndian.Uint32(value) != checksum(key, value) {
		return 0, nil, fmt.Errorf("%w: the checksum of the row with the key %x is wrong", ErrCorrupt, key)
	}
	return binary.LittleEndian.Uint32(value[4:]), value[headSize:], nil
}

// bucketName is the name of a view's bucket.
func bucketName(schema *featurestore.Schema) []byte {
	name := binary.AppendUvarint(nil, uint64(len(schema.Project())))
	return append(append(name, schema.Project()...), schema.Name()...)
}

// openFile opens or makes the file.
func openFile(path string, cfg Config) (db *bbolt.DB, err error) {
	_, statErr := os.Stat(path)
	var file *os.File
	err = guarded(func() error {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: cfg.LockTimeout, FreelistType: bbolt.FreelistMapType, MaxSize: cfg.MaxFileBytes,
			OpenFile: func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
				f, err = os.OpenFile(name, flag, mode)
				file = f
				return f, err
			},
		})
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %s", ErrLocked, path)
	case errors.Is(err, ErrCorrupt):
		if file != nil {
			_ = file.Close() // which bbolt has not done if it panicked; it has the lock
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum):
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	case err != nil:
		return nil, fmt.Errorf("boltstore: %s: %w", path, err)
	}
	err = guarded(func() error { return db.Update(format) })
	if err == nil && errors.Is(statErr, os.ErrNotExist) {
		err = syncDir(filepath.Dir(path)) // or the file itself might be gone after a crash
	}
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

// format checks that the file is one of this package, and makes it one if it is empty.
func format(tx *bbolt.Tx) error {
	if b := tx.Bucket(formatBucket); b != nil {
		if got := b.Get(formatKey); !bytes.Equal(got, formatNow) {
			return fmt.Errorf("%w: it has the format %q, not %q", ErrCorrupt, got, formatNow)
		}
		return nil
	}
	if name, _ := tx.Cursor().First(); name != nil {
		return fmt.Errorf("%w: it holds something else", ErrCorrupt)
	}
	b, err := tx.CreateBucket(formatBucket)
	if err != nil {
		return err
	}
	if _, err = tx.CreateBucket(viewsBucket); err != nil {
		return err
	}
	return b.Put(formatKey, formatNow)
}

func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // it cannot be done there
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// guarded turns a panic of f into an ErrCorrupt: bbolt panics at a page that makes no sense, and a file that is shorter than it says makes the
// processor fault.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, v)
		}
	}()
	return f()
}
