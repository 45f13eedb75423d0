package export

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/billing"
	"purser/database"
	"purser/ent/organization"
	"purser/ent/payer"
	_ "purser/ent/runtime" // policies and hooks
	"purser/migrations"
	"purser/money"
	"purser/testdb"
)

// desk is the front door over a fresh database with an organization.
type desk struct {
	http.Handler
	*billing.Service
	db  *database.DB
	org string
	ctx context.Context // the program acting inside the organization
}

func newDesk(t *testing.T, dialectName string) *desk {
	t.Helper()
	dir, err := migrations.Dir(dialectName)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{db: testdb.Migrated(t, dialectName, dir)}
	logger := slog.New(slog.DiscardHandler)
	sealer, err := auth.NewSealer([]byte(strings.Repeat("k", auth.MasterKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)
	d.Service = billing.New(billing.Config{DB: d.db, Sealer: sealer, Logger: logger, Now: func() time.Time { return at }})
	d.Handler = New(Config{Billing: d.Service, Logger: logger})
	d.org, _, err = d.CreateOrganization(auth.AllTenants(t.Context(), "test"), billing.OrganizationDraft{
		Slug: "alpha", Name: "Alpha", Environment: organization.EnvironmentSANDBOX, DefaultCurrency: "USD",
	})
	if err != nil {
		t.Fatal(err)
	}
	d.ctx = auth.Internal(t.Context(), "test", d.org)
	return d
}

func (d *desk) payer(t *testing.T, name string) string {
	t.Helper()
	id, err := d.CreateDeveloper(d.ctx, billing.PayerDraft{Email: name + "@example.com", Name: name, BillingMode: payer.BillingModePREPAID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (d *desk) reload(t *testing.T, payerID, text string) {
	t.Helper()
	_, err := d.ReloadBalance(d.ctx, billing.Reload{
		PayerID: payerID, Amount: money.Amount{Units: 100 * money.UnitsPerMinor, Currency: "USD"}, Reference: &text, Key: &text,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// get asks as a viewer.
func (d *desk) get(ctx context.Context, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
	return w
}

// sheet reads an answer as a spreadsheet would.
func sheet(t *testing.T, w *httptest.ResponseRecorder) [][]string {
	t.Helper()
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/csv; charset=utf-8; header=present" ||
		!strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment; filename=") {
		t.Fatalf("answered %d %v %s", w.Code, w.Header(), w.Body)
	}
	if body := w.Body.String(); strings.Count(body, "\n") != strings.Count(body, "\r\n") || !strings.HasSuffix(body, "\r\n") {
		t.Errorf("lines do not end with CRLF: %q", body)
	}
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestEntries(t *testing.T) {
	t.Parallel()
	for _, name := range []string{dialect.SQLite, dialect.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, name)
			ada := d.payer(t, "ada")
			references := []string{
				"bank, 17", `say "yes"`, "=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1", "a-b", "ä€",
			}
			for _, text := range references {
				d.reload(t, ada, text)
			}
			used, err := d.RecordUsage(d.ctx, billing.Usage{
				PayerID: ada, Amount: money.Amount{Units: 1, Currency: "USD"}, Metadata: map[string]string{"plan": "=gold"}, Key: &references[0],
			})
			if err != nil {
				t.Fatal(err)
			}
			rows := sheet(t, d.get(d.ctx, "/export/payers/"+ada+"/entries.csv?currency=USD"))
			if len(rows) != len(references)+2 || strings.Join(rows[0], ",") != strings.Join(entriesHeader, ",") {
				t.Fatalf("got %q", rows)
			}
			for i, text := range references {
				want := text
				switch i {
				case 2, 3, 4, 5, 6:
					want = "'" + text
				}
				if row := rows[i+1]; row[8] != want || row[5] != "1.00" || row[0] != fmt.Sprint(i+1) || row[2] != "2026-03-10T12:00:00Z" {
					t.Errorf("%q: got %q", text, row)
				}
			}
			last := rows[len(rows)-1]
			if last[1] != used.EntryID || last[4] != "USAGE" || last[5] != "-0.00000001" || last[7] != "8.99999999" || last[14] != `{"plan":"=gold"}` {
				t.Errorf("usage: %q", last)
			}
		})
	}
}

func TestStatements(t *testing.T) {
	t.Parallel()
	d := newDesk(t, dialect.SQLite)
	ada := d.payer(t, "ada")
	d.reload(t, ada, "r")
	rows := sheet(t, d.get(d.ctx, "/export/payers/"+ada+"/statements.csv?year=2026"))
	if len(rows) != 4 || strings.Join(rows[3], ",") != "2026,3,USD,0.00,1.00,0.00,0.00,0.00,0.00,1.00,1.00,0" {
		t.Errorf("got %q", rows)
	}
	for _, path := range []string{"?year=2027", "?year=2026&currency=JPY"} {
		if rows := sheet(t, d.get(d.ctx, "/export/payers/"+ada+"/statements.csv"+path)); len(rows) != 1 {
			t.Errorf("%s: got %q", path, rows)
		}
	}
}

// More entries than a page has come whole and in order.
func TestPages(t *testing.T) {
	t.Parallel()
	d := newDesk(t, dialect.SQLite)
	ada := d.payer(t, "ada")
	const entries = 1001
	for n := range entries {
		d.reload(t, ada, fmt.Sprint(n))
	}
	rows := sheet(t, d.get(d.ctx, "/export/payers/"+ada+"/entries.csv?currency=USD"))
	if len(rows) != entries+1 {
		t.Fatalf("%d rows", len(rows))
	}
	for n, row := range rows[1:] {
		if row[8] != fmt.Sprint(n) {
			t.Fatalf("row %d: %q", n, row)
		}
	}
}

// closing is a writer during whose first answer the database goes away.
type closing struct {
	*httptest.ResponseRecorder
	db *database.DB
}

func (c *closing) FlushError() error { return errors.Join(c.db.Read.Close(), nil) }

// Half of a file is not taken for the whole.
func TestBrokenFileIsCutOff(t *testing.T) {
	t.Parallel()
	d := newDesk(t, dialect.SQLite)
	ada := d.payer(t, "ada")
	for n := range 1001 {
		d.reload(t, ada, fmt.Sprint(n))
	}
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint // the server's contract is the bare error
			t.Error("a file that cannot be read to its end was finished")
		}
	}()
	d.ServeHTTP(&closing{httptest.NewRecorder(), d.db}, httptest.NewRequestWithContext(d.ctx, http.MethodGet, "/export/payers/"+ada+"/entries.csv?currency=USD", nil))
}

// Who may see what is what the GraphQL API shows to the same caller.
func TestAccess(t *testing.T) {
	t.Parallel()
	d := newDesk(t, dialect.SQLite)
	ada, grace := d.payer(t, "ada"), d.payer(t, "grace")
	d.reload(t, ada, "r")
	other, _, err := d.CreateOrganization(auth.AllTenants(t.Context(), "test"), billing.OrganizationDraft{
		Slug: "beta", Name: "Beta", Environment: organization.EnvironmentSANDBOX, DefaultCurrency: "USD",
	})
	if err != nil {
		t.Fatal(err)
	}
	token := func(org string, s ...auth.Scope) *auth.Viewer {
		return &auth.Viewer{OrganizationID: org, TokenID: "tok", Scopes: s, Permission: auth.PermissionRead}
	}
	session := func(payerID string) *auth.Viewer {
		return &auth.Viewer{OrganizationID: d.org, SessionID: "ses", PayerID: payerID}
	}
	for _, c := range []struct {
		who    string
		viewer *auth.Viewer
		status int
	}{
		{"billing", token(d.org, auth.ScopeBilling), http.StatusOK},
		{"admin", token(d.org, auth.ScopeAdmin), http.StatusOK},
		{"account", token(d.org, auth.ScopeAccount), http.StatusForbidden},
		{"the operator", token("", auth.ScopeSystem), http.StatusForbidden},
		{"another organization", token(other, auth.ScopeBilling), http.StatusNotFound},
		{"the payer", session(ada), http.StatusOK},
		{"another payer", session(grace), http.StatusNotFound},
	} {
		for _, file := range []string{"/entries.csv?currency=USD", "/statements.csv?year=2026"} {
			ctx := auth.NewContext(t.Context(), c.viewer)
			w := d.get(ctx, "/export/payers/"+ada+file)
			if w.Code != c.status {
				t.Errorf("%s by %s: %d %s", file, c.who, w.Code, w.Body)
			}
			unknown := d.get(ctx, "/export/payers/dev_none"+file)
			if c.status == http.StatusNotFound && strings.ReplaceAll(w.Body.String(), ada, "dev_none") != unknown.Body.String() {
				t.Errorf("%s by %s: %s for a foreign payer, %s for an unknown one", file, c.who, w.Body, unknown.Body)
			}
		}
	}
	for path, status := range map[string]int{
		"/entries.csv":                                   http.StatusBadRequest,
		"/entries.csv?currency=USD&form=x":               http.StatusBadRequest,
		"/entries.csv?currency=USD&currency=EUR":         http.StatusBadRequest,
		"/entries.csv?currency=USD&from=2026-03-01":      http.StatusBadRequest,
		"/entries.csv?currency=USD&to=x":                 http.StatusBadRequest,
		"/entries.csv?currency=%zz":                      http.StatusBadRequest,
		"/entries.csv?currency=USD&to=2026-03-01T00:00Z": http.StatusBadRequest,
		"/entries.csv?currency=JPY":                      http.StatusOK,
		"/statements.csv":                                http.StatusBadRequest,
		"/statements.csv?year=x":                         http.StatusBadRequest,
		"/statements.csv?year=0":                         http.StatusBadRequest,
		"/statements.csv?year=10000":                     http.StatusBadRequest,
		"/other.csv":                                     http.StatusNotFound,
	} {
		if w := d.get(d.ctx, "/export/payers/"+ada+path); w.Code != status {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
