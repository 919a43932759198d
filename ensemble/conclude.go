package ensemble

import "context"

// conclude makes the answer, or the error, of a decided call.
func (c *call[Req, In, Out]) conclude() (Out, Agreement, error) {
	c.tally()
	count := &c.e.count
	var none Out
	if !c.good {
		if c.parent.Err() != nil {
			count.gaveUp.Add(1)
			return none, Agreement{}, context.Cause(c.parent)
		}
		count.failed.Add(1)
		return none, Agreement{}, c.failure()
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
	outcome := &count.failed
	defer func() { outcome.Add(1) }() // also if Combine panics
	value, agreement, err := c.e.combiner.Combine(c.parent, c.votes)
	if err != nil {
		return none, Agreement{}, err
	}
	outcome = &count.answered
	if c.answered < len(c.slots) {
		outcome = &count.partial
	}
	return value, agreement, nil
}

// tally counts the outcomes of the members.
func (c *call[Req, In, Out]) tally() {
	for i := range c.slots {
		s, n := &c.slots[i], &c.e.counts[i]
		switch s.status {
		case Answered:
			n.answers.Add(1)
			n.latency.Add(int64(s.took))
		case Failed:
			n.errors.Add(1)
		case TimedOut, Late:
			n.timeouts.Add(1)
		case Cancelled:
			n.cancelled.Add(1)
		}
	}
}

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
		case Late:
			e.cause = ErrDeadline
			fallthrough
		case Failed, TimedOut:
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
			if !c.good && c.parent.Err() != nil {
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
