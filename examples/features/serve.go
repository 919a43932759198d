package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// maxJudged is for how many requests the scores are kept, to be compared with what users click.
const maxJudged = 1000

// served is what was measured while requests were answered.
type served struct {
	requests  int
	latencies []time.Duration // ascending
	took      time.Duration
	cells     int // of the matrices
	absent    int // of these, without a value: the default or the fill is in them
	stats     fs.Stats

	scores []float64 // of the first requests, one after the other; nil if the run was interrupted
}

// serve has the callers ask for features, all from one reader, and score what they get. If ctx ends it returns what there is by then, with the cause.
func serve(ctx context.Context, store fs.Store, registry *fs.Registry, w *world, m *model, o options) (*served, error) {
	online, err := fs.New(store, registry, config())
	if err != nil {
		return nil, err
	}
	reader, err := online.Reader("ranking", 0)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	scores := make([]float64, min(o.requests, maxJudged)*o.candidates)
	parts := make([]served, o.callers)
	began := time.Now()
	var callers sync.WaitGroup
	for i := range parts {
		callers.Go(func() {
			if err := parts[i].call(ctx, reader, w, m, o, i, scores); err != nil {
				cancel(err) // the others stop too
			}
		})
	}
	callers.Wait()
	total := &served{took: time.Since(began), stats: online.Stats(), scores: scores}
	for i := range parts {
		total.requests += parts[i].requests
		total.latencies = append(total.latencies, parts[i].latencies...)
		total.cells += parts[i].cells
		total.absent += parts[i].absent
	}
	slices.Sort(total.latencies)
	if ctx.Err() != nil {
		total.scores = nil
		return total, context.Cause(ctx)
	}
	return total, nil
}

// config is how all of this example reads: a model that is linear cannot have NaN.
func config() fs.Config { return fs.Config{Fill: new(float32)} }

// call is one of the callers: it makes the requests first, first+callers, ...
func (s *served) call(ctx context.Context, reader *fs.Reader, w *world, m *model, o options, first int, scores []float64) error {
	a := newAsker(w, o.candidates)
	var matrix fs.Matrix // used again for each request, as is the request
	request := rankingRequest(a)
	own := make([]float64, o.candidates)
	s.latencies = make([]time.Duration, 0, o.requests/o.callers+1)
	for n := first; n < o.requests; n += o.callers {
		a.ask(streamServe, n)
		request.Keys[0].Ints[0], request.Fields[0].Floats[0] = a.user, a.budget // the items are the asker's slice
		began := time.Now()
		if err := reader.Matrix(ctx, request, &matrix); err != nil {
			return err
		}
		to := own
		if n < maxJudged {
			to = scores[n*o.candidates : (n+1)*o.candidates]
		}
		for row := range matrix.Rows {
			to[row] = m.score(matrix.Row(row))
		}
		s.latencies = append(s.latencies, time.Since(began))
		s.requests++
		s.cells += len(matrix.Data)
		for _, present := range matrix.Present {
			if !present {
				s.absent++
			}
		}
	}
	return nil
}

// truth is what users click on in the requests whose scores are kept, and with what chance.
func truth(w *world, o options) (clicked []bool, chances []float64) {
	n := min(o.requests, maxJudged)
	clicked, chances = make([]bool, n*o.candidates), make([]float64, n*o.candidates)
	a := newAsker(w, o.candidates)
	for i := range n {
		a.ask(streamServe, i)
		a.clicks(streamServe, i, clicked[i*o.candidates:(i+1)*o.candidates], chances[i*o.candidates:(i+1)*o.candidates])
	}
	return clicked, chances
}

// pick is one item of a request with the features that a person can read.
type pick struct {
	item     int64
	score    float64
	chance   float64
	features inspected
	read     time.Time
}

// explain reads the features of the best items of the first request, row by row, as one would to see why they are the best.
func explain(ctx context.Context, store fs.Store, registry *fs.Registry, w *world, scores []float64, o options, count int) (*asker, []pick, error) {
	online, err := fs.New(store, registry, config())
	if err != nil {
		return nil, nil, err
	}
	reader, err := online.Reader("inspect", 0)
	if err != nil {
		return nil, nil, err
	}
	binding, err := fs.Bind[inspected](reader)
	if err != nil {
		return nil, nil, err
	}
	a := newAsker(w, o.candidates)
	a.ask(streamServe, 0)
	request := rankingRequest(a)
	request.Fields = nil // this service has none
	result, err := reader.Do(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	picks := make([]pick, len(a.items))
	for i, id := range a.items {
		picks[i] = pick{item: id, read: result.Time(), score: scores[i], chance: w.chance(a.user, id, a.budget)}
		if err := binding.Scan(result, i, &picks[i].features); err != nil {
			return nil, nil, err
		}
	}
	slices.SortStableFunc(picks, func(a, b pick) int { return cmp.Compare(b.score, a.score) })
	return a, picks[:min(count, len(picks))], nil
}

var errScores = errors.New("the scores are not those of the first store")
