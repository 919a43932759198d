package ensemble_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

// cascadeScript is one request in the fuzz test: what each stage does, and what time there is.
type cascadeScript struct {
	deadline, reserve int // in ms; deadline 0 is none
	abstain           bool
	stages            []cascadeScriptStage
}

type cascadeScriptStage struct {
	sure, threshold         int // in tenths
	delay, timeout, latency int // in ms
	fails, ends             bool
}

// readCascadeScript makes times that never coincide: which of two things that happen at one moment comes first is not promised. Delays
// 0 mod 8, timeouts 1 mod 128, the deadline 3 and the reserve 2 mod 8.
func readCascadeScript(data []byte) (s cascadeScript) {
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	flags := next()
	if flags&1 != 0 {
		s.deadline = 8 + 16*next()
	}
	if flags&2 != 0 {
		s.reserve = 2 + 16*(next()%16)
	}
	s.abstain = flags&4 != 0
	for range 1 + flags>>3%4 {
		what := next()
		st := cascadeScriptStage{
			sure: what & 7, threshold: 1 + next()%7, delay: 16 * (next() % 64), latency: 1 + 4*(next()%64),
			fails: what&8 != 0, ends: what&16 != 0,
		}
		if what&32 != 0 {
			st.timeout = 257 + 256*(next()%2)
		}
		s.stages = append(s.stages, st)
	}
	return s
}

// naive computes what must come out, from the rules in the documentation. who is -1 for the caller's context, -2 for an error of stages.
func (s cascadeScript) naive() (who int, reason ensemble.StopReason, took int, called []bool) {
	called = make([]bool, len(s.stages))
	now, answer, failed := 0, -1, false
	reason = ensemble.StopFailure
	for i, st := range s.stages {
		last := i == len(s.stages)-1
		if answer >= 0 && s.deadline > 0 {
			if rest := s.deadline - s.reserve - now; rest <= 0 || rest < st.latency {
				reason = ensemble.StopDeadline
				continue
			}
		}
		called[i] = true
		end, cut, timedOut := now+st.delay, false, false
		if st.timeout > 0 && now+st.timeout < end {
			end, timedOut = now+st.timeout, true
		}
		limit := s.deadline
		if answer >= 0 {
			limit -= s.reserve
		}
		if s.deadline > 0 && limit < end {
			end, cut = limit, true
		}
		now = end
		switch {
		case cut && answer < 0:
			return -1, ensemble.StopEnded, now, called
		case cut:
			return answer, ensemble.StopDeadline, now, called
		case timedOut || st.fails:
			failed, reason = true, ensemble.StopFailure
			if st.ends {
				return -2, reason, now, called
			}
		default:
			answer, reason = i, ensemble.StopLast
			if st.sure >= st.threshold {
				return i, ensemble.StopConfident, now, called
			}
			if last {
				return i, reason, now, called
			}
		}
	}
	if answer < 0 && failed {
		return -2, reason, now, called
	}
	return answer, reason, now, called
}

func FuzzCascade(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{15, 20, 3, 2, 5, 1, 10, 7, 6, 2, 9})
	f.Add([]byte{27, 200, 1, 1, 6, 10, 3, 8, 1, 1, 1, 39, 5, 60, 2, 1, 2, 3, 4, 5})
	f.Add([]byte{25, 60, 1, 6, 4, 3, 33, 4, 60, 50, 0, 10, 4, 2, 3})
	f.Add([]byte{9, 30, 1, 6, 4, 3, 25, 4, 2, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		script := readCascadeScript(data)
		synctest.Test(t, func(t *testing.T) {
			stages := make([]cascadeStage, len(script.stages))
			called := make([]bool, len(script.stages))
			for i, st := range script.stages {
				stages[i] = cascadeStage{
					Threshold: float64(st.threshold), Timeout: time.Duration(st.timeout) * millisecond, Latency: time.Duration(st.latency) * millisecond,
					Do: func(ctx context.Context, _ int) (verdict, error) {
						called[i] = true
						if err := cascadeSleep(ctx, time.Duration(st.delay)*millisecond); err != nil {
							return verdict{}, err
						}
						if st.fails {
							return verdict{}, errCascade
						}
						return verdict{sure: float64(st.sure), from: string(rune('a' + i))}, nil
					},
				}
				if st.ends {
					stages[i].ErrorPolicy = ensemble.StageErrorEnds
				}
			}
			c := newCascade(t, ensemble.CascadeConfig{Reserve: time.Duration(script.reserve) * millisecond, Abstain: script.abstain}, stages...)
			ctx := t.Context()
			if script.deadline > 0 {
				ctx = within(t, time.Duration(script.deadline)*millisecond)
			}
			began := time.Now()
			r, err := c.DoResult(ctx, 1)
			took := time.Since(began)
			who, reason, wantTook, wantCalled := script.naive()
			require.Equal(t, reason, r.Reason, "%+v", script)
			require.Equal(t, wantCalled, called, "%+v", script)
			require.Equal(t, time.Duration(wantTook)*millisecond, took, "%+v", script)
			st := c.Stats()
			require.Equal(t, st.Calls, st.Answered+st.Abstained+st.Failed+st.Cancelled)
			for _, s := range st.Stages {
				require.LessOrEqual(t, s.Unsure+s.Failed+s.Cancelled, s.Calls)
				require.LessOrEqual(t, s.Fallbacks+s.Abstained, s.Unsure)
			}
			var abstained *ensemble.AbstainError[verdict]
			switch {
			case who == -1:
				require.Equal(t, context.DeadlineExceeded, err)
			case who == -2:
				require.Error(t, err)
				require.NotErrorAs(t, err, &abstained)
				require.Equal(t, uint64(1), st.Failed)
			case script.abstain && reason != ensemble.StopConfident:
				require.ErrorAs(t, err, &abstained)
				require.Equal(t, who, abstained.Stage)
				require.Equal(t, reason, abstained.Reason)
				require.Equal(t, uint64(1), st.Stages[who].Abstained)
			default:
				require.NoError(t, err)
				require.Equal(t, who, r.Stage)
				require.Equal(t, string(rune('a'+who)), r.Answer.from)
				require.Equal(t, uint64(1), st.Stages[who].Answered)
			}
		})
	})
}
