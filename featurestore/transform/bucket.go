package transform

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"

	"github.com/scalable-ai/patterns/featurestore"
)

type bucketParams struct {
	Bounds []float64 `json:"bounds"`
}

// Bucket is the number of bounds that x is not below: 0 below the first, len(bounds) from the last on. The bounds ascend. The output is an
// Int64.
func Bucket(output, input string, bounds ...float64) featurestore.Transform {
	return write("bucket", output, featurestore.Int64, 0, []string{input}, bucketParams{bounds})
}

func bucket(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	var p bucketParams
	if err := params(t, &p); err != nil {
		return nil, err
	}
	if len(p.Bounds) == 0 {
		return nil, fail(t, "there are no bounds")
	}
	return bucketOf(t, inputs, p.Bounds)
}

func bucketOf(t featurestore.Transform, inputs []featurestore.Feature, bounds []float64) (featurestore.Apply, error) {
	err := errors.Join(arity(t, inputs, 1, 1), numbers(t, inputs), output(t, featurestore.Int64, featurestore.Int32, featurestore.Float64, featurestore.Float32))
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(bounds); i++ {
		if bounds[i] <= bounds[i-1] {
			return nil, fail(t, "the bounds do not ascend: %v is after %v", bounds[i], bounds[i-1])
		}
	}
	return func(in, out []*featurestore.Column) error {
		for row := range out[0].Valid {
			if x, ok := number(in[0], row); ok {
				setInt(out[0], row, sort.Search(len(bounds), func(i int) bool { return x < bounds[i] }))
			}
		}
		return nil
	}, nil
}

// setInt sets a row of a column of integers or floating-point numbers.
func setInt(c *featurestore.Column, row, n int) {
	switch c.Kind {
	case featurestore.Float64, featurestore.Float32:
		c.Floats[row] = float64(n)
	default:
		c.Ints[row] = int64(n)
	}
	c.Valid[row] = true
}

type quantilesParams struct {
	Buckets int       `json:"buckets"`
	Bounds  []float64 `json:"bounds,omitempty"`
}

// Quantiles is [Bucket] with bounds that cut the training set in that many parts of the same size, from 2 to 65,536. Bounds that are equal, because many values are, are one. The
// output is an Int64. It has to be fitted.
func Quantiles(output, input string, buckets int) featurestore.Transform {
	return write("quantiles", output, featurestore.Int64, 0, []string{input}, quantilesParams{Buckets: buckets})
}

func quantiles(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	var p quantilesParams
	if err := fitted(t, &p); err != nil {
		return nil, err
	}
	if len(p.Bounds) == 0 {
		return nil, notFitted(t)
	}
	return bucketOf(t, inputs, p.Bounds)
}

const maxQuantiles = 1 << 16

func fitQuantiles(t featurestore.Transform, in []*featurestore.Column) (any, error) {
	var p quantilesParams
	if err := params(t, &p); err != nil {
		return nil, err
	}
	if p.Buckets < 2 || p.Buckets > maxQuantiles {
		return nil, fail(t, "2 to %d buckets, not %d", maxQuantiles, p.Buckets)
	}
	xs, err := sample(t, in[0])
	if err != nil {
		return nil, err
	}
	slices.Sort(xs)
	p.Bounds = nil
	for i := 1; i < p.Buckets; i++ {
		p.Bounds = append(p.Bounds, quantile(xs, float64(i)/float64(p.Buckets)))
	}
	slices.Sort(p.Bounds) // rounding may put one past the next
	p.Bounds = slices.Compact(p.Bounds)
	return p, nil
}

type hashParams struct {
	Buckets int64  `json:"buckets"`
	Salt    uint64 `json:"salt,omitempty"`
}

// Hash spreads the values of the inputs over that many buckets, 0 to buckets-1: a category with too many values for one-hot, or several crossed. The
// inputs are of any types but vectors. Other salts give other collisions. The hash is xxHash64 of an encoding that does not change, so a model can be
// trained with it elsewhere (see encode in the source): for each input its length in bytes and its bytes, or 8 bytes of the number. The output is an Int64.
func Hash(output string, buckets int64, salt uint64, inputs ...string) featurestore.Transform {
	return write("hash", output, featurestore.Int64, 0, inputs, hashParams{buckets, salt})
}

func hash(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	var p hashParams
	if err := errors.Join(arity(t, inputs, 1, many), output(t, featurestore.Int64), params(t, &p)); err != nil {
		return nil, err
	}
	if p.Buckets < 1 {
		return nil, fail(t, "at least 1 bucket, not %d", p.Buckets)
	}
	for i, f := range inputs {
		if f.Kind == featurestore.Vector {
			return nil, fail(t, "input %q is a vector", t.Inputs[i])
		}
	}
	return func(in, out []*featurestore.Column) error {
		var d xxhash.Digest
	rows:
		for row := range out[0].Valid {
			d.ResetWithSeed(p.Salt)
			for _, c := range in {
				if !c.Valid[row] || c.Floats != nil && math.IsNaN(c.Floats[row]) {
					continue rows
				}
				encode(&d, c, row)
			}
			out[0].Ints[row], out[0].Valid[row] = int64(d.Sum64()%uint64(p.Buckets)), true
		}
		return nil
	}, nil
}

// encode feeds one value to a hash: of text and bytes the length, as 8 bytes in little-endian, and the bytes; of an integer, a bool (0 or 1) or a timestamp (nanoseconds
// since 1970) the 8 bytes of its two's complement in little-endian; of a float the 8 bytes of its float64.
func encode(d *xxhash.Digest, c *featurestore.Column, row int) {
	var (
		word uint64
		text string
	)
	switch c.Kind {
	case featurestore.String, featurestore.Bytes:
		text = c.Strs[row]
		word = uint64(len(text))
	case featurestore.Float64, featurestore.Float32:
		word = math.Float64bits(c.Floats[row])
	default:
		word = uint64(c.Ints[row])
	}
	var raw [8]byte
	binary.LittleEndian.PutUint64(raw[:], word)
	_, _ = d.Write(raw[:]) // a hash does not fail
	_, _ = d.WriteString(text)
}
