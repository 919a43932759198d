package main

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	dim        = 16 // of the vectors of taste and style
	categories = 8
)

var (
	categoryNames = [categories]string{"books", "games", "garden", "music", "shoes", "sport", "tools", "toys"}
	countryNames  = [...]string{"AT", "CH", "DE", "FR", "IT", "NL"}
)

// world is what is true, whatever the feature store knows of it. README.md describes the process. It does not change.
type world struct {
	seed    uint64
	now     time.Time // all ages count back from it
	users   []user
	items   []item
	effects [categories]float64 // on the log-odds of a click
}

// user has the values of its newest rows. inclination is in no row: clicks of views say something of it.
type user struct {
	known       bool // false: there are no rows of this user
	country     string
	taste       [dim]float32
	inclination float64
	views       int64
	clicks      int64
	sessions    int64
	profileAge  time.Duration
	activityAge time.Duration
}

// item has the values of its newest rows; quality is in none.
type item struct {
	counted     bool // false: there is no row of item_stats
	category    int
	price       float64
	priced      bool // false: its row has no price
	style       [dim]float32
	quality     float64
	impressions int64
	clicks      int64
	profileAge  time.Duration
	statsAge    time.Duration
}

// The streams of random numbers that a seed has.
const (
	streamUsers = iota
	streamItems
	streamEvents // to streamEvents+views
	streamTrain  = streamEvents + 16 + iota
	streamServe
	streamClicks // to streamClicks+streamServe
)

// newWorld makes the same world each time, but for its moment.
func newWorld(seed uint64, users, items int, now time.Time) *world {
	w := &world{seed: seed, now: now, users: make([]user, users), items: make([]item, items)}
	random := rand.New(rand.NewPCG(seed, streamItems))
	for i := range w.effects {
		w.effects[i] = 0.5 * random.NormFloat64()
	}
	var centers [categories][dim]float32
	for i := range centers {
		centers[i] = vector(random)
	}
	for i := range w.items {
		it := &w.items[i]
		it.category = random.IntN(categories)
		it.style = vector(random)
		for d := range it.style {
			it.style[d] += centers[it.category][d]
		}
		it.price, it.priced = 20*math.Exp(0.6*random.NormFloat64()), random.Float64() >= 0.04
		it.quality = random.NormFloat64()
		it.impressions = 50 + int64(400*random.ExpFloat64())
		it.clicks = successes(random, it.impressions, sigmoid(0.6*it.quality-2))
		it.counted = random.Float64() >= 0.02
		it.profileAge = between(random, day, 30*day)
		it.statsAge = age(random, 0.03, 5*time.Hour, 7*time.Hour)
	}
	random = rand.New(rand.NewPCG(seed, streamUsers))
	for i := range w.users {
		u := &w.users[i]
		u.known = random.Float64() >= 0.02
		if random.Float64() >= 0.05 {
			u.country = countryNames[random.IntN(len(countryNames))]
		}
		u.taste = vector(random)
		u.inclination = random.NormFloat64()
		u.views = 5 + int64(30*random.ExpFloat64())
		u.clicks = successes(random, u.views, sigmoid(0.6*u.inclination-2))
		u.sessions = int64(3 * random.ExpFloat64())
		u.profileAge = between(random, day, 30*day)
		u.activityAge = age(random, 0.06, 20*time.Hour, 25*time.Hour)
	}
	return w
}

const day = 24 * time.Hour

// age is up to fresh, or with this chance from old to three times as much.
func age(random *rand.Rand, chance float64, fresh, old time.Duration) time.Duration {
	if random.Float64() < chance {
		return between(random, old, 3*old)
	}
	return between(random, 0, fresh)
}

func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}

func vector(random *rand.Rand) (v [dim]float32) {
	for i := range v {
		v[i] = float32(random.NormFloat64())
	}
	return v
}

// successes of n trials.
func successes(random *rand.Rand, n int64, chance float64) (count int64) {
	for range n {
		if random.Float64() < chance {
			count++
		}
	}
	return count
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// chance is the probability that a user with a budget clicks on an item.
func (w *world) chance(userID, itemID int64, budget float64) float64 {
	u, it := &w.users[userID], &w.items[itemID]
	return sigmoid(-2.5 + 3*cosine(&u.taste, &it.style) + 0.6*u.inclination + 0.6*it.quality + 0.4*(math.Log1p(float64(u.sessions))-1) -
		0.7*math.Log(it.price/budget) + w.effects[it.category])
}

func cosine(a, b *[dim]float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

// asker makes ranking requests: request n of a stream is always the same. One goroutine at a time may use it.
type asker struct {
	w      *world
	pcg    *rand.PCG
	random *rand.Rand
	used   map[int64]bool // the items of the request

	// The request.
	user   int64
	items  []int64 // all different
	budget float64
}

func newAsker(w *world, candidates int) *asker {
	pcg := rand.NewPCG(0, 0)
	return &asker{w: w, pcg: pcg, random: rand.New(pcg), used: make(map[int64]bool, candidates), items: make([]int64, candidates)}
}

// ask makes request n.
func (a *asker) ask(stream uint64, n int) {
	a.pcg.Seed(a.w.seed, stream<<32|uint64(n))
	clear(a.used)
	a.user = a.random.Int64N(int64(len(a.w.users)))
	a.budget = 20 * math.Exp(0.5*a.random.NormFloat64())
	for i := range a.items {
		id := a.random.Int64N(int64(len(a.w.items)))
		for a.used[id] { // the next that is free
			id = (id + 1) % int64(len(a.w.items))
		}
		a.used[id], a.items[i] = true, id
	}
}

// clicks says for each item of the request whether the user clicks, and with what chance.
func (a *asker) clicks(stream uint64, n int, clicked []bool, chances []float64) {
	a.pcg.Seed(a.w.seed, (streamClicks+stream)<<32|uint64(n))
	for i, id := range a.items {
		chances[i] = a.w.chance(a.user, id, a.budget)
		clicked[i] = a.random.Float64() < chances[i]
	}
}
