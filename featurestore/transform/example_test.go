package transform_test

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/transform"
)

// Parameters are fitted on the columns of a training set, and saved with the version of the service.
func ExampleFit() {
	clicks := featurestore.NewColumn(featurestore.Feature{Name: "clicks", Kind: featurestore.Int64}, 4)
	for row, n := range []int64{0, 9, 99, 999} {
		clicks.Ints[row], clicks.Valid[row] = n, true
	}
	service := featurestore.Service{
		Name: "ranking", Version: 1, Features: []string{"clicks_scaled"},
		Transforms: []featurestore.Transform{
			transform.Log("clicks_log", "items:clicks", 1),
			transform.Standardize("clicks_scaled", "clicks_log"),
		},
	}

	columns := map[string]*featurestore.Column{"items:clicks": clicks}
	service, err := transform.Fit(service, columns, transform.Ops(), transform.Fitters())
	if err != nil {
		fmt.Println(err)
		return
	}
	var fitted struct{ Mean, Std float64 }
	if err := json.Unmarshal(service.Transforms[1].Params, &fitted); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("mean %.3f, std %.3f\n", fitted.Mean, fitted.Std)
	for row := range clicks.Len() {
		fmt.Printf("%.3f\n", columns["clicks_scaled"].Floats[row])
	}
	// Output:
	// mean 3.454, std 2.574
	// -1.342
	// -0.447
	// 0.447
	// 1.342
}

// An operation of your own is a function of numbers, under a name that definitions may use.
func ExampleNumeric() {
	ops := transform.Ops()
	ops["sigmoid"] = transform.Numeric(1, func(x []float64) float64 { return 1 / (1 + math.Exp(-x[0])) })

	score := featurestore.NewColumn(featurestore.Feature{Name: "score", Kind: featurestore.Float64}, 2)
	score.Floats[0], score.Valid[0] = 2, true // the second row has none
	columns := map[string]*featurestore.Column{"items:score": score}
	_, err := transform.Fit(featurestore.Service{Transforms: []featurestore.Transform{{
		Name: "likely", Op: "sigmoid", Inputs: []string{"items:score"},
		Outputs: []featurestore.Feature{{Name: "likely", Kind: featurestore.Float64}},
	}}}, columns, ops, nil)
	fmt.Printf("%v %.3f %v\n", err, columns["likely"].Floats[0], columns["likely"].Valid)
	// Output:
	// <nil> 0.881 [true false]
}
