package featurestore_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// FuzzReads makes random definitions, writes, deletes and reads, with the clock going on, and compares them with a map of maps.
func FuzzReads(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(seed, uint8(40))
	}
	f.Fuzz(func(t *testing.T, seed uint64, steps uint8) {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, rand.New(rand.NewPCG(seed, 0)))
			for range steps {
				switch m.rng.IntN(6) {
				case 0, 1:
					m.write()
				case 2:
					m.remove()
				case 3:
					time.Sleep(time.Duration(m.rng.IntN(4)) * time.Second) // the event times and TTLs are whole seconds: boundaries are met
				case 4:
					m.readAll(m.reader)
				default:
					reader, err := m.online.Reader("m", 0)
					require.NoError(t, err)
					m.reader = reader
					m.readAll(reader)
				}
			}
		})
	})
}

type modelRow struct {
	event  time.Time
	values map[string]fs.Value
}

type model struct {
	t      *testing.T
	rng    *rand.Rand
	defs   fs.Definitions
	online *fs.Online
	reader *fs.Reader
	views  map[string]*fs.Schema
	rows   map[string]map[string]modelRow // by view and key
	result fs.Result
	matrix fs.Matrix
}

func newModel(t *testing.T, rng *rand.Rand) *model {
	m := &model{t: t, rng: rng, views: map[string]*fs.Schema{}, rows: map[string]map[string]modelRow{}}
	m.defs = fs.Definitions{Entities: userAndItem().Entities}
	s := fs.Service{Name: "m", Version: 1}
	text := rng.IntN(2) == 0            // without, there is a matrix
	onlyOne := fs.Kind(1 + rng.IntN(9)) // of which many are side by side
	few := rng.IntN(3) == 0
	for v := range 1 + rng.IntN(4) {
		view := fs.View{
			Name: fmt.Sprint("v", v), Entity: []string{"user", "item", "pair", ""}[rng.IntN(4)], TTL: fs.Duration(rng.IntN(4)) * fs.Duration(time.Second),
		}
		for i := range 1 + rng.IntN(8)*rng.IntN(20) {
			f := fs.Feature{Name: fmt.Sprint("f", i), Kind: fs.Kind(1 + rng.IntN(9))}
			if few && rng.IntN(5) > 0 {
				f.Kind = onlyOne
			}
			if f.Kind == fs.Vector {
				f.Dim = 1 + rng.IntN(3)
			}
			if rng.IntN(3) == 0 {
				f.Default = m.value(f)
			}
			view.Features = append(view.Features, f)
			if rng.IntN(3) > 0 && (text || f.Kind != fs.String && f.Kind != fs.Bytes) {
				s.Features = append(s.Features, view.Name+":"+f.Name)
			}
		}
		m.defs.Views = append(m.defs.Views, view)
		m.rows[view.Name] = map[string]modelRow{}
	}
	if len(s.Features) == 0 {
		s.Features = []string{"v0:*"}
	}
	rng.Shuffle(len(s.Features), func(i, j int) { s.Features[i], s.Features[j] = s.Features[j], s.Features[i] })
	m.defs.Services = []fs.Service{s}
	online, registry := newOnline(t, newMapStore(), m.defs, nil)
	m.online = online
	for _, v := range m.defs.Views {
		m.views[v.Name] = view(t, registry, v.Name)
	}
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	m.reader = reader
	return m
}

func (m *model) value(f fs.Feature) fs.Value {
	n := m.rng.IntN(1000) - 500
	switch f.Kind {
	case fs.Int64:
		return fs.Int64Value(int64(n))
	case fs.Int32:
		return fs.Int32Value(int32(n))
	case fs.Float64:
		return fs.Float64Value(float64(n) / 4)
	case fs.Float32:
		return fs.Float32Value(float32(n) / 4)
	case fs.Bool:
		return fs.BoolValue(n > 0)
	case fs.String:
		return fs.StringValue(fmt.Sprint(n))
	case fs.Bytes:
		return fs.BytesValue([]byte{byte(n)})
	case fs.Timestamp:
		return fs.TimestampValue(time.Unix(int64(n), 0))
	}
	vec := make([]float32, f.Dim)
	for i := range vec {
		vec[i] = float32(m.rng.IntN(100))
	}
	return fs.VectorValue(vec)
}

// key is a random key of an entity: what the model calls it, and the store.
func (m *model) key(schema *fs.Schema, user int64, sku string) (string, fs.Key) {
	e := schema.Entity()
	parts := []any{}
	for _, j := range e.JoinKeys {
		if j.Name == "user_id" {
			parts = append(parts, user)
		} else {
			parts = append(parts, sku)
		}
	}
	if len(parts) == 0 {
		return "", fs.Key{}
	}
	k, err := e.Key(parts...)
	require.NoError(m.t, err)
	return fmt.Sprint(parts), k
}

func (m *model) user() int64 { return m.rng.Int64N(4) }

func (m *model) sku() string { return []string{"", "a", "b", "c"}[m.rng.IntN(4)] }

func (m *model) view() fs.View { return m.defs.Views[m.rng.IntN(len(m.defs.Views))] }

