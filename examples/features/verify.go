package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// inspected is a row of the service "inspect": a user and an item.
type inspected struct {
	Country string       `feature:"country"`
	Taste   [dim]float32 `feature:"taste"`
	UserAt  time.Time    `feature:"taste,event"`

	Views          int64     `feature:"views_7d"`
	UserClicks     int64     `feature:"clicks_7d"`
	Sessions       int64     `feature:"sessions_1d"`
	ActivityStatus fs.Status `feature:"views_7d,status"`
	ActivityAt     time.Time `feature:"views_7d,event"`

	Category    string       `feature:"category"`
	Price       float64      `feature:"price"`
	PriceStatus fs.Status    `feature:"price,status"`
	Style       [dim]float32 `feature:"style"`
	ItemAt      time.Time    `feature:"style,event"`

	Impressions int64     `feature:"impressions"`
	Clicks      int64     `feature:"clicks"`
	StatsStatus fs.Status `feature:"impressions,status"`
	StatsAt     time.Time `feature:"impressions,event"`
}

var errWrong = errors.New("the store is wrong")

const verifyRows = 1000 // in a read

// verify reads all users and items and compares what there is with the world's newest rows. It returns how many rows it has compared.
func verify(ctx context.Context, online *fs.Online, w *world) (rows int, err error) {
	reader, err := online.Reader("inspect", 0)
	if err != nil {
		return 0, err
	}
	binding, err := fs.Bind[inspected](reader)
	if err != nil {
		return 0, err
	}
	var result fs.Result
	users, items := make([]int64, 0, verifyRows), make([]int64, 0, verifyRows)
	all := max(len(w.users), len(w.items))
	for from := 0; from < all; from += verifyRows {
		users, items = users[:0], items[:0]
		for i := from; i < min(from+verifyRows, all); i++ { // who is fewer comes again
			users, items = append(users, int64(i%len(w.users))), append(items, int64(i%len(w.items)))
		}
		err := reader.Read(ctx, fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", users...), fs.IntKeys("item_id", items...)}}, &result)
		if err != nil {
			return rows, err
		}
		for i := range users {
			var got inspected
			if err := binding.Scan(&result, i, &got); err != nil {
				return rows, err
			}
			if err := w.compare(&got, users[i], items[i]); err != nil {
				return rows, err
			}
			rows += len(viewNames)
		}
	}
	return rows, nil
}

// compare is an error if a row is not the newest of its entity, has another's values, or is there although it is too old.
func (w *world) compare(got *inspected, userID, itemID int64) error {
	u, it := &w.users[userID], &w.items[itemID]
	country, views, price := "unknown", fs.Missing, fs.Present
	if u.known && u.country != "" {
		country = u.country
	}
	want := inspected{Category: categoryNames[it.category], Price: it.price, Style: it.style, ItemAt: w.now.Add(-it.profileAge), Country: country}
	if !it.priced {
		want.Price, price = 20, fs.Default
	}
	if u.known {
		want.Taste, want.UserAt = u.taste, w.now.Add(-u.profileAge)
		if u.activityAge < activityTTL {
			views = fs.Present
			want.Views, want.UserClicks, want.Sessions, want.ActivityAt = u.views, u.clicks, u.sessions, w.now.Add(-u.activityAge)
		}
	}
	stats := fs.Missing
	if it.counted && it.statsAge < statsTTL {
		stats = fs.Present
		want.Impressions, want.Clicks, want.StatsAt = it.impressions, it.clicks, w.now.Add(-it.statsAge)
	}
	want.ActivityStatus, want.PriceStatus, want.StatsStatus = views, price, stats

	// A row that is too old may be there as Expired, with its event time, or not at all.
	have := *got
	if views == fs.Missing && have.ActivityStatus == fs.Expired && have.ActivityAt.Equal(w.now.Add(-u.activityAge)) {
		have.ActivityStatus, have.ActivityAt = views, time.Time{}
	}
	if stats == fs.Missing && have.StatsStatus == fs.Expired && have.StatsAt.Equal(w.now.Add(-it.statsAge)) {
		have.StatsStatus, have.StatsAt = stats, time.Time{}
	}
	for _, at := range []*time.Time{&have.UserAt, &have.ActivityAt, &have.ItemAt, &have.StatsAt, &want.UserAt, &want.ActivityAt, &want.ItemAt, &want.StatsAt} {
		*at = time.Unix(0, at.UnixNano()).UTC() // the same moment is then the same value
	}
	if have != want {
		return fmt.Errorf("%w: user %d and item %d are\n%+v, not\n%+v", errWrong, userID, itemID, have, want)
	}
	return nil
}
