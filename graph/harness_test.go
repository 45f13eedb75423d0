package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/billing"
	"purser/database"
	"purser/ent"
	"purser/ent/organization"
	_ "purser/ent/runtime" // policies and hooks
	"purser/gateway"
	"purser/graph/transport"
	"purser/migrations"
	"purser/testdb"
)

// world is the endpoint over a fresh database with two organizations.
type world struct {
	http.Handler
	billing  *billing.Service
	db       *database.DB
	raw      *ent.Client // writes rows as no operation would
	recorder *testdb.Recorder
	clock    *clock
	operator string
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// start is when every test's clock starts.
var start = time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)

const operatorToken = "pur_system_op_0123456789abcdef0123456789abcdef"

// eachDatabase runs a test over SQLite and over PostgreSQL.
func eachDatabase(t *testing.T, run func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	for _, name := range []string{dialect.SQLite, dialect.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, newWorld(t, name))
		})
	}
}

func newWorld(t testing.TB, dialectName string) *world {
	t.Helper()
	dir, err := migrations.Dir(dialectName)
	if err != nil {
		t.Fatal(err)
	}
	recorder := testdb.NewRecorder(t, "auth", "commit", "operator", "test")
	db := testdb.Migrated(t, dialectName, dir, recorder.Option())
	sealer, err := auth.NewSealer([]byte(strings.Repeat("k", auth.MasterKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{db: db, recorder: recorder, clock: &clock{at: start}, operator: operatorToken}
	w.raw = ent.NewClient(ent.Driver(entsql.OpenDB(db.Dialect, db.Write)))
	logger := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	w.billing = billing.New(billing.Config{
		DB: db, Sealer: sealer, Logger: logger, Now: w.clock.Now, PublicURL: "http://purser.test",
	})
	operator, err := auth.ParseToken(operatorToken)
	if err != nil {
		t.Fatal(err)
	}
	limits := transport.DefaultLimits()
	limits.BucketPoints, limits.RestorePerSecond = 1<<30, 1<<30
	w.Handler, err = NewHandler(HandlerConfig{
		Billing: w.billing, Gateways: gateway.NewDirectory(fakeStripe{}), CursorKey: []byte(strings.Repeat("c", 32)),
		Limits: limits, Logger: logger, Operator: &operator, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// testWriter shows internal errors where a test fails.
type testWriter struct{ testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// fakeStripe is a gateway that knows what keys look like and nothing else.
type fakeStripe struct{}

func (fakeStripe) Kind() gateway.Kind { return gateway.KindStripe }

func (fakeStripe) TestAccount(_ context.Context, a gateway.Account) gateway.AccountResult {
	if strings.Contains(a.SecretKey, "Refused") {
		return gateway.AccountResult{Outcome: gateway.Outcome{
			Status: gateway.StatusRejected, Failure: &gateway.Failure{Code: "api_key", Message: "The gateway does not know the key."},
		}}
	}
	return gateway.AccountResult{
		Outcome: gateway.Outcome{Status: gateway.StatusSucceeded}, AccountID: "acct_" + a.ProviderID, Country: "DE", ChargesEnabled: true,
	}
}

func (fakeStripe) CheckKeys(_ gateway.Environment, secret, publishable string) error {
	if !strings.HasPrefix(secret, "sk_test_") || !strings.HasPrefix(publishable, "pk_test_") {
		return fmt.Errorf("the keys are not test keys")
	}
	return nil
}

func (fakeStripe) CheckWebhookSecret(secret string) error {
	if !strings.HasPrefix(secret, "whsec_") {
		return fmt.Errorf("this is not a webhook signing secret")
	}
	return nil
}

// answer is what the endpoint answered.
type answer struct {
	Status int                        `json:"-"`
	Body   string                     `json:"-"`
	Data   map[string]json.RawMessage `json:"data"`
	Errors []struct {
		Message    string         `json:"message"`
		Path       []any          `json:"path"`
		Extensions map[string]any `json:"extensions"`
	} `json:"errors"`
}

// code is the code of the first error, empty for none.
func (a *answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	c, _ := a.Errors[0].Extensions["code"].(string)
	return c
}

// ask sends a document with a credential, which may be empty.
func (w *world) ask(t testing.TB, credential, document string, variables map[string]any) *answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	raw, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	a := &answer{Status: rec.Code, Body: string(priceTag.ReplaceAll(raw, nil))}
	if err := json.Unmarshal(raw, a); err != nil {
		t.Fatalf("answer %d is not JSON: %v\n%s", rec.Code, err, raw)
	}
	return a
}

// priceTag is what an answer says about its price, which differs every time.
var priceTag = regexp.MustCompile(`,?"extensions":\{"cost":\{[^}]*\}\}`)

// must is ask for an operation that must succeed; its data is read into out.
func (w *world) must(t testing.TB, credential, document string, variables map[string]any, out any) {
	t.Helper()
	a := w.ask(t, credential, document, variables)
	if len(a.Errors) > 0 || a.Status != http.StatusOK {
		t.Fatalf("%s\nanswered %d %s", document, a.Status, a.Body)
	}
	if out == nil {
		return
	}
	var whole struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(a.Body), &whole); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(whole.Data, out); err != nil {
		t.Fatalf("%s\nanswered %s: %v", document, a.Body, err)
	}
}

// tenant is one organization with a token that may do everything in it.
type tenant struct {
	id, slug, token string
	ctx             context.Context // the program acting inside it
}

func (w *world) tenant(t testing.TB, slug string) *tenant {
	t.Helper()
	id, token, err := w.billing.CreateOrganization(auth.AllTenants(t.Context(), "test"), billing.OrganizationDraft{
		Slug: slug, Name: "Organization " + slug, Environment: organization.EnvironmentSANDBOX, DefaultCurrency: "USD",
	})
	if err != nil {
		t.Fatal(err)
	}
	return &tenant{id: id, slug: slug, token: token.Reveal(), ctx: auth.Internal(t.Context(), "test", id)}
}

// credential makes a token of the tenant with some rights.
func (w *world) credential(t testing.TB, of *tenant, permission auth.Permission, scopes ...auth.Scope) string {
	t.Helper()
	ctx := auth.NewContext(t.Context(), &auth.Viewer{
		OrganizationID: of.id, OrganizationSlug: of.slug, TokenID: "tok_maker",
		Scopes: []auth.Scope{auth.ScopeAdmin}, Permission: auth.PermissionReadWrite,
	})
	_, token, err := w.billing.CreateToken(ctx, billing.TokenDraft{Name: fmt.Sprint(scopes, permission), Scopes: scopes, Permission: permission})
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// session makes a session of one of the tenant's payers.
func (w *world) session(t testing.TB, of *tenant, payerID string) string {
	t.Helper()
	ctx := auth.NewContext(t.Context(), &auth.Viewer{OrganizationID: of.id, OrganizationSlug: of.slug, TokenID: "tok_maker"})
	token, _, err := w.billing.CreatePayerSession(ctx, payerID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}
