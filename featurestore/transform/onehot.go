package transform

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/scalable-ai/patterns/featurestore"
)

type oneHotParams struct {
	Categories []string `json:"categories"`
}

// OneHot is a vector of size elements with a single 1: at the place of the value among the categories, or in the last element for any other value and for a missing
// one. So there are size-1 categories at most. Without categories, it has to be fitted: it takes the most frequent of the training set, of equally frequent ones
// those that sort first. The input is text, bytes (categories in valid UTF-8), an integer (categories in decimal) or a bool ("true", "false").
func OneHot(output, input string, size int, categories ...string) featurestore.Transform {
	var p any
	if len(categories) > 0 {
		p = oneHotParams{categories}
	}
	for _, c := range categories {
		if !utf8.ValidString(c) {
			p = map[string]string{"error": "a category is not valid UTF-8, and cannot be saved"} // the operation refuses it by this
		}
	}
	return write("onehot", output, featurestore.Vector, size, []string{input}, p)
}

func oneHot(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	var p oneHotParams
	if err := errors.Join(checkOneHot(t, inputs), fitted(t, &p)); err != nil {
		return nil, err
	}
	dim := t.Outputs[0].Dim
	if len(p.Categories) >= dim {
		return nil, fail(t, "%d categories and one more for the others do not fit in %d elements", len(p.Categories), dim)
	}
	text, ints := make(map[string]int, len(p.Categories)), make(map[int64]int, len(p.Categories))
	for i, c := range p.Categories {
		if _, ok := text[c]; ok {
			return nil, fail(t, "category %q is there twice", c)
		}
		text[c] = i
		switch kind := inputs[0].Kind; kind {
		case featurestore.String, featurestore.Bytes:
		case featurestore.Bool:
			if c != "true" && c != "false" {
				return nil, fail(t, "category %q is not a bool", c)
			}
			ints[int64(len("false")-len(c))] = i // true is 1
		default:
			n, err := strconv.ParseInt(c, 10, 64)
			if err != nil || strconv.FormatInt(n, 10) != c {
				return nil, fail(t, "category %q is not a decimal integer", c)
			}
			ints[n] = i
		}
	}
	textual := inputs[0].Kind == featurestore.String || inputs[0].Kind == featurestore.Bytes
	return func(in, out []*featurestore.Column) error {
		c := in[0]
		for row := range out[0].Valid {
			at := dim - 1
			if c.Valid[row] {
				var (
					found int
					ok    bool
				)
				if textual {
					found, ok = text[c.Strs[row]]
				} else {
					found, ok = ints[c.Ints[row]]
				}
				if ok {
					at = found
				}
			}
			vec := out[0].Vecs[row*dim : (row+1)*dim]
			clear(vec)
			vec[at] = 1
			out[0].Valid[row] = true
		}
		return nil
	}, nil
}

func checkOneHot(t featurestore.Transform, inputs []featurestore.Feature) error {
	if err := errors.Join(arity(t, inputs, 1, 1), output(t, featurestore.Vector)); err != nil {
		return err
	}
	if dim := t.Outputs[0].Dim; dim < 1 {
		return fail(t, "at least 1 element, not %d", dim)
	}
	switch inputs[0].Kind {
	case featurestore.String, featurestore.Bytes, featurestore.Int64, featurestore.Int32, featurestore.Bool:
		return nil
	}
	return fail(t, "input %q is of type %v, which is not a category", t.Inputs[0], inputs[0].Kind)
}

func fitOneHot(t featurestore.Transform, in []*featurestore.Column) (any, error) {
	if err := checkOneHot(t, []featurestore.Feature{in[0].Feature}); err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for row := range in[0].Valid {
		if in[0].Valid[row] {
			counts[category(in[0], row)]++
		}
	}
	if len(counts) == 0 {
		return nil, fail(t, "no value to fit it to")
	}
	type counted struct {
		category string
		n        int
	}
	var all []counted
	for c, n := range counts {
		all = append(all, counted{c, n})
	}
	slices.SortFunc(all, func(a, b counted) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.category, b.category)) })
	p := oneHotParams{Categories: []string{}}
	for _, c := range all[:min(len(all), t.Outputs[0].Dim-1)] {
		if !utf8.ValidString(c.category) {
			return nil, fail(t, "category %q is not valid UTF-8, and cannot be saved", c.category)
		}
		p.Categories = append(p.Categories, c.category)
	}
	return p, nil
}

// category is a value as it stands among the categories.
func category(c *featurestore.Column, row int) string {
	switch c.Kind {
	case featurestore.String, featurestore.Bytes:
		return c.Strs[row]
	case featurestore.Bool:
		return strconv.FormatBool(c.Ints[row] != 0)
	}
	return strconv.FormatInt(c.Ints[row], 10)
}
