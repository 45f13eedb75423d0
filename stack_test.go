package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/billing"
	"purser/database"
	"purser/ent/organization"
	"purser/gateway"
	"purser/gateway/stripe"
	"purser/graph"
	"purser/graph/transport"
	"purser/jobs"
	"purser/migrations"
	stripesandbox "purser/sandbox/stripe"
	worldpaysandbox "purser/sandbox/worldpay"
	"purser/testdb"
	"purser/webhook"
)

// stack is the whole product in the test's own process, with a clock that the
// test moves, due work that is done when the test says so, and a gateway whose
// events are delivered by the test alone: what a schedule of bad luck needs.
type stack struct {
	*apiClient
	clock   *movingClock
	db      *database.DB
	billing *billing.Service
	jobs    *jobs.Runner
	webhook *webhook.Handler
	sandbox *stripesandbox.Server
	// gateway sees every request on its way to the sandbox.
	gateway *gatewayTap
	control *gatewayControl
	adapter *stripe.Adapter
	// hook is the path of the provider's webhook.
	hook string
	// ctx is the program itself inside the organization.
	ctx context.Context
	// told are the gateway's events that were fetched already.
	told map[string]bool
	// worldpay is the other gateway; its provider is made by addWorldpay.
	worldpay worldpayStack
	// reloaders are payers whose balances reload themselves, by gateway.
	reloaders map[gateway.Kind]*cast
	// named counts the payers of which only the existence matters.
	named int
}

// movingClock is the time of product and sandbox.
type movingClock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *movingClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *movingClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// gatewayTap stands before the sandboxes and lets a test look at, hold back or
// spoil the requests that reach them.
type gatewayTap struct {
	next http.Handler
	mu   sync.Mutex
	// seen are method and path of the requests of each gateway's API, in order.
	seen map[gateway.Kind][]string
	// arrived is closed when the request with that index has come.
	arrived chan struct{}
	of      gateway.Kind
	index   int
	// held is the next request that is held back, nil where none is.
	held *heldRequest
	// rewrite changes what is replied; nil: nothing.
	rewrite func(reply []byte) []byte
}

// heldRequest is one request that is held back: before it is processed or
// after it, with nobody having its reply.
type heldRequest struct {
	of        gateway.Kind
	index     int
	processed bool
	// reached is closed when it is there, to be let go by closing release.
	reached, release chan struct{}
}

func (g *gatewayTap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	of := gateway.KindStripe
	switch {
	case strings.HasSuffix(r.URL.Path, worldpaysandbox.ServicePath):
		of = gateway.KindWorldpay
	case !strings.HasPrefix(r.URL.Path, "/v1/"), r.URL.Path == "/v1/events":
		g.next.ServeHTTP(w, r)
		return
	}
	g.mu.Lock()
	index := len(g.seen[of])
	if g.arrived != nil && g.of == of && g.index == index {
		close(g.arrived)
		g.arrived = nil
	}
	held := g.held
	if held != nil && held.of == of && held.index == index {
		g.held = nil
	} else {
		held = nil
	}
	rewrite := g.rewrite
	if g.seen == nil {
		g.seen = map[gateway.Kind][]string{}
	}
	g.seen[of] = append(g.seen[of], r.Method+" "+r.URL.Path)
	g.mu.Unlock()
	if held != nil && !held.processed {
		close(held.reached)
		<-held.release
		held = nil
	}
	if held == nil && rewrite == nil {
		g.next.ServeHTTP(w, r)
		return
	}
	reply := httptest.NewRecorder()
	g.next.ServeHTTP(reply, r)
	if held != nil {
		close(held.reached)
		<-held.release
	}
	body := reply.Body.Bytes()
	if rewrite != nil {
		body = rewrite(body)
	}
	maps.Copy(w.Header(), reply.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(reply.Code)
	_, _ = w.Write(body)
}

// hold forgets what was seen, and holds back the gateway's request with that
// index from now on.
func (g *gatewayTap) hold(of gateway.Kind, index int, processed bool) *heldRequest {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = nil
	g.held = &heldRequest{of: of, index: index, processed: processed, reached: make(chan struct{}), release: make(chan struct{})}
	return g.held
}

// rewriting changes all replies from now on; nil changes none.
func (g *gatewayTap) rewriting(f func(reply []byte) []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rewrite = f
}

// take returns the requests seen since it was called last.
func (g *gatewayTap) take() map[gateway.Kind][]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.seen
	g.seen = nil
	return out
}

// count is how many requests of a gateway were seen since take was called.
func (g *gatewayTap) count(of gateway.Kind) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.seen[of])
}

// arrival forgets what was seen, and returns what is closed when the gateway's
// request with that index has come.
func (g *gatewayTap) arrival(of gateway.Kind, index int) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = nil
	g.of, g.index, g.arrived = of, index, make(chan struct{})
	return g.arrived
}

// The account that a stack's provider uses, and what its events are signed with.
const (
	stackSecretKey     = "sk_test_stack0000000000000000"
	stackWebhookSecret = "whsec_stack0000000000000000000000"
)

