package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/scalable-ai/patterns/ensemble"
	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
	"github.com/scalable-ai/patterns/featurestore/transform"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
)

// definitions are those of the features: how often a writer's digits were misread, from the store, and the confidence in the answer at hand, which comes
// with the request. The logarithm makes a line of it.
var definitions = fs.Definitions{
	Entities: []fs.Entity{{Name: "writer", JoinKeys: []fs.JoinKey{{Name: "writer", Kind: fs.Int64}}}},
	Views: []fs.View{{
		Name: "history", Entity: "writer", Features: []fs.Feature{{Name: "misread", Kind: fs.Float64, Default: fs.Float64Value(0.05)}},
	}},
	Services: []fs.Service{{
		Name: "review", Version: 1,
		Request: []fs.Feature{{Name: "confidence", Kind: fs.Float32}},
		Transforms: []fs.Transform{
			transform.Affine("doubt", "request:confidence", -1, 1.001),
			transform.Log("log_doubt", "doubt", 0),
		},
		Features: []string{"history:misread", "log_doubt"},
	}},
}

// reviewAbove is the probability of a wrong answer above which somebody should look: a wrong answer costs ten times as much as a look.
const reviewAbove = 0.1

// reviews is the second model: a logistic regression that says whether an answer may be wrong, with features from the store.
type reviews struct {
	reader   *fs.Reader
	model    ensemble.Logistic
	matrices sync.Pool // of *fs.Matrix
}

// newReviews gets how sure the network was of each image of the history, and whether it was wrong. It has one half fill the store, and the model learn from the other. Training reads features in the same way as
// serving does, so both see the same numbers.
func newReviews(ctx context.Context, confidences []float32, wrong []int) (*reviews, error) {
	store, err := memstore.New(memstore.Config{})
	if err != nil {
		return nil, err
	}
	defs, err := fs.NewRegistry("digits", fs.WithOps(transform.Ops()))
	if err != nil {
		return nil, err
	}
	if err := defs.Apply(definitions); err != nil {
		return nil, err
	}
	online, err := fs.New(store, defs, fs.Config{})
	if err != nil {
		return nil, err
	}
	half := len(wrong) / 2
	if err := write(ctx, online, defs, wrong[:half]); err != nil {
		return nil, err
	}
	reader, err := online.Reader("review", 1)
	if err != nil {
		return nil, err
	}
	v := &reviews{reader: reader, matrices: sync.Pool{New: func() any { return new(fs.Matrix) }}}
	v.model, err = fit(ctx, reader, half, confidences[half:], wrong[half:])
	return v, err
}

// Do says of an answer whether somebody should look at it.
func (v *reviews) Do(ctx context.Context, r read) (reply, error) {
	m := v.matrices.Get().(*fs.Matrix)
	defer v.matrices.Put(m)
	err := v.reader.Matrix(ctx, fs.Request{
		Keys:   []fs.KeyColumn{fs.IntKeys("writer", r.writer)},
		Fields: []fs.Column{fs.Float32Column("confidence", r.answer.confidence)},
	}, m)
	if err != nil {
		return reply{}, err
	}
	return reply{answer: r.answer, review: v.model.Predict(numbers(m.Row(0)))[1] > reviewAbove}, nil
}

// examine has the network read the history: how sure it was of each image, and whether it was wrong.
func examine(network *nn.Network, history *mnist.Set) (confidences []float32, wrong []int) {
	work := network.NewWorkspace(1)
	digit, confidence := make([]int, 1), make([]float32, 1)
	for i := range history.Len() {
		history.Input(i, work.Input(0))
		network.Predict(work, digit, confidence)
		confidences, wrong = append(confidences, confidence[0]), append(wrong, 0)
		if digit[0] != history.Class(i) {
			wrong[i] = 1
		}
	}
	return confidences, wrong
}

// write stores for each writer what share of the digits was misread.
func write(ctx context.Context, online *fs.Online, defs *fs.Registry, wrong []int) error {
	var misread, read [writers]float64
	for i, w := range wrong {
		read[writerOf(i)]++
		misread[writerOf(i)] += float64(w)
	}
	view, err := defs.View("history")
	if err != nil {
		return err
	}
	var rows []fs.Row
	for w := range int64(writers) {
		if read[w] == 0 {
			continue // the default stands for it
		}
		record, err := view.RecordOf(time.Now(), "misread", misread[w]/read[w])
		if err != nil {
			return err
		}
		rows = append(rows, fs.Row{Key: fs.IntKey(w), Record: record})
	}
	_, err = online.Write(ctx, "history", rows)
	return err
}

// fit learns from images, of which the first has the number given.
func fit(ctx context.Context, reader *fs.Reader, first int, confidences []float32, wrong []int) (ensemble.Logistic, error) {
	keys := make([]int64, len(wrong))
	samples := make([][][]float64, len(wrong))
	most := 0
	for i := range keys {
		keys[i] = writerOf(first + i)
		most = max(most, wrong[i])
	}
	if most == 0 {
		return ensemble.Logistic{}, errors.New("no digit of the history was misread: there is nothing to learn from")
	}
	var m fs.Matrix
	err := reader.Matrix(ctx, fs.Request{
		Keys:   []fs.KeyColumn{fs.IntKeys("writer", keys...)},
		Fields: []fs.Column{fs.Float32Column("confidence", confidences...)},
	}, &m)
	if err != nil {
		return ensemble.Logistic{}, err
	}
	for i := range samples {
		samples[i] = [][]float64{numbers(m.Row(i))}
	}
	return ensemble.FitLogistic(samples, wrong, 0)
}

func numbers(row []float32) []float64 {
	values := make([]float64, len(row))
	for i, v := range row {
		values[i] = float64(v)
	}
	return values
}
