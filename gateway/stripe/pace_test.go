package stripe

import (
	"context"
	"testing"
	"time"

	"purser/gateway"
)

// TestPace: a second's worth of requests leaves at once, then one at a time.
func TestPace(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	p := newPace(20)
	for i := range 20 {
		if d := p.take(now); d != 0 {
			t.Fatalf("request %d waits for %s", i+1, d)
		}
	}
	for i := range 3 {
		if d, want := p.take(now), time.Duration(i+1)*50*time.Millisecond; d != want {
			t.Errorf("request %d waits for %s, want %s", 21+i, d, want)
		}
	}
	now = now.Add(time.Minute)
	if d := p.take(now); d != 0 {
		t.Errorf("a minute later: %s", d)
	}
	unlimited := newPace(requestsPerSecond(gateway.EnvironmentSandbox))
	for range 200 {
		if d := unlimited.take(now); d != 0 {
			t.Fatalf("a request to the sandbox waits for %s", d)
		}
	}
}

// TestSlowDown: the pause that Stripe asks for is kept by all requests, within
// reason, and whose time is over before is told at once.
func TestSlowDown(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := newPace(0)
	p.slow(now, 7*time.Second, time.Second)
	p.slow(now, time.Second, time.Second)
	if d := p.take(now); d != 7*time.Second {
		t.Errorf("waits for %s, want 7 s", d)
	}
	p.slow(now, 24*time.Hour, time.Second)
	if d := p.take(now); d != busyPauseMax {
		t.Errorf("waits for %s, want %s", d, busyPauseMax)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if p.wait(ctx) {
		t.Error("it was the turn of a request that must wait for a minute")
	}
	q := newPace(0)
	q.slow(now, 0, 100*time.Millisecond)
	if d := q.take(now); d < 50*time.Millisecond || d > 150*time.Millisecond {
		t.Errorf("without a word of Stripe's: %s", d)
	}
}
