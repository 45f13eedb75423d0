package migrations_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/database"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/payer"
	"purser/migrations"
	"purser/testdb"
)

// TestOnePartitionPerStatement runs ent's operations for two organizations on
// tables that are cut by organization, and holds that each statement stays
// with its own.
func TestOnePartitionPerStatement(t *testing.T) {
	t.Parallel()
	url := testdb.PartitionedPostgresURL(t)
	recorder := testdb.NewRecorder(t, "due work")
	c := client(testdb.Open(t, url, recorder.Option()))
	for _, organization := range []string{acme, other} {
		seed(t, c, organization)
		operate(t, c, organization)
	}
	unheard := testdb.Open(t, url)
	if n := testdb.Count(t, unheard.Read, "SELECT count(DISTINCT tableoid) FROM payers"); n != 2 {
		t.Fatalf("the two organizations lie in %d partitions, so nothing is proved", n)
	}
	if n := len(recorder.Statements()); n < 30 {
		t.Errorf("recorded %d statements only", n)
	}
	recorder.Check(t)
	recorder.CheckPartitions(t, unheard)

	// The check itself: the same question over all organizations.
	recorder.Reset()
	everywhere := auth.AllTenants(t.Context(), "due work")
	if n := c.Payer.Query().CountX(everywhere); n != 8 {
		t.Errorf("counted %d payers over all organizations", n)
	}
	stray := auth.AllTenants(t.Context(), "stray")
	c.Payer.Query().Where(payer.Name("Ada")).CountX(stray)
	counted := &counter{TB: t}
	recorder.CheckPartitions(counted, unheard)
	if len(counted.messages) != 1 || !strings.Contains(counted.messages[0], "instead of one") {
		t.Errorf("one of two statements over all organizations was not allowed, and the check said %q", counted.messages)
	}
}

// operate makes every kind of statement that the program makes through ent.
func operate(t *testing.T, c *ent.Client, organization string) {
	t.Helper()
	ctx := within(t, organization)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var developers []*ent.PayerCreate
	for i := range 3 {
		developers = append(developers, developer(c, fmt.Sprintf("dev_%s_%d", organization, i)))
	}
	must(c.Payer.CreateBulk(developers...).Exec(ctx))
	all, err := c.Payer.Query().WithBalances(func(q *ent.BalanceQuery) { q.WithEntries() }).All(ctx)
	must(err)
	if len(all) != 4 || !slices.ContainsFunc(all, func(p *ent.Payer) bool { return len(p.Edges.Balances) == 1 }) {
		t.Errorf("found %d payers in %s", len(all), organization)
	}
	_, err = c.Payer.Get(ctx, "dev_"+organization)
	must(err)
	_, err = c.Payer.Query().Where(payer.HasBalancesWith(balance.OrganizationID(organization))).Count(ctx)
	must(err)
	page, err := c.Payer.Query().Order(ent.Asc(payer.FieldID)).Limit(2).All(ctx)
	must(err)
	rest, err := c.Payer.Query().Where(payer.IDGT(page[1].ID)).Count(ctx)
	must(err)
	if rest != 2 {
		t.Errorf("after a page of two there are %d payers", rest)
	}
	changed, err := c.Balance.Update().Where(balance.ID("bal_"+organization), balance.Version(0)).
		AddAmountUnits(5).AddVersion(1).Save(ctx)
	must(err)
	if changed != 1 {
		t.Errorf("changed %d balances", changed)
	}
	tx, err := c.Tx(ctx)
	must(err)
	_, err = tx.Balance.Query().Where(balance.ID("bal_" + organization)).
		Modify(func(s *entsql.Selector) { s.ForUpdate(entsql.WithLockAction(entsql.SkipLocked)) }).Only(ctx)
	must(err)
	_, err = tx.ExecContext(ctx, `INSERT INTO number_counters (id, organization_id, name, value) VALUES ($1, $2, 'invoice', 1)
		ON CONFLICT (organization_id, name) DO UPDATE SET value = number_counters.value + 1`, "num_"+organization, organization)
	must(err)
	_, err = tx.ExecContext(ctx, `INSERT INTO idempotency_records (id, organization_id, scope, key, fingerprint, subject, created_at)
		VALUES ($1, $2, 's', 'k', $3, 'x', $4) ON CONFLICT (organization_id, scope, key) DO NOTHING`,
		"idk_"+organization, organization, []byte{1}, now)
	must(err)
	must(tx.Commit())
	_, err = c.IdempotencyRecord.Delete().Exec(ctx)
	must(err)
	_, err = c.Balance.Query().Aggregate(ent.Sum(balance.FieldAmountUnits)).Int(ctx)
	must(err)
}

// counter is a test that keeps its failures to itself.
type counter struct {
	testing.TB
	messages []string
}

func (f *counter) Helper() {}

func (f *counter) Errorf(format string, args ...any) {
	f.messages = append(f.messages, fmt.Sprintf(format, args...))
}

// TestPartitionedTakenForOrdinary holds that the program finds nothing to
// migrate in a partitioned database.
func TestPartitionedTakenForOrdinary(t *testing.T) {
	t.Parallel()
	db := testdb.PartitionedPostgres(t)
	dir, err := migrations.Dir(dialect.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	status, err := database.Status(t.Context(), db.Write, db.Dialect, dir)
	if err != nil || len(status.Pending) > 0 || len(status.Applied) == 0 {
		t.Errorf("status %+v: %v", status, err)
	}
	tenants, err := migrations.TenantTables()
	if err != nil {
		t.Fatal(err)
	}
	if n := testdb.Count(t, db.Read, "SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'"); n != 4*len(tenants) {
		t.Errorf("%d partitions for %d tenant tables", n, len(tenants))
	}
}
