// Package transform has the usual operations on features: ratio, logarithm, scaling, buckets, hashing, one-hot, cosine and more. A
// service of package featurestore names them in its definition; each read computes them, and [Fit] computes them with the same code on the columns that
// a model is trained with, so that both see the same numbers.
//
// A transform is a definition (featurestore.Transform): the name of an operation, its inputs, its outputs and its parameters, saved with the version of the
// service. The functions of this package such as [Ratio] and [Standardize] write them; [Ops] has the operations, for featurestore.WithOps. Beside them may
// stand operations of your own: anything of type featurestore.Op, made by [Numeric] if it is a function of numbers.
//
// # Values that are missing
//
// An output is missing if one of its inputs is, or if the result is not a finite number: a division by zero, the logarithm of a negative
// number. NaN counts as missing. [Coalesce], [Fill], [Missing] and [OneHot] are there to make something of what is missing.
//
// # Fitting
//
// Standardize, MinMax, Robust, Quantiles, OneHot and Fill have parameters that come from data: they are written without them, Fit computes them in order
// on columns of the training set, and returns the service with the parameters in it, to be given to featurestore.Registry.Apply. A service with a transform that has
// not been fitted is refused there.
//
// # When not to use it
//
// What can be computed when a row is written, from that row alone, is cheaper there: a transform runs for each row of each read. A transform sees one
// row at a time; counts and averages over events are not made here.
//
// # Cost
//
// Operations run over whole columns, do not allocate (but for those of Numeric, which make one small slice), and keep nothing. All functions are safe for concurrent use.
package transform
