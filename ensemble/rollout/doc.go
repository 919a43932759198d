// Package rollout brings a new version of a model live without dropping or mixing a request.
//
// There are four types, each of which exposes Do in the shape [Func], so that they go together and with any other pattern:
//
//   - [Registry] holds versions of models and the aliases by which requests reach them: champion, challenger. Moving an alias is a hot swap.
//   - [BlueGreen] switches an alias all at once, and keeps the previous version warm for the way back.
//   - [Canary] sends a growing share of the requests to the challenger, and promotes it or rolls back by what its gates say.
//   - [Shadow] lets a second model answer too, and compares, while only the first one's answers count.
//
// A usual order is: deploy the new version under the alias challenger, shadow it, ramp it up as a canary, and let the canary's Promote move the alias champion.
//
//	registry, err := rollout.NewRegistry[Image, Label](rollout.RegistryConfig{KeepWarm: 1})
//	defer registry.Close()
//	err = registry.Register(rollout.ID{Model: "resnet", Version: "7"}, rollout.Source[Image, Label]{Load: load, Warm: warm}, "ann: trained on May's data")
//	_, err = registry.Deploy(ctx, "champion", rollout.ID{Model: "resnet", Version: "7"}, "ann: go")
//	champion := registry.Alias("champion")
//	label, err := champion.Do(ctx, image)
//
// # What is promised
//
// A request runs on one version from beginning to end: the one that the alias points at when it begins. A version gets its first request after Warm has returned, and its model is closed after the last
// request and the last lease have ended. If load or warm fails, the alias stays where it is. A [Lease] keeps a version for what takes more than one request, such as a stream. Aliases can be changed by
// compare-and-swap, and all changes are in a log with who and why.
//
// What the shadow does (fail, panic, hang) does not reach the caller. Its requests wait in a bounded queue and are dropped when that is full.
//
// # Who gets the challenger
//
// Requests with a key ([WithKey]) are divided by a hash of the key and a salt of the experiment ([Bucket]). A key stays where it is, in every process; when the share changes only those that must
// move do, and a key that has been given the challenger keeps it while the share grows. Experiments of the same namespace, on ranges that do not overlap, have no key in common.
//
// # When it goes on, and when it goes back
//
// Each [Gate] is a sequential test ([MeanTest]), which may be looked at after each sample: while the challenger is in order it fails with a probability of at most Alpha, over the whole ramp, however often one looks. An ordinary test that is
// repeated as samples come is wrong several times as often as it says: in the package's simulation (TestPeekingDoesNotRaiseFalseAlarms) a z-test at 0.05 that is looked at after each of 5,000 samples gives a false alarm
// in 40% of the runs, the gate in 2%. The price is a larger number of samples. However long
// the challenger has been in order, it takes few samples to find that it is so no more (TestMeanTestAfterALongGoodTime). With the default Alpha, these are the means in the simulation (TestPower, TestPowerOfDifferences):
//
//	limit                    challenger    verdict    samples of the challenger
//	Max 0.01                 0             pass         728
//	Max 0.01                 0.02          fail       1,556
//	Max 0.01                 0.05          fail         165
//	Max 0.05                 0.01          pass         291
//	Margin 0.01, share 5%,   0.01          pass       2,249
//	champion 0.01            0.05          fail         487
//	                         0.2           fail          63
//
// A gate says pass, fail or inconclusive. Inconclusive holds the ramp: too few samples are no reason to promote, nor to roll back, unless Step.MaxDuration is over. Only a hard breach ([Gate].Hard) does not wait for the minimum. Bad news
// is acted on in Do, by the request that brings it; good news waits for [Canary.Step], which the user calls, or [Canary.Run].
//
// The bound of Alpha is for samples whose mean, given those before, is in order. Many requests of one key that fail or succeed together are not that: count such keys once, by Observe, or set Alpha lower.
//
// # Limits
//
// All of this is in one process: the share is exact over all processes, since they hash alike, but each has its own samples, gates and audit log, and rolls back for itself. Persist the log by its hook, and move aliases in every process by your own
// means, if all must agree.
//
// Two versions are loaded at the same time during a swap, and more by KeepWarm. If there is memory for one only, unload first and answer by a fallback meanwhile.
//
// # When not to use it
//
// Where a mesh or a serving platform already divides the traffic between deployments, do it there: it also covers a crash of the process. To learn which of several models is best while serving,
// rather than whether a new one is in order, use a bandit. For models that have one version for as long as the process lives, call them directly.
//
// # Order in a chain
//
// What keeps requests or answers of a model belongs into the version, made by Load and closed by Close: a batcher outside would put one batch together from requests that should go to different versions, and a cache outside would
// go on to give the answers of the old one, unless its key names the version ([Alias.ID]). A breaker inside the version judges that version alone. What is about the caller (limiter, timeout, retry) goes outside. With a retry
// outside, a canary counts each attempt.
//
// # Cost
//
// An alias costs two atomic additions on a cache line that is rarely shared, and no allocation; BenchmarkAlias compares it with a read lock and with one counter. A canary costs a hash, two readings of the
// clock and a short lock per request while a ramp runs, and a load of a pointer otherwise. A shadow costs what its queue does, besides the processor time of the shadow itself.
package rollout
