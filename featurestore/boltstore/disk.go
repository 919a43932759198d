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
//	4 bytes CRC-32C of the view's bucket name, the layout, the key and what follows here, 4 bytes number of the layout, the encoded record
//
// All numbers are little-endian. bbolt has no checksums of pages, so "rows" and "views" have in their sequence number what there is in them, see entries.
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

// origin is the checksum of what the rows of a view with one layout have in common.
func origin(bucket []byte, layout string) uint32 {
	return crc32.Update(crc32.Checksum(bucket, castagnoli), castagnoli, []byte(layout))
}

func checksum(origin uint32, key, value []byte) uint32 {
	return crc32.Update(crc32.Update(origin, castagnoli, key), castagnoli, value[4:])
}

func seal(origin uint32, key, value []byte, layout uint32) {
	binary.LittleEndian.PutUint32(value[4:], layout)
	binary.LittleEndian.PutUint32(value, checksum(origin, key, value))
}

// entries says what is in a bucket: the number of entries in the upper half, and in the lower one their checksums added without carry. An entry that is lost, there
// twice or an older one changes it.
type entries uint64

func (e *entries) add(sum uint32)    { *e = (*e + 1<<32) ^ entries(sum) }
func (e *entries) remove(sum uint32) { *e = (*e - 1<<32) ^ entries(sum) }

// putRow puts a sealed row into the bucket of rows.
func putRow(b *bbolt.Bucket, key, value []byte) error {
	e, _, err := without(b, key)
	if err != nil {
		return err
	}
	e.add(binary.LittleEndian.Uint32(value))
	return errors.Join(b.Put(key, value), b.SetSequence(uint64(e)))
}

// deleteRow deletes a row if it is there.
func deleteRow(b *bbolt.Bucket, key []byte) error {
	e, found, err := without(b, key)
	if err != nil || !found {
		return err
	}
	return errors.Join(b.Delete(key), b.SetSequence(uint64(e)))
}

// without is what is in the bucket beside the row of a key.
func without(b *bbolt.Bucket, key []byte) (e entries, found bool, err error) {
	e = entries(b.Sequence())
	old := b.Get(key)
	if old == nil {
		return e, false, nil
	}
	if len(old) < headSize {
		return e, true, fmt.Errorf("%w: a row of %d bytes", ErrCorrupt, len(old))
	}
	e.remove(binary.LittleEndian.Uint32(old))
	return e, true, nil
}

// layoutNumber is the number of a row's layout.
func layoutNumber(value []byte) (uint32, error) {
	if len(value) < headSize {
		return 0, fmt.Errorf("%w: a row of %d bytes", ErrCorrupt, len(value))
	}
	return binary.LittleEndian.Uint32(value[4:]), nil
}

// unseal checks a value and takes its head off.
func unseal(origin uint32, key, value []byte) (sum uint32, record []byte, err error) {
	if sum = binary.LittleEndian.Uint32(value); sum != checksum(origin, key, value) {
		return 0, nil, fmt.Errorf("%w: the checksum of the row with the key %x is wrong", ErrCorrupt, key)
	}
	return sum, value[headSize:], nil
}

// bucketName is the name of a view's bucket.
func bucketName(schema *featurestore.Schema) []byte {
	name := binary.AppendUvarint(nil, uint64(len(schema.Project())))
	return append(append(name, schema.Project()...), schema.Name()...)
}

// openFile opens or makes the file.
func openFile(path string, cfg Config) (db *bbolt.DB, err error) {
	info, statErr := os.Stat(path)
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
	case err != nil && statErr == nil && info.Mode().IsRegular() && info.Size() > 0 && info.Size() < 2*int64(os.Getpagesize()):
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err) // bbolt has no name for that error
	case err != nil:
		return nil, fmt.Errorf("boltstore: %s: %w", path, err)
	}
	err = guarded(func() error {
		if err := db.View(recognise); !errors.Is(err, errEmpty) {
			return err
		}
		return db.Update(format)
	})
	if err == nil && errors.Is(statErr, os.ErrNotExist) {
		err = syncDir(filepath.Dir(path)) // or the file itself might be gone after a crash
	}
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

var errEmpty = errors.New("nothing in it")

// recognise checks that the file is one of this package, or errEmpty.
func recognise(tx *bbolt.Tx) error {
	if b := tx.Bucket(formatBucket); b != nil {
		if got := b.Get(formatKey); !bytes.Equal(got, formatNow) {
			return fmt.Errorf("%w: it has the format %.10q, not %q", ErrCorrupt, got, formatNow)
		}
		return errors.Join(checkPages(tx), checkViews(tx))
	}
	if name, _ := tx.Cursor().First(); name != nil {
		return fmt.Errorf("%w: it holds something else", ErrCorrupt)
	}
	return errEmpty
}

// checkPages refuses pages that say that they are longer than the file: bbolt would go through all that is missing when it frees them.
func checkPages(tx *bbolt.Tx) error {
	for id := 0; ; id++ {
		page, err := tx.Page(id)
		switch {
		case err != nil:
			return err
		case page == nil:
			return nil
		case page.Type == "free":
			continue
		}
		if id += page.OverflowCount; int64(id) >= tx.Size()/int64(tx.DB().Info().PageSize) {
			return fmt.Errorf("%w: page %d goes on beyond the end of the file", ErrCorrupt, page.ID)
		}
	}
}

// checkViews looks whether the views are those that were put in: one whose name has changed would not be found.
func checkViews(tx *bbolt.Tx) error {
	views := tx.Bucket(viewsBucket)
	var have entries
	err := views.ForEach(func(name, _ []byte) error {
		if int64(len(name)) > tx.Size() {
			return fmt.Errorf("%w: the name of a view has %d bytes", ErrCorrupt, len(name))
		}
		have.add(crc32.Checksum(name, castagnoli))
		return nil
	})
	if err == nil && uint64(have) != views.Sequence() {
		err = fmt.Errorf("%w: views are missing, or have other names", ErrCorrupt)
	}
	return err
}

// format makes an empty file one of this package.
func format(tx *bbolt.Tx) error {
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
