package billing

import (
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/ent/ledgerentry"
	"purser/testdb"
)

// TestStatementsReadLittle holds that a statement and a look into the past
// cost a way down an index for each step of the search, and not the month's
// usage.
func TestStatementsReadLittle(t *testing.T) {
	t.Parallel()
	for name, open := range eitherDatabase() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := testdb.NewRecorder(t, "jobs")
			f := newFixture(t, open(t, recorder.Option()))
			balances := f.newBalances(t, 2)
			hot := balances[0]
			f.clock.Advance(time.Hour)
			f.fillLedger(t, balances, 12_000, func(i int) int { return min(i/8_000, 1) })
			f.clock.Set(time.Date(2026, time.April, 2, 0, 0, 0, 0, time.UTC))
			f.book(t, hot, ledgerentry.KindCREDIT, accountPromotions, 5)
			f.analyze(t)
			recorder.Reset()
			if s, err := f.Statements(f.ctx, []string{hot.PayerID}, "USD", Month{2026, time.March}); err != nil || s[hot.PayerID].TopUps != usd(t, "1000000") {
				t.Fatalf("%+v, %v", s, err)
			}
			if s, err := f.BalancesAsOf(f.ctx, []string{hot.ID}, fixtureStart); err != nil || s[hot.ID].Remaining() != usd(t, "1000000") {
				t.Fatalf("%+v, %v", s, err)
			}
			read := 0
			for _, s := range recorder.Statements() {
				if !strings.Contains(s.Query, ledgerentry.Table) || !s.Reads() {
					continue
				}
				read++
				if f.db.Dialect == dialect.Postgres {
					// Two times, 13 steps, 4 pages a step; 8,000 entries are 500.
					if n, most := testdb.Buffers(t, f.db, s), 150; n > most {
						t.Errorf("%d pages, want at most %d: %s", n, most, s.Query)
					}
					continue
				}
				plan := strings.Join(testdb.Plan(t, f.db, s), "; ")
				sums := strings.Contains(s.Query, "sum(")
				if strings.Contains(plan, "SCAN e") || sums != strings.Contains(plan, "ledgerentry_other_than_usage") {
					t.Errorf("%s: %s", plan, s.Query)
				}
			}
			if read != 3 {
				t.Errorf("entries were read by %d statements, want 3", read)
			}
			recorder.Check(t)
		})
	}
}
