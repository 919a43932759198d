package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/transform"
)

// model is a logistic regression.
type model struct {
	weights []float64
	bias    float64
}

// score is the chance of a click according to the model.
func (m *model) score(row []float32) float64 {
	z := m.bias
	for i, x := range row {
		z += m.weights[i] * float64(x)
	}
	return sigmoid(z)
}

// fitModel finds the weights by Newton's method. rows has the inputs one after the other, as many as there are answers.
func fitModel(ctx context.Context, rows []float32, answers []bool) (*model, error) {
	if len(answers) == 0 || len(rows)%len(answers) != 0 {
		return nil, fmt.Errorf("%d inputs for %d answers", len(rows), len(answers))
	}
	const ridge = 1 // keeps columns that never vary at weight 0, and weights finite if nobody clicks
	n := len(rows)/len(answers) + 1
	weights, x := make([]float64, n), make([]float64, n)
	x[n-1] = 1 // the bias
	for range 25 {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		gradient, hessian := mat.NewVecDense(n, nil), mat.NewSymDense(n, nil)
		for i := range n {
			gradient.SetVec(i, -ridge*weights[i])
			hessian.SetSym(i, i, ridge)
		}
		xs := mat.NewVecDense(n, x)
		for row, answer := range answers {
			z := weights[n-1]
			for i, v := range rows[row*(n-1) : (row+1)*(n-1)] {
				x[i] = float64(v)
				z += weights[i] * x[i]
			}
			p := sigmoid(z)
			residual := -p
			if answer {
				residual++
			}
			gradient.AddScaledVec(gradient, residual, xs)
			hessian.SymRankOne(hessian, p*(1-p), xs)
		}
		var cholesky mat.Cholesky
		var step mat.VecDense
		if !cholesky.Factorize(hessian) {
			return nil, errors.New("the inputs of the model are not finite numbers")
		}
		if err := cholesky.SolveVecTo(&step, gradient); err != nil {
			return nil, err
		}
		for i := range weights {
			weights[i] += step.AtVec(i)
		}
		if mat.Norm(&step, 2) < 1e-6 {
			break
		}
	}
	return &model{weights[:n-1], weights[n-1]}, nil
}

// fitService computes the parameters of the transforms from the features of a sample, which the store gives.
func fitService(ctx context.Context, online *fs.Online, w *world, o options) (fs.Service, error) {
	service := ranking()
	reader, err := online.Reader("inspect", 0)
	if err != nil {
		return service, err
	}
	a := newAsker(w, o.candidates)
	var users, items []int64
	var budgets []float64
	for n := range o.train {
		a.ask(streamTrain, n)
		for _, id := range a.items {
			users, items, budgets = append(users, a.user), append(items, id), append(budgets, a.budget)
		}
	}
	result, err := reader.Do(ctx, fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", users...), fs.IntKeys("item_id", items...)}})
	if err != nil {
		return service, err
	}
	budget := fs.Float64Column("request:budget", budgets...)
	columns := map[string]*fs.Column{budget.Name: &budget}
	for i, info := range reader.Columns() {
		columns[info.Name] = result.Column(i)
	}
	return transform.Fit(service, columns, transform.Ops(), transform.Fitters())
}

// train fits the model to what users have clicked, on the features that the service gives for it.
func train(ctx context.Context, online *fs.Online, w *world, o options) (*model, error) {
	reader, err := online.Reader("ranking", 0)
	if err != nil {
		return nil, err
	}
	a := newAsker(w, o.candidates)
	clicked, chances := make([]bool, o.candidates), make([]float64, o.candidates)
	var rows []float32
	var answers []bool
	var matrix fs.Matrix
	for n := range o.train {
		a.ask(streamTrain, n)
		if err := reader.Matrix(ctx, rankingRequest(a), &matrix); err != nil {
			return nil, err
		}
		a.clicks(streamTrain, n, clicked, chances)
		rows, answers = append(rows, matrix.Data...), append(answers, clicked...)
	}
	return fitModel(ctx, rows, answers)
}

// rankingRequest asks for the features of one user and of all items.
func rankingRequest(a *asker) fs.Request {
	return fs.Request{
		Keys:   []fs.KeyColumn{fs.IntKeys("user_id", a.user), fs.IntKeys("item_id", a.items...)},
		Fields: []fs.Column{fs.Float64Column("budget", a.budget)},
	}
}

// quality is how well scores foretell clicks.
type quality struct {
	auc, logLoss float64
}

// judge compares scores with what users have clicked. Without a click, or with nothing else, the AUC is NaN.
func judge(scores []float64, clicked []bool) quality {
	order := make([]int, len(scores))
	var loss float64
	for i, s := range scores {
		order[i] = i
		if s = min(max(s, 1e-12), 1-1e-12); !clicked[i] {
			s = 1 - s
		}
		loss -= math.Log(s)
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	// The area under the curve is the chance that a click has a higher score than another pair, where equal scores count half (Mann and Whitney).
	var above, clicks, others float64
	for i := 0; i < len(order); {
		var up, down float64
		for score := scores[order[i]]; i < len(order) && scores[order[i]] == score; i++ {
			if clicked[order[i]] {
				up++
			} else {
				down++
			}
		}
		above += up * (others + down/2)
		clicks, others = clicks+up, others+down
	}
	return quality{above / (clicks * others), loss / float64(len(scores))}
}
