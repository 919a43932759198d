package route_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/route"
)

func TestFallsBackInOrder(t *testing.T) {
	down := errDown
	r := newRouter(t, route.Config{}, fails("first", &down), says("second"), says("third"))
	answer, err := r.Do(t.Context(), "")
	require.NoError(t, err)
	assert.Equal(t, "second", answer)
	assert.Equal(t, uint64(1), stats(r, "second").Fallbacks)
	assert.Equal(t, uint64(1), stats(r, "first").Failed)
	assert.Zero(t, stats(r, "first").Fallbacks)
	s := r.Stats()
	assert.Equal(t, uint64(1), s.Calls)
	assert.Equal(t, uint64(1), s.Answered)
	checkAccounts(t, r)
}

func TestErrorNamesAllAttempts(t *testing.T) {
	down, full := errDown, errFull
	r := newRouter(t, route.Config{Classify: classify}, fails("a", &down), fails("b", &full))
	_, err := r.Do(t.Context(), "")
	var all *route.Error
	require.ErrorAs(t, err, &all)
	require.Len(t, all.Attempts, 2)
	assert.Equal(t, "a", all.Attempts[0].Member)
	assert.Equal(t, "b", all.Attempts[1].Member)
	require.ErrorIs(t, err, errDown)
	require.ErrorIs(t, err, errFull)
	require.NotErrorIs(t, err, route.ErrNoMember)
	assert.Equal(t, `route: 2 failed: "a": down; "b": full`, err.Error())
	assert.Equal(t, uint64(1), stats(r, "b").Busy)
	checkAccounts(t, r)
}

func TestRequestsOwnFaultIsNotSentElsewhere(t *testing.T) {
	bad, down := errBad, errDown
	r := newRouter(t, route.Config{Classify: classify, MaxFailures: 1}, fails("a", &bad), says("b"))
	_, err := r.Do(t.Context(), "")
	var m *route.MemberError
	require.ErrorAs(t, err, &m)
	assert.Equal(t, "a", m.Member)
	require.ErrorIs(t, err, errBad)
	assert.Zero(t, stats(r, "b").Calls)
	assert.Equal(t, route.Up, stats(r, "a").State)

	r = newRouter(t, route.Config{Classify: classify}, fails("x", &down), fails("a", &bad), says("b"))
	_, err = r.Do(t.Context(), "")
	require.ErrorIs(t, err, errBad)
	require.ErrorIs(t, err, errDown)
	assert.Equal(t, `route: 1 failed: "x": down; then: route: member "a": bad request`, err.Error())
	assert.Zero(t, stats(r, "b").Calls)
	checkAccounts(t, r)
}

func TestMaxAttempts(t *testing.T) {
	down := errDown
	r := newRouter(t, route.Config{MaxAttempts: 2}, fails("a", &down), fails("b", &down), says("c"))
	_, err := r.Do(t.Context(), "")
	require.ErrorIs(t, err, errDown)
	assert.Zero(t, stats(r, "c").Calls)
}

func TestCallersContext(t *testing.T) {
	gone := errors.New("gone")
	down := errDown
	t.Run("before", func(t *testing.T) {
		r := newRouter(t, route.Config{}, says("a"))
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		_, err := r.Do(ctx, "")
		require.Equal(t, gone, err)
		assert.Zero(t, stats(r, "a").Calls)
	})
	t.Run("during", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRouter(t, route.Config{MaxFailures: 1}, hangs("a"), says("b"))
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(gone) })
			_, err := r.Do(ctx, "")
			require.Equal(t, gone, err)
			s := stats(r, "a")
			assert.Equal(t, uint64(1), s.Cancelled)
			assert.Equal(t, route.Up, s.State, "nobody's fault")
			assert.Equal(t, 2*time.Second, s.Latency, "it takes longer than that")
			assert.Zero(t, stats(r, "b").Calls)
		})
	})
	t.Run("between", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		r := newRouter(t, route.Config{OnStateChange: func(route.StateEvent) { cancel(gone) }, MaxFailures: 1}, fails("a", &down), says("b"))
		_, err := r.Do(ctx, "")
		require.ErrorIs(t, err, gone)
		require.ErrorIs(t, err, errDown)
		assert.Zero(t, stats(r, "b").Calls)
	})
}

func TestNoAttemptWithoutEnoughTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := member{Name: "a", Do: func(context.Context, string) (string, error) { time.Sleep(70 * time.Millisecond); return "", errDown }}
		r := newRouter(t, route.Config{MinTime: 40 * time.Millisecond}, slow, says("b"))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := r.Do(ctx, "")
		require.ErrorIs(t, err, route.ErrNoTime)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errDown)
		assert.Zero(t, stats(r, "b").Calls)
		_, err = r.Do(ctx, "")
		require.Equal(t, route.ErrNoTime, err)
		assert.Equal(t, uint64(1), stats(r, "a").Calls)
	})
}

func TestTimeoutIsTheMembersFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := hangs("a")
		slow.Timeout = time.Second
		r := newRouter(t, route.Config{Timeout: time.Minute, MaxFailures: 1}, slow, hangs("b"), says("c"))
		start := time.Now()
		answer, err := r.Do(t.Context(), "")
		require.NoError(t, err)
		assert.Equal(t, "c", answer)
		assert.Equal(t, time.Minute+time.Second, time.Since(start))
		assert.Equal(t, route.Cooling, stats(r, "a").State)
		assert.Equal(t, route.Cooling, stats(r, "b").State)

		own := errors.New("half an answer")
		r = newRouter(t, route.Config{Timeout: time.Second}, member{Name: "a", Do: func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			return "", own
		}})
		_, err = r.Do(t.Context(), "")
		require.ErrorIs(t, err, route.ErrTimeout)
		require.ErrorIs(t, err, own)
	})
}

// A panic and a Goexit go on, and the member's place is given back; as probe, they put it aside again.
func TestPanicAndGoexit(t *testing.T) {
	for name, crash := range map[string]func(){"panic": func() { panic("boom") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var events []route.StateEvent
				r := newRouter(t, route.Config{MaxFailures: 1, Cooldown: time.Second, OnStateChange: func(e route.StateEvent) { events = append(events, e) }},
					member{Name: "a", Do: func(context.Context, string) (string, error) { crash(); return "", nil }})
				for range 2 {
					var group sync.WaitGroup
					returned := false
					group.Go(func() {
						defer func() { _ = recover() }()
						_, _ = r.Do(t.Context(), "")
						returned = true
					})
					group.Wait()
					assert.False(t, returned)
					s := stats(r, "a")
					assert.Zero(t, s.InFlight)
					assert.Equal(t, route.Cooling, s.State)
					time.Sleep(time.Second)
				}
				assert.Equal(t, uint64(2), stats(r, "a").Failed)
				assert.Equal(t, uint64(1), stats(r, "a").Probes)
				require.Len(t, events, 3)
				require.ErrorIs(t, events[2].Err, route.ErrPanicked)
			})
		})
	}
}

// A callback that panics is not the member's fault, and costs it no place.
func TestPanicOfCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errDown
		r := newRouter(t, route.Config{MaxFailures: 1, Classify: func(error) route.Verdict { panic("boom") }}, fails("a", &down))
		assert.Panics(t, func() { _, _ = r.Do(t.Context(), "") })
		assert.Equal(t, uint64(1), stats(r, "a").Cancelled)
		assert.Zero(t, stats(r, "a").InFlight)
		assert.Equal(t, route.Up, stats(r, "a").State)

		r = newRouter(t, route.Config{MaxFailures: 1, OnStateChange: func(route.StateEvent) { panic("boom") }}, fails("a", &down))
		assert.Panics(t, func() { _, _ = r.Do(t.Context(), "") })
		time.Sleep(time.Hour)
		for range 2 {
			assert.Panics(t, func() { _, _ = r.Do(t.Context(), "") }, "a probe each")
			assert.Zero(t, stats(r, "a").InFlight)
			assert.Equal(t, route.Cooling, stats(r, "a").State)
		}
		assert.Equal(t, uint64(2), stats(r, "a").Cancelled)
	})
}

func TestRules(t *testing.T) {
	down := errDown
	r, err := route.New(table{
		Members: []member{says("small"), says("large"), fails("broken", &down)},
		Rules: []route.Rule[string]{
			{Name: "long", When: func(q string) bool { return len(q) > 10 }, Use: []route.Share{{Member: "large"}}},
			{Name: "broken", When: func(q string) bool { return q == "broken" }, Use: []route.Share{{Member: "broken"}}},
			{Name: "backwards", When: func(q string) bool { return q == "last" }, Use: []route.Share{{Member: "small"}, {Member: "large"}},
				Pick: route.PickFunc(func(c *route.Choice) int { return len(c.Candidates) - 1 })},
			{Name: "default", Use: []route.Share{{Member: "small"}}},
		},
	}, route.Config{})
	require.NoError(t, err)
	for request, want := range map[string]string{"short": "small", "a long request": "large", "last": "large"} {
		answer, err := r.Do(t.Context(), request)
		require.NoError(t, err)
		assert.Equal(t, want, answer, request)
	}
	_, err = r.Do(t.Context(), "broken")
	require.ErrorIs(t, err, errDown, "the first rule that matches decides")
}

func TestCapabilities(t *testing.T) {
	eyes, short := says("eyes"), says("short")
	eyes.Capabilities = []string{"vision", "tools"}
	short.Accepts = func(q string) bool { return len(q) < 5 }
	r, err := route.New(table{Members: []member{short, eyes}}, route.Config{}, route.WithNeeds(func(q string) []string {
		switch q[0] {
		case 'v':
			return []string{"vision"}
		case 'x':
			return []string{"vision", "x-ray"}
		}
		return nil
	}))
	require.NoError(t, err)
	for request, want := range map[string]string{"ok": "short", "quite long": "eyes", "v": "eyes"} {
		answer, err := r.Do(t.Context(), request)
		require.NoError(t, err)
		assert.Equal(t, want, answer, request)
	}
	_, err = r.Do(t.Context(), "x")
	require.Equal(t, route.ErrNotCapable, err)
	require.ErrorIs(t, err, route.ErrNoMember)
	assert.Equal(t, uint64(1), r.Stats().Unavailable)
}

