package rollout

import (
	"cmp"
	"context"
	"fmt"
)

// ID names a version of a model. What it stands for never changes.
type ID struct{ Model, Version string }

// String is "model@version", and "none" for the zero ID.
func (id ID) String() string {
	if id == (ID{}) {
		return "none"
	}
	return id.Model + "@" + id.Version
}

func (id ID) compare(other ID) int {
	return cmp.Or(cmp.Compare(id.Model, other.Model), cmp.Compare(id.Version, other.Version))
}

func (id ID) check() error {
	if id.Model == "" || id.Version == "" {
		return fmt.Errorf("rollout: ID needs a Model and a Version: %q, %q", id.Model, id.Version)
	}
	return nil
}

// Model is a loaded version.
type Model[Req, Resp any] struct {
	// Do answers a request. It is called concurrently: by Warm, by requests once Warm has returned, and never after Close has been called.
	Do Func[Req, Resp]

	// Close, if not nil, frees what Load took. It is called once, when the last request and lease have ended.
	Close func() error
}

// Source makes a version. It may be called again after the version has been unloaded or has failed.
type Source[Req, Resp any] struct {
	// Load makes the model: reads the weights, opens the session. Required. If it fails, panics or calls runtime.Goexit the version has failed.
	Load func(ctx context.Context) (Model[Req, Resp], error)

	// Warm, if not nil, gets the model ready for traffic: compiles kernels, fills caches, checks some known answers. If it fails, panics or calls
	// runtime.Goexit the model is closed and the version has failed.
	Warm func(ctx context.Context, do Func[Req, Resp]) error
}

// State is where a version is in its life.
type State uint8

// The states, in the order of a life. From Failed and Unloaded a version can be loaded again.
const (
	Registered State = iota // known, never loaded
	Loading                 // Load runs
	Warming                 // Warm runs
	Ready                   // aliases may point at it
	Draining                // gets nothing new; waits for the last lease, then closes
	Unloaded                // closed
	Failed                  // load or warm has failed
)

var stateNames = [...]string{"registered", "loading", "warming", "ready", "draining", "unloaded", "failed"}

// String is the state's name in lower case.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// instance is a version from one load to its unload. Each load makes another, so that a pointer is never seen again with another meaning.
type instance[Req, Resp any] struct {
	id    ID
	model Model[Req, Resp]
	holds
}

// record is what the registry knows of a version. It is guarded by the registry's lock.
type record[Req, Resp any] struct {
	id      ID
	source  Source[Req, Resp]
	state   State
	live    *instance[Req, Resp] // in Ready and Draining
	busy    chan struct{}        // not nil while a call loads or unloads it; closed when that has ended
	aliases int                  // that point at it
	retired uint64               // when its last alias left, by the registry's counter; 0: never, or it has one again
	ended   uint64               // when it came to be Draining, Unloaded or Failed
	served  uint64               // holds that former instances have had
	err     error                // why it has failed
}

// begin marks the record busy; end undoes it.
func (v *record[Req, Resp]) begin() { v.busy = make(chan struct{}) }

func (v *record[Req, Resp]) end() {
	close(v.busy)
	v.busy = nil
}
