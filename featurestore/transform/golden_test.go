package transform_test

// What Hash gives for the columns of TestHash.
var hashGolden = [][]float64{{251349, 86042, nan, 291579}, {845968, 356778, nan, 756705}}
