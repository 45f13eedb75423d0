package webhook

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/billing"
	"purser/ent/quote"
	_ "purser/ent/runtime" // policies and hooks
	"purser/migrations"
	"purser/money"
	"purser/testdb"
)

func TestDocumentsAreServedByTheirLink(t *testing.T) {
	t.Parallel()
	dir, err := migrations.Dir(dialect.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := auth.NewSealer([]byte(strings.Repeat("k", auth.MasterKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	domain := billing.New(billing.Config{
		DB: testdb.Migrated(t, dialect.SQLite, dir), Sealer: sealer, Logger: log, Now: time.Now, PublicURL: "https://billing.example",
	})
	_, token, err := domain.CreateOrganization(
		auth.NewContext(t.Context(), &auth.Viewer{TokenID: "op", Scopes: []auth.Scope{auth.ScopeSystem}, Permission: auth.PermissionReadWrite}),
		billing.OrganizationDraft{Slug: "demo", Name: "Demo", Environment: "SANDBOX", DefaultCurrency: "USD"})
	if err != nil || token.Slug != "demo" {
		t.Fatal(token.Slug, err)
	}
	ctx, err := domain.Inside(t.Context(), "test", "demo")
	if err != nil {
		t.Fatal(err)
	}
	payer, err := domain.CreateDeveloper(ctx, billing.PayerDraft{Email: "ada@example.com", Name: "Ada", BillingMode: "PREPAID"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	price, err := money.Parse("10", "USD")
	if err != nil {
		t.Fatal(err)
	}
	id, err := domain.CreateQuote(ctx, billing.QuoteDraft{PayerID: payer, Lines: []billing.LineDraft{{Description: "Setup", UnitAmount: &price, Quantity: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := domain.BeginQuoteFinalization(ctx, billing.QuoteFinalizeDraft{ID: id}); err != nil {
		t.Fatal(err)
	}
	q, err := domain.Client().Quote.Query().Where(quote.ID(id)).Only(ctx)
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(domain.QuoteDocumentURL("demo", q))
	if err != nil {
		t.Fatal(err)
	}

	h := New(Config{Billing: domain, Logger: log})
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		w := ask(method, address.Path)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/pdf" ||
			w.Header().Get("Content-Disposition") != "inline; filename="+"quote-"+*q.Number+".pdf" || !strings.HasPrefix(w.Header().Get("Cache-Control"), "private") {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
		if isPDF := strings.HasPrefix(w.Body.String(), "%PDF-"); isPDF != (method == http.MethodGet) {
			t.Errorf("%s: %d bytes", method, w.Body.Len())
		}
	}
	for name, path := range map[string]string{
		"another organization": strings.Replace(address.Path, "/demo/", "/nobody/", 1),
		"another kind":         strings.Replace(address.Path, "/quotes/", "/invoices/", 1),
		"no kind of ours":      strings.Replace(address.Path, "/quotes/", "/receipts/", 1),
		"another token":        strings.Replace(address.Path, q.PublicToken, strings.Repeat("a", len(q.PublicToken)), 1),
		"an id":                strings.Replace(address.Path, q.PublicToken, q.ID, 1),
		"no ending":            strings.TrimSuffix(address.Path, ".pdf"),
	} {
		if w := ask(http.MethodGet, path); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "quote") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := ask(http.MethodPost, address.Path); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}
