package billing

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/database"
	"purser/ent/payer"
	"purser/migrations"
	"purser/testdb"
)

// settledRows are how many rows of each kind the tests make about which
// nothing is left to do.
const settledRows = 5_000

// fillSettled makes rows as they look when all work on them is done.
func (f *fixture) fillSettled(t testing.TB) {
	t.Helper()
	p := f.newPayer(t, payer.BillingModePREPAID)
	now := f.clock.Now()
	for _, insert := range []string{
		`gateway_calls(organization_id, id, created_at, provider_id, operation, subject, gateway_key, request, state, finished_at)
			SELECT $1, 'call_' || i, $2, $3, 'CHARGE', 'pmt_' || i, 'k' || i, '{}', 'DONE', $2`,
		`gateway_events(organization_id, id, received_at, provider_id, gateway_event_id, type, status, object_kind, object_id)
			SELECT $1, 'evt_' || i, $2, $3, 'e' || i, 'x', 'APPLIED', 'payment', 'pi_' || i`,
		`payments(organization_id, id, created_at, updated_at, status, purpose, currency, amount_units, order_code, gateway_payment_id, public_token, settled_at, payer_id, provider_id)
			SELECT $1, 'pmt_' || i, $2, $2, 'SUCCEEDED', 'TOP_UP', 'USD', 1, 'o' || i, 'pi_' || i, 't' || i, $2, $4, $3`,
		`payment_methods(organization_id, id, created_at, updated_at, status, payer_id, provider_id)
			SELECT $1, 'pm_' || i, $2, $2, 'ACTIVE', $4, $3`,
		`invoices(organization_id, id, created_at, updated_at, number, status, currency, paid_at, finalized_at, public_token, payer_id, provider_id)
			SELECT $1, 'inv_' || i, $2, $2, 'I' || i, 'PAID', 'USD', $2, $2, 't' || i, $4, $3`,
		`quotes(organization_id, id, created_at, updated_at, number, status, currency, expires_at, finalized_at, accepted_at, public_token, payer_id, provider_id)
			SELECT $1, 'quo_' || i, $2, $2, 'Q' || i, 'ACCEPTED', 'USD', $2, $2, $2, 't' || i, $4, $3`,
	} {
		f.fill(t, insert, settledRows, f.org, now, f.provider, p.ID)
	}
	endpoint, _ := f.listening(t, EventBalanceLow)
	for _, insert := range []string{
		`outboxes(organization_id, id, created_at, kind, subject, payload)
			SELECT $1, 'out_' || i, $2, 'x', 'y', '{}'`,
		`webhook_deliveries(organization_id, id, created_at, endpoint_id, outbox_id, event_type, attempt, status, finished_at)
			SELECT $1, 'whd_' || i, $2, $3, 'out_' || i, 'x', 1, 'DELIVERED', $2`,
	} {
		f.fill(t, insert, settledRows, f.org, now, endpoint)
	}
	// And as they look while they wait for their time, a year from now.
	for _, insert := range []string{
		`payment_methods(organization_id, id, created_at, updated_at, status, payer_id, provider_id, expiry_notice_at)
			SELECT $1, 'pmw_' || i, $2, $2, 'ACTIVE', $4, $3, $2`,
		`invoices(organization_id, id, created_at, updated_at, number, status, currency, finalized_at, public_token, payer_id, provider_id, next_attempt_at, next_check_at)
			SELECT $1, 'inw_' || i, $2, $2, 'W' || i, 'OPEN', 'USD', $2, 'w' || i, $4, $3, $2, $2`,
		`subscriptions(organization_id, id, created_at, updated_at, currency, status, recurrence_interval, recurrence_count, time_zone, anchor_at, period, starts_at, current_period_start, current_period_end, pending_lines, payer_id, provider_id, due_at)
			SELECT $1, 'sub_' || i, $2, $2, 'USD', 'ACTIVE', 'MONTH', 1, 'UTC', $2, 0, $2, '2020-01-01', $2, '[]', $4, $3, $2`,
	} {
		f.fill(t, insert, settledRows, f.org, now.AddDate(1, 0, 0), f.provider, p.ID)
	}
	f.analyze(t)
}

// fill inserts the rows of "table(columns) SELECT …" for i from 1 to n. The
// arguments are $1, $2 and so on.
func (f *fixture) fill(t testing.TB, insert string, n int, args ...any) {
	t.Helper()
	table, _, _ := strings.Cut(insert, "(")
	casts := map[string]string{"$1": "text", "$2": "timestamptz", "$3": "text", "$4": "text"}
	insert = regexp.MustCompile(`\$\d`).ReplaceAllStringFunc(insert, func(p string) string {
		if f.db.Dialect == dialect.SQLite {
			return "?" + p[1:]
		}
		return p + "::" + casts[p]
	})
	used := args[:0:0]
	for i, arg := range args {
		if strings.Contains(insert, fmt.Sprintf("%d", i+1)) {
			used = append(used, arg)
		}
	}
	head, rest, _ := strings.Cut(insert, ")")
	statement := fmt.Sprintf("INSERT INTO %s) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) %s FROM n", head, n, strings.TrimSpace(rest))
	if _, err := f.db.Write.ExecContext(t.Context(), statement, used...); err != nil {
		t.Fatalf("fill %s: %v", table, err)
	}
}

