package transport

import (
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// buckets hold the points of each principal: BucketPoints at once, refilled
// at RestorePerSecond. The least recently seen principal is forgotten, which
// fills its bucket; as only known credentials get a bucket, a caller cannot
// make others be forgotten.
type buckets struct {
	limits *Limits
	now    func() time.Time

	mu  sync.Mutex
	lru *simplelru.LRU[string, *bucket]
}

type bucket struct {
	points float64
	at     time.Time
}

func newBuckets(limits *Limits, now func() time.Time) *buckets {
	lru, err := simplelru.NewLRU[string, *bucket](max(limits.Principals, 1), nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &buckets{limits: limits, now: now, lru: lru}
}

// take spends points and returns what is left. Where there are too few it
// spends none and returns after how many seconds there will be enough.
func (b *buckets) take(principal string, points int) (remaining, retryAfter int, ok bool) {
	now := b.now()
	full := float64(b.limits.BucketPoints)
	b.mu.Lock()
	defer b.mu.Unlock()
	have, known := b.lru.Get(principal)
	if !known {
		have = &bucket{points: full, at: now}
		b.lru.Add(principal, have)
	}
	// A clock that steps back must not take points away.
	if passed := now.Sub(have.at); passed > 0 {
		have.points = min(full, have.points+passed.Seconds()*float64(b.limits.RestorePerSecond))
		have.at = now
	}
	missing := float64(points) - have.points
	if missing > 0 {
		wait := math.Ceil(missing / float64(max(b.limits.RestorePerSecond, 1)))
		return int(have.points), max(int(wait), 1), false
	}
	have.points -= float64(points)
	return int(have.points), 0, true
}

// gauge counts what each principal has running.
type gauge struct {
	limit int

	mu      sync.Mutex
	running map[string]int
}

func newGauge(limit int) *gauge {
	return &gauge{limit: limit, running: map[string]int{}}
}

// enter counts one more, unless the limit is reached. Every success needs one
// leave.
func (g *gauge) enter(principal string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running[principal] >= g.limit {
		return false
	}
	g.running[principal]++
	return true
}

func (g *gauge) leave(principal string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running[principal]--; g.running[principal] <= 0 {
		delete(g.running, principal)
	}
}

// price is what an operation costs: a mutation more than a query, a wide
// operation more than a narrow one, many nodes more than few. It never
// exceeds the bucket, so that every operation within the limits can run.
func price(mutation bool, fields int, nodes int64, limits *Limits) int {
	points := int64(1 + fields/10)
	if mutation {
		points = int64(10 + fields)
	}
	return int(min(points+nodes/100, int64(limits.BucketPoints)))
}
