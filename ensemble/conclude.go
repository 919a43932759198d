package ensemble

import "context"

// conclude makes the answer, or the error, of a decided call.
func (c *call[Req, In, Out]) conclude() (value Out, agreement Agreement, err error) {
	answered := false
	defer func() { c.tally(answered) }() // also if Combine panics
	if !c.good {
		if c.gaveUp() {
			return value, agreement, context.Cause(c.parent)
		}
		return value, agreement, c.failure()
	}
	sum := 0.0
	for i := range c.slots {
		if c.slots[i].status == Answered {
			sum += c.e.members[i].Weight
		}
	}
	for i := range c.slots {
		if s, m := &c.slots[i], &c.e.members[i]; s.status == Answered {
			c.votes = append(c.votes, Vote[In]{Member: i, Name: m.Name, Weight: m.Weight / sum, Value: s.value})
		}
	}
	result, agreement, err := c.e.combiner.Combine(c.parent, c.votes)
	if err != nil {
		return value, Agreement{}, err
	}
	answered = true
	return result, agreement, nil
}

// gaveUp says whether it was the caller's context that ended the call without an answer, and not a failure before, while the members that it had cancelled were waited for.
func (c *call[Req, In, Out]) gaveUp() bool { return !c.good && c.byTime && c.parent.Err() != nil }

// failure says why there is no answer.
func (c *call[Req, In, Out]) failure() error {
	e := &QuorumError{Of: len(c.slots), Answered: c.answered, Needed: c.e.needed}
	if c.byTime {
		e.cause = ErrDeadline
	}
	for i := range c.slots {
		m := &c.e.members[i]
		o := c.outcome(i)
		if m.Required && o.Status != Answered {
			e.Required = append(e.Required, m.Name)
		}
		switch o.Status {
		case Failed, TimedOut, Late:
			e.Members = append(e.Members, &MemberError{m.Name, o.Err})
		}
	}
	return e
}

func (c *call[Req, In, Out]) outcome(i int) Outcome {
	s := &c.slots[i]
	o := Outcome{Name: c.e.members[i].Name, Status: s.status, Err: s.err, Latency: s.took}
	if o.Err == nil {
		switch s.status {
		case Late:
			o.Err = ErrDeadline
			if c.parent.Err() != nil {
				o.Err = context.Cause(c.parent)
			}
		case Cancelled, NotCalled:
			o.Err = ErrNotNeeded
			if c.gaveUp() {
				o.Err = context.Cause(c.parent)
			}
		}
	}
	return o
}

// outcomes are those of all members.
func (c *call[Req, In, Out]) outcomes() []Outcome {
	all := make([]Outcome, len(c.slots))
	for i := range all {
		all[i] = c.outcome(i)
	}
	for i := range c.votes {
		all[c.votes[i].Member].Weight = c.votes[i].Weight
	}
	return all
}
