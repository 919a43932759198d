package ensemble_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

// What each policy makes of members that answer, fail and hang: when, and of whom.
func TestPolicies(t *testing.T) {
	const (
		answered, failed, timedOut = ensemble.Answered, ensemble.Failed, ensemble.TimedOut
		late, cancelled, notCalled = ensemble.Late, ensemble.Cancelled, ensemble.NotCalled
	)
	type statusList = []ensemble.Status
	optional := func(m []member, i ...int) []member {
		for _, i := range i {
			m[i].Optional = true
		}
		return m
	}
	required := func(m []member, i int) []member { m[i].Required = true; return m }
	timeout := func(m []member, i int, d time.Duration) []member { m[i].Timeout = d; return m }
	three := func() []member { return of(after(10*ms, 1), after(20*ms, 2), after(30*ms, 6)) }
	for name, c := range map[string]struct {
		cfg     ensemble.Config
		members []member
		want    float64
		err     error
		at      time.Duration
		is      statusList
	}{
		"all answer":                     {ensemble.Config{}, three(), 3, nil, 30 * ms, statusList{answered, answered, answered}},
		"all, one fails":                 {ensemble.Config{}, of(after(10*ms, 1), fails(20*ms), after(30*ms, 6)), 0, errModel, 20 * ms, statusList{answered, failed, cancelled}},
		"all, an optional fails":         {ensemble.Config{}, optional(of(after(10*ms, 1), fails(20*ms), after(30*ms, 6)), 1), 3.5, nil, 30 * ms, statusList{answered, failed, answered}},
		"all, optional is slow":          {ensemble.Config{Deadline: 50 * ms}, optional(of(after(10*ms, 1), after(time.Hour, 6)), 1), 1, nil, 50 * ms, statusList{answered, late}},
		"all optional, none":             {ensemble.Config{}, optional(of(fails(10*ms), fails(20*ms)), 0, 1), 0, errModel, 20 * ms, statusList{failed, failed}},
		"all, deadline":                  {ensemble.Config{Deadline: 25 * ms}, three(), 0, ensemble.ErrDeadline, 25 * ms, statusList{answered, answered, late}},
		"quorum":                         {ensemble.Config{Policy: ensemble.Quorum}, three(), 1.5, nil, 20 * ms, statusList{answered, answered, cancelled}},
		"quorum of 3":                    {ensemble.Config{Policy: ensemble.Quorum, Quorum: 3}, three(), 3, nil, 30 * ms, statusList{answered, answered, answered}},
		"quorum after a failure":         {ensemble.Config{Policy: ensemble.Quorum}, of(fails(10*ms), after(20*ms, 2), after(30*ms, 6)), 4, nil, 30 * ms, statusList{failed, answered, answered}},
		"quorum impossible":              {ensemble.Config{Policy: ensemble.Quorum}, of(fails(10*ms), fails(20*ms), after(30*ms, 6)), 0, errModel, 20 * ms, statusList{failed, failed, cancelled}},
		"quorum, required":               {ensemble.Config{Policy: ensemble.Quorum}, required(three(), 2), 3, nil, 30 * ms, statusList{answered, answered, answered}},
		"quorum, required fails":         {ensemble.Config{Policy: ensemble.Quorum}, required(of(after(10*ms, 1), fails(15*ms), after(20*ms, 1)), 1), 0, errModel, 15 * ms, statusList{answered, failed, cancelled}},
		"quorum, deadline":               {ensemble.Config{Policy: ensemble.Quorum, Deadline: 15 * ms}, three(), 0, context.DeadlineExceeded, 15 * ms, statusList{answered, late, late}},
		"first":                          {ensemble.Config{Policy: ensemble.First}, of(fails(5*ms), after(20*ms, 2), after(10*ms, 1)), 1, nil, 10 * ms, statusList{failed, cancelled, answered}},
		"first, none":                    {ensemble.Config{Policy: ensemble.First}, of(fails(5*ms), fails(10*ms)), 0, errModel, 10 * ms, statusList{failed, failed}},
		"first, one after another":       {ensemble.Config{Policy: ensemble.First, Concurrency: 1}, of(fails(5*ms), after(10*ms, 1), after(10*ms, 2)), 1, nil, 15 * ms, statusList{failed, answered, notCalled}},
		"partial":                        {ensemble.Config{Policy: ensemble.Partial, Deadline: 25 * ms}, three(), 1.5, nil, 25 * ms, statusList{answered, answered, late}},
		"partial, all in time":           {ensemble.Config{Policy: ensemble.Partial, Deadline: 50 * ms}, three(), 3, nil, 30 * ms, statusList{answered, answered, answered}},
		"partial, failure":               {ensemble.Config{Policy: ensemble.Partial, Deadline: 50 * ms}, of(fails(10*ms), after(20*ms, 2), after(30*ms, 6)), 4, nil, 30 * ms, statusList{failed, answered, answered}},
		"partial, too few":               {ensemble.Config{Policy: ensemble.Partial, Deadline: 15 * ms}, three(), 0, ensemble.ErrDeadline, 15 * ms, statusList{answered, late, late}},
		"partial, one is enough":         {ensemble.Config{Policy: ensemble.Partial, Quorum: 1, Deadline: 15 * ms}, three(), 1, nil, 15 * ms, statusList{answered, late, late}},
		"partial, required late":         {ensemble.Config{Policy: ensemble.Partial, Deadline: 25 * ms}, required(three(), 2), 0, ensemble.ErrDeadline, 25 * ms, statusList{answered, answered, late}},
		"partial, deaf":                  {ensemble.Config{Policy: ensemble.Partial, Deadline: 25 * ms}, of(after(10*ms, 1), after(20*ms, 2), deaf(time.Second, 6)), 1.5, nil, 25 * ms, statusList{answered, answered, late}},
		"timeout":                        {ensemble.Config{Policy: ensemble.Partial}, timeout(three(), 2, 25*ms), 1.5, nil, 25 * ms, statusList{answered, answered, timedOut}},
		"timeout of all":                 {ensemble.Config{MemberTimeout: 15 * ms}, three(), 0, ensemble.ErrTimeout, 15 * ms, nil},
		"timeout, deaf":                  {ensemble.Config{Policy: ensemble.Partial}, timeout(of(after(10*ms, 1), after(20*ms, 2), deaf(time.Second, 6)), 2, 25*ms), 1.5, nil, 25 * ms, statusList{answered, answered, timedOut}},
		"timeout frees a place":          {ensemble.Config{Policy: ensemble.Partial, Quorum: 1, Concurrency: 1}, timeout(of(deaf(time.Second, 1), after(20*ms, 2), after(30*ms, 6)), 0, 25*ms), 4, nil, 75 * ms, statusList{timedOut, answered, answered}},
		"timeout of a later member":      {ensemble.Config{Policy: ensemble.Partial, Quorum: 1, Concurrency: 1}, timeout(of(after(10*ms, 1), deaf(time.Second, 2)), 1, 25*ms), 1, nil, 35 * ms, statusList{answered, timedOut}},
		"timeout from its own beginning": {ensemble.Config{Concurrency: 1, MemberTimeout: 35 * ms}, three(), 3, nil, 60 * ms, statusList{answered, answered, answered}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, m := range []string{"Ask", "Do"} {
					cfg := c.cfg
					e := newMean(t, cfg, c.members...)
					began := time.Now()
					var got float64
					var err error
					if m == "Ask" {
						var a ensemble.Answer[float64]
						a, err = e.Ask(t.Context(), 1)
						got = a.Value
						if c.is != nil {
							assert.Equal(t, c.is, statuses(a))
						}
						sum := 0.0
						for _, o := range a.Members {
							assert.Equal(t, o.Status == answered, o.Err == nil, o.Name)
							sum += o.Weight
						}
						if err == nil {
							assert.InDelta(t, 1, sum, 1e-12, "weights of those that are there")
						}
					} else {
						got, err = e.Do(t.Context(), 1)
					}
					assert.Equal(t, c.at, time.Since(began))
					require.ErrorIs(t, err, c.err)
					assert.InDelta(t, c.want, got, 1e-12)
					time.Sleep(2 * time.Second) // until those that ignore their contexts return
					assert.Zero(t, e.Stats().Stragglers)
				}
			})
		})
	}
}

