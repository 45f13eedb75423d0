package transport

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"purser/graph/transport/transporttest"
)

// memoryListener connects the two ends of a server in memory.
type memoryListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error   { close(l.done); return nil }
func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (l *memoryListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// setupInMemory starts an endpoint that needs no network, by the bubble's clock.
func setupInMemory(t *testing.T, resolvers map[string]transporttest.Resolver, limit func(*Limits)) *bundle {
	b, handler := newBundle(t, resolvers, func(o *Options) {
		o.Now, o.Limits, o.Revalidate = time.Now, DefaultLimits(), time.Hour
		if limit != nil {
			limit(o.Limits)
		}
	})
	l := &memoryListener{conns: make(chan net.Conn), done: make(chan struct{})}
	transport := &http.Transport{DialContext: l.dial}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	b.url, b.client = "http://memory.example.com", &http.Client{Transport: transport}
	return b
}

// TestStreamsLiveForADay and end so that the client connects again: a socket
// with the code that says so, an event stream without `complete`.
func TestStreamsLiveForADay(t *testing.T) {
	t.Parallel()
	lives := func(t *testing.T, use func(*testing.T, *bundle)) {
		synctest.Test(t, func(t *testing.T) {
			ended, start := make(chan struct{}, 1), time.Now()
			use(t, setupInMemory(t, ticking(ended), nil))
			if lived := time.Since(start); lived != 24*time.Hour {
				t.Errorf("it lived for %v", lived)
			}
			<-ended
		})
	}
	t.Run("events", func(t *testing.T) {
		lives(t, func(t *testing.T, b *bundle) {
			e := b.events("POST", "", `{"query":"subscription { tick(count: 1) { id } }"}`)
			if got := e.next(); got["event"] != "next" {
				t.Fatalf("first event %v", got)
			}
			if got := e.next(); got != nil {
				t.Errorf("at its end the stream says %v", got)
			}
		})
	})
	t.Run("socket", func(t *testing.T) {
		lives(t, func(t *testing.T, b *bundle) {
			p := b.hello(tokenA)
			p.subscribe("1", "subscription { tick(count: 1) { id } }")
			p.wantPart(`"type":"next"`)
			_, _, err := p.conn.Read(t.Context())
			if websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("at its end: %v", err)
			}
		})
	})
}

// TestEventsCost: the first event is paid for with the subscription, each
// further one by itself, out of a bucket that requests do not share.
func TestEventsCost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{}, 1)
		b := setupInMemory(t, ticking(ended), func(l *Limits) { l.BucketPoints, l.RestorePerSecond = 2, 1 })
		p := b.hello(tokenA)
		start := time.Now()
		p.subscribe("1", "subscription { tick(count: 5) { id } }")
		for _, want := range []time.Duration{0, 0, 0, 1, 2} {
			p.wantPart(`"id":"1","type":"next"`)
			if got := time.Since(start); got != want*time.Second {
				t.Errorf("an event after %v, want %d s", got, want)
			}
		}
		p.subscribe("2", "{ hello }")
		p.wantPart(`"id":"2","type":"next"`, `"hello":"world"`)
		_ = p.conn.Close(websocket.StatusNormalClosure, "")
		<-ended
	})
}

func TestSubscriptionsPerPrincipal(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 2)
	b := setup(t, ticking(ended), func(o *Options) {
		o.Limits = DefaultLimits()
		o.Limits.Subscriptions = 1
	})
	first, second := b.hello(tokenA), b.hello(tokenA)
	first.subscribe("1", "subscription { tick(count: 1) { id } }")
	first.wantPart(`"id":"1","type":"next"`)
	second.subscribe("1", "subscription { tick(count: 1) { id } }")
	second.wantPart(`"id":"1","type":"error"`, CodeRateLimited, "1 subscriptions are open already")
	first.send(`{"id":"1","type":"complete"}`)
	<-ended
	eventually(t, "the place is free again", func() bool {
		second.subscribe("1", "subscription { tick(count: 1) { id } }")
		return strings.Contains(second.read(), `"type":"next"`)
	})
}

// TestSubscriptionsKeepLittle: what a subscription brings stays in memory as
// long as it lasts.
func TestSubscriptionsKeepLittle(t *testing.T) {
	t.Parallel()
	b := setup(t, ticking(make(chan struct{}, 1)), nil)
	ask := func(bytes int) map[string]string {
		return b.events("POST", "", fmt.Sprintf(
			`{"query":"subscription($w: InvoiceFilter) { tick { invoices(first: 1, where: $w) { totalCount } } }","variables":{"w":{"numberIn":[%q]}}}`,
			strings.Repeat("x", bytes))).next()
	}
	if got := ask(60 << 10); !strings.Contains(got["data"], `"totalCount":100`) {
		t.Errorf("within the limit: %v", got)
	}
	if got := ask(64 << 10); !strings.Contains(got["data"], CodeComplexity) || !strings.Contains(got["data"], "bytes of a subscription's variables: 655") {
		t.Errorf("beyond it: %v", got)
	}
}
