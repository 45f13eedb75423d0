package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/billing"
	"purser/database"
	"purser/ent/gatewaycall"
	"purser/ent/gatewayevent"
	"purser/ent/organization"
	"purser/ent/payment"
	"purser/gateway"
	"purser/gateway/stripe"
	"purser/migrations"
	stripesandbox "purser/sandbox/stripe"
	"purser/testdb"
)

// arena is a server in a process of its own, which dies and comes back on the
// same data and the same address, while the gateway lives on in the test.
type arena struct {
	*apiClient
	dialect, databaseURL, data, addr string
	sandbox                          *stripesandbox.Server
	gateway                          *gatewayTap
	control                          *gatewayControl
	clock                            *movingClock // of the gateway; the server's is as far ahead
	organizationID, providerID       string
	adapter                          *stripe.Adapter

	mu     sync.Mutex
	server *testServer
	// survivor is a server that the case before has left running.
	survivor *testServer
	// revived is closed when a server comes up.
	revived chan struct{}
}

// arenaKey seals the secrets of the arena's provider.
var arenaKey = []byte(strings.Repeat("k", auth.MasterKeyBytes))

// eachArena runs a test over SQLite and over PostgreSQL at once: most of the
// time a server is starting. No other test of the package runs meanwhile.
func eachArena(t *testing.T, run func(t *testing.T, a *arena)) {
	t.Helper()
	for _, name := range []string{dialect.SQLite, dialect.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, newArena(t, name))
		})
	}
}

// newArena prepares the data and the gateway and starts no server yet.
func newArena(t *testing.T, dialectName string) *arena {
	t.Helper()
	if dialectName == dialect.SQLite {
		return newArenaOn(t, dialectName, "")
	}
	dir, err := migrations.Dir(dialectName)
	if err != nil {
		t.Fatal(err)
	}
	return newArenaOn(t, dialectName, testdb.MigratedURL(t, dialectName, dir))
}

// newArenaOn is newArena on the database with that URL; none is the embedded
// one.
func newArenaOn(t *testing.T, dialectName, url string) *arena {
	t.Helper()
	a := &arena{dialect: dialectName, databaseURL: url, data: t.TempDir(), clock: &movingClock{}, revived: make(chan struct{})}
	dir, err := migrations.Dir(dialectName)
	if err != nil {
		t.Fatal(err)
	}
	a.addr = freeAddress(t) // the same over all lives, as webhooks need it
	a.sandbox, err = stripesandbox.Open(t.Context(), stripesandbox.Config{
		Now: a.clock.Now, Path: filepath.Join(t.TempDir(), "sandbox.db"), RetryBase: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	a.gateway = &gatewayTap{next: a.sandbox.Handler()}
	gatewayServer := httptest.NewServer(a.gateway)
	a.sandbox.SetPublicURL(gatewayServer.URL)
	a.control = &gatewayControl{client: gatewayServer.Client(), address: gatewayServer.URL, key: stackSecretKey}
	running, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.sandbox.Run(running) }()
	t.Cleanup(func() {
		gatewayServer.Close()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the sandbox ended: %v", err)
		}
		if err := a.sandbox.Close(); err != nil {
			t.Error(err)
		}
	})
	a.apiClient = &apiClient{
		endpoint: "http://" + a.addr + "/graphql",
		http:     &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
	}
	a.within(t, func(s *billing.Service, ctx context.Context, db *database.DB) {
		testdb.Migrate(t, db, dir) // unless it is a copy of the template
		a.setUp(t, s)
	})
	return a
}

// freeAddress is an address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

// within opens the arena's database in the test's own process.
func (a *arena) within(t *testing.T, f func(s *billing.Service, inside context.Context, db *database.DB)) {
	t.Helper()
	db, err := database.Open(t.Context(), a.databaseURL, a.data)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	sealer, err := auth.NewSealer(arenaKey)
	if err != nil {
		t.Fatal(err)
	}
	s := billing.New(billing.Config{DB: db, Sealer: sealer, Logger: slog.New(slog.DiscardHandler), Now: a.clock.Now, PublicURL: "http://" + a.addr})
	f(s, auth.Internal(t.Context(), "test", a.organizationID), db)
}

// setUp makes the organization, its provider and the endpoint of its events.
func (a *arena) setUp(t *testing.T, s *billing.Service) {
	t.Helper()
	id, token, err := s.CreateOrganization(auth.AllTenants(t.Context(), "test"), billing.OrganizationDraft{
		Slug: "arena", Name: "Arena", Environment: organization.EnvironmentSANDBOX, DefaultCurrency: "USD",
	})
	if err != nil {
		t.Fatal(err)
	}
	a.organizationID, a.token = id, token.Reveal()
	ctx := auth.Internal(t.Context(), "test", id)
	adapter := stripe.New(stripe.Config{Now: a.clock.Now, BusyPause: time.Millisecond, BaseURL: func(gateway.Environment) (string, error) {
		return a.control.address, nil
	}})
	provider, err := s.CreateProvider(ctx, billing.ProviderDraft{Name: "Stripe", MakeDefault: true, Credentials: billing.Credentials{
		Kind: gateway.KindStripe, SecretKey: stackSecretKey, PublishableKey: "pk_test_stack0000000000000000",
	}}, adapter)
	if err != nil {
		t.Fatal(err)
	}
	a.providerID, a.adapter = provider, adapter
	a.register(t, s, a.addr)
}