// The weights of the members that are there are scaled to the sum 1.
func TestWeightsOfThoseThatAreThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := of(after(10*ms, 10), after(10*ms, 20), after(time.Hour, 1000))
		m[0].Weight, m[1].Weight, m[2].Weight = 1, 3, 100
		e := newMean(t, ensemble.Config{Policy: ensemble.Partial, Deadline: 20 * ms}, m...)
		a, err := e.Ask(t.Context(), 0)
		require.NoError(t, err)
		assert.InDelta(t, 17.5, a.Value, 1e-12)
		assert.True(t, a.Partial())
		assert.InDelta(t, 0.25, a.Members[0].Weight, 1e-12)
		assert.InDelta(t, 0.75*0.25*100, a.Agreement.Variance, 1e-9)
		missing := a.Missing()
		require.Len(t, missing, 1)
		assert.Equal(t, ensemble.Outcome{Name: "c", Status: ensemble.Late, Err: ensemble.ErrDeadline}, missing[0])
		assert.Equal(t, 10*ms, a.Members[0].Latency)
	})
}

// The error of a call names its members, and is all of their errors.
func TestQuorumError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := errors.New("other")
		m := of(fails(10*ms), func(context.Context, int) (float64, error) { return 0, other }, after(time.Hour, 1), after(5*ms, 1))
		m[2].Timeout = 8 * ms
		m[0].Required = true
		e := newMean(t, ensemble.Config{Policy: ensemble.Partial, Quorum: 1}, m...)
		_, err := e.Do(t.Context(), 0)
		require.ErrorIs(t, err, errModel)
		require.ErrorIs(t, err, other)
		require.ErrorIs(t, err, ensemble.ErrTimeout)
		require.NotErrorIs(t, err, ensemble.ErrDeadline)
		var q *ensemble.QuorumError
		require.ErrorAs(t, err, &q)
		assert.Equal(t, []string{"a"}, q.Required)
		assert.Equal(t, 1, q.Answered)
		var first *ensemble.MemberError
		require.ErrorAs(t, err, &first)
		assert.Equal(t, "a", first.Member)
		assert.Equal(t, `ensemble: 1 of 4 members answered, 1 needed, required: ["a"]; member "a": model error; member "b": other; `+
			`member "c": ensemble: member timeout: context deadline exceeded`, err.Error())
	})
}

