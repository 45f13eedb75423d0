package billing

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/database"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/provider"
	_ "purser/ent/runtime" // policies and hooks
	entschema "purser/ent/schema"
	"purser/migrations"
	"purser/money"
	"purser/testdb"
)

// TestMain has memory collected as seldom as the program does: a quarter of the
// time went into it. Properties are tried with fewer examples than rapid's
// hundred: each of theirs is many transactions.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	flag.Parse()
	if !full() {
		if err := flag.Set("rapid.checks", "30"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// fixture is the domain over a fresh database that holds one organization
// with some currencies and a provider.
type fixture struct {
	*Service
	db    *database.DB
	clock *testClock
	// ctx is a caller with all rights in the organization.
	ctx context.Context
	org string
	// provider is the id of a Stripe provider.
	provider string
}

// testClock stands still until it is moved.
type testClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *testClock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

func (c *testClock) Advance(d time.Duration) { c.Set(c.Now().Add(d)) }

// fixtureStart is when every fixture's clock starts.
var fixtureStart = time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)

// eachDatabase runs a test on a fixture over SQLite and over PostgreSQL, at
// once. Afterwards it verifies the ledger and holds every statement that the
// test has caused to the rules for distributed tables.
func eachDatabase(t *testing.T, run func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Parallel()
	for name, open := range eitherDatabase() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			statements := testdb.NewRecorder(t, "commit", "jobs", "verify", operatorPart, rotatePart)
			f := newFixture(t, open(t, statements.Option()))
			run(t, f)
			f.mustVerify(t)
			statements.Check(t)
		})
	}
}

// eitherDatabase opens databases of each kind, with tables and no rows.
func eitherDatabase() map[string]func(testing.TB, ...database.Option) *database.DB {
	return map[string]func(testing.TB, ...database.Option) *database.DB{"sqlite": newSQLite, "postgres": newPostgres}
}

// newSQLite opens a SQLite database with tables and no rows.
func newSQLite(t testing.TB, opts ...database.Option) *database.DB {
	t.Helper()
	return testdb.Migrated(t, dialect.SQLite, migrationsOf(t, dialect.SQLite), opts...)
}

// newPostgres opens a PostgreSQL database with tables and no rows.
func newPostgres(t testing.TB, opts ...database.Option) *database.DB {
	t.Helper()
	return testdb.Open(t, newPostgresURL(t), opts...)
}

func newPostgresURL(t testing.TB) string {
	t.Helper()
	return testdb.MigratedURL(t, dialect.Postgres, migrationsOf(t, dialect.Postgres))
}

func migrationsOf(t testing.TB, dialectName string) fs.FS {
	t.Helper()
	dir, err := migrations.Dir(dialectName)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// newFixture makes an organization in a database that has its tables.
func newFixture(t testing.TB, db *database.DB) *fixture {
	t.Helper()
	clock := &testClock{at: fixtureStart}
	sealer, err := auth.NewSealer([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{
		DB: db, Sealer: sealer, Logger: slog.New(slog.DiscardHandler),
		Now: clock.Now, PublicURL: "http://purser.test",
	})
	f := &fixture{Service: s, db: db, clock: clock}
	f.org, f.ctx = f.newOrganization(t, "demo", "UTC")
	f.provider = f.newProvider(t)
	return f
}

// newOrganization makes an organization that sells in dollars, yen, dinars
// and points, and returns its id and the context of a caller with all rights.
func (f *fixture) newOrganization(t testing.TB, slug, zone string) (string, context.Context) {
	t.Helper()
	id := f.newID(prefixOrganization)
	ctx := auth.NewContext(t.Context(), &auth.Viewer{
		OrganizationID: id, OrganizationSlug: slug, TokenID: "tok_test",
		Scopes: []auth.Scope{auth.ScopeAdmin}, Permission: auth.PermissionReadWrite,
	})
	f.must(t, ctx, func(ctx context.Context, tx *Tx) error {
		err := tx.Organization.Create().
			SetID(id).SetSlug(slug).SetName(slug).SetEnvironment(organization.EnvironmentSANDBOX).
			SetDefaultCurrency("USD").SetTimeZone(zone).
			SetAddresses([]entschema.Address{}).SetAllowedReturnOrigins([]string{}).
			SetCreatedAt(tx.Now).Exec(ctx)
		if err != nil {
			return err
		}
		for _, code := range []string{"USD", "JPY", "KWD", "POINTS"} {
			err := tx.Currency.Create().SetID(tx.s.newID(prefixCurrency)).
				SetCode(code).SetName(code).SetDisplayName(code).SetVirtual(!money.IsISO(code)).
				SetCreatedAt(tx.Now).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return id, ctx
}

func (f *fixture) newProvider(t testing.TB) string {
	t.Helper()
	id := f.newID(prefixProvider)
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		return tx.Provider.Create().
			SetID(id).SetSlug(id).SetName("Stripe").SetKind(provider.KindSTRIPE).
			SetWebhookToken(id).SetCreatedAt(tx.Now).Exec(ctx)
	})
	return id
}

// newPayer makes an active developer.
func (f *fixture) newPayer(t testing.TB, mode payer.BillingMode) *ent.Payer {
	t.Helper()
	id := f.newID(prefixDeveloper)
	var p *ent.Payer
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) (err error) {
		p, err = tx.Payer.Create().
			SetID(id).SetKind(payer.KindDEVELOPER).SetEmail(id + "@example.com").SetName("Ada").
			SetBillingMode(mode).SetMetadata(map[string]string{}).
			SetCreatedAt(tx.Now).Save(ctx)
		return err
	})
	return p
}

// must runs f in a transaction.
func (f *fixture) must(t testing.TB, ctx context.Context, run func(ctx context.Context, tx *Tx) error) {
	t.Helper()
	if err := f.inTx(ctx, run); err != nil {
		t.Fatal(err)
	}
}

// balanceOf reads a payer's balance; nil when there is none.
func (f *fixture) balanceOf(t testing.TB, payerID, code string) *ent.Balance {
	t.Helper()
	b, err := f.Client().Balance.Query().Where(balance.PayerID(payerID), balance.Currency(code)).Only(f.ctx)
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mustVerify fails the test when a row does not fit the others.
func (f *fixture) mustVerify(t testing.TB) {
	t.Helper()
	ctx := auth.AllTenants(t.Context(), "verify")
	if _, err := f.VerifyAll(ctx, VerifyOptions{}); err != nil {
		t.Errorf("verify: %v", err)
	}
}

// usd reads an amount of dollars.
func usd(t testing.TB, text string) money.Amount { t.Helper(); return in(t, text, "USD") }

// in reads an amount in the ledger's full precision.
func in(t testing.TB, text, code string) money.Amount {
	t.Helper()
	a, err := money.Parse(money.Decimal(text), code)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ptr returns a pointer to a copy of v.
func ptr[T any](v T) *T { return &v }

// wantCode fails the test unless err is a refusal with the code at the field,
// and returns it.
func wantCode(t testing.TB, err error, code Code, field string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a refusal with %s", err, code)
	}
	if e.Code != code || strings.Join(e.Field, ".") != field {
		t.Fatalf("refused with %s at %q (%s), want %s at %q", e.Code, strings.Join(e.Field, "."), e.Message, code, field)
	}
	return e
}
