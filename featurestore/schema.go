package featurestore

import (
	"slices"
	"time"
)

// Schema is a view as stores see it: checked, with its entity, and with the places of its features in a [Record]. It does not change and is safe
// for concurrent use.
type Schema struct {
	project string
	view    View
	entity  Entity // without join keys if the view has no entity
	index   map[string]int

	slots              []int // by feature: where its value is in a Record's nums, strs or (first element) vecs
	nums, strs, floats int   // how many of each a Record has
}

func newSchema(project string, view View, entity Entity) *Schema {
	s := &Schema{project: project, view: view, entity: entity, index: make(map[string]int, len(view.Features))}
	s.view.Features = slices.Clone(view.Features)
	s.slots = make([]int, len(view.Features))
	for i := range s.view.Features {
		f := &s.view.Features[i]
		s.index[f.Name] = i
		switch f.Kind {
		case String, Bytes:
			s.slots[i] = s.strs
			s.strs++
		case Vector:
			s.slots[i] = s.floats
			s.floats += f.Dim
		case Float32:
			s.slots[i] = s.floats
			s.floats++
		default:
			s.slots[i] = s.nums
			s.nums++
		}
	}
	return s
}

// Project is the name of the registry's project.
func (s *Schema) Project() string { return s.project }

// Name is the view's name.
func (s *Schema) Name() string { return s.view.Name }

// TTL is how long a row counts after its event time; 0: for ever.
func (s *Schema) TTL() time.Duration { return time.Duration(s.view.TTL) }

// Entity is the view's entity. It has no name and no join keys if the view has none. The caller must not change it.
func (s *Schema) Entity() *Entity { return &s.entity }

// Features are the view's features. The caller must not change them.
func (s *Schema) Features() []Feature { return s.view.Features }

// View is the definition. The caller must not change what it points to.
func (s *Schema) View() View { return s.view }

// Index is the position of a feature in Features, -1 if the view has none of that name.
func (s *Schema) Index(feature string) int {
	if i, ok := s.index[feature]; ok {
		return i
	}
	return -1
}
