package billing

import (
	"context"
	"slices"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/ent"
	entbalance "purser/ent/balance"
	"purser/ent/payer"
	"purser/testdb"
)

// TestTextIsComparedByBytes runs the ledger in a database made for Danish, in
// which "aa" comes after "z": its order of ids has to be the program's.
func TestTextIsComparedByBytes(t *testing.T) {
	t.Parallel()
	db := testdb.PostgresIn(t, "da-DK")
	testdb.Migrate(t, db, migrationsOf(t, dialect.Postgres))
	f := newFixture(t, db)
	if n := testdb.Count(t, f.db.Read, "SELECT count(*) WHERE 'aa' > 'z'"); n != 1 {
		t.Fatal("the database does not know Danish")
	}
	for range 40 {
		p := f.newPayer(t, payer.BillingModePOSTPAID)
		f.clock.Advance(time.Second)
		if _, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "1"), OnInsufficient: OnInsufficientRecord, Key: ptr(p.ID)}); err != nil {
			t.Fatal(err)
		}
	}
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		p, err := tx.Payer.Query().First(ctx)
		if err != nil {
			return err
		}
		for id, code := range map[string]string{"bal_0aa": "JPY", "bal_0ab": "KWD"} {
			err := tx.Balance.Create().SetID(id).SetPayerID(p.ID).SetCurrency(code).SetBillingMode(entbalance.BillingModePOSTPAID).
				SetPeriod("2026-03").SetUsageInvoiceAt(tx.Now).SetLastHash([]byte{}).SetLastBookedAt(tx.Now).SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
	ids, err := f.Client().Balance.Query().Order(ent.Asc(entbalance.FieldID)).IDs(f.ctx)
	if err != nil || len(ids) != 42 || !slices.IsSorted(ids) {
		t.Errorf("%d ids, in order: %t, %v", len(ids), slices.IsSorted(ids), err)
	}
	behind, err := f.Client().Balance.Query().Where(entbalance.IDGT("bal_0aa")).Count(f.ctx)
	if err != nil || behind != 1 {
		t.Errorf("%d ids behind bal_0aa: %v", behind, err)
	}
	if _, err := f.VerifyAll(auth.AllTenants(t.Context(), "verify"), VerifyOptions{}); err != nil {
		t.Errorf("verify: %v", err)
	}
}
