package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/billing"
	"purser/ent/schema"
	"purser/gateway"
	"purser/migrations"
	"purser/testdb"
)

// A database that does not answer is not a payment that does not exist.
func TestReturnTellsAbsenceFromTrouble(t *testing.T) {
	t.Parallel()
	dir, err := migrations.Dir(dialect.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	db := testdb.Migrated(t, dialect.SQLite, dir)
	domain := billing.New(billing.Config{DB: db, Logger: slog.New(slog.DiscardHandler), Now: time.Now, PublicURL: "https://billing.example"})
	_, _, err = domain.CreateOrganization(auth.AllTenants(t.Context(), "test"),
		billing.OrganizationDraft{Slug: "demo", Name: "Demo", Environment: "SANDBOX", DefaultCurrency: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	h := New(Config{Billing: domain, Logger: slog.New(contextual{slog.NewTextHandler(&log, nil)})})
	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w
	}
	paths := []string{
		"/return/demo/nothing/success", "/thanks/demo/nothing", "/thanks/nobody/nothing", "/invoices/demo/nothing", "/invoices/nobody/nothing",
		"/documents/demo/quotes/nothing.pdf", "/documents/nobody/quotes/nothing.pdf", "/personal-data/demo/nothing", "/personal-data/nobody/nothing",
	}
	for _, path := range paths {
		if w := ask(path); w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d: %s", path, w.Code, w.Body)
		}
	}
	if log.Len() > 0 {
		t.Errorf("what does not exist is logged: %s", log.String())
	}
	if err := db.Read.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		log.Reset()
		if w := ask(path); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "no such") || log.Len() == 0 {
			t.Errorf("%s, without a database, answers %d: %s; logged %q", path, w.Code, w.Body, log.String())
		}
	}
}

// contextual looks at the context of each line, as the server's log does.
type contextual struct{ slog.Handler }

func (h contextual) Handle(ctx context.Context, r slog.Record) error {
	if ctx.Value(contextual{}) != nil {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// A browser goes to the address for what became of the payment, or to a page
// that says it; never to the address for another end.
func TestReturnGoesWhereThePaymentHasEnded(t *testing.T) {
	t.Parallel()
	dir, err := migrations.Dir(dialect.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	domain := billing.New(billing.Config{
		DB: testdb.Migrated(t, dialect.SQLite, dir), Logger: slog.New(slog.DiscardHandler), Now: time.Now, PublicURL: "https://billing.example",
	})
	id, _, err := domain.CreateOrganization(auth.AllTenants(t.Context(), "test"),
		billing.OrganizationDraft{Slug: "demo", Name: "Demo", Environment: "SANDBOX", DefaultCurrency: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := auth.Internal(t.Context(), "test", id)
	h := New(Config{Billing: domain, Logger: slog.New(slog.DiscardHandler)})
	named := schema.ReturnURLs{Success: "https://shop.example/s", Failure: "https://shop.example/f", Pending: "https://shop.example/p", Cancel: "https://shop.example/c"}
	for _, c := range []struct {
		status        billing.PaymentStatus
		outcome, want string
	}{
		{billing.PaymentSucceeded, "success", "/s"},
		{billing.PaymentSucceeded, "cancel", "/s"},
		{billing.PaymentFailed, "success", "/f"},
		{billing.PaymentCanceled, "success", "/c"},
		{"REQUIRES_ACTION", "cancel", "/c"},
		{"PROCESSING", "success", "/p"},
	} {
		p := &billing.PublicPayment{PaymentID: "pmt_1", Token: "token", OrderCode: "A-1", Status: c.status, ReturnURLs: named}
		if got, want := h.destination(ctx, p, c.outcome), "https://shop.example"+c.want+"?orderCode=A-1&paymentId=pmt_1"; got != want {
			t.Errorf("%s, left by %s, goes to %s, want %s", c.status, c.outcome, got, want)
		}
		want := "" // our own page
		if p.ReturnURLs = (schema.ReturnURLs{Success: named.Success}); c.want == "/s" {
			want = named.Success + "?orderCode=A-1&paymentId=pmt_1"
		}
		if got := h.destination(ctx, p, c.outcome); got != want {
			t.Errorf("%s, left by %s, with an address for success alone, goes to %q, want %q", c.status, c.outcome, got, want)
		}
	}
}

func TestLanesLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	var l lanes
	taken := 0
	for l.enter("slow") {
		taken++
	}
	if taken != lanesOfProviderMax {
		t.Errorf("one provider has %d lanes", taken)
	}
	for n := range lanesMax {
		if l.enter(string(rune('a' + n))) {
			taken++
		}
	}
	if taken != lanesMax {
		t.Errorf("all have %d lanes", taken)
	}
	l.leave("slow")
	if !l.enter("slow") || l.enter("slow") {
		t.Error("a lane that was left is not one free lane")
	}
}

func TestPanicIsAnErrorOfTheEvent(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: slog.New(slog.DiscardHandler)}) // without the domain it cannot but panic
	err := h.applyCaught(t.Context(), &billing.EventToApply{Object: gateway.Object{Kind: gateway.ObjectPayment}})
	if err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("got %v", err)
	}
}
