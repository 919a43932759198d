package featurestore

import (
	"fmt"
	"math"
	"slices"
)

// matrixPlan says how records become rows of a Matrix.
type matrixPlan struct {
	err     error // why the service has none
	columns []MatrixColumn
	fill    []float32 // a row in which nothing has a value
	views   []matrixView
	outputs []matrixOutput
}

// MatrixColumn describes one column of a [Matrix].
type MatrixColumn struct {
	Column  int // of the service, see Reader.Columns
	Element int // of a Vector; else 0
}

// matrixView is the part of a matrix row that comes from one view.
type matrixView struct {
	spans []span // the columns of the view; columns side by side are one
	runs  []run  // for a row in which all are there: as few loops as possible
	cells []cell // for a row in which some are not
}

// span is n columns of a matrix from at.
type span struct{ at, n int }

// run is columns of one kind whose values are side by side both in the record and in the matrix. Those that a record holds as float32 count as one
// kind, Vector.
type run struct {
	span
	slot int
	kind Kind
}

// cell is one feature.
type cell struct {
	run
	feature int
}

// matrixOutput is an output of a transform.
type matrixOutput struct {
	span
	variable int
}

func newMatrixPlan(p *plan, fill float32) matrixPlan {
	m := matrixPlan{views: make([]matrixView, len(p.views))}
	for i := range p.columns {
		f := &p.columns[i].Feature
		n := 1
		switch {
		case f.Kind == Vector:
			n = f.Dim
		case !f.Kind.Numeric():
			m.err = fmt.Errorf("%w: column %q of version %d of service %q is of type %v, which has no place in a matrix: leave it to a transform",
				ErrDefinition, p.columns[i].Name, p.service.Version, p.service.Name, f.Kind)
			return m
		}
		at := span{len(m.fill), n}
		for j := range n {
			x := fill
			switch {
			case f.Default.IsNull():
			case f.Kind == Vector:
				x = f.Default.vec[j]
			default:
				x = float32(number(f.Kind, f.Default.num))
			}
			m.fill = append(m.fill, x)
			m.columns = append(m.columns, MatrixColumn{i, j})
		}
		if from := p.sources[i]; from.view < 0 {
			m.outputs = append(m.outputs, matrixOutput{at, from.at})
		} else {
			kind := f.Kind
			if kind == Float32 {
				kind = Vector
			}
			schema := p.views[from.view].schema
			m.views[from.view].add(cell{run{at, schema.slots[from.at], kind}, from.at})
		}
	}
	return m
}

// add adds a column, which is right of all others.
func (v *matrixView) add(c cell) {
	v.cells = append(v.cells, c)
	if i := len(v.spans) - 1; i >= 0 && v.spans[i].at+v.spans[i].n == c.at {
		v.spans[i].n += c.n
	} else {
		v.spans = append(v.spans, c.span)
	}
	if i := len(v.runs) - 1; i >= 0 && v.runs[i].kind == c.kind && v.runs[i].at+v.runs[i].n == c.at && v.runs[i].slot+v.runs[i].n == c.slot {
		v.runs[i].n += c.n
	} else {
		v.runs = append(v.runs, c.run)
	}
}

// convert fills the run's columns of a matrix row.
func (u *run) convert(row []float32, r *Record) {
	row = row[u.at : u.at+u.n]
	if u.kind == Vector {
		copy(row, r.vecs[u.slot:u.slot+u.n])
		return
	}
	nums := r.nums[u.slot : u.slot+u.n]
	nums = nums[:len(row)] // so that the loops have no bounds checks
	switch u.kind {
	case Float64:
		for i := range row {
			row[i] = float32(math.Float64frombits(nums[i]))
		}
	case Timestamp:
		for i := range row {
			row[i] = float32(number(Timestamp, nums[i]))
		}
	default:
		for i := range row {
			row[i] = float32(int64(nums[i]))
		}
	}
}

// convert fills the output's columns of all rows of a matrix.
func (o *matrixOutput) convert(m *Matrix, v *variable) {
	if v.Kind == Vector {
		for i, ok := range v.Valid {
			if ok {
				copy(m.Row(i)[o.at:o.at+o.n], v.Vecs[i*o.n:(i+1)*o.n])
			}
		}
	} else {
		for i, ok := range v.Valid {
			if !ok {
				continue
			}
			x := &m.Data[i*m.Cols+o.at]
			switch v.Kind {
			case Float64, Float32:
				*x = float32(v.Floats[i])
			case Timestamp:
				*x = float32(number(Timestamp, uint64(v.Ints[i])))
			default:
				*x = float32(v.Ints[i])
			}
		}
	}
	for i, absent := range v.absent {
		if absent {
			clear(m.PresentRow(i)[o.at : o.at+o.n])
		}
	}
}

var trues = slices.Repeat([]bool{true}, 1024)

func fillTrue(s []bool) {
	for len(s) > 0 {
		s = s[copy(s, trues):]
	}
}
