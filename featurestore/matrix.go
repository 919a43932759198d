package featurestore

import "context"

// Matrix is a dense matrix of float32, row by row: what a model takes as its input. The columns are those of the service in its order; a
// Vector takes as many as it has elements. A Bool is 0 or 1, a Timestamp is in seconds since 1970 (of which a float32 keeps about two
// minutes: make an age of it in a transform), an integer beyond 2^24 is rounded, and a Float64 beyond
// the greatest float32 is an infinity. The zero Matrix is ready to use, and can be used
// again and again: it keeps its memory.
type Matrix struct {
	Rows, Cols int

	// Data has Rows×Cols elements: row i is Data[i*Cols : (i+1)*Cols]. Where there is no value it holds the feature's default or, without
	// one, Config.Fill.
	Data []float32

	// Present is as long as Data: whether the element is a value that was read or computed. It is false for a default.
	Present []bool
}

// Row is row i of Data.
func (m *Matrix) Row(i int) []float32 { return m.Data[i*m.Cols : (i+1)*m.Cols : (i+1)*m.Cols] }

// PresentRow is row i of Present.
func (m *Matrix) PresentRow(i int) []bool {
	return m.Present[i*m.Cols : (i+1)*m.Cols : (i+1)*m.Cols]
}

// MatrixColumns are the columns of the [Matrix], or an ErrDefinition if the service has a column of kind String or Bytes, and so no matrix. The caller must
// not change them.
func (r *Reader) MatrixColumns() ([]MatrixColumn, error) { return r.matrix.columns, r.matrix.err }

// Matrix is Do with the result as a matrix: it reads the features of the request's entities into m, in the memory that m has if that is enough. It does not
// allocate if neither store nor transforms do, and the entities have one join key each, not of kind Bytes. Keys of several join keys take a string for 16 rows
// or about 512 bytes of them.
//
// The errors are those of Do. Beside a *[PartialError] m is complete: what could not be read holds the default or Config.Fill. After any other
// error m has no rows.
func (r *Reader) Matrix(ctx context.Context, req Request, m *Matrix) error {
	m.Rows, m.Cols = 0, len(r.matrix.fill)
	m.Data, m.Present = m.Data[:0], m.Present[:0]
	if r.matrix.err != nil {
		return r.matrix.err
	}
	result := r.spare.Get().(*Result) // not put back if a transform or the store panics
	err := r.Read(ctx, req, result)
	if err == nil || isPartial(err) {
		r.fillMatrix(result, m)
	}
	result.forget()
	r.spare.Put(result)
	return err
}

// Matrix fills m with the result. It fails only if the service has no matrix, see [Reader.MatrixColumns].
func (r *Result) Matrix(m *Matrix) error {
	m.Rows, m.Cols = 0, 0
	m.Data, m.Present = m.Data[:0], m.Present[:0]
	if r.reader == nil {
		return nil
	}
	if r.reader.matrix.err != nil {
		return r.reader.matrix.err
	}
	r.reader.fillMatrix(r, m)
	return nil
}

func (r *Reader) fillMatrix(result *Result, m *Matrix) {
	m.Rows, m.Cols = result.rows, len(r.matrix.fill)
	m.Data, m.Present = resize(m.Data, m.Rows*m.Cols), resize(m.Present, m.Rows*m.Cols)
	if m.Rows == 0 {
		return
	}
	fillTrue(m.Present) // at once, for most are; what is not present is taken back
	for i := range r.matrix.views {
		v := &r.matrix.views[i]
		if len(v.cells) == 0 {
			continue // the view has only inputs of transforms
		}
		states := result.states[i]
		v.rows(m, states, result.lookups[i].Rows, r.matrix.fill)
		if len(states) < m.Rows { // one row goes for all
			v.repeat(m, states[0] == rowFull)
		}
	}
	for i := range r.matrix.outputs {
		o := &r.matrix.outputs[i]
		for row := range m.Rows {
			copy(m.Row(row)[o.at:o.at+o.n], r.matrix.fill[o.at:])
		}
		o.convert(m, &result.vars[o.variable])
	}
}

// rows fills a view's part of the matrix, as many rows as there are states.
func (v *matrixView) rows(m *Matrix, states []rowState, records []*Record, fill []float32) {
	data, cols := m.Data, m.Cols
	records = records[:len(states)]
	if len(v.runs) == 1 && v.runs[0].kind == Vector { // most services read a view of one kind in its own order: a row is one copy
		u := v.runs[0]
		for i, state := range states {
			if state == rowFull {
				copy(data[u.at:u.at+u.n], records[i].vecs[u.slot:u.slot+u.n])
			} else {
				v.part(data[:cols], m.PresentRow(i), state, records[i], fill)
			}
			data = data[cols:]
		}
		return
	}
	for i, state := range states {
		row := data[:cols]
		data = data[cols:]
		if state != rowFull {
			v.part(row, m.PresentRow(i), state, records[i], fill)
			continue
		}
		for j := range v.runs {
			v.runs[j].convert(row, records[i])
		}
	}
}

// part fills a view's part of a row in which something is not there.
func (v *matrixView) part(data []float32, present []bool, state rowState, r *Record, fill []float32) {
	for _, s := range v.spans {
		copy(data[s.at:s.at+s.n], fill[s.at:])
		clear(present[s.at : s.at+s.n])
	}
	if state != rowPart {
		return
	}
	for i := range v.cells {
		if c := &v.cells[i]; r.Has(c.feature) {
			c.convert(data, r)
			fillTrue(present[c.at : c.at+c.n])
		}
	}
}

// repeat copies a view's part of the first row to all others; full says that all of it is present.
func (v *matrixView) repeat(m *Matrix, full bool) {
	for _, s := range v.spans {
		from := m.Data[s.at : s.at+s.n]
		for at := s.at + m.Cols; at < len(m.Data); at += m.Cols {
			copy(m.Data[at:at+s.n], from)
		}
		if full { // as all rows are by now
			continue
		}
		marks := m.Present[s.at : s.at+s.n]
		for at := s.at + m.Cols; at < len(m.Present); at += m.Cols {
			copy(m.Present[at:at+s.n], marks)
		}
	}
}
