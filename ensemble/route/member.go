package route

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Func is the shape that every pattern wraps and exposes: any model, any other pattern's Do.
type Func[Req, Resp any] = func(ctx context.Context, req Req) (Resp, error)

// Member is a model that requests can be sent to, with what is declared about it.
type Member[Req, Resp any] struct {
	// Name identifies the member in rules, errors and Stats. Its health and counters belong to the name: they outlive an Update that has it.
	Name string

	// Do asks the model. It must be safe for concurrent use and return when its context ends. For a [Streamer] it opens the stream.
	Do Func[Req, Resp]

	// Weight is the member's share of the requests, relative to the others, for the pickers that share, from 1e-100 to 1e100. Default: 1.
	Weight float64

	// Cost is what a request costs, in any unit that is the same for all members. Default: 0.
	Cost float64

	// CostOf, if not nil, is what this request costs, instead of Cost (by its tokens, say). NaN counts as infinite.
	CostOf func(Req) float64

	// Capabilities are what the member can do ("vision", "tools", "eu"), for [WithNeeds].
	Capabilities []string

	// Accepts, if not nil, says whether the member can answer the request (its context is long enough, say).
	Accepts func(Req) bool

	// Timeout replaces Config.Timeout for this member. Default: Config.Timeout.
	Timeout time.Duration
}

// Rule sends the requests that it matches to some of the members.
type Rule[Req any] struct {
	// Name is for errors.
	Name string

	// When says whether the rule applies. Default: nil, it applies to every request; such a rule is the default and must be the last.
	When func(Req) bool

	// Use are the members that may answer, in order. None may occur twice.
	Use []Share

	// Pick replaces Config.Pick for the requests of this rule. Default: nil, Config.Pick.
	Pick Picker
}

// Share is a member in a rule.
type Share struct {
	Member string
	Weight float64 // instead of the member's own, within the same bounds. Default: the member's
}

// Table is the members and rules in force. The first rule that matches a request decides, for all of its attempts. A request that no rule
// matches may go to any member.
//
// The functions in it are called on the caller's goroutine, outside locks, and must be safe for concurrent use.
type Table[Req, Resp any] struct {
	Members []Member[Req, Resp]
	Rules   []Rule[Req]
}

func (t Table[Req, Resp]) clone() Table[Req, Resp] {
	t.Members = slices.Clone(t.Members)
	for i := range t.Members {
		t.Members[i].Capabilities = slices.Clone(t.Members[i].Capabilities)
	}
	t.Rules = slices.Clone(t.Rules)
	for i := range t.Rules {
		t.Rules[i].Use = slices.Clone(t.Rules[i].Use)
	}
	return t
}

// place is a member in a rule, by index.
type place struct {
	member int
	weight float64
}

// compiled is a table that has been checked. It does not change.
type compiled[Req, Resp any] struct {
	Table[Req, Resp]
	health []*health
	uses   [][]place // of the rules
	all    []place   // for a request that no rule matches
}

// match returns the places of the first rule that matches, and its picker.
func (t *compiled[Req, Resp]) match(req Req) ([]place, Picker) {
	for i := range t.Rules {
		if when := t.Rules[i].When; when == nil || when(req) {
			return t.uses[i], t.Rules[i].Pick
		}
	}
	return t.all, nil
}

// compile checks t, which it keeps, and takes over the health of the members of old.
func compile[Req, Resp any](t Table[Req, Resp], cfg *Config, old *compiled[Req, Resp], keyed bool) (*compiled[Req, Resp], error) {
	if len(t.Members) == 0 {
		return nil, fmt.Errorf("route: no members")
	}
	c := &compiled[Req, Resp]{Table: t}
	index := make(map[string]int, len(t.Members))
	for i := range t.Members {
		m := &t.Members[i]
		if err := m.check(); err != nil {
			return nil, err
		}
		if _, twice := index[m.Name]; twice {
			return nil, fmt.Errorf("route: member %q occurs twice", m.Name)
		}
		index[m.Name] = i
		if m.Weight == 0 {
			m.Weight = 1
		}
		if m.Timeout == 0 {
			m.Timeout = cfg.Timeout
		}
		c.all = append(c.all, place{i, m.Weight})
		c.health = append(c.health, old.healthOf(m.Name, cfg))
	}
	for i := range t.Rules {
		use, err := compileRule(&t.Rules[i], i == len(t.Rules)-1, t.Members, index, keyed)
		if err != nil {
			return nil, err
		}
		c.uses = append(c.uses, use)
	}
	return c, nil
}

func (t *compiled[Req, Resp]) healthOf(name string, cfg *Config) *health {
	if t != nil {
		for i := range t.Members {
			if t.Members[i].Name == name {
				return t.health[i]
			}
		}
	}
	return newHealth(name, cfg)
}

func (m *Member[Req, Resp]) check() error {
	switch {
	case m.Name == "":
		return fmt.Errorf("route: a member has no name")
	case m.Do == nil:
		return fmt.Errorf("route: member %q has no Do", m.Name)
	case !validWeight(m.Weight):
		return fmt.Errorf("route: weight of member %q is not from %v to %v: %v", m.Name, minWeight, maxWeight, m.Weight)
	case !(m.Cost >= 0):
		return fmt.Errorf("route: cost of member %q is negative or not a number: %v", m.Name, m.Cost)
	case m.Timeout < 0:
		return fmt.Errorf("route: timeout of member %q is negative: %v", m.Name, m.Timeout)
	}
	return nil
}

func compileRule[Req, Resp any](r *Rule[Req], last bool, members []Member[Req, Resp], index map[string]int, keyed bool) ([]place, error) {
	if r.When == nil && !last {
		return nil, fmt.Errorf("route: rule %q has no When and is not the last: the rules after it could not match", r.Name)
	}
	if len(r.Use) == 0 {
		return nil, fmt.Errorf("route: rule %q uses no member", r.Name)
	}
	if err := checkPick(r.Pick, keyed); err != nil {
		return nil, fmt.Errorf("route: rule %q %w", r.Name, err)
	}
	var use []place
	for _, s := range r.Use {
		i, ok := index[s.Member]
		if !ok {
			return nil, fmt.Errorf("route: rule %q uses member %q, which there is not", r.Name, s.Member)
		}
		if !validWeight(s.Weight) {
			return nil, fmt.Errorf("route: rule %q: weight of member %q is not from %v to %v: %v", r.Name, s.Member, minWeight, maxWeight, s.Weight)
		}
		if slices.ContainsFunc(use, func(p place) bool { return p.member == i }) {
			return nil, fmt.Errorf("route: rule %q uses member %q twice", r.Name, s.Member)
		}
		w := s.Weight
		if w == 0 {
			w = members[i].Weight
		}
		use = append(use, place{i, w})
	}
	return use, nil
}

// The bounds of weights, so that no picker divides by one to infinity or to nothing.
const minWeight, maxWeight = 1e-100, 1e100

// validWeight says whether w is a weight, or 0 for the default.
func validWeight(w float64) bool { return w == 0 || w >= minWeight && w <= maxWeight }
