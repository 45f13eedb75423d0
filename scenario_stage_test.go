package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/database"
	"purser/export"
	"purser/gateway"
	"purser/gateway/stripe"
	"purser/gateway/worldpay"
	"purser/graph"
	"purser/graph/transport"
	"purser/jobs"
	stripesandbox "purser/sandbox/stripe"
	worldpaysandbox "purser/sandbox/worldpay"
	"purser/webhook"
)

// stage is where a story plays: a server over a fresh database, with the
// gateway's stand-in behind it and a clock of its own.
type stage struct {
	*values
	t       testing.TB
	url     string
	db      *database.DB
	domain  *billing.Service
	client  *http.Client
	gateway gatewayControl
	// worldpay is the other gateway's stand-in.
	worldpay *worldpaysandbox.Server
	clock    *storyClock
	jobs     *jobs.Runner
	// mails are what has been sent.
	mails *mailbox
	// token is the organization's first token, which may do everything.
	token string
	// lazy are the people and things that come to be when a story first
	// names them.
	lazy map[string]func() error
	// page is what the story's browser shows.
	page *browser
	// failures are the internal errors that the server has logged.
	failures *failureLog
}

// storyStart is when every story begins.
var storyStart = time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)

// storyClock runs like a real one, from storyStart on, and can be advanced.
type storyClock struct {
	began time.Time
	mu    sync.Mutex
	ahead time.Duration
}

func (c *storyClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return storyStart.Add(time.Since(c.began) + c.ahead)
}

func (c *storyClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// failureLog keeps what the server logs as an error: a story in which the
// server itself failed has not gone well, whatever was answered.
type failureLog struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func (l *failureLog) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, b.String())
	return nil
}

func (l *failureLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *failureLog) WithGroup(string) slog.Handler      { return l }

func (l *failureLog) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

const storyOperator = "pur_system_op_0123456789abcdef0123456789abcdef"

