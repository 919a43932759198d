package storetest

import (
	"testing"
	"time"

	"github.com/scalable-ai/patterns/featurestore"
)

// Option changes what Run expects.
type Option func(*suite)

// WithEventPrecision says that the store keeps event times to d only, such as a millisecond. Default: a nanosecond.
func WithEventPrecision(d time.Duration) Option { return func(s *suite) { s.event = d } }

// WithTimestampPrecision says that the store keeps values of kind Timestamp to d only, such as a second. Default: a nanosecond.
func WithTimestampPrecision(d time.Duration) Option { return func(s *suite) { s.timestamp = d } }

// WithRounds says how many operations the long tests do; fewer for a store that is slow to write to. Default: 2000, a tenth of it with -short.
func WithRounds(n int) Option { return func(s *suite) { s.rounds = n } }

// Run checks a store in subtests; run it with -race. open makes an empty one for each of them; it closes it by t.Cleanup. A store with a method Close() error must bear
// that it is called more than once.
func Run(t *testing.T, open func(t *testing.T) featurestore.Store, opts ...Option) {
	t.Helper()
	s := &suite{event: 1, timestamp: 1, rounds: 2000}
	if testing.Short() {
		s.rounds = 200
	}
	for _, o := range opts {
		if o == nil {
			t.Fatal("storetest: nil Option")
		}
		o(s)
	}
	if s.event <= 0 || s.timestamp <= 0 || s.rounds <= 0 {
		t.Fatal("storetest: an option is not positive")
	}
	for _, sub := range []struct {
		name string
		test func(t *testing.T, f *fixture)
	}{
		{"nothing is there at first", testEmpty},
		{"every kind comes back", testKinds},
		{"a row replaces the whole row", testReplace},
		{"a part of the features", testSubset},
		{"duplicates among the keys", testDuplicates},
		{"the newest event time wins", testEventTimes},
		{"rows of one key in one batch", testBatchOrder},
		{"event times long ago and far ahead", testExtremes},
		{"deletion", testDelete},
		{"views do not mix", testViews},
		{"a view without entity", testNoEntity},
		{"keys of every kind", testKeys},
		{"keys that are alike", testAlike},
		{"TTL", testTTL},
		{"what does not fit is invalid", testInvalid},
		{"a context that has ended", testContext},
		{"nothing to do", testNothing},
		{"a huge batch", testHuge},
		{"the caller's slices are its own", testSlices},
		{"concurrent writers of one entity", testWriters},
		{"concurrent writers of many entities", testManyWriters},
		{"concurrent deletes", testDeleters},
		{"a random sequence", testModel},
		{"several versions of a view", testVersions},
		{"closed", testClose},
	} {
		t.Run(sub.name, func(t *testing.T) { sub.test(t, newFixture(t, s, open(t))) })
	}
}

type suite struct {
	event, timestamp time.Duration
	rounds           int
}
