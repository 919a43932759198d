package cache

import (
	"sync"
	"sync/atomic"
	"weak"
)

// Namespace names a part of the cache that is invalidated as one: a version of a model, usually. The zero value is a namespace too.
// Two versions of a model have different namespaces, so that both can be cached side by side while one replaces the other.
type Namespace struct {
	Model   string // any text; may be empty
	Version string // likewise
}

// String returns model@version.
func (n Namespace) String() string { return n.Model + "@" + n.Version }

// namespace is one life of a Namespace, from the first load after an invalidation to the next invalidation. Every entry points to
// the one it was loaded in, so that to invalidate them all is to mark that one dead: no entry is touched, and a hit
// looks at nothing but the mark.
type namespace[Req any] struct {
	dead  atomic.Bool
	plain about[Req] // of the entries that need no own
}

func newNamespace[Req any]() *namespace[Req] {
	ns := &namespace[Req]{}
	ns.plain.ns = ns
	return ns
}

// about makes one for an entry that needs its own.
func (ns *namespace[Req]) about() *about[Req] {
	a := &about[Req]{ns: ns}
	a.look.Store(true)
	return a
}

func (ns *namespace[Req]) kill() {
	ns.dead.Store(true)
	ns.plain.look.Store(true) // in this order: who looks closer must see it
}

// namespaces finds the living namespaces by name. It holds them weakly: one that no entry and no load refers to any more
// is forgotten, so that names that come and go (tenants, experiments) do not pile up.
type namespaces[K comparable, Req any] struct {
	of      func(K) Namespace // nil: all keys are in one
	mu      sync.Mutex
	living  map[Namespace]weak.Pointer[namespace[Req]]
	pruneAt int
	single  atomic.Pointer[namespace[Req]] // the one, if of is nil
}

func newNamespaces[K comparable, Req any](of func(K) Namespace) *namespaces[K, Req] {
	n := &namespaces[K, Req]{of: of, living: make(map[Namespace]weak.Pointer[namespace[Req]]), pruneAt: 16}
	n.single.Store(newNamespace[Req]())
	return n
}

// find returns the living namespace of key. It calls the callback of WithNamespace.
func (n *namespaces[K, Req]) find(key K) *namespace[Req] {
	if n.of == nil {
		return n.single.Load()
	}
	name := n.of(key)
	n.mu.Lock()
	defer n.mu.Unlock()
	if ns := n.living[name].Value(); ns != nil {
		return ns
	}
	if len(n.living) >= n.pruneAt {
		for name, ns := range n.living {
			if ns.Value() == nil {
				delete(n.living, name)
			}
		}
		n.pruneAt = max(16, 2*len(n.living))
	}
	ns := newNamespace[Req]()
	n.living[name] = weak.Make(ns)
	return ns
}

// invalidate reports whether there may be entries to sweep.
func (n *namespaces[K, Req]) invalidate(name Namespace) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	ns := n.living[name].Value()
	delete(n.living, name)
	if ns == nil {
		return false
	}
	ns.kill()
	return true
}

func (n *namespaces[K, Req]) invalidateAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.single.Swap(newNamespace[Req]()).kill()
	for _, ns := range n.living {
		if ns := ns.Value(); ns != nil {
			ns.kill()
		}
	}
	clear(n.living)
}
