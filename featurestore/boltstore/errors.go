package boltstore

import "errors"

var (
	// ErrLocked is wrapped by the error of Open if the file is open already, in another process or in this one.
	ErrLocked = errors.New("boltstore: the file is in use")

	// ErrCorrupt is wrapped when the file is not one of this package, or does not hold what was written to it. Nothing of the view in question is
	// served then. After Open has returned it the process may still have a lock on the file: put a backup in its place by renaming, not by writing into it.
	ErrCorrupt = errors.New("boltstore: the file is corrupt")
)