// eachStack runs a test over SQLite and over PostgreSQL.
func eachStack(t *testing.T, run func(t *testing.T, s *stack), options ...func(*graph.HandlerConfig)) {
	t.Helper()
	t.Parallel()
	for _, name := range []string{dialect.SQLite, dialect.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, stackDatabase(t, name), options...)
			run(t, s)
			s.mustVerify(t)
		})
	}
}

// stackDatabase returns an open database with the tables.
func stackDatabase(t testing.TB, dialectName string) *database.DB {
	t.Helper()
	dir, err := migrations.Dir(dialectName)
	if err != nil {
		t.Fatal(err)
	}
	return testdb.Migrated(t, dialectName, dir)
}

// newStack makes an organization "stack" with a Stripe provider at a sandbox
// of its own. The options change how its API is served.
func newStack(t testing.TB, db *database.DB, options ...func(*graph.HandlerConfig)) *stack {
	t.Helper()
	s := &stack{db: db, clock: &movingClock{}, told: map[string]bool{}, reloaders: map[gateway.Kind]*cast{}}
	logger := slog.New(slog.NewTextHandler(stackLog{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	sandbox, err := stripesandbox.Open(t.Context(), stripesandbox.Config{Now: s.clock.Now, Path: t.TempDir() + "/sandbox.db"})
	if err != nil {
		t.Fatal(err)
	}
	s.sandbox = sandbox
	both := http.NewServeMux()
	both.Handle("/", sandbox.Handler())
	s.gateway = &gatewayTap{next: both}
	gatewayServer := httptest.NewServer(s.gateway)
	sandbox.SetPublicURL(gatewayServer.URL)
	other := s.worldpay.open(t, both, gatewayServer.URL, s.clock.Now)
	s.control = &gatewayControl{client: gatewayServer.Client(), address: gatewayServer.URL, key: stackSecretKey}
	sealer, err := auth.NewSealer([]byte(strings.Repeat("k", auth.MasterKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	s.billing = billing.New(billing.Config{
		DB: db, Sealer: sealer, Logger: logger, Now: s.clock.Now, PublicURL: "http://127.0.0.1:1",
	})
	adapter := stripe.New(stripe.Config{Now: s.clock.Now, BusyPause: time.Millisecond, BaseURL: func(gateway.Environment) (string, error) {
		return gatewayServer.URL, nil
	}})
	s.adapter = adapter
	gateways := gateway.NewDirectory(adapter, other)
	s.webhook = webhook.New(webhook.Config{Billing: s.billing, Gateways: gateways, Logger: logger})
	s.jobs = jobs.New(jobs.Config{Billing: s.billing, Gateways: gateways, ApplyEvent: s.webhook.Apply, Logger: logger})
	limits := transport.DefaultLimits()
	limits.BucketPoints, limits.RestorePerSecond = 1<<30, 1<<30
	served := graph.HandlerConfig{
		Billing: s.billing, Gateways: gateways, CursorKey: []byte(strings.Repeat("c", 32)), Limits: limits, Logger: logger,
	}
	for _, o := range options {
		o(&served)
	}
	handler, err := graph.NewHandler(served)
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(handler)
	t.Cleanup(func() {
		api.Close()
		gatewayServer.Close()
		if err := errors.Join(sandbox.Close(), s.worldpay.Close()); err != nil {
			t.Error(err)
		}
	})
	s.setUp(t, adapter)
	s.apiClient.endpoint, s.apiClient.http = api.URL+"/graphql", api.Client()
	return s
}

// setUp makes the organization and its provider.
func (s *stack) setUp(t testing.TB, keys gateway.Credentials) {
	t.Helper()
	id, token, err := s.billing.CreateOrganization(auth.AllTenants(t.Context(), "test"), billing.OrganizationDraft{
		Slug: "stack", Name: "Stack", Environment: organization.EnvironmentSANDBOX, DefaultCurrency: "USD",
	})
	if err != nil {
		t.Fatal(err)
	}
	s.apiClient = &apiClient{token: token.Reveal()}
	s.ctx = auth.Internal(t.Context(), "test", id)
	provider, err := s.billing.CreateProvider(s.ctx, billing.ProviderDraft{Name: "Stripe", MakeDefault: true, Credentials: billing.Credentials{
		Kind: gateway.KindStripe, SecretKey: stackSecretKey, PublishableKey: "pk_test_stack0000000000000000", WebhookSecret: stackWebhookSecret,
	}}, keys)
	if err != nil {
		t.Fatal(err)
	}
	row, err := s.billing.Client().Provider.Get(s.ctx, provider)
	if err != nil {
		t.Fatal(err)
	}
	s.hook = "/webhooks/stack/" + row.WebhookToken
}

// stackLog shows errors where a test fails.
type stackLog struct{ testing.TB }

func (l stackLog) Write(b []byte) (int, error) {
	if l.Context().Err() == nil {
		l.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

// do is mutate for an operation that must succeed at once.
func (s *stack) do(t testing.TB, name, selection string, input map[string]any) result {
	t.Helper()
	got, err := s.mutate(t.Context(), name, selection, input)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// newPayer makes a developer.
func (s *stack) newPayer(t testing.TB, name string) string {
	t.Helper()
	return s.do(t, "developerCreate", "developer { id }", map[string]any{
		"name": name, "email": strings.ToLower(name) + "@example.com",
	}).text("developer.id")
}

// newName is a name for one more payer.
func (s *stack) newName() string {
	s.named++
	return fmt.Sprintf("Payer%d", s.named)
}

// newCard saves a card of a payer.
func (s *stack) newCard(t testing.TB, payer, token string) string {
	t.Helper()
	return s.do(t, "paymentMethodAttach", "paymentMethod { id }", map[string]any{
		"payerId": payer, "gatewayToken": token,
	}).text("paymentMethod.id")
}

// newInvoice makes an invoice of $25.00 that is OPEN here and at the gateway.
func (s *stack) newInvoice(t testing.TB, payer string) result {
	t.Helper()
	id := s.do(t, "invoiceCreate", "invoice { id }", map[string]any{
		"payerId": payer, "lineItems": []any{map[string]any{"description": "Consulting", "quantity": 1, "unitAmount": usDollars("25.00")}},
	}).text("invoice.id")
	return s.do(t, "invoiceFinalize", "invoice { id status hostedUrl }", map[string]any{"id": id})
}

// submit fills in a form of a hosted page.
func (s *stack) submit(t testing.TB, page string, fields url.Values) {
	t.Helper()
	status, err := submitForm(t.Context(), http.DefaultClient, page, fields)
	if err != nil {
		t.Fatal(err)
	}
	if status >= 500 || status == http.StatusNotFound {
		t.Fatalf("page %s answers %d", page, status)
	}
}

// submitForm posts a form of a hosted page and returns the status of the
// answer, which it does not follow.
func submitForm(ctx context.Context, c *http.Client, page string, fields url.Values) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, page, strings.NewReader(fields.Encode()))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := (&http.Client{
		Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}).Do(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if closed := response.Body.Close(); err == nil {
		err = closed
	}
	return response.StatusCode, err
}

// cardForm fills in the form of a hosted page.
func cardForm(number string) url.Values {
	return url.Values{"number": {number}, "expiry": {"12/44"}, "cvc": {"123"}, "name": {"Ada"}}
}

// stripeEvent is an event of the gateway as it is delivered.
type stripeEvent struct {
	id, kind string
	body     []byte
}

// newEvents returns the events of the gateway since it was called last,
// oldest first.
func (s *stack) newEvents(t testing.TB) []stripeEvent {
	t.Helper()
	var list struct{ Data []json.RawMessage }
	if err := s.control.ask(t.Context(), http.MethodGet, "/v1/events?limit=30", nil, &list); err != nil {
		t.Fatal(err)
	}
	s.gateway.take()
	var out []stripeEvent
	for i := len(list.Data) - 1; i >= 0; i-- {
		var e struct{ ID, Type string }
		if err := json.Unmarshal(list.Data[i], &e); err != nil {
			t.Fatal(err)
		}
		if !s.told[e.ID] {
			s.told[e.ID] = true
			out = append(out, stripeEvent{e.ID, e.Type, list.Data[i]})
		}
	}
	return out
}

// deliver posts an event to the webhook, signed now, and returns the status.
func (s *stack) deliver(t testing.TB, e stripeEvent) int {
	t.Helper()
	return s.deliverSigned(t, e.body, eventSignature(s.clock.Now(), e.body, stackWebhookSecret))
}

// deliverSigned posts a body with a signature. It returns when the event was
// applied as well as it could be.
func (s *stack) deliverSigned(t testing.TB, body []byte, signature string) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, s.hook, strings.NewReader(string(body)))
	r.Header.Set("Stripe-Signature", signature)
	rec := httptest.NewRecorder()
	s.webhook.ServeHTTP(rec, r)
	return rec.Code
}

// settle lets time pass, as far as the longest pause between two looks at the
// same thing, and due work be done.
func (s *stack) settle(t testing.TB) {
	t.Helper()
	for _, pause := range settlePauses() {
		s.clock.Advance(pause)
		if err := s.jobs.Round(t.Context()); err != nil {
			t.Fatalf("due work: %v", err)
		}
	}
}

func settlePauses() []time.Duration {
	return []time.Duration{0, 50 * time.Second, 2 * time.Minute, 6 * time.Minute, 16 * time.Minute, time.Hour}
}

// mustVerify fails the test when a row does not fit the others.
func (s *stack) mustVerify(t testing.TB) {
	t.Helper()
	if _, err := s.billing.VerifyAll(auth.AllTenants(t.Context(), "verify"), billing.VerifyOptions{}); err != nil {
		t.Errorf("verify: %v", err)
	}
}

// eventSignature signs a delivery as the gateway does.
func eventSignature(at time.Time, body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%x", at.Unix(), mac.Sum(nil))
}
