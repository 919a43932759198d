package storetest

import (
	"math"
	"slices"
	"strings"
	"testing"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// readRows reads some rows by a version: as a result and its columns, and as a matrix.
func (v *versions) readRows(t *testing.T, version int) {
	t.Helper()
	reader, req, rows := v.reader[version], fs.Request{}, 1
	keys := v.columns(reader, 1+v.random.IntN(40))
	for _, k := range keys {
		req.Keys = append(req.Keys, k)
		rows = max(rows, len(k.Ints), len(k.Strs))
	}
	result, err := reader.Do(t.Context(), req)
	if err != nil {
		t.Fatalf("Do: %v", err)
	}
	if result.Rows() != rows {
		t.Fatalf("%d rows, want %d", result.Rows(), rows)
	}
	var matrix fs.Matrix
	elements, noMatrix := reader.MatrixColumns()
	if noMatrix != nil {
		elements = nil
	} else if err := reader.Matrix(t.Context(), req, &matrix); err != nil {
		t.Fatalf("Matrix: %v", err)
	}
	at := 0
	for col := range reader.Columns() {
		column, first := result.Column(col), at
		for at < len(elements) && elements[at].Column == col {
			at++
		}
		for row := range rows {
			want, present := v.want(t, version, &reader.Columns()[col], keys, row)
			where := reader.Columns()[col].Name
			if got := result.Value(row, col); !got.Equal(want) {
				t.Fatalf("%s, row %d: %v, want %v", where, row, got, want)
			}
			if got := result.Status(row, col) == fs.Present; got != present {
				t.Fatalf("%s, row %d: it is %v, want present: %v", where, row, result.Status(row, col), present)
			}
			if got := column.Value(row); !got.Equal(want) {
				t.Fatalf("%s, row %d: %v in the column, want %v", where, row, got, want)
			}
			for i := first; i < at; i++ {
				if got, want := matrix.Row(row)[i], cell(want, elements[i].Element); !sameFloat(got, want) {
					t.Fatalf("%s, row %d: %v in the matrix, want %v", where, row, got, want)
				}
				if got := matrix.PresentRow(row)[i]; got != present {
					t.Fatalf("%s, row %d: present in the matrix: %v", where, row, got)
				}
			}
		}
	}
}

// columns are keys for n rows; at times one goes for all.
func (v *versions) columns(reader *fs.Reader, n int) map[string]fs.KeyColumn {
	keys := map[string]fs.KeyColumn{}
	for _, j := range reader.Keys() {
		k, count := fs.KeyColumn{Name: j.Name}, n
		if v.random.IntN(3) == 0 {
			count = 1
		}
		for range count {
			if j.Kind == fs.Int64 {
				k.Ints = append(k.Ints, v.user())
			} else {
				k.Strs = append(k.Strs, v.item())
			}
		}
		keys[j.Name] = k
	}
	return keys
}

// want is the value that a column has in a row of the request, and whether it is not only a default.
func (v *versions) want(t *testing.T, version int, column *fs.ColumnInfo, keys map[string]fs.KeyColumn, row int) (fs.Value, bool) {
	t.Helper()
	view, feature := column.View, column.Feature.Name
	output := view == ""
	if output {
		name := strings.TrimPrefix(column.Name, "same_")
		view, feature = name[:1], name[1:]
	}
	schema := v.views[version][view]
	var user int64
	var item string
	if ids := keys["user_id"].Ints; len(ids) > 0 {
		user = ids[min(row, len(ids)-1)]
	}
	if ids := keys["item_id"].Strs; len(ids) > 0 {
		item = ids[min(row, len(ids)-1)]
	}
	written := v.rows[modelKey{view, keyOf(t, schema, user, item)}]
	if value := written.values[feature]; !value.IsNull() && (schema.TTL() == 0 || written.event.Add(brief).After(v.now)) {
		return value, true
	}
	i := slices.IndexFunc(schema.Features(), func(f fs.Feature) bool { return f.Name == feature })
	value := schema.Features()[i].Default
	return value, output && !value.IsNull() // a transform takes its input's default for a value
}

// cell is what a matrix has for a value.
func cell(v fs.Value, element int) float32 {
	switch v.Kind() {
	case fs.Vector:
		return v.Vector()[element]
	case fs.Int64, fs.Int32:
		return float32(v.Int())
	}
	return float32(v.Float()) // NaN for null
}

func sameFloat(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}