func (m *model) write() {
	v := m.view()
	schema := m.views[v.Name]
	var rows []fs.Row
	var want []fs.Outcome
	for range m.rng.IntN(5) {
		name, key := m.key(schema, m.user(), m.sku())
		event := time.Now().Add(time.Duration(m.rng.IntN(7)-4) * time.Second)
		if m.rng.IntN(10) == 0 {
			event = time.Now().Add(fs.DefaultMaxFuture + time.Second)
		}
		values := map[string]fs.Value{}
		empty := m.rng.IntN(2) == 0
		for _, f := range v.Features {
			if !empty || m.rng.IntN(8) > 0 {
				values[f.Name] = m.value(f)
			}
		}
		r, err := schema.Record(event, values)
		require.NoError(m.t, err)
		rows = append(rows, fs.Row{Key: key, Record: r})
		old, ok := m.rows[v.Name][name]
		switch {
		case event.After(time.Now().Add(fs.DefaultMaxFuture)):
			want = append(want, fs.Invalid)
		case ok && !event.After(old.event):
			want = append(want, fs.Stale)
		default:
			want = append(want, fs.Written)
			m.rows[v.Name][name] = modelRow{event, values}
		}
	}
	outcomes, err := m.online.Write(m.t.Context(), v.Name, rows)
	require.Equal(m.t, want, outcomes)
	invalid := 0
	for _, o := range outcomes {
		if o == fs.Invalid {
			invalid++
		}
	}
	require.Equal(m.t, invalid > 0, err != nil)
}

func (m *model) remove() {
	v := m.view()
	name, key := m.key(m.views[v.Name], m.user(), m.sku())
	delete(m.rows[v.Name], name)
	require.NoError(m.t, m.online.Delete(m.t.Context(), v.Name, []fs.Key{key}))
}

// readAll reads rows of random keys, each by a column or by a single value for all, and compares each cell.
func (m *model) readAll(reader *fs.Reader) {
	n := m.rng.IntN(5)
	users, skus := make([]int64, n), make([]string, n)
	for i := range n {
		users[i], skus[i] = m.user(), m.sku()
	}
	oneUser, oneSKU := m.rng.IntN(3) == 0, m.rng.IntN(3) == 0
	req, longest := fs.Request{}, -1
	for _, j := range reader.Keys() {
		if j.Name == "user_id" {
			if oneUser {
				users = []int64{m.user()}
			}
			req.Keys = append(req.Keys, fs.IntKeys("user_id", users...))
			longest = pick(longest, len(users))
			continue
		}
		if oneSKU {
			skus = []string{m.sku()}
		}
		req.Keys = append(req.Keys, fs.StringKeys("sku", skus...))
		longest = pick(longest, len(skus))
	}
	if longest < 0 {
		longest = 1
	}
	require.NoError(m.t, reader.Read(m.t.Context(), req, &m.result))
	require.Equal(m.t, longest, m.result.Rows())
	columns, matrixErr := reader.MatrixColumns()
	if err := reader.Matrix(m.t.Context(), req, &m.matrix); matrixErr != nil {
		require.Equal(m.t, matrixErr, err)
	} else {
		require.NoError(m.t, err)
		require.Equal(m.t, longest, m.matrix.Rows)
		require.Equal(m.t, len(columns), m.matrix.Cols)
	}
	element := func(s []string, i int64) string { return s[int(i)%len(s)] }
	for row := range longest {
		var user int64
		var sku string
		if len(users) > 0 {
			user = users[row%len(users)]
		}
		if len(skus) > 0 {
			sku = element(skus, int64(row))
		}
		for col, info := range reader.Columns() {
			value, status, event := m.want(info, user, sku)
			require.Equal(m.t, status, m.result.Status(row, col))
			require.True(m.t, value.Equal(m.result.Value(row, col)), "%v %v", value, m.result.Value(row, col))
			if status == fs.Present {
				require.True(m.t, event.Equal(m.result.EventTime(row, col)))
			}
			if matrixErr == nil {
				m.checkMatrix(columns, row, col, value, status)
			}
		}
	}
}

// pick is the number of rows with one more column.
func pick(longest, n int) int {
	if longest < 0 || longest == 1 {
		return n
	}
	return longest
}

func (m *model) want(info fs.ColumnInfo, user int64, sku string) (fs.Value, fs.Status, time.Time) {
	schema := m.views[info.View]
	name, _ := m.key(schema, user, sku)
	row, ok := m.rows[info.View][name]
	value, has := row.values[info.Feature.Name]
	expired := ok && schema.TTL() > 0 && time.Since(row.event) >= schema.TTL()
	status := fs.Present
	switch {
	case expired:
		status = fs.Expired
	case !has:
		status = fs.Missing
	}
	if status == fs.Present {
		return value, status, row.event
	}
	var original fs.Value
	for _, v := range m.defs.Views {
		for _, f := range v.Features {
			if v.Name == info.View && f.Name == info.Feature.Name {
				original = f.Default
			}
		}
	}
	if !original.IsNull() {
		return original, fs.Default, time.Time{}
	}
	return fs.Value{}, status, time.Time{}
}

func (m *model) checkMatrix(columns []fs.MatrixColumn, row, col int, value fs.Value, status fs.Status) {
	for at, c := range columns {
		if c.Column != col {
			continue
		}
		want := float32(math.NaN())
		switch {
		case value.IsNull():
		case value.Kind() == fs.Vector:
			want = value.Vector()[c.Element]
		default:
			want = float32(value.Float())
		}
		got := m.matrix.Row(row)[at]
		require.Truef(m.t, got == want || got != got && want != want, "%v %v", got, want)
		require.Equal(m.t, status == fs.Present, m.matrix.PresentRow(row)[at])
	}
}