// register has the gateway send its events to one more address. The provider
// knows the signing secrets of the two registered last.
func (a *arena) register(t *testing.T, s *billing.Service, addr string) {
	t.Helper()
	ctx := auth.Internal(t.Context(), "test", a.organizationID)
	row, err := s.Client().Provider.Get(ctx, a.providerID)
	if err != nil {
		t.Fatal(err)
	}
	account, err := s.OpenAccount(ctx, a.providerID)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := a.adapter.RegisterEndpoint(ctx, account, gateway.Call{ID: "call_endpoint", Key: "endpoint " + addr, Subject: a.providerID},
		gateway.EndpointRequest{URL: "http://" + addr + "/webhooks/arena/" + row.WebhookToken})
	if endpoint.Status != gateway.StatusSucceeded {
		t.Fatalf("register the endpoint: %+v", endpoint.Outcome)
	}
	if err := s.UpdateProvider(ctx, billing.ProviderChange{ID: a.providerID, WebhookSecret: auth.Secret(endpoint.Secret)}, a.adapter); err != nil {
		t.Fatal(err)
	}
}

// launch starts the server's next life, which crashes at the named moment
// where there is one, and does not wait for it.
func (a *arena) launch(t *testing.T, crashAt string) *testServer {
	t.Helper()
	return a.launchAhead(t, crashAt, 0)
}

// launchAhead is launch with the server's clock ahead of the gateway's.
func (a *arena) launchAhead(t *testing.T, crashAt string, lead time.Duration) *testServer {
	t.Helper()
	s := a.launchAt(t, a.addr, crashAt, lead)
	a.mu.Lock()
	a.server = s
	a.mu.Unlock()
	return s
}

// launchAt is launchAhead for one more server at an address of its own.
func (a *arena) launchAt(t *testing.T, addr, crashAt string, lead time.Duration) *testServer {
	t.Helper()
	return launchServer(quietly{t}, serverOptions{
		DatabaseURL: a.databaseURL, Data: a.data, Addr: addr, Process: true, Crash: crashAt, Ahead: a.clock.aheadBy() + lead,
		Env: []string{
			"PURSER_MASTER_KEY=" + base64.StdEncoding.EncodeToString(arenaKey), "PURSER_SANDBOX_URL=" + a.control.address,
			"PURSER_LOG_FORMAT=json", "PURSER_RATE=100000",
		},
	})
}

// quietly keeps the many servers of one test from all telling what they wrote
// when it fails.
type quietly struct{ testing.TB }

func (quietly) Failed() bool { return false }

// ready waits until a launched server serves, and tells the clients; false
// when it died before.
func (a *arena) ready(s *testServer) bool {
	for {
		text, changed := s.output.read()
		if readyLine.MatchString(text) {
			break
		}
		select {
		case <-changed:
		case <-s.ended:
			return false
		case <-time.After(startMax):
			return false
		}
	}
	a.mu.Lock()
	close(a.revived)
	a.revived = make(chan struct{})
	a.mu.Unlock()
	return true
}

// next is closed when the next server comes up.
func (a *arena) next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.revived
}

// later moves the clocks past every lease of the server that died.
func (a *arena) later(d time.Duration) { a.clock.Advance(d) }

func (c *movingClock) aheadBy() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead
}

// unfinished counts what somebody still has to look at.
type unfinished struct {
	calls, events, payments, deliveries int
	// delivery is how the last attempt of one of the deliveries ended.
	delivery string
}

// settle waits until due work and deliveries have left nothing open. Where
// something waits for a later hour, the server is started again at that hour.
func (a *arena) settle(t *testing.T) {
	t.Helper()
	var left unfinished
	for range 4 {
		// What the gateway tried in vain waits up to five minutes; a signature
		// may be five minutes off. So the server's clock is first a little
		// ahead of the gateway's, and once it listens a little behind.
		a.later(time.Hour)
		server := a.launchAhead(t, "", 4*time.Minute)
		if !a.ready(server) {
			t.Fatalf("the server ended: %v\n%s", server.err, server.Output())
		}
		a.later(8 * time.Minute)
		done := false
		a.within(t, func(s *billing.Service, ctx context.Context, _ *database.DB) {
			done = holdsWithin(40*time.Second, func() bool {
				left = a.unfinished(t, s, ctx)
				return left == unfinished{}
			})
		})
		server.Stop()
		if done {
			return
		}
		t.Logf("not settled within an hour: %+v", left)
	}
	t.Fatalf("work was left over: %+v", left)
}

func (a *arena) unfinished(t *testing.T, s *billing.Service, ctx context.Context) unfinished {
	t.Helper()
	count := func(n int, err error) int {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	c := s.Client()
	u := unfinished{
		calls:    count(c.GatewayCall.Query().Where(gatewaycall.StateEQ(gatewaycall.StateOPEN)).Count(ctx)),
		events:   count(c.GatewayEvent.Query().Where(gatewayevent.StatusIn(gatewayevent.StatusRECEIVED, gatewayevent.StatusWAITING)).Count(ctx)),
		payments: count(c.Payment.Query().Where(payment.StatusEQ(payment.StatusPROCESSING)).Count(ctx)),
	}
	deliveries, err := a.sandbox.Deliveries(ctx, stackSecretKey, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range deliveries {
		if d.State == "PENDING" {
			u.deliveries++
			u.delivery = fmt.Sprintf("%s tried %d times: %d %s", d.Kind, d.Attempts, d.LastStatus, d.LastError)
		}
	}
	return u
}

// holdsWithin polls a condition until it holds or the time is over.
func holdsWithin(limit time.Duration, holds func() bool) bool {
	deadline := time.Now().Add(limit)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		if holds() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(wait)
	}
}
