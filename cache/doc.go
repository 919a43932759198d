// Package cache keeps the answers of a model, so that what is asked again is not computed again.
//
// A [Cache] wraps a load function (the model, or what stands before it) and has a Do of the same shape:
//
//	answers, err := cache.New(model.Answer, cache.Config{Size: 100_000, TTL: time.Hour})
//	...
//	defer answers.Close()
//	answer, err := answers.Do(ctx, prompt)
//
// [NewKeyed] is for requests that are not comparable: a function makes the key of a request, for instance [HashFloats] of a tensor or
// [HashText] of a prompt and its parameters. [NewBulk] is for models that answer many requests in one call.
//
// # What is promised
//
// One load runs for a key at a time, and all who ask for the key meanwhile wait for it, each as long as its own context allows. The load
// belongs to none of them: it runs on until the last has gone, and the first caller's cancel is no one else's.
//
// Do, Get, Set and Delete of a key are linearizable: each takes effect at one moment between its call and its return. A Set or a Delete
// is never undone by a load or a refresh that began before it; and who waits for a load gets a value that is Set meanwhile at once. (The exception
// to one load at a time follows: after a Delete or an Invalidate the old load may still run, for those who wait for it.)
//
// An error is returned to those who waited for it and forgotten, unless WithNegative says that it is an answer. A value is served no longer than
// its TTL, but for the windows in which Config allows an old one: while it is refreshed (StaleWhileRevalidate), or because loading
// a new one fails (StaleIfError). Any entry may be evicted at any time; what is kept is what is asked for often and lately.
//
// # Missing many keys at a time
//
// [Cache.GetAll] looks all keys up and loads what is missing. With [NewBulk] that is one call, and the misses of concurrent callers are gathered into calls
// in the same way: while one runs, the next gathers. With [New] the missing keys are loaded side by side, so that a batcher as the
// load function sees them together: cache.New(batcher.Do, ...). A bulk loader may fail single keys by an [ItemErrors], or any other error that
// is a slice of errors.
//
// # Models change
//
// [WithNamespace] says which model and version a key belongs to. When a version goes, [Cache.Invalidate] drops all its answers at once, at a cost that does not
// depend on their number. While two versions run side by side their keys differ by the namespace in them.
//
// # When not to use it
//
// Not for answers that should differ each time (sampling at a temperature), nor for those that depend on what the key does not hold: the user's
// rights, the time, the state of a conversation. Whatever may not be told to another tenant belongs into the key. Not where requests hardly
// repeat: look at [Stats].HitRate before anything else. Not to share answers between machines: each process has its own cache. For requests that are similar
// and not equal, [HashQuantized] and [CanonicalText] help a little; likeness of meaning is another pattern.
//
// # Order of layers
//
// The cache goes outside of all that protects the model: a hit needs no place in a queue, no permit and no healthy back-end. So a batcher, a
// breaker, a limiter and retries are inside, as its load function; a time-out for a single load too, or Config.LoadTimeout. A second tier
// (a shared store, a search by likeness) is a load function that looks there first.
//
// # Cost
//
// A hit is one look-up in the store below, and a check or two: it allocates nothing and takes no lock, but for the few that find the notes of reads full,
// which see to the bookkeeping of the eviction. go test -bench Hit shows it beside the bare store's. A miss costs a goroutine, which Config.LoadInline saves
// where it can, and some small objects. No goroutine runs while nothing is loaded or swept, but for the moment that such bookkeeping takes; what has expired
// or is invalid is swept by one that a write or an Invalidate starts.
//
// The context of a load has the values of the caller's that began it. A load that asks its own cache for what waits for itself gets
// ErrReentrant, as far as the contexts show it; two loads that wait for each other by way of callers apart do wait until the callers give up.
//
// # Sources
//
// Eviction is W-TinyLFU with an adaptive window (Einziger, Friedman and Manes, TinyLFU, ACM Transactions on Storage 2017; Einziger, Eytan, Friedman and Manes,
// Adaptive Software Cache Management, Middleware 2018), by github.com/maypok86/otter. The stale windows are those of RFC 5861. The hash is xxHash64.
package cache
