package main

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

func TestFitModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	want := &model{weights: []float64{1, -0.5, 0}, bias: -1}
	var rows []float32
	var answers []bool
	for range 50_000 {
		row := []float32{float32(random.NormFloat64()), float32(random.NormFloat64()), 0}
		rows, answers = append(rows, row...), append(answers, random.Float64() < want.score(row))
	}
	got, err := fitModel(t.Context(), rows, answers)
	require.NoError(t, err)
	assert.InDeltaSlice(t, want.weights, got.weights, 0.04)
	assert.InDelta(t, want.bias, got.bias, 0.04)
	assert.Zero(t, got.weights[2], "it never varies")

	got, err = fitModel(t.Context(), []float32{1, 2, 3}, []bool{false, false, false})
	require.NoError(t, err)
	assert.Less(t, got.score([]float32{2}), 0.5, "nobody clicks")

	_, err = fitModel(t.Context(), []float32{float32(math.NaN())}, []bool{true})
	assert.ErrorContains(t, err, "not finite")
	_, err = fitModel(t.Context(), []float32{1, 2, 3}, make([]bool, 2))
	assert.ErrorContains(t, err, "3 inputs for 2 answers")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = fitModel(ctx, []float32{1}, []bool{true})
	assert.ErrorIs(t, err, context.Canceled)
}

// pairs is the area under the curve by its definition.
func pairs(scores []float64, clicked []bool) float64 {
	var above, all float64
	for i := range scores {
		for j := range scores {
			if clicked[i] && !clicked[j] {
				all++
				switch {
				case scores[i] > scores[j]:
					above++
				case scores[i] == scores[j]:
					above += 0.5
				}
			}
		}
	}
	return above / all
}

func TestJudge(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	scores, clicked := make([]float64, 500), make([]bool, 500)
	for i := range scores {
		scores[i], clicked[i] = float64(random.IntN(50))/50, random.IntN(3) == 0 // many are equal
	}
	assert.InDelta(t, pairs(scores, clicked), judge(scores, clicked).auc, 1e-12)
	assert.Equal(t, 1.0, judge([]float64{0.1, 0.9}, []bool{false, true}).auc)
	assert.Equal(t, 0.0, judge([]float64{0.9, 0.1}, []bool{false, true}).auc)
	assert.InDelta(t, math.Ln2, judge([]float64{0.5, 0.5}, []bool{false, true}).logLoss, 1e-12)
	assert.InDelta(t, -math.Log(0.8), judge([]float64{0.8, 0.2}, []bool{true, false}).logLoss, 1e-12)
	assert.True(t, math.IsNaN(judge([]float64{0.5}, []bool{true}).auc))
	assert.False(t, math.IsInf(judge([]float64{0}, []bool{true}).logLoss, 0))
}

// TestFittedInputs looks at the model's inputs as the service gives them: they are standardized, and what is missing is the mean.
func TestFittedInputs(t *testing.T) {
	w, registry, _, online := filled(t)
	o := options{train: 100, candidates: 100}
	service, err := fitService(t.Context(), online, w, o)
	require.NoError(t, err)
	require.NoError(t, registry.Apply(fs.Definitions{Services: []fs.Service{service}}))
	reader, err := online.Reader("ranking", 1)
	require.NoError(t, err)
	columns, err := reader.MatrixColumns()
	require.NoError(t, err)
	a := newAsker(w, o.candidates)
	var m fs.Matrix
	sums, squares, present := make([]float64, len(columns)), make([]float64, len(columns)), make([]float64, len(columns))
	for n := range o.train {
		a.ask(streamTrain, n)
		require.NoError(t, reader.Matrix(t.Context(), rankingRequest(a), &m))
		for i, x := range m.Data {
			if at := i % m.Cols; m.Present[i] {
				present[at]++
				sums[at] += float64(x)
				squares[at] += float64(x) * float64(x)
			} else {
				require.Zero(t, x)
			}
		}
	}
	for at, c := range columns {
		name := reader.Columns()[c.Column].Name
		if name == "match" || name == "category_is" {
			continue
		}
		assert.InDelta(t, 0, sums[at]/present[at], 1e-4, name)
		assert.InDelta(t, 1, squares[at]/present[at], 1e-4, name)
	}
}

var errDown = errors.New("down")

// broken is a store whose writes fail.
type broken struct{ fs.Store }

func (broken) Write(_ context.Context, _ *fs.Schema, rows []fs.Row, outcomes []fs.Outcome) error {
	for i := range rows {
		outcomes[i] = fs.Failed
	}
	return errDown
}

func TestIngestStopsWhenRowsAreLost(t *testing.T) {
	w, registry, m, _ := filled(t)
	_, err := ingest(t.Context(), broken{}, registry, m, []stream{w.stream(itemStats)})
	require.ErrorIs(t, err, errDown)
	assert.ErrorContains(t, err, "writing item_stats: a row was not stored")
}