func TestPickerThatIsWrong(t *testing.T) {
	for _, i := range []int{-1, 1} {
		r := newRouter(t, route.Config{Pick: route.PickFunc(func(*route.Choice) int { return i })}, says("a"))
		_, err := r.Do(t.Context(), "")
		require.Equal(t, route.ErrPick, err)
		assert.Zero(t, stats(r, "a").Calls)
	}
}

func TestBadConfig(t *testing.T) {
	ok := table{Members: []member{says("a"), says("b")}}
	share := func(names ...string) (use []route.Share) {
		for _, n := range names {
			use = append(use, route.Share{Member: n})
		}
		return use
	}
	rule := func(rules ...route.Rule[string]) table { return table{Members: ok.Members, Rules: rules} }
	with := func(change func(*member)) table {
		m := says("a")
		change(&m)
		return table{Members: []member{m}}
	}
	never := func(string) bool { return false }
	for name, c := range map[string]struct {
		table table
		cfg   route.Config
		opt   route.Option[string]
	}{
		"no members":          {},
		"no name":             {table: with(func(m *member) { m.Name = "" })},
		"no Do":               {table: with(func(m *member) { m.Do = nil })},
		"negative weight":     {table: with(func(m *member) { m.Weight = -1 })},
		"weight NaN":          {table: with(func(m *member) { m.Weight = math.NaN() })},
		"weight too small":    {table: with(func(m *member) { m.Weight = math.SmallestNonzeroFloat64 })},
		"weight too large":    {table: with(func(m *member) { m.Weight = 1e101 })},
		"weight infinite":     {table: with(func(m *member) { m.Weight = math.Inf(1) })},
		"cost NaN":            {table: with(func(m *member) { m.Cost = math.NaN() })},
		"negative cost":       {table: with(func(m *member) { m.Cost = -1 })},
		"negative timeout":    {table: with(func(m *member) { m.Timeout = -1 })},
		"twice":               {table: table{Members: []member{says("a"), says("a")}}},
		"default not last":    {table: rule(route.Rule[string]{Use: share("a")}, route.Rule[string]{When: never, Use: share("a")})},
		"rule without member": {table: rule(route.Rule[string]{})},
		"rule with unknown":   {table: rule(route.Rule[string]{Use: share("z")})},
		"rule with one twice": {table: rule(route.Rule[string]{Use: share("a", "a")})},
		"rule with weight":    {table: rule(route.Rule[string]{Use: []route.Share{{Member: "a", Weight: math.NaN()}}})},
		"rule without key":    {table: rule(route.Rule[string]{Use: share("a"), Pick: route.Sticky("")})},
		"nil PickFunc":        {table: ok, cfg: route.Config{Pick: route.PickFunc(nil)}},
		"no key":              {table: ok, cfg: route.Config{Pick: route.Sticky("")}},
		"MaxAttempts":         {table: ok, cfg: route.Config{MaxAttempts: -1}},
		"MaxFailures":         {table: ok, cfg: route.Config{MaxFailures: -1}},
		"MaxFailures huge":    {table: ok, cfg: route.Config{MaxFailures: math.MaxInt32}},
		"MinTime":             {table: ok, cfg: route.Config{MinTime: -1}},
		"Timeout":             {table: ok, cfg: route.Config{Timeout: -1}},
		"FailureWindow":       {table: ok, cfg: route.Config{FailureWindow: -1}},
		"Cooldown":            {table: ok, cfg: route.Config{Cooldown: -1}},
		"MaxCooldown":         {table: ok, cfg: route.Config{MaxCooldown: -1}},
		"MaxCooldown less":    {table: ok, cfg: route.Config{MaxCooldown: time.Second, Cooldown: time.Minute}},
		"MaxRetryAfter":       {table: ok, cfg: route.Config{MaxRetryAfter: -1}},
		"LatencyDecay":        {table: ok, cfg: route.Config{LatencyDecay: -1}},
		"WithKey nil":         {table: ok, opt: route.WithKey[string](nil)},
		"WithNeeds nil":       {table: ok, opt: route.WithNeeds[string](nil)},
	} {
		t.Run(name, func(t *testing.T) {
			var opts []route.Option[string]
			if c.opt != nil {
				opts = append(opts, c.opt)
			}
			_, err := route.New(c.table, c.cfg, opts...)
			require.ErrorContains(t, err, "route: ")
		})
	}
	_, err := route.New(ok, route.Config{}, nil)
	require.ErrorContains(t, err, "nil Option")
	_, err = route.New(ok, route.Config{Cooldown: time.Hour})
	require.NoError(t, err, "a Cooldown of more than DefaultMaxCooldown is the MaxCooldown too")
}
