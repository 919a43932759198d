package batching

import (
	"context"
	"errors"
)

// Func is the one shape by which patterns compose: what every Do has.
type Func[Req, Resp any] = func(ctx context.Context, req Req) (Resp, error)

// RunFunc answers a batch of requests: result i belongs to request i.
//
// It returns as many results as it was given requests, or an error for all of them, or [ItemErrors] with one for each. The
// context carries the latest deadline of the batch's members (none if a member has none) and no values of theirs; it is cancelled when all
// members have gone, and on Close. The slice of requests is the function's own.
// It is called on a goroutine of the batcher, by as many at once as Config.Concurrency allows.
type RunFunc[Req, Resp any] = func(ctx context.Context, reqs []Req) ([]Resp, error)

// Batcher gathers the requests of concurrent callers into batches. All methods are safe for concurrent use.
type Batcher[Req, Resp any] struct {
	c *core[struct{}, Req, Resp]
}

// New makes a Batcher that answers requests with run. It starts nothing: goroutines exist only while batches run. Call
// Close when it is no longer needed.
func New[Req, Resp any](run RunFunc[Req, Resp], cfg Config, opts ...Option[Req]) (*Batcher[Req, Resp], error) {
	if run == nil {
		return nil, errors.New("batching: nil run function")
	}
	c, err := newCore(func(ctx context.Context, _ struct{}, reqs []Req) ([]Resp, error) {
		return run(ctx, reqs)
	}, false, cfg, opts)
	if err != nil {
		return nil, err
	}
	return &Batcher[Req, Resp]{c}, nil
}

// Do has req answered as a member of some batch and returns its result.
//
// It waits for room in the queue (or fails with ErrQueueFull, see Config.RejectWhenFull), for a slot, and for the run. When
// ctx ends first it returns context.Cause(ctx) at once: a request that still waits is then taken out of
// the queue and is not executed; of one that runs the result is thrown away. If the outcome and the end of ctx come
// together, the outcome is returned.
//
// The other errors are those of the run function, unchanged, *PanicError, ErrGoexit and ErrResultCount, and those that
// mean that no work began: ErrClosed, ErrQueueFull, ErrEvicted, ErrDeadline, ErrTooLarge, ErrReentrant, ErrBadRequest. A Do from
// inside the run function is recognised by its context; with a context that does not come from the batch's
// it waits for a slot like any other, for ever if it holds the last one.
func (b *Batcher[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	return b.c.do(ctx, struct{}{}, req)
}

// DoAll has all of reqs answered and returns their results in the same order. The requests are queued together, may
// be spread over several batches and share these with other callers' requests.
//
// If some requests fail the error is ItemErrors, with an entry for each request, and the results of the others are valid. Any other error
// concerns all of them: the result is then nil. With Config.RejectWhenFull all are rejected if not all
// have room in the queue. When ctx ends, the requests that wait are taken out of the queue and DoAll returns context.Cause(ctx).
func (b *Batcher[Req, Resp]) DoAll(ctx context.Context, reqs []Req) ([]Resp, error) {
	return b.c.doAll(ctx, nil, reqs, true)
}

// Flush dispatches what waits for company, as far as slots are free. It does not wait for it. What waits for a slot goes
// as soon as there is one in any case.
func (b *Batcher[Req, Resp]) Flush() { b.c.flush() }

// Config returns the configuration in force, as it was given: a zero field stands for its default.
func (b *Batcher[Req, Resp]) Config() Config { return b.c.config() }

// Reconfigure replaces the configuration while requests are queued and run, for instance to change the size of batches:
//
//	cfg := b.Config()
//	cfg.MaxSize = 128 // and MaxQueue, if it was not given, 16 times that
//	err := b.Reconfigure(cfg)
//
// Zero fields get their defaults, as with New; on an error nothing changes. Batches that run are not touched. Nothing that is queued is
// lost (but for what a shorter objective of the policy Deadline makes hopeless): what is over a lowered bound of the queue stays, a request that is heavier than a lowered MaxWeight goes
// alone. Requests that wait for company are dispatched, as far as slots are free.
func (b *Batcher[Req, Resp]) Reconfigure(cfg Config) error { return b.c.reconfigure(cfg) }

// Stats returns the counters and gauges.
func (b *Batcher[Req, Resp]) Stats() Stats { return b.c.snapshot() }

// Shutdown rejects new requests with ErrClosed, has all accepted ones answered (or dropped, if the policy is Deadline) without waiting for
// company, and returns when they are. When ctx ends first it returns context.Cause(ctx) and the rest is still being answered: call Close to stop
// that. It may be called several times. It must not be called from the run function, which it would wait for.
func (b *Batcher[Req, Resp]) Shutdown(ctx context.Context) error { return b.c.shutdown(ctx) }

// Close rejects new requests, fails those that are queued with ErrClosed, cancels the context of the batches that run, and waits
// for these. It always returns nil. It may be called several times, also during Shutdown. It must not be called
// from the run function, which it would wait for.
func (b *Batcher[Req, Resp]) Close() error { return b.c.close() }