// Under All each member counts for what is needed, under other policies each that is required.
func TestNeeded(t *testing.T) {
	for policy, needed := range map[ensemble.Policy]int{ensemble.All: 3, ensemble.First: 1, ensemble.Quorum: 2} {
		var q *ensemble.QuorumError
		_, err := newMean(t, ensemble.Config{Policy: policy}, of(fails(0), fails(0), fails(0))...).Do(t.Context(), 0)
		require.ErrorAs(t, err, &q)
		assert.Equal(t, needed, q.Needed)
	}
}

// The deadline of the caller's context is a deadline as the configured one is; cancelling it is none.
func TestEndOfTheCallersContext(t *testing.T) {
	why := errors.New("why")
	for _, heed := range []does{after(time.Hour, 1), deaf(time.Hour, 1)} {
		synctest.Test(t, func(t *testing.T) {
			e := newMean(t, ensemble.Config{Policy: ensemble.Partial, Quorum: 1, Deadline: time.Minute}, of(after(10*ms, 7), heed)...)
			ctx, cancel := context.WithTimeoutCause(t.Context(), 20*ms, why)
			defer cancel()
			began := time.Now()
			a, err := e.Ask(ctx, 1)
			require.NoError(t, err)
			assert.InDelta(t, 7, a.Value, 0)
			assert.Equal(t, 20*ms, time.Since(began))
			assert.Equal(t, ensemble.Late, a.Members[1].Status)

			ctx, cancel = context.WithTimeoutCause(t.Context(), 5*ms, why)
			defer cancel()
			_, err = e.Do(ctx, 1)
			assert.Equal(t, why, err)

			ctx2, cancel2 := context.WithCancelCause(t.Context())
			defer time.AfterFunc(15*ms, func() { cancel2(why) }).Stop()
			began = time.Now()
			a, err = e.Ask(ctx2, 1)
			assert.Equal(t, why, err)
			assert.Equal(t, 15*ms, time.Since(began))
			assert.Equal(t, []ensemble.Status{ensemble.Answered, ensemble.Cancelled}, statuses(a))
			require.ErrorIs(t, a.Members[1].Err, why)

			_, err = e.Do(ctx2, 1)
			assert.Equal(t, why, err)
			assert.Equal(t, uint64(3), e.Stats().Calls, "no member is called for a context that has ended")
			assert.Equal(t, uint64(2), e.Stats().Cancelled)
			time.Sleep(2 * time.Hour)
		})
	}
}
