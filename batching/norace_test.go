//go:build !race

package batching_test

const raceEnabled = false