// newStage starts a server over a migrated database and makes the
// organization that the story is about. The parts are wired as serve does it,
// with what a story needs to turn itself: the clock, short pauses between
// looks for due work, and a database that tells of its statements.
func newStage(t testing.TB, db *database.DB) *stage {
	t.Helper()
	clock := &storyClock{began: time.Now()}
	failures := &failureLog{Handler: slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError})} //nolint:sloglint // it is the level that counts
	logger := slog.New(failures)
	sealer, err := auth.NewSealer([]byte(strings.Repeat("k", auth.MasterKeyBytes)))
	must(t, err)

	var handler http.Handler // made below, when the address is known
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	sandbox, err := stripesandbox.Open(t.Context(), stripesandbox.Config{
		Logger: logger, Now: clock.Now, PublicURL: server.URL + pathSandbox, RetryBase: 100 * time.Millisecond,
	})
	must(t, err)
	other, err := worldpaysandbox.Open(t.Context(), worldpaysandbox.Config{
		Logger: logger, Now: clock.Now, PublicURL: server.URL + pathWorldpay, RetryBase: 100 * time.Millisecond,
	})
	must(t, err)
	domain := billing.New(billing.Config{DB: db, Sealer: sealer, Logger: logger, Now: clock.Now, PublicURL: server.URL, WebhookAddresses: []string{server.URL}})
	gateways := gateway.NewDirectory(
		stripe.New(stripe.Config{
			BaseURL: func(gateway.Environment) (string, error) { return server.URL + pathSandbox, nil }, Logger: logger, Now: clock.Now,
		}),
		worldpay.New(worldpay.Config{
			BaseURL: func(gateway.Environment) (string, error) { return server.URL + pathWorldpay, nil }, Logger: logger, Now: clock.Now,
		}),
	)
	operator, err := auth.ParseToken(storyOperator)
	must(t, err)
	limits := transport.DefaultLimits()
	// Waiting for something asks more often than a client should.
	limits.BucketPoints, limits.RestorePerSecond = 1<<30, 1<<30
	api, err := graph.NewHandler(graph.HandlerConfig{
		Limits: limits, Billing: domain, Gateways: gateways, CursorKey: bytes.Repeat([]byte("c"), 32), Logger: logger, Operator: &operator, Version: "story",
	})
	must(t, err)
	door := webhook.New(webhook.Config{Billing: domain, Gateways: gateways, Logger: logger})
	handler = routes(doors{
		graphql: api, webhook: door, sandbox: sandbox.Handler(), worldpay: other.Handler(),
		export: api.Guard(export.New(export.Config{Billing: domain, Logger: logger})),
		web:    inbox{}, metrics: http.NotFoundHandler(), readiness: &readiness{},
	}, logger)

	mails := &mailbox{folder: t.TempDir()}
	runner := jobs.New(jobs.Config{Billing: domain, Gateways: gateways, ApplyEvent: door.Apply, Mail: mails.sender(), Webhooks: server.Client(), Logger: logger, Interval: time.Second})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { runner.Run(ctx) })
	running.Go(func() {
		if err := runSandboxes(ctx, sandbox, other); err != nil {
			logger.Error("sandbox", "error", err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		server.Close()
		if err := errors.Join(sandbox.Close(), other.Close()); err != nil {
			t.Error(err)
		}
	})

	s := &stage{
		worldpay: other, mails: mails,
		t: t, url: server.URL, db: db, domain: domain, client: server.Client(), clock: clock, jobs: runner, failures: failures,
		values: &values{known: map[string]string{}, now: clock.Now},
	}
	// A server that is being stopped must not wait for idle connections.
	t.Cleanup(s.client.CloseIdleConnections)
	s.page, err = newBrowser(server.URL, s.client.Transport)
	must(t, err)
	s.founding()
	s.castOfCharacters()
	return s
}

// inbox is an organization's own system: it takes every event that is sent to
// /inbox, and knows nothing else.
type inbox struct{}

func (inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/inbox" || r.Header.Get("Webhook-Signature") == "" {
		http.NotFound(w, r)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// founding makes the organization with its merchant account, whose events
// arrive.
func (s *stage) founding() {
	s.t.Helper()
	s.known["server"] = s.url
	s.known["organization"] = "demo"
	s.known["secretKey"] = "sk_test_story0000000000"
	s.known["publishableKey"] = "pk_test_story0000000000"
	s.gateway = gatewayControl{client: s.client, address: s.url + pathSandbox, key: s.known["secretKey"]}
	s.token = s.make(storyOperator, "organizationCreate.token", `mutation { organizationCreate(input: {
		slug: "demo", name: "Demo Weather API", environment: SANDBOX, defaultCurrency: "USD"
	}) { token userErrors { code field message } } }`)
	s.known["token"] = s.token
	s.known["provider"] = s.make(s.token, "providerCreate.provider.id", `mutation { providerCreate(input: {
		name: "Stripe", makeDefault: true,
		credentials: {stripe: {secretKey: "{{secretKey}}", publishableKey: "{{publishableKey}}"}}
	}) { provider { id webhookUrl } userErrors { code field message } } }`)
	s.known["webhookUrl"] = s.make(s.token, "node.webhookUrl", `{ node(id: "{{provider}}") { ... on Provider { webhookUrl } } }`)
	s.known["webhookPath"] = strings.TrimPrefix(s.known["webhookUrl"], s.url)
	var endpoint struct {
		Secret string `json:"secret"`
	}
	must(s.t, s.gateway.ask(s.t.Context(), http.MethodPost, "/v1/webhook_endpoints?enabled_events[]=*&url="+s.known["webhookUrl"], nil, &endpoint))
	s.known["webhookSecret"] = endpoint.Secret
	s.make(s.token, "providerUpdate.provider.id", `mutation { providerUpdate(input: {
		id: "{{provider}}", webhookSecret: "{{webhookSecret}}"
	}) { provider { id } userErrors { code field message } } }`)
}

// castOfCharacters is who and what comes to be when a story names it; the
// README lists it.
func (s *stage) castOfCharacters() {
	one := func(credential func() string, path, document string) func() (string, error) {
		return func() (string, error) { return s.ask1(credential(), path, document) }
	}
	own := func() string { return s.token }
	other := func() string { return s.known["otherToken"] }
	s.lazy = map[string]func() error{}
	add := func(name string, get func() (string, error)) {
		s.lazy[name] = func() error {
			value, err := get()
			s.known[name] = value
			return err
		}
	}
	add("worldpay", func() (string, error) {
		m := worldpaysandbox.DemoMerchant()
		s.known["xmlPassword"], s.known["macSecret"] = m.Password, m.MACSecret
		id, err := s.ask1(s.token, "providerCreate.provider.id", `mutation { providerCreate(input: {
			name: "WorldPay test", credentials: {worldpay: {
				merchantCode: "`+m.Code+`", xmlPassword: "`+m.Password+`", installationId: "`+m.InstallationID+`", macSecret: "`+m.MACSecret+`"
			}}
		}) { provider { id webhookUrl } userErrors { code field message } } }`)
		if err != nil {
			return "", err
		}
		s.known["worldpay"] = id
		if m.NotificationURL, err = s.ask1(s.token, "node.webhookUrl", `{ node(id: "{{worldpay}}") { ... on Provider { webhookUrl } } }`); err != nil {
			return "", err
		}
		s.known["worldpayPath"] = strings.TrimPrefix(m.NotificationURL, s.url)
		return id, s.worldpay.SetMerchant(s.t.Context(), m)
	})
	add("globalWorldpay", func() (string, error) {
		m := worldpaysandbox.DemoMerchant()
		id, err := s.ask1(storyOperator, "globalProviderCreate.globalProvider.id", `mutation { globalProviderCreate(input: {
			name: "Worldwide WorldPay", environment: SANDBOX, credentials: {worldpay: {
				merchantCode: "`+m.Code+`", xmlPassword: "`+m.Password+`", installationId: "`+m.InstallationID+`", macSecret: "`+m.MACSecret+`"
			}}
		}) { globalProvider { id } userErrors { code field message } } }`)
		if err != nil {
			return "", err
		}
		s.known["globalWorldpay"] = id
		m.NotificationURL, err = s.ask1(storyOperator, "node.webhookUrl", `{ node(id: "{{globalWorldpay}}") { ... on GlobalProvider { webhookUrl } } }`)
		if err != nil {
			return "", err
		}
		return id, s.worldpay.SetMerchant(s.t.Context(), m)
	})
	add("ada", one(own, "developerCreate.developer.id", `mutation { developerCreate(input: {
		email: "ada@example.com", name: "Ada Lovelace"
	}) { developer { id } userErrors { code field message } } }`))
	add("linus", one(own, "developerCreate.developer.id", `mutation { developerCreate(input: {
		email: "linus@example.com", name: "Linus Berg", billingMode: POSTPAID
	}) { developer { id } userErrors { code field message } } }`))
	add("acme", one(own, "companyCreate.company.id", `mutation { companyCreate(input: {
		slug: "acme", name: "ACME Ltd"
	}) { company { id } userErrors { code field message } } }`))
	add("product", one(own, "productCreate.product.id", `mutation { productCreate(input: {
		name: "Forecast API", description: "Weather for the next ten days"
	}) { product { id } userErrors { code field message } } }`))
	add("price", one(own, "priceCreate.price.id", `mutation { priceCreate(input: {
		productId: "{{product}}", unitAmount: {amount: "270.00", currency: "USD"}, nickname: "Basic"
	}) { price { id } userErrors { code field message } } }`))
	add("monthly", one(own, "priceCreate.price.id", `mutation { priceCreate(input: {
		productId: "{{product}}", unitAmount: {amount: "29.00", currency: "USD"}, recurrence: {interval: MONTH}
	}) { price { id } userErrors { code field message } } }`))
	for name, token := range map[string]string{"adaCard": "pm_card_visa", "decliningCard": "pm_card_chargeCustomerFail"} {
		add(name, one(own, "paymentMethodAttach.paymentMethod.id", `mutation { paymentMethodAttach(input: {
			payerId: "{{ada}}", gatewayToken: "`+token+`"
		}) { paymentMethod { id } userErrors { code field message } } }`))
	}
	add("otherToken", one(func() string { return storyOperator }, "organizationCreate.token", `mutation { organizationCreate(input: {
		slug: "other", name: "Other Maps API", environment: SANDBOX, defaultCurrency: "USD"
	}) { token userErrors { code field message } } }`))
	foreign := func(name, path, document string) {
		add(name, func() (string, error) {
			if _, err := s.fill("{{otherToken}}"); err != nil {
				return "", err
			}
			return one(other, path, document)()
		})
	}
	foreign("foreignPayer", "developerCreate.developer.id", `mutation { developerCreate(input: {
		email: "eve@example.com", name: "Eve Foreign"
	}) { developer { id } userErrors { code field message } } }`)
	foreign("foreignQuote", "quoteCreate.quote.id", `mutation { quoteCreate(input: {
		payerId: "{{foreignPayer}}", lineItems: [{description: "Maps", unitAmount: {amount: "10.00", currency: "USD"}}]
	}) { quote { id } userErrors { code field message } } }`)
	foreign("foreignInvoice", "invoiceCreate.invoice.id", `mutation { invoiceCreate(input: {
		payerId: "{{foreignPayer}}", lineItems: [{description: "Maps", unitAmount: {amount: "10.00", currency: "USD"}}]
	}) { invoice { id } userErrors { code field message } } }`)
	foreign("foreignProduct", "productCreate.product.id", `mutation { productCreate(input: {
		name: "Maps"
	}) { product { id } userErrors { code field message } } }`)
	foreign("foreignPrice", "priceCreate.price.id", `mutation { priceCreate(input: {
		productId: "{{foreignProduct}}", unitAmount: {amount: "10.00", currency: "USD"}
	}) { price { id } userErrors { code field message } } }`)
	s.values.lazy = func(name string) (bool, error) {
		do, there := s.lazy[name]
		if !there {
			return false, nil
		}
		return true, do()
	}
}

// make asks for something that the stage needs and returns one text of the
// answer.
func (s *stage) make(credential, path, document string) string {
	s.t.Helper()
	value, err := s.ask1(credential, path, document)
	if err != nil {
		s.t.Fatalf("prepare the stage: %v", err)
	}
	return value
}

func (s *stage) ask1(credential, path, document string) (string, error) {
	filled, err := s.fill(document)
	if err != nil {
		return "", err
	}
	_, raw, err := s.ask(credential, filled, nil, nil)
	if err != nil {
		return "", err
	}
	var v struct {
		Data any `json:"data"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return "", err
	}
	at := v.Data
	for key := range strings.SplitSeq(path, ".") {
		o, ok := at.(map[string]any)
		if !ok {
			return "", fmt.Errorf("%s\nanswered %s", filled, raw)
		}
		at = o[key]
	}
	text, ok := at.(string)
	if !ok {
		return "", fmt.Errorf("%s\nanswered %s", filled, raw)
	}
	return text, nil
}

// ask sends one GraphQL document and returns status and body.
func (s *stage) ask(credential, document string, variables json.RawMessage, header http.Header) (int, []byte, error) {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return 0, nil, err
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for k, v := range header {
		r.Header[k] = v
	}
	r.Header.Set("Content-Type", "application/json")
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	return s.exchange(r)
}

func (s *stage) exchange(r *http.Request) (int, []byte, error) {
	answer, err := s.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	raw, err := io.ReadAll(answer.Body)
	return answer.StatusCode, raw, errors.Join(err, answer.Body.Close())
}
