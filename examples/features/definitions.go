package main

import (
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/transform"
)

// The views.
const (
	userProfile  = "user_profile"
	userActivity = "user_activity"
	itemProfile  = "item_profile"
	itemStats    = "item_stats"
)

var viewNames = []string{userProfile, userActivity, itemProfile, itemStats}

const (
	activityTTL = day
	statsTTL    = 6 * time.Hour
)

// definitions are the entities and views, and a service for people and for fitting: all features as they are.
func definitions() fs.Definitions {
	return fs.Definitions{
		Entities: []fs.Entity{
			{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}},
			{Name: "item", JoinKeys: []fs.JoinKey{{Name: "item_id", Kind: fs.Int64}}},
		},
		Views: []fs.View{
			{Name: userProfile, Entity: "user", Description: "from the account and a nightly job", Features: []fs.Feature{
				{Name: "country", Kind: fs.String, Default: fs.StringValue("unknown")},
				{Name: "taste", Kind: fs.Vector, Dim: dim},
			}},
			{Name: userActivity, Entity: "user", TTL: fs.Duration(activityTTL), Description: "from the stream of clicks", Features: []fs.Feature{
				{Name: "views_7d", Kind: fs.Int64},
				{Name: "clicks_7d", Kind: fs.Int64},
				{Name: "sessions_1d", Kind: fs.Int64, Default: fs.Int64Value(0)},
			}},
			{Name: itemProfile, Entity: "item", Description: "from the catalogue", Features: []fs.Feature{
				{Name: "category", Kind: fs.String},
				{Name: "price", Kind: fs.Float64, Default: fs.Float64Value(20)},
				{Name: "style", Kind: fs.Vector, Dim: dim},
			}},
			{Name: itemStats, Entity: "item", TTL: fs.Duration(statsTTL), Description: "from the stream of clicks", Features: []fs.Feature{
				{Name: "impressions", Kind: fs.Int64},
				{Name: "clicks", Kind: fs.Int64},
			}},
		},
		Services: []fs.Service{{
			Name: "inspect", Version: 1, Features: []string{userProfile + ":*", userActivity + ":*", itemProfile + ":*", itemStats + ":*"},
		}},
	}
}

// ranking is the input of the model. It has to be fitted. What is missing becomes 0, see fs.Config.Fill, which is the mean of what is standardized.
func ranking() fs.Service {
	return fs.Service{
		Name: "ranking", Version: 1,
		Features: []string{"match", "user_ctr_z", "item_ctr_z", "sessions_z", "price_z", "category_is"},
		Request:  []fs.Feature{{Name: "budget", Kind: fs.Float64}},
		Transforms: []fs.Transform{
			transform.Cosine("match", userProfile+":taste", itemProfile+":style"),
			transform.Ratio("user_ctr", userActivity+":clicks_7d", userActivity+":views_7d", 20),
			transform.Standardize("user_ctr_z", "user_ctr"),
			transform.Ratio("item_ctr", itemStats+":clicks", itemStats+":impressions", 20),
			transform.Standardize("item_ctr_z", "item_ctr"),
			transform.Log("sessions_log", userActivity+":sessions_1d", 1),
			transform.Standardize("sessions_z", "sessions_log"),
			transform.Ratio("price_of_budget", itemProfile+":price", "request:budget", 0),
			transform.Log("price_log", "price_of_budget", 0),
			transform.Standardize("price_z", "price_log"),
			transform.OneHot("category_is", itemProfile+":category", categories+1),
		},
	}
}
