package rollout

import "slices"

// RegistryStats are the counters and gauges of a Registry.
type RegistryStats struct {
	Versions []VersionStats // by model and version
	Aliases  map[string]ID  // that point at a version
	Events   uint64         // in the audit log so far, those included that have left the ring
}

// VersionStats are the counters and gauges of a version.
type VersionStats struct {
	ID      ID
	State   State
	Aliases int    // that point at it
	Leases  uint64 // held now, by requests too
	Served  uint64 // requests by alias, and leases, that have begun, over all its loads
	Err     error  // of Failed: why
}

// Stats are the counters and gauges at this moment.
func (r *Registry[Req, Resp]) Stats() RegistryStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := RegistryStats{Aliases: map[string]ID{}, Events: r.log.seq}
	for _, v := range r.versions {
		vs := VersionStats{ID: v.id, State: v.state, Aliases: v.aliases, Served: v.served, Err: v.err}
		if v.live != nil {
			out := v.live.out() // first: what goes out between the two would look like more leases, the other way like less than none
			in := v.live.in(v.state == Draining)
			vs.Leases = in - out
			vs.Served += in
		}
		st.Versions = append(st.Versions, vs)
	}
	slices.SortFunc(st.Versions, func(a, b VersionStats) int { return a.ID.compare(b.ID) })
	for name, a := range *r.aliases.Load() {
		if id := a.ID(); id != (ID{}) {
			st.Aliases[name] = id
		}
	}
	return st
}
