package bulkhead

import "context"

// The range of priorities.
const (
	MinPriority = -3
	MaxPriority = 3
)

const classes = MaxPriority - MinPriority + 1

type priorityKey struct{}

// WithPriority returns a context whose calls wait with the given priority. Higher goes first; a context without one has priority
// 0. Below MinPriority and above MaxPriority, the nearest of them is taken. What is called with the context has that priority too, in every
// bulkhead that it comes to. Priorities matter only while callers wait, in two ways.
//
// The order: each step up is worth Config.Ageing of waiting, so a caller of priority 2 goes before those of priority 0 that
// came up to 2 times Ageing earlier, and after those that have waited longer than that. Nobody starves.
//
// The room: a caller that finds the queue full takes the place of the newest of those with the lowest priority, if that is
// lower than its own.
func WithPriority(ctx context.Context, priority int) context.Context {
	return context.WithValue(ctx, priorityKey{}, min(max(priority, MinPriority), MaxPriority))
}

// classOf is the context's priority, counted from 0.
func classOf(ctx context.Context) int {
	if priority, ok := ctx.Value(priorityKey{}).(int); ok {
		return priority - MinPriority
	}
	return -MinPriority
}
