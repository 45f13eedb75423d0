package billing

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/money"
)

// benchEntries is how many entries a benchmark works on: PURSER_BENCH_ENTRIES,
// or else so many.
func benchEntries(t testing.TB, otherwise int) int {
	t.Helper()
	text := os.Getenv("PURSER_BENCH_ENTRIES")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("PURSER_BENCH_ENTRIES=%s: %v", text, err)
	}
	return n
}

// fillLedger books n entries of usage on the balances, chained and stored as
// the flow would, a thousand rows a statement. pick says on which of the
// balances the i-th is booked.
func (f *fixture) fillLedger(t testing.TB, balances []*ent.Balance, n int, pick func(i int) int) {
	t.Helper()
	const rows = 1000
	now := f.clock.Now().UTC()
	fingerprint := make([]byte, 32)
	for done := 0; done < n; {
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			for range 20 {
				if done == n {
					break
				}
				q := &query{dialect: f.db.Dialect}
				q.text("INSERT INTO ledger_entries (organization_id, id, transaction_id, seq, currency, debit_account, credit_account, kind, amount_units, amount_after_units, usage_after_units, actor, effective_at, booked_at, operation, idempotency_key, fingerprint, hash, balance_id) VALUES ")
				for i := range min(rows, n-done) {
					b := balances[pick(done+i)]
					r := entryRow{
						posting: posting{
							transactionID: f.newID(prefixTransaction), kind: ledgerentry.KindUSAGE, debit: b.Account(), credit: accountRevenue, balanceID: b.ID,
							amount: money.Amount{Units: money.Units(1 + (done+i)%977), Currency: b.Currency}, effectiveAt: now,
							operation: usageOperation, key: "client:" + strconv.Itoa(done+i), fingerprint: fingerprint,
						},
						id: f.newID(prefixEntry), organizationID: f.org, actor: "tok_test", bookedAt: now, seq: b.LastSeq + 1,
					}
					var err error
					if r.amountAfter, r.usageAfter, err = r.move(b); err != nil {
						return err
					}
					r.hash = r.digest(b.LastHash)
					b.AmountUnits, b.UsageUnits, b.LastSeq, b.LastHash, b.LastBookedAt = r.amountAfter, r.usageAfter, r.seq, r.hash, now
					q.comma(i).text("(")
					for c, v := range []any{
						r.organizationID, r.id, r.transactionID, r.seq, r.amount.Currency, r.debit, r.credit, string(r.kind), int64(r.amount.Units), int64(r.amountAfter), int64(r.usageAfter),
						r.actor, r.effectiveAt, r.bookedAt, r.operation, r.key, r.fingerprint, r.hash, r.balanceID,
					} {
						q.comma(c).value(v)
					}
					q.text(")")
				}
				if _, err := tx.sql.ExecContext(ctx, q.String(), q.args...); err != nil {
					return fmt.Errorf("fill ledger: %w", err)
				}
				done = min(done+rows, n)
			}
			return nil
		})
	}
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		for _, b := range balances {
			err := tx.Balance.Update().Where(balance.ID(b.ID)).SetAmountUnits(b.AmountUnits).SetUsageUnits(b.UsageUnits).
				SetLastSeq(b.LastSeq).SetLastHash(b.LastHash).SetLastBookedAt(b.LastBookedAt).SetVersion(b.LastSeq).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// newBalances makes balances of as many payers, with something on each.
func (f *fixture) newBalances(t testing.TB, n int) []*ent.Balance {
	t.Helper()
	out := make([]*ent.Balance, n)
	for i := range out {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "1000000"))
		out[i] = f.balanceOf(t, p.ID, "USD")
	}
	return out
}

// skewed books half of all on the first balance and the rest on any.
func skewed(balances int) func(int) int {
	random := rand.New(rand.NewPCG(1, 2))
	return func(int) int {
		if random.IntN(2) == 0 {
			return 0
		}
		return random.IntN(balances)
	}
}

// BenchmarkVerify proves a million entries; PURSER_BENCH_ENTRIES changes that.
// Run it with -benchtime 1x.
func BenchmarkVerify(b *testing.B) {
	for name, open := range eitherDatabase() {
		b.Run(name, func(b *testing.B) {
			f := newFixture(b, open(b))
			n := benchEntries(b, 1_000_000)
			begun := time.Now()
			f.fillLedger(b, f.newBalances(b, 1000), n, skewed(1000))
			f.analyze(b)
			b.Logf("%d entries booked in %s", n, time.Since(begun).Round(time.Second))
			b.ResetTimer()
			for b.Loop() {
				r, err := f.Verify(f.ctx, VerifyOptions{SealAge: time.Minute})
				if err != nil || r.Entries < n {
					b.Fatalf("%+v, %v", r, err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
