package rollout_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

// naive is a registry for one goroutine, as the docs describe it, with nothing clever in it.
type naive struct {
	keepWarm, keepUnloaded int
	versions               map[int]*naiveVersion
	aliases                map[string]int // 0: none
	retired, draining      []int          // the oldest first
	ended                  []int          // the oldest first
	closed                 bool
}

type naiveVersion struct {
	state  rollout.State
	leases int
	loads  int
	closes int
}

func (n *naive) aliased(i int) bool {
	for _, at := range n.aliases {
		if at == i {
			return true
		}
	}
	return false
}

func drop(list []int, i int) []int {
	return slices.DeleteFunc(list, func(j int) bool { return j == i })
}

func (n *naive) end(i int, state rollout.State) {
	n.versions[i].state = state
	n.ended = append(drop(n.ended, i), i)
	for len(n.ended) > n.keepUnloaded {
		delete(n.versions, n.ended[0])
		n.ended = n.ended[1:]
	}
}

// leave closes a version that is draining, if nobody holds it.
func (n *naive) leave(i int) error {
	v := n.versions[i]
	if v.leases > 0 {
		return context.Canceled
	}
	v.closes++
	n.draining = drop(n.draining, i)
	n.end(i, rollout.Unloaded)
	return nil
}

func (n *naive) load(i int, fails bool) error {
	v := n.versions[i]
	switch {
	case n.closed:
		return rollout.ErrClosed
	case v == nil:
		return rollout.ErrUnknown
	case v.state == rollout.Ready:
		return nil
	case v.state == rollout.Draining:
		return rollout.ErrNotReady
	case fails:
		v.loads++
		n.end(i, rollout.Failed)
		return errBoom
	}
	v.loads++
	v.state = rollout.Ready
	n.ended = drop(n.ended, i)
	return nil
}

func (n *naive) point(alias string, i int) error {
	switch {
	case n.closed:
		return rollout.ErrClosed
	case i != 0 && n.versions[i] == nil:
		return rollout.ErrUnknown
	case i != 0 && n.versions[i].state != rollout.Ready:
		return rollout.ErrNotReady
	}
	old := n.aliases[alias]
	n.aliases[alias] = i
	if i != 0 {
		n.retired = drop(n.retired, i)
	}
	if old != 0 && !n.aliased(old) {
		n.retired = append(n.retired, old)
	}
	return nil
}

func (n *naive) unload(i int) error {
	v := n.versions[i]
	switch {
	case n.closed:
		return rollout.ErrClosed
	case v == nil:
		return rollout.ErrUnknown
	case n.aliased(i):
		return rollout.ErrAliased
	case v.state == rollout.Ready, v.state == rollout.Draining:
		n.drain(i)
		return n.leave(i)
	}
	return nil
}

func (n *naive) drain(i int) {
	if v := n.versions[i]; v.state == rollout.Ready {
		v.state = rollout.Draining
		n.draining = append(n.draining, i)
	}
	n.retired = drop(n.retired, i)
}

func (n *naive) sweep() (err error) {
	if n.closed {
		return rollout.ErrClosed
	}
	for len(n.retired) > n.keepWarm {
		n.drain(n.retired[0])
	}
	for _, i := range slices.Clone(n.draining) {
		if n.leave(i) != nil {
			err = context.Canceled
		}
	}
	return err
}

func (n *naive) forget(i int) error {
	v := n.versions[i]
	switch {
	case n.closed:
		return rollout.ErrClosed
	case v == nil:
		return rollout.ErrUnknown
	case n.aliased(i):
		return rollout.ErrAliased
	case v.state == rollout.Ready, v.state == rollout.Draining:
		return rollout.ErrLoaded
	}
	delete(n.versions, i)
	n.ended = drop(n.ended, i)
	return nil
}

func (n *naive) shutdown() (err error) {
	n.closed = true
	n.aliases = map[string]int{}
	for i := 1; i <= 4; i++ {
		if v := n.versions[i]; v != nil && (v.state == rollout.Ready || v.state == rollout.Draining) {
			n.drain(i)
			if n.leave(i) != nil {
				err = context.Canceled
			}
		}
	}
	return err
}

