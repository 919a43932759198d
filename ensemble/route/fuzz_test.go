package route_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/route"
)

// FuzzCooldown has requests that overlap, members that end them in every way and time that passes, and compares who is asked, what comes back
// and each member's state with fuzzmodel_test.go after every step.
func FuzzCooldown(f *testing.F) {
	f.Add([]byte{2, 1, 0, 0, 1, 0, 1, 1, 2, 9, 0, 1})
	f.Add([]byte{1, 2, 1, 0, 0, 1, 1, 9, 1, 2, 20, 0, 17, 2, 5, 0, 1})
	f.Add([]byte{3, 3, 1, 0, 0, 0, 0, 1, 33, 1, 49, 1, 65, 2, 40, 0, 1, 2, 81})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) < 4 || len(ops) > 300 {
			t.Skip()
		}
		synctest.Test(t, func(t *testing.T) { playCooldown(t, ops) })
	})
}

func TestCooldownAgainstModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		ops := make([]byte, 4+random.IntN(120))
		for i := range ops {
			ops[i] = byte(random.UintN(256))
		}
		synctest.Test(t, func(t *testing.T) { playCooldown(t, ops) })
	}
}

// endings are how an attempt can end; nil is an answer, and context.Canceled that the caller leaves.
var endings = []error{nil, errDown, errDown, errDown, retryError(7 * time.Second), retryError(time.Hour), errFull, errBad, context.Canceled}

type asked struct {
	id, member int
	end        chan error
	cancel     context.CancelFunc
}

func playCooldown(t *testing.T, ops []byte) {
	cfg := route.Config{
		Classify:      classify,
		MaxFailures:   1 + int(ops[0]>>2)%3,
		FailureWindow: 10 * time.Second,
		Cooldown:      2 * time.Second,
		MaxCooldown:   11 * time.Second,
		MaxRetryAfter: 30 * time.Second,
		UseCooling:    ops[1]&1 == 1,
		MaxAttempts:   int(ops[1]>>1) % 3,
	}
	n := 1 + int(ops[0])%3
	m := newModel(cfg, n)
	running := map[int]*asked{} // by request: the attempt that runs
	results := map[int]string{}
	cancels := map[int]context.CancelFunc{}
	var members []member
	for i := range n {
		members = append(members, member{Name: strconv.Itoa(i), Do: func(_ context.Context, q string) (string, error) {
			id, _ := strconv.Atoi(q)
			a := &asked{id: id, member: i, end: make(chan error), cancel: cancels[id]}
			running[id] = a
			err := <-a.end
			delete(running, id)
			return q, err
		}})
	}
	r := newRouter(t, cfg, members...)
	ids := 0
	for i := 2; i < len(ops); i++ {
		switch op := ops[i]; op % 4 {
		case 0: // a request comes
			id := ids
			ids++
			ctx, cancel := context.WithCancel(t.Context())
			cancels[id] = cancel
			go func() {
				defer cancel()
				_, err := r.Do(ctx, strconv.Itoa(id))
				results[id] = resultName(err)
			}()
			m.request(id)
		case 1, 2: // an attempt ends
			id := -1
			for k := range ids {
				if id = (k + int(op>>4)) % ids; running[id] != nil {
					break
				}
			}
			if id < 0 || running[id] == nil {
				continue
			}
			a, end := running[id], endings[int(op>>2)%len(endings)]
			if end == context.Canceled { //nolint:errorlint // it is this test's own
				a.cancel()
			}
			a.end <- end
			m.end(id, end)
		case 3:
			d := time.Duration(op>>2) * 250 * time.Millisecond
			time.Sleep(d)
			m.now += d
		}
		synctest.Wait()
		m.compare(t, r, running, results)
	}
	for id := range ids {
		for running[id] != nil {
			running[id].end <- errBad
			synctest.Wait()
		}
	}
	checkAccounts(t, r)
}

func resultName(err error) string {
	if err == nil {
		return "answer"
	}
	return err.Error()
}

// FuzzSticky compares the members of keys with a table that is made of all scores, for members that come, go, change weight and are down.
func FuzzSticky(f *testing.F) {
	f.Add("salt", []byte{1, 2, 3})
	f.Add("", []byte{200, 7, 7, 7, 255})
	f.Fuzz(func(t *testing.T, salt string, weights []byte) {
		if len(weights) == 0 || len(weights) > 20 {
			t.Skip()
		}
		var members []member
		for i, w := range weights {
			down := error(nil)
			if w%7 == 6 {
				down = errDown
			}
			m := fails(fmt.Sprint("m", i), &down)
			m.Weight = (1 + float64(w)) / 16
			members = append(members, m)
		}
		r := newSticky(t, salt, members...)
		for k := range 30 {
			key := salt + strconv.Itoa(k)
			answer, err := r.Do(t.Context(), key)
			want, score := "", math.Inf(1)
			for i, m := range members {
				if weights[i]%7 == 6 {
					continue
				}
				if s := naiveScore(salt, key, m.Name, m.Weight); s < score {
					want, score = m.Name, s
				}
			}
			if want == "" {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
				assert.Equal(t, want, answer)
			}
		}
	})
}

// naiveScore pins the placement: changing it moves users' keys.
func naiveScore(salt, key, name string, weight float64) float64 {
	h := splitmix(splitmix(xxhash.Sum64String(key)^xxhash.Sum64String(salt)) ^ xxhash.Sum64String(name))
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], h)
	u := float64(binary.BigEndian.Uint64(b[:])/4096)/math.Pow(2, 52) + math.Pow(2, -53)
	return -math.Log(u) / weight
}

func splitmix(v uint64) uint64 {
	v ^= v >> 30
	v *= 0xbf58476d1ce4e5b9
	v ^= v >> 27
	v *= 0x94d049bb133111eb
	v ^= v >> 31
	return v
}
