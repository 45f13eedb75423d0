package stripe

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"purser/gateway"
)

const (
	// busyTriesMax is how often one request is sent while Stripe answers 429,
	// which it does before it looks at the key: nothing has begun.
	busyTriesMax = 3
	// busyPause is the pause where Stripe does not say how long.
	busyPause = 500 * time.Millisecond
	// busyPauseMax bounds the pause that Stripe may ask for.
	busyPauseMax = time.Minute
)

// requestsPerSecond is how many requests an account may send, some below the
// 25 of test mode and the 100 of live mode that Stripe takes. The sandbox
// takes all.
func requestsPerSecond(env gateway.Environment) int {
	switch env {
	case gateway.EnvironmentTest:
		return 20
	case gateway.EnvironmentLive:
		return 80
	default:
		return 0
	}
}

// pace spreads the requests of one account, so that a round of due work does
// not spend what Stripe grants the payers' own requests. One second's worth
// may leave at once.
type pace struct {
	every time.Duration // between two requests on average; zero: as they come

	mu     sync.Mutex
	booked time.Time // the time up to which requests are spread
	rest   time.Time // no request before it: Stripe has asked to slow down
}

func newPace(perSecond int) *pace {
	p := &pace{}
	if perSecond > 0 {
		p.every = time.Second / time.Duration(perSecond)
	}
	return p
}

// take books the next request and returns how long it has to wait.
func (p *pace) take(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.booked.Before(now) {
		p.booked = now
	}
	p.booked = p.booked.Add(p.every)
	return max(p.booked.Sub(now)-time.Second, p.rest.Sub(now), 0)
}

// slow lets the account rest: as long as Stripe asks, else for a moment that
// is not the same for all.
func (p *pace) slow(now time.Time, asked, otherwise time.Duration) {
	d := min(asked, busyPauseMax)
	if d <= 0 {
		d = otherwise/2 + rand.N(otherwise)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := now.Add(d); until.After(p.rest) {
		p.rest = until
	}
}

// wait waits for the next request's turn, and reports false at once when that
// comes too late for the caller.
func (p *pace) wait(ctx context.Context) bool {
	now := time.Now()
	d := p.take(now)
	if d == 0 {
		return true
	}
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(now.Add(d)) {
		return false
	}
	return pause(ctx, d)
}

// pause waits, and reports false when the caller's time is over before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
