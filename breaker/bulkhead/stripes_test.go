package bulkhead_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

// striped is a bulkhead with so many stripes, closed.
func striped(t *testing.T, cfg bulkhead.Config, stripes int) *guard {
	t.Helper()
	b := newGuard(t, cfg, echo)
	b.UseStripes(stripes)
	return b
}

// calls makes n calls of cost 1 that come and go.
func calls(t *testing.T, b *guard, n int) {
	t.Helper()
	for range n {
		_, err := b.Do(context.Background(), 1)
		require.NoError(t, err)
	}
}

// The stripes open while half of the capacity is free, and 2 units for each of them, and not otherwise.
func TestStripesNeedRoom(t *testing.T) {
	for _, c := range []struct {
		capacity, held int
		open           bool
	}{
		{16, 0, true},
		{16, 1, false},
		{15, 0, false},
		{32, 16, true},
		{32, 17, false},
		{100, 50, true},
		{100, 51, false},
	} {
		b := striped(t, bulkhead.Config{Capacity: c.capacity}, 8)
		p, err := b.TryAcquire(c.held)
		require.NoError(t, err)
		require.Equal(t, c.open, b.OpenStripes(), "%+v", c)
		if p.Release(); c.open {
			p, err = b.TryAcquire(c.capacity)
			require.NoError(t, err, "what lies in the stripes is free")
			require.False(t, b.StripesOpen())
			p.Release()
		}
	}
}

// They are opened by calls that come and go, also again after they were closed.
func TestStripesOpenByThemselves(t *testing.T) {
	b := striped(t, bulkhead.Config{Capacity: 64}, 8)
	for range 3 {
		require.False(t, b.StripesOpen())
		calls(t, b, 129)
		require.True(t, b.StripesOpen())
		word, err := b.TryAcquire(32)
		require.NoError(t, err)
		calls(t, b, 1)
		require.True(t, b.StripesOpen(), "the call did not need the word")
		word.Release()
		all, err := b.TryAcquire(64)
		require.NoError(t, err)
		all.Release()
	}
	require.NoError(t, b.Resize(32))
	p, err := b.TryAcquire(17)
	require.NoError(t, err)
	calls(t, b, 200)
	require.False(t, b.StripesOpen(), "more than half is in use")
	p.Release()
	calls(t, b, 129)
	require.True(t, b.StripesOpen())
	require.NoError(t, b.Resize(32))
	require.False(t, b.StripesOpen())
}

// Where there are processors for them there are stripes.
func TestStripesByDefault(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for procs, want := range map[int]bool{1: false, 2: true} {
		runtime.GOMAXPROCS(procs)
		b := newGuard(t, bulkhead.Config{Capacity: 1000}, echo)
		calls(t, b, 129)
		require.Equal(t, want, b.StripesOpen(), "%d processors", procs)
	}
}

// raceStriped is race with one stripe of 4, which is open at the beginning of each round, and checks that all can be had in the end.
func raceStriped(t *testing.T, cost int, first, second func(i int, b *guard, p *bulkhead.Permit)) {
	t.Helper()
	times := 25
	if raceEnabled {
		times = 1
	}
	guards, permits := make([]*guard, pairs), make([]*bulkhead.Permit, pairs)
	for i := range guards {
		guards[i] = striped(t, bulkhead.Config{Capacity: 8, MaxQueue: 1}, 1)
	}
	for range times {
		for i, b := range guards {
			require.True(t, b.OpenStripes())
			permits[i], _ = b.TryAcquire(cost)
		}
		together(200,
			func(i int) { first(i, guards[i], permits[i]) },
			func(i int) { second(i, guards[i], permits[i]) })
		for _, b := range guards {
			p, err := b.TryAcquire(8)
			require.NoError(t, err, "all is over, but %+v", b.Stats())
			require.EqualValues(t, 8, b.Stats().InUse)
			p.Release()
		}
	}
}

// What is given back to a stripe while it is closed is in the stripe before or in the word after: it is not lost, and who waits for it gets it.
func TestReleaseRacesWithClosing(t *testing.T) {
	t.Run("timed or not", func(t *testing.T) {
		raceStriped(t, 1, release, func(_ int, b *guard, _ *bulkhead.Permit) {
			p, err := b.Acquire(context.Background(), 8)
			if err != nil {
				t.Error(err)
			}
			p.Release()
		})
	})
	t.Run("by Resize", func(t *testing.T) {
		raceStriped(t, 1, release, func(_ int, b *guard, _ *bulkhead.Permit) {
			if err := b.Resize(8); err != nil {
				t.Error(err)
			}
		})
	})
}

// Opening takes what it puts into the stripes from what is free at that moment: else it would be there twice.
func TestOpeningRacesWithTheWord(t *testing.T) {
	times := 25
	if raceEnabled { // which makes it more likely
		times = 3
	}
	var permits [2][pairs]*bulkhead.Permit
	for range times {
		var guards [pairs]*guard
		for i := range guards {
			guards[i] = striped(t, bulkhead.Config{Capacity: 8}, 1)
		}
		together(20, func(i int) {
			guards[i].OpenStripes()
			permits[0][i], _ = guards[i].TryAcquire(3)
		}, func(i int) {
			permits[1][i], _ = guards[i].TryAcquire(6)
		})
		for i := range guards {
			require.False(t, permits[0][i] != nil && permits[1][i] != nil, "9 are held of 8")
		}
	}
}

// Two calls find the count of admissions full at the same time. It is moved once.
func TestFullCountsRace(t *testing.T) {
	const most = 64 // that a word counts
	guards := make([]*guard, pairs)
	for i := range guards {
		guards[i] = striped(t, bulkhead.Config{Capacity: 8}, 0)
	}
	do := func(i int) {
		if _, err := guards[i].Do(context.Background(), 1); err != nil {
			t.Error(err)
		}
	}
	for round := range uint64(4) {
		for _, b := range guards {
			calls(t, b, most-2*int(min(round, 1)))
		}
		together(20, do, do)
		for _, b := range guards {
			v := b.Stats()
			require.Equal(t, most*(round+1)+2, v.Admitted)
			require.Zero(t, v.InUse)
		}
	}
}