// FuzzRegistry runs a sequence of operations against the naive model. Who would have to wait gives up at once.
func FuzzRegistry(f *testing.F) {
	f.Add([]byte{0x10, 0x31, 0x41, 0x41, 0x70, 0x32, 0x42, 0x62, 0x52, 0x90, 0x51, 0x80, 0xa0, 0xb0})
	f.Add([]byte{0x01, 0x00, 0x01, 0x02, 0x03, 0x10, 0x11, 0x12, 0x20, 0x40, 0x21, 0x22, 0x60, 0x50, 0x30, 0x31, 0x60, 0x70, 0x71, 0x80, 0x90})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) < 1 || len(ops) > 300 {
			return
		}
		n := &naive{keepWarm: int(ops[0] & 1), keepUnloaded: 1 + int(ops[0]>>1&1), versions: map[int]*naiveVersion{}, aliases: map[string]int{}}
		r := newRegistry(t, rollout.RegistryConfig{KeepWarm: n.keepWarm, KeepUnloaded: n.keepUnloaded, AuditSize: 5})
		gone, cancel := context.WithCancel(t.Context())
		models := map[int]*model{}
		type held struct {
			lease   *rollout.Lease[int, int]
			version *naiveVersion
			answer  int
			model   *model
		}
		var leases []held
		same := func(op string, got, want error) {
			if want == nil {
				require.NoError(t, got, op)
			} else {
				require.ErrorIs(t, got, want, op)
			}
		}
		for _, op := range ops[1:] {
			i, alias := 1+int(op&3), []string{"a", "b"}[op>>2&1]
			switch op >> 4 {
			case 0:
				var want error
				if n.closed {
					want = rollout.ErrClosed
				} else if n.versions[i] != nil {
					want = rollout.ErrExists
				}
				m := &model{answer: i}
				same("register", r.Register(v(i), m.source(), ""), want)
				if want == nil {
					models[i], n.versions[i] = m, &naiveVersion{}
				}
			case 1, 2:
				if m := models[i]; m != nil {
					m.loadErr = nil
					if op>>2&3 == 3 {
						m.loadErr = errBoom
					}
				}
				same("load", r.Load(t.Context(), v(i), ""), n.load(i, op>>2&3 == 3))
			case 3, 4:
				_, err := r.SetAlias(alias, v(i), "")
				same("point", err, n.point(alias, i))
			case 5:
				_, err := r.SetAlias(alias, rollout.ID{}, "")
				same("point at none", err, n.point(alias, 0))
			case 6:
				var want error
				if old := n.aliases[alias]; n.closed {
					want = rollout.ErrClosed
				} else if old != 1+i%4 {
					if n.versions[i] == nil {
						want = rollout.ErrUnknown
					} else if n.versions[i].state != rollout.Ready {
						want = rollout.ErrNotReady
					} else {
						want = rollout.ErrConflict
					}
				} else {
					want = n.point(alias, i)
				}
				same("compare and set", r.CompareAndSetAlias(alias, v(1+i%4), v(i), ""), want)
			case 7, 8:
				lease, err := r.Acquire(alias)
				at := n.aliases[alias]
				switch {
				case n.closed:
					require.ErrorIs(t, err, rollout.ErrClosed)
				case at == 0:
					require.ErrorIs(t, err, rollout.ErrNoVersion)
				default:
					require.NoError(t, err)
					n.versions[at].leases++
					leases = append(leases, held{lease, n.versions[at], at, models[at]})
				}
			case 9, 10:
				if len(leases) > 0 {
					at := int(op&15) % len(leases)
					l := leases[at]
					got, err := l.lease.Do(t.Context(), 0)
					require.NoError(t, err)
					require.Equal(t, l.answer, got)
					l.lease.Release()
					l.version.leases--
					leases = slices.Delete(leases, at, at+1)
				}
			case 11:
				cancel()
				same("unload", r.Unload(gone, v(i), ""), n.unload(i))
			case 12:
				cancel()
				same("sweep", r.Sweep(gone, ""), n.sweep())
			case 13:
				same("forget", r.Forget(v(i), ""), n.forget(i))
			case 14:
				got, err := r.Alias(alias).Do(t.Context(), 0)
				switch at := n.aliases[alias]; {
				case n.closed:
					require.ErrorIs(t, err, rollout.ErrClosed)
				case at == 0:
					require.ErrorIs(t, err, rollout.ErrNoVersion)
				default:
					require.NoError(t, err)
					require.Equal(t, at, got)
				}
			case 15:
				if op&15 == 15 {
					cancel()
					same("shutdown", r.Shutdown(gone), n.shutdown())
				}
			}
			st := r.Stats()
			require.Len(t, st.Versions, len(n.versions))
			for _, s := range st.Versions {
				i := int(s.ID.Version[0] - '0')
				want := n.versions[i]
				require.NotNil(t, want, "%v", s.ID)
				require.Equal(t, want.state, s.State, "%v", s.ID)
				require.EqualValues(t, want.leases, s.Leases, "%v", s.ID)
				require.EqualValues(t, want.loads, models[i].loads.Load())
				require.EqualValues(t, want.closes, models[i].closes.Load())
				require.Equal(t, s.State == rollout.Failed, errors.Is(s.Err, errBoom))
			}
			require.LessOrEqual(t, len(r.Audit()), 5)
		}
		for _, l := range leases {
			got, err := l.lease.Do(t.Context(), 0)
			require.NoError(t, err)
			require.Equal(t, l.answer, got)
			l.lease.Release()
		}
		require.NoError(t, r.Shutdown(t.Context()))
		for _, l := range leases {
			require.Zero(t, l.model.usedClosed.Load())
		}
		cancel()
	})
}
