package ensemble

import (
	"fmt"
	"math"
	"time"
)

// DefaultGrace is the default of Config.Grace.
const DefaultGrace = 10 * time.Millisecond

// forever can be added to the time since an ensemble was made, which the largest time.Duration, that some write for "no bound", cannot.
const forever = time.Duration(1 << 62)

// Policy says which members have to answer, and which are waited for.
type Policy uint8

// The policies. A member that is Required has to answer under each of them.
const (
	// All needs each member that is not Optional, and waits for all. It fails with the first of those it needs.
	All Policy = iota

	// Quorum needs Config.Quorum members and takes the first that answer; the others are cancelled.
	Quorum

	// First is a quorum of one: the first member that answers without an error.
	First

	// Partial needs Config.Quorum members, but waits for all, until the deadline; then it goes without those that are missing.
	Partial
)

// String is the policy's name.
func (p Policy) String() string {
	switch p {
	case All:
		return "All"
	case Quorum:
		return "Quorum"
	case First:
		return "First"
	case Partial:
		return "Partial"
	}
	return fmt.Sprintf("Policy(%d)", uint8(p))
}

// Config says who must answer, and by when. The zero value is usable: all members at once, all must answer, no bound on the time but that of the
// caller's context. A negative or contradictory value is an error from New.
//
// A call fails as soon as it is certain that it cannot be answered: a required member has failed, or too many others have.
type Config struct {
	// Policy says which members have to answer, and which are waited for. Default: All.
	Policy Policy

	// Quorum is the number of members that have to answer, under the policies Quorum and Partial. Default: more than half, n/2+1. An error under
	// the others.
	Quorum int

	// Deadline is how long a call may take, from its beginning. Members see it in their contexts. When it is reached, the call is answered with
	// what is there if that is what the policy needs, and fails with ErrDeadline otherwise. The deadline of the caller's context is treated in the
	// same way, but that the error is then the context's. Default: 0, none but that of the caller's context.
	Deadline time.Duration

	// MemberTimeout is the Timeout of members that have none of their own. Default: 0, no bound.
	MemberTimeout time.Duration

	// Concurrency is how many members one call runs at a time; the others begin, in their order, when one of these has ended or timed
	// out. Default: 0, all at once.
	Concurrency int

	// Grace is how long a call that is decided before all members have returned (a quorum is there, or cannot be any more) waits for those that it has
	// cancelled, so that it leaves no goroutine behind: members that honour their contexts return at once. It is no part of a call that ended by its
	// deadline or its caller's context. Default: 0, which is DefaultGrace; one nanosecond is as good as none.
	Grace time.Duration
}

func (c Config) withDefaults(members int) (Config, error) {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Quorum", int64(c.Quorum)},
		{"Deadline", int64(c.Deadline)},
		{"MemberTimeout", int64(c.MemberTimeout)},
		{"Concurrency", int64(c.Concurrency)},
		{"Grace", int64(c.Grace)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("ensemble: Config.%s is negative: %d", f.name, f.value)
		}
	}
	switch {
	case c.Policy > Partial:
		return c, fmt.Errorf("ensemble: Config.Policy is unknown: %v", c.Policy)
	case c.Quorum > 0 && (c.Policy == All || c.Policy == First):
		return c, fmt.Errorf("ensemble: Config.Quorum is for the policies Quorum and Partial, not for %v", c.Policy)
	case c.Quorum > members:
		return c, fmt.Errorf("ensemble: Config.Quorum %d is more than there are members, %d", c.Quorum, members)
	}
	if c.Quorum == 0 {
		c.Quorum = members/2 + 1
	}
	if c.Concurrency == 0 || c.Concurrency > members {
		c.Concurrency = members
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	c.Deadline, c.MemberTimeout = min(c.Deadline, forever), min(c.MemberTimeout, forever)
	return c, nil
}

// Member is one model of an ensemble.
type Member[Req, Resp any] struct {
	// Name is how errors, outcomes and stats call the member. It must be unique and not empty.
	Name string

	// Do answers a request. It runs on a goroutine of its own and should return when its context ends; see [New] for what happens if it does not. It
	// must not change the request, which all members share.
	Do Func[Req, Resp]

	// Weight is how much the answer counts for combiners that weigh. Only the ratios matter: those of the members that have answered are scaled to the sum 1.
	// Default: all are equal. Either all members have a weight or none; to try a member without effect, leave it out and mirror to it elsewhere.
	Weight float64

	// Timeout is how long the member may take, from its own beginning. When it is over its context ends and the call goes on
	// without it, even if Do does not return. Default: Config.MemberTimeout.
	Timeout time.Duration

	// Required: no answer without this member, under any policy. Under All this is so for each member that is not Optional.
	Required bool

	// Optional: under the policy All, the call does not fail with this member. It is waited for like the others. Under other policies each member
	// is optional that is not Required.
	Optional bool
}

// checkMembers returns the members as the ensemble uses them, with weights of at most 1.
func checkMembers[Req, Resp any](given []Member[Req, Resp], cfg Config) ([]Member[Req, Resp], error) {
	if len(given) == 0 {
		return nil, fmt.Errorf("ensemble: New: no members")
	}
	members := append([]Member[Req, Resp](nil), given...)
	names := make(map[string]bool, len(members))
	largest := 0.0
	for i := range members {
		m := &members[i]
		switch {
		case m.Name == "":
			return nil, fmt.Errorf("ensemble: member %d has no name", i)
		case names[m.Name]:
			return nil, fmt.Errorf("ensemble: two members are called %q", m.Name)
		case m.Do == nil:
			return nil, fmt.Errorf("ensemble: member %q: Do is nil", m.Name)
		case !(m.Weight >= 0) || math.IsInf(m.Weight, 0):
			return nil, fmt.Errorf("ensemble: member %q: Weight is not a positive number: %v", m.Name, m.Weight)
		case m.Timeout < 0:
			return nil, fmt.Errorf("ensemble: member %q: Timeout is negative: %v", m.Name, m.Timeout)
		case m.Required && m.Optional:
			return nil, fmt.Errorf("ensemble: member %q is Required and Optional", m.Name)
		}
		names[m.Name] = true
		largest = max(largest, m.Weight)
		if m.Timeout = min(m.Timeout, forever); m.Timeout == 0 {
			m.Timeout = cfg.MemberTimeout
		}
		if cfg.Policy == All && !m.Optional {
			m.Required = true
		}
	}
	for i := range members {
		m := &members[i]
		switch {
		case largest == 0:
			m.Weight = 1
		case m.Weight == 0:
			return nil, fmt.Errorf("ensemble: member %q has no weight, but others have", m.Name)
		case m.Weight/largest < 1e-300:
			return nil, fmt.Errorf("ensemble: member %q: Weight %v is too small beside %v", m.Name, m.Weight, largest)
		default:
			m.Weight /= largest
		}
	}
	return members, nil
}