// analyze tells PostgreSQL what is in its tables, as it finds out by itself in
// time. SQLite is never told.
func (f *fixture) analyze(t testing.TB) {
	t.Helper()
	if f.db.Dialect != dialect.Postgres {
		return
	}
	if _, err := f.db.Write.ExecContext(t.Context(), "VACUUM ANALYZE"); err != nil {
		t.Fatal(err)
	}
}

// TestDueScansAreFlat holds that looking for work costs nothing for the rows
// that are settled, or wait for their time: it is done every second, over all
// organizations.
func TestDueScansAreFlat(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB, ...database.Option) *database.DB{
		"sqlite": newSQLite, "postgres": newPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := testdb.NewRecorder(t, "jobs")
			f := newFixture(t, open(t, recorder.Option()))
			f.fillSettled(t)
			recorder.Reset()
			due, err := f.OrganizationsWithDueWork(auth.AllTenants(t.Context(), "jobs"))
			if err != nil || len(due) > 0 {
				t.Fatalf("due in %v: %v", due, err)
			}
			endpoints, err := f.EndpointsWithDueDeliveries(auth.AllTenants(t.Context(), "jobs"))
			if err != nil || len(endpoints) > 0 {
				t.Fatalf("due at %v: %v", endpoints, err)
			}
			scans := recorder.Statements()
			if len(scans) < 6 {
				t.Fatalf("recorded %d statements", len(scans))
			}
			for _, s := range scans {
				if f.db.Dialect == dialect.Postgres {
					if n, most := testdb.Buffers(t, f.db, s), 10; n > most {
						t.Errorf("%d pages, want at most %d: %s", n, most, s.Query)
					}
					continue
				}
				for _, step := range testdb.Plan(t, f.db, s) {
					if !strings.HasPrefix(step, "SCAN ") && !strings.HasPrefix(step, "SEARCH ") ||
						strings.HasPrefix(step, "SEARCH organizations ") || // one, by its key, of a row that is due
						strings.HasPrefix(step, "SCAN organizations ") { // all there are
						continue
					}
					if strings.HasPrefix(step, "SCAN ") {
						t.Errorf("%s: reads rows that wait too: %s", step, s.Query)
					}
					_, index, _ := strings.Cut(step, "INDEX ")
					index, _, _ = strings.Cut(index, " ")
					if testdb.Count(t, f.db.Read, "SELECT count(*) FROM sqlite_master WHERE name = ? AND sql LIKE '% WHERE %'", index) == 0 {
						t.Errorf("%s: reads settled rows too: %s", step, s.Query)
					}
				}
			}
		})
	}
}

// TestUsageStaysInItsPage holds that recording usage changes no index of the
// balances on PostgreSQL, and that only indexes that usage needs grow.
func TestUsageStaysInItsPage(t *testing.T) {
	t.Parallel()
	dir, err := migrations.Dir(dialect.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	// One connection, whose counts can be asked for.
	f := newFixture(t, testdb.Migrated(t, dialect.Postgres, dir, database.WithConnsMax(1)))
	p := f.newPayer(t, payer.BillingModePOSTPAID)
	const events = 200
	var before, after int
	wal := func(n *int) {
		if err := f.db.Read.QueryRowContext(t.Context(), "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").Scan(n); err != nil {
			t.Fatal(err)
		}
	}
	record := func(n int) {
		f.clock.Advance(time.Millisecond)
		if _, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "0.01"), OnInsufficient: OnInsufficientRecord, Key: ptr(fmt.Sprint("u", n))}); err != nil {
			t.Fatal(err)
		}
	}
	record(0)
	wal(&before)
	for n := range events {
		record(n + 1)
	}
	wal(&after)
	t.Logf("%d bytes of WAL per event, whatever else the server did included", (after-before)/events)
	if _, err := f.db.Read.ExecContext(t.Context(), "SELECT pg_stat_force_next_flush()"); err != nil {
		t.Fatal(err)
	}
	var updates, hot int
	if err := f.db.Read.QueryRowContext(t.Context(), "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'balances'").Scan(&updates, &hot); err != nil {
		t.Fatal(err)
	}
	if updates < events || hot < updates*9/10 {
		t.Errorf("%d of %d changes stayed in their page", hot, updates)
	}
}
