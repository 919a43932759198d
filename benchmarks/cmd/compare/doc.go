// Compare runs the benchmarks of this module in rounds and writes how the contenders compare: a report, RESULTS.md, and a chart, results.svg.
//
// Each benchmark is named Benchmark<Work>/<contender>, and ours is named patterns or patterns-<variant>. A round runs each contender once, in a process of
// its own, and those of one benchmark one after the other in random order: so no contender runs on the heap, or the timers, of another, and what
// disturbs the machine for a while falls on all of them. The report has ratios only: times depend on the machine.
//
// Run it in the folder of the module:
//
//	go -C benchmarks run ./cmd/compare
package main
