package ensemble_test

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

// behaviour is what a member of the fuzzed ensemble does. No two things happen at the same time.
type behaviour struct {
	kind               byte // answers, fails, panics, exits, gives a NaN
	deaf               bool
	end, timeout       time.Duration
	required, optional bool
}

func (b behaviour) do(x float64, heeding *atomic.Int32) does {
	return func(ctx context.Context, _ int) (float64, error) {
		if !b.deaf {
			heeding.Add(1)
			defer heeding.Add(-1)
		}
		if b.deaf {
			time.Sleep(b.end)
		} else if err := sleep(ctx, b.end); err != nil {
			return 0, err
		}
		switch b.kind {
		case 1:
			return 0, errModel
		case 2:
			panic("chaos")
		case 3:
			runtime.Goexit()
		case 4:
			return nan, nil
		}
		return x, nil
	}
}

// model says when a call ends and with whom, by trying each moment.
func model(cfg ensemble.Config, all []behaviour, giveUp time.Duration, cancelled bool) (at time.Duration, in []int, good bool) {
	needed, n := cfg.Quorum, len(all)
	if needed == 0 {
		needed = n/2 + 1
	}
	if cfg.Policy == ensemble.All || cfg.Policy == ensemble.First {
		needed = 1
	}
	isRequired := func(b behaviour) bool { return b.required || cfg.Policy == ensemble.All && !b.optional }
	required := 0
	for _, b := range all {
		if isRequired(b) {
			required++
		}
	}
	needed = max(needed, required)
	over := func(b behaviour) time.Duration { // when it answers, fails or times out
		if b.timeout > 0 {
			return min(b.end, b.timeout)
		}
		return b.end
	}
	var times []time.Duration
	for _, b := range all {
		times = append(times, over(b))
	}
	slices.Sort(times)
	last := giveUp
	if cfg.Deadline > 0 && (last == 0 || cfg.Deadline < last) {
		last, cancelled = cfg.Deadline, false
	}
	for _, at := range append(times, last) {
		byTime := last > 0 && at >= last
		if byTime {
			at = last
		}
		in = nil
		pending, requiredIn, requiredGone := 0, 0, false
		for i, b := range all {
			switch answers := b.kind == 0 && over(b) == b.end; {
			case over(b) > at:
				pending++
			case answers:
				in = append(in, i)
				if isRequired(b) {
					requiredIn++
				}
			case isRequired(b):
				requiredGone = true
			}
		}
		enough := len(in) >= needed && requiredIn == required
		early := cfg.Policy == ensemble.Quorum || cfg.Policy == ensemble.First
		switch {
		case byTime:
			return at, in, enough && !cancelled
		case requiredGone || len(in)+pending < needed:
			return at, in, false
		case enough && (early || pending == 0):
			return at, in, true
		}
	}
	panic("no end")
}

// FuzzPolicies has ensembles whose members answer, fail, panic, hang and ignore their contexts, under each policy, with deadlines and callers that give up. Each call
// must end when the model says, with the answers that it says, and leave no goroutine behind.
func FuzzPolicies(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 10, 0, 0, 20, 0, 0, 30, 0})
	f.Add([]byte{1, 2, 0, 0, 0, 10, 0, 1, 20, 0, 8, 30, 5, 0, 40, 0})
	f.Add([]byte{2, 0, 0, 0, 8, 200, 0, 4, 20, 0, 3, 30, 0, 0, 100, 0})
	f.Add([]byte{3, 1, 50, 0, 8, 200, 0, 0, 20, 0, 2, 30, 0, 16, 100, 60})
	f.Add([]byte{3, 1, 0, 70, 8, 200, 0, 0, 20, 0, 2, 30, 0, 32, 100, 60})
	f.Add([]byte{131, 1, 0, 70, 8, 200, 0, 0, 20, 0, 2, 30, 0, 0, 100, 60})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 7 || len(data) > 40 {
			return
		}
		// Times are whole milliseconds, and a number of microseconds that is a member's, a time-out's or a deadline's own.
		cfg := ensemble.Config{Policy: ensemble.Policy(data[0] & 3), Deadline: time.Duration(data[2]) * ms}
		giveUp, cancelled := time.Duration(data[3])*ms, data[0]&128 != 0
		if cfg.Deadline > 0 {
			cfg.Deadline += 900 * time.Microsecond
		}
		if giveUp > 0 {
			giveUp += 901 * time.Microsecond
		}
		var all []behaviour
		var members []member
		var heeding atomic.Int32
		for rest := data[4:]; len(rest) >= 3; rest = rest[3:] {
			i := len(all)
			b := behaviour{kind: rest[0] & 7, deaf: rest[0]&8 != 0, required: rest[0]&48 == 16, optional: rest[0]&48 == 32}
			if b.kind > 4 {
				b.kind = 0
			}
			b.end = time.Duration(rest[1])*ms + time.Duration(i+1)*time.Microsecond
			if rest[2] > 0 {
				b.timeout = time.Duration(rest[2])*ms + time.Duration(100+i)*time.Microsecond
			}
			all = append(all, b)
			members = append(members, member{Name: string(rune('a' + i)), Do: b.do(float64(i), &heeding), Timeout: b.timeout, Required: b.required, Optional: b.optional})
		}
		if cfg.Policy == ensemble.Quorum || cfg.Policy == ensemble.Partial {
			cfg.Quorum = int(data[1]) % (len(all) + 1)
		}
		synctest.Test(t, func(t *testing.T) {
			cfg.Grace = 1
			e, err := ensemble.New(members, ensemble.Mean[float64](), cfg)
			require.NoError(t, err)
			wantAt, wantIn, good := model(cfg, all, giveUp, cancelled)
			for range 3 { // so that memory is used again, also while members of earlier calls still run
				ctx, cancel := context.WithCancel(t.Context())
				if giveUp > 0 && cancelled {
					defer time.AfterFunc(giveUp, cancel).Stop()
				} else if giveUp > 0 {
					cancel()
					ctx, cancel = context.WithTimeout(t.Context(), giveUp)
				}
				began := time.Now()
				a, err := e.Ask(ctx, 0)
				assert.LessOrEqual(t, time.Since(began)-wantAt, time.Nanosecond, "time")
				assert.GreaterOrEqual(t, time.Since(began), wantAt, "time")
				require.Equal(t, good, err == nil, "%v", err)
				var in []int
				sum := 0.0
				for i, o := range a.Members {
					if o.Status == ensemble.Answered {
						in = append(in, i)
						sum += float64(i)
					}
				}
				assert.Equal(t, wantIn, in)
				if good {
					assert.InDelta(t, sum/float64(len(in)), a.Value, 1e-9)
				}
				synctest.Wait()
				assert.Zero(t, heeding.Load(), "members that heed their contexts, after the call")
				cancel()
			}
			time.Sleep(time.Second) // the longest that a deaf member takes
			synctest.Wait()
			st := e.Stats()
			assert.Zero(t, st.Stragglers)
			assert.Equal(t, uint64(3), st.Answered+st.Partial+st.Failed+st.Cancelled)
			for _, m := range st.Members {
				assert.Equal(t, uint64(3), m.Answered+m.Failed+m.Cancelled)
			}
		})
	})
}
