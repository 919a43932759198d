package rollout

import (
	"fmt"
	"time"
)

// EventKind says what happened.
type EventKind uint8

// The kinds of events of a Registry.
const (
	EventRegistered EventKind = iota // a version is known
	EventLoading                     // Load begins
	EventReady                       // Load and Warm have succeeded
	EventFailed                      // Load or Warm has failed, see Err
	EventAlias                       // an alias points from Old at New; zero IDs are none
	EventDraining                    // a version gets nothing new
	EventUnloaded                    // a version is closed; Err if Close failed
	EventForgotten                   // a version is not known any more
	EventClosed                      // Shutdown or Close has begun
)

var eventNames = [...]string{"registered", "loading", "ready", "failed", "alias", "draining", "unloaded", "forgotten", "closed"}

// String is the kind's name in lower case.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// Event is an entry of the audit log.
type Event struct {
	Seq  uint64 // counts the events of a registry from 1, without a gap
	Time time.Time
	Kind EventKind
	ID   ID     // the version; for EventAlias it is New
	Why  string // as the caller gave it: who, and for what reason

	Alias    string // EventAlias only
	Old, New ID     // EventAlias only

	Err error // of EventFailed and EventUnloaded
}

// String is one line without the time.
func (e Event) String() string {
	s := fmt.Sprintf("%d %v %v", e.Seq, e.Kind, e.ID)
	switch e.Kind {
	case EventAlias:
		s = fmt.Sprintf("%d %v %s: %v -> %v", e.Seq, e.Kind, e.Alias, e.Old, e.New)
	case EventClosed:
		s = fmt.Sprintf("%d %v", e.Seq, e.Kind)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Why != "" {
		s += " (" + e.Why + ")"
	}
	return s
}

// audit is a ring of the latest events. It is guarded by the registry's lock.
type audit struct {
	ring []Event
	size int
	seq  uint64
}

func (a *audit) add(e Event) Event {
	a.seq++
	e.Seq, e.Time = a.seq, time.Now()
	if len(a.ring) < a.size {
		a.ring = append(a.ring, e)
	} else {
		a.ring[int((a.seq-1)%uint64(a.size))] = e
	}
	return e
}

// events are those in the ring, the oldest first.
func (a *audit) events() []Event {
	all := make([]Event, 0, len(a.ring))
	if len(a.ring) == a.size {
		oldest := int(a.seq % uint64(a.size))
		all = append(all, a.ring[oldest:]...)
		return append(all, a.ring[:oldest]...)
	}
	return append(all, a.ring...)
}
