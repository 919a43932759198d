package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// allowedLateness is how much older than the newest so far a row may be without counting as late.
const allowedLateness = 10 * time.Minute

// event is a row on its way: version 0 is the entity's newest, version 1 the one before.
type event struct {
	id      int32
	version uint8
	at      time.Duration // event time, before the world's moment: negative
	arrival time.Duration // likewise
}

// stream is the rows of one view in the order in which they arrive, and what a generator knows of them.
type stream struct {
	view   string
	events []event
	copies int // that arrive a second time
	order  int // older than the one that arrived before
	late   int // older than the newest that arrived before by more than allowedLateness
}

// rhythm says how a view's rows come.
type rhythm struct {
	versions int // of an entity, at most
	gap      time.Duration
}

var rhythms = map[string]rhythm{
	userProfile: {2, day}, userActivity: {4, 20 * time.Minute}, itemProfile: {2, day}, itemStats: {8, 5 * time.Minute},
}

// entities is the number of ids of a view, and newest the age of an entity's newest row; false if it has none.
func (w *world) entities(view string) int {
	if view == userProfile || view == userActivity {
		return len(w.users)
	}
	return len(w.items)
}

func (w *world) newest(view string, id int) (time.Duration, bool) {
	switch view {
	case userProfile:
		return w.users[id].profileAge, w.users[id].known
	case userActivity:
		return w.users[id].activityAge, w.users[id].known
	case itemProfile:
		return w.items[id].profileAge, true
	}
	return w.items[id].statsAge, w.items[id].counted
}

// stream makes the rows of a view: nine in ten arrive within two seconds, others up to an hour late, and one in ten twice.
func (w *world) stream(view string) stream {
	random := rand.New(rand.NewPCG(w.seed, streamEvents+uint64(slices.Index(viewNames, view))))
	s := stream{view: view}
	r := rhythms[view]
	for id := range w.entities(view) {
		age, ok := w.newest(view, id)
		if !ok {
			continue
		}
		for version := range 1 + random.IntN(r.versions) {
			at := -age - time.Duration(version)*r.gap
			e := event{id: int32(id), version: uint8(version), at: at, arrival: min(at+delay(random), 0)}
			s.events = append(s.events, e)
			if random.Float64() < 0.1 {
				e.arrival = min(e.arrival+between(random, 0, time.Minute), 0)
				s.events = append(s.events, e)
				s.copies++
			}
		}
	}
	slices.SortStableFunc(s.events, func(a, b event) int { return cmp.Compare(a.arrival, b.arrival) })
	for i, e := range s.events {
		if i > 0 && e.at < s.events[i-1].at {
			s.order++
		}
	}
	newest := time.Duration(-1 << 63)
	for _, e := range s.events {
		newest = max(newest, e.at)
		if newest-e.at > allowedLateness {
			s.late++
		}
	}
	return s
}

func delay(random *rand.Rand) time.Duration {
	switch x := random.Float64(); {
	case x < 0.9:
		return between(random, 0, 2*time.Second)
	case x < 0.98:
		return between(random, 0, 5*time.Minute)
	}
	return between(random, 0, time.Hour)
}

// The rows of the views.
type (
	userProfileRow struct {
		User    int64        `key:"user_id"`
		At      time.Time    `event:"time"`
		Country *string      `feature:"country"` // nil: not known
		Taste   [dim]float32 `feature:"taste"`
	}
	userActivityRow struct {
		User     int64     `key:"user_id"`
		At       time.Time `event:"time"`
		Views    int64     `feature:"views_7d"`
		Clicks   int64     `feature:"clicks_7d"`
		Sessions int64     `feature:"sessions_1d"`
	}
	itemProfileRow struct {
		Item     int64        `key:"item_id"`
		At       time.Time    `event:"time"`
		Category string       `feature:"category"`
		Price    *float64     `feature:"price"` // nil: not known
		Style    [dim]float32 `feature:"style"`
	}
	itemStatsRow struct {
		Item        int64     `key:"item_id"`
		At          time.Time `event:"time"`
		Impressions int64     `feature:"impressions"`
		Clicks      int64     `feature:"clicks"`
	}
)

// maker makes rows of events. Values of older versions are other than those of the newest, so that taking one for the other shows.
type maker struct {
	w        *world
	profile  *fs.RowBinding[userProfileRow]
	activity *fs.RowBinding[userActivityRow]
	item     *fs.RowBinding[itemProfileRow]
	stats    *fs.RowBinding[itemStatsRow]
}

func newMaker(w *world, registry *fs.Registry) (*maker, error) {
	m := &maker{w: w}
	for _, bind := range []func() error{
		func() (err error) { m.profile, err = bindRow[userProfileRow](registry, userProfile); return err },
		func() (err error) { m.activity, err = bindRow[userActivityRow](registry, userActivity); return err },
		func() (err error) { m.item, err = bindRow[itemProfileRow](registry, itemProfile); return err },
		func() (err error) { m.stats, err = bindRow[itemStatsRow](registry, itemStats); return err },
	} {
		if err := bind(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func bindRow[T any](registry *fs.Registry, view string) (*fs.RowBinding[T], error) {
	schema, err := registry.View(view)
	if err != nil {
		return nil, err
	}
	return fs.BindRow[T](schema)
}

func (m *maker) row(view string, e event) (fs.Row, error) {
	id, at, old := int64(e.id), m.w.now.Add(e.at), int64(e.version)
	switch view {
	case userProfile:
		u := &m.w.users[id]
		row := userProfileRow{User: id, At: at, Taste: u.taste}
		row.Taste[0] += float32(old)
		if u.country != "" {
			row.Country = &u.country
		}
		return m.profile.Row(&row)
	case userActivity:
		u := &m.w.users[id]
		return m.activity.Row(&userActivityRow{id, at, u.views + old, u.clicks, u.sessions})
	case itemProfile:
		it := &m.w.items[id]
		row := itemProfileRow{Item: id, At: at, Category: categoryNames[it.category], Style: it.style}
		row.Style[0] += float32(old)
		if it.priced {
			row.Price = &it.price
		}
		return m.item.Row(&row)
	case itemStats:
		it := &m.w.items[id]
		return m.stats.Row(&itemStatsRow{id, at, it.impressions + old, it.clicks})
	}
	return fs.Row{}, fmt.Errorf("no view %q", view)
}
