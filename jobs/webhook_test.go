package jobs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"purser/billing"
	"purser/ent"
	"purser/ent/webhookdelivery"
	"purser/gateway"
)

// outside is what organizations' own systems answer, by their hosts.
type outside func(r *http.Request) (status int, err error)

// RoundTrip implements http.RoundTripper.
func (o outside) RoundTrip(r *http.Request) (*http.Response, error) {
	status, err := o(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

// listens has an address told of quotes.
func (o *office) listens(t *testing.T, ctx context.Context, url string) string {
	t.Helper()
	id, _, err := o.CreateWebhookEndpoint(ctx, billing.WebhookEndpointDraft{URL: url, EventTypes: []string{billing.EventQuoteChanged}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (o *office) quotes(t *testing.T, ctx context.Context, n int) {
	t.Helper()
	for range n {
		if _, err := o.CreateQuote(ctx, billing.QuoteDraft{}); err != nil {
			t.Fatal(err)
		}
	}
}

func (o *office) tries(t *testing.T, ctx context.Context, endpointID string) []*ent.WebhookDelivery {
	t.Helper()
	rows, err := o.Client().WebhookDelivery.Query().Where(webhookdelivery.EndpointID(endpointID)).
		Order(ent.Asc(webhookdelivery.FieldID)).All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestDeadEndpointHoldsUpNobody: while an endpoint hangs, with much waiting for
// it, the others of its organization are told, those of others too, and all
// other work is done.
func TestDeadEndpointHoldsUpNobody(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.Interval = time.Millisecond
	hanging, release, told := make(chan string, 100), make(chan struct{}), make(chan string, 100)
	o.Webhooks = &http.Client{Transport: outside(func(r *http.Request) (int, error) {
		if r.URL.Host == "dead.example" {
			hanging <- r.URL.Host
			<-release
			return 0, errors.New("no answer")
		}
		told <- r.URL.Host
		return http.StatusNoContent, nil
	})}
	applied := make(chan string)
	o.apply = func(ctx context.Context, id string) error {
		applied <- id
		return o.FinishEvent(ctx, id, nil)
	}
	one, _ := o.organization(t, "one", 0)
	two, _ := o.organization(t, "two", 0)
	o.listens(t, one, "https://dead.example/")
	o.quotes(t, one, 20)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o.Run(ctx)
	}()
	<-hanging
	o.listens(t, one, "https://good.example/")
	o.listens(t, two, "https://other.example/")
	o.quotes(t, one, 1)
	o.quotes(t, two, 1)
	want := map[string]bool{"good.example": true, "other.example": true}
	for range want {
		select {
		case host := <-told:
			if !want[host] {
				t.Errorf("told %s", host)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the others wait for the one that hangs")
		}
	}
	provider, err := o.CreateProvider(one, billing.ProviderDraft{
		Name: "Stripe", Credentials: billing.Credentials{Kind: gateway.KindStripe, SecretKey: "sk_test_office", PublishableKey: "pk_test_office"},
	}, anyKeys{})
	if err != nil {
		t.Fatal(err)
	}
	event, err := o.StoreEvent(one, provider, gateway.Event{ID: "evt_1", Type: "test"})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case id := <-applied:
		if id != event {
			t.Errorf("applied %s, want %s", id, event)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("other work waits for the endpoint that hangs")
	}
	if n := len(hanging); n != 0 {
		t.Errorf("%d more requests hang", n)
	}
	stop()
	close(release)
	<-ended
}

// TestEndpointRests: one that does not answer is asked once, whatever waits for
// it. All of it is tried again, and comes once it answers.
func TestEndpointRests(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var mu sync.Mutex
	asked, answer := 0, errors.New("no answer")
	o.Webhooks = &http.Client{Transport: outside(func(*http.Request) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return http.StatusOK, answer
	})}
	ctx, _ := o.organization(t, "one", 0)
	id := o.listens(t, ctx, "https://dead.example/")
	o.quotes(t, ctx, 10)
	round := func(requests, pending, delivered int) {
		t.Helper()
		if err := o.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		counts := map[webhookdelivery.Status]int{}
		for _, d := range o.tries(t, ctx, id) {
			counts[d.Status]++
		}
		if asked != requests || counts[webhookdelivery.StatusPENDING] != pending || counts[webhookdelivery.StatusDELIVERED] != delivered {
			t.Fatalf("asked %d times, %v; want %d, %d pending, %d delivered", asked, counts, requests, pending, delivered)
		}
	}
	round(1, 10, 0)
	if d := o.tries(t, ctx, id)[9]; d.Attempt != 1 || d.Status != webhookdelivery.StatusFAILED || !strings.Contains(d.Error, "not tried") || d.HTTPStatus != 0 {
		t.Errorf("%+v", d)
	}
	rested := func(want time.Duration) {
		t.Helper()
		o.Runner.mu.Lock()
		defer o.Runner.mu.Unlock()
		if r := o.rests[id]; r.pause != want {
			t.Errorf("it rests for %s, want %s", r.pause, want)
		}
		o.rests[id] = rest{until: time.Now(), pause: o.rests[id].pause}
	}
	rested(restFirst)
	o.later(10 * time.Second)
	round(2, 10, 0)
	rested(2 * restFirst)
	answer = nil
	o.later(time.Minute)
	round(12, 0, 10)
	if len(o.rests) != 0 || o.Due() != 10 {
		t.Errorf("rests %v, %d were due", o.rests, o.Due())
	}
}

// TestRestOfSeveral: one that stops to answer while it is told several events at
// the same time rests no longer than one that is told a single one.
func TestRestOfSeveral(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var asked atomic.Int64
	together := make(chan struct{})
	o.Webhooks = &http.Client{Transport: outside(func(r *http.Request) (int, error) {
		switch asked.Add(1) {
		case 1:
			return http.StatusOK, nil
		case 1 + lanesOfEndpoint:
			close(together)
		}
		select {
		case <-together:
		case <-r.Context().Done():
		}
		return 0, errors.New("no answer")
	})}
	ctx, _ := o.organization(t, "one", 0)
	id := o.listens(t, ctx, "https://dying.example/")
	o.quotes(t, ctx, 1+2*lanesOfEndpoint)
	if err := o.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 1+lanesOfEndpoint || o.rests[id].pause != restFirst {
		t.Errorf("asked %d times, it rests for %s", n, o.rests[id].pause)
	}
}

// TestWebhooksAtAStop: where a clock is advanced, what falls due on the way is
// told before the clock moves on.
func TestWebhooksAtAStop(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	begin := o.standing(t)
	o.Webhooks = &http.Client{Transport: outside(func(*http.Request) (int, error) { return http.StatusOK, nil })}
	ctx, _ := o.organization(t, "one", 0)
	id := o.listens(t, ctx, "https://good.example/")
	o.quotes(t, ctx, 1)
	o.advance(t, ctx, 48*time.Hour)
	for _, d := range o.tries(t, ctx, id) {
		if d.Status != webhookdelivery.StatusDELIVERED || !d.FinishedAt.Equal(begin) {
			t.Errorf("%+v", d)
		}
	}
}

// TestEndpointsThatHoldOn: neither an answer without an end, nor a connection
// that is kept open after a switch of protocols, keeps a delivery longer than
// its time.
func TestEndpointsThatHoldOn(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buffer, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		head := "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx"
		if r.URL.Path == "/switch" {
			head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
		}
		_, _ = buffer.WriteString(head)
		_ = buffer.Flush()
		<-release
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	r := New(Config{Webhooks: server.Client()})
	for path, want := range map[string]int{"/switch": http.StatusSwitchingProtocols, "/trickle": http.StatusOK} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		got := make(chan billing.WebhookAnswer, 1)
		go func() {
			got <- r.post(ctx, &billing.WebhookSend{URL: server.URL + path, Header: http.Header{}, Body: []byte("{}")})
		}()
		select {
		case a := <-got:
			if a.Status != want {
				t.Errorf("%s: %+v", path, a)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s holds the delivery", path)
		}
		cancel()
	}
	// Of a long answer the beginning is read.
	read := &counted{Reader: strings.NewReader(strings.Repeat("x", 1<<20))}
	r.Webhooks = &http.Client{Transport: answering{read}}
	if a := r.post(t.Context(), &billing.WebhookSend{URL: "https://long.example/", Header: http.Header{}}); a.Status != http.StatusOK || read.n > webhookAnswerMax {
		t.Errorf("%+v, %d bytes are read", a, read.n)
	}
}

// counted counts what is read of it.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}

// answering answers everything with one body.
type answering struct{ body io.Reader }

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(a.body), Header: http.Header{}, Request: r}, nil
}
