package billing

import (
	"context"
	"fmt"
	"testing"

	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/testdb"
)

// The database's answers are lost one after the other, that of COMMIT among
// them: the caller hears of success, and everything is booked once.
func TestEveryLostReplyLeavesOneEntry(t *testing.T) {
	t.Parallel()
	proxy := testdb.NewProxy(t, testdb.PostgresURL(t))
	f := newFixture(t, testdb.Open(t, proxy.URL()))
	p := f.newPayer(t, payer.BillingModePREPAID)
	f.reload(t, p.ID, usd(t, "1000"))
	for _, c := range []struct {
		name string
		kind ledgerentry.Kind
		do   func(try int, fresh *ent.Payer) error
	}{
		{"usage", ledgerentry.KindUSAGE, func(try int, fresh *ent.Payer) error {
			_, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr(fmt.Sprint("usage ", try))})
			return err
		}},
		{"first usage in a currency", ledgerentry.KindUSAGE, func(try int, fresh *ent.Payer) error {
			_, err := f.RecordUsage(f.ctx, Usage{
				PayerID: fresh.ID, Amount: in(t, "1", "JPY"), OnInsufficient: OnInsufficientRecord, Key: ptr(fmt.Sprint("first ", try)),
			})
			return err
		}},
		{"reload", ledgerentry.KindRELOAD, func(try int, fresh *ent.Payer) error {
			_, err := f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr(fmt.Sprint("reload ", try))})
			return err
		}},
		{"top-up", ledgerentry.KindTOP_UP, func(try int, fresh *ent.Payer) error {
			return f.inTx(f.ctx, func(ctx context.Context, tx *Tx) error {
				paid, err := tx.storePaid(ctx, f, p, usd(t, "1"), nil, fmt.Sprint("pi_", try))
				if err != nil {
					return err
				}
				_, err = tx.creditTopUp(ctx, paid, fmt.Sprint("pi_", try))
				return err
			})
		}},
	} {
		lost := 0
		for try := 1; ; try++ {
			before, fresh := f.entriesOf(t, c.kind), f.newPayer(t, payer.BillingModePREPAID)
			proxy.CutReply(try)
			err := c.do(try, fresh)
			cut := proxy.Cuts() > 0
			proxy.CutWhen(nil)
			if err != nil {
				t.Errorf("%s, reply %d lost: %v", c.name, try, err)
			}
			if n := f.entriesOf(t, c.kind) - before; n != 1 {
				t.Errorf("%s, reply %d lost: booked %d times", c.name, try, n)
			}
			if !cut {
				break
			}
			lost++
		}
		if lost < 8 {
			t.Errorf("%s: only %d replies were lost", c.name, lost)
		}
	}
	f.mustVerify(t)
}

// entriesOf counts the entries of a kind.
func (f *fixture) entriesOf(t testing.TB, kind ledgerentry.Kind) int {
	t.Helper()
	n, err := f.Client().LedgerEntry.Query().Where(ledgerentry.KindEQ(kind)).Count(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Whoever watches a balance is told of its change also when the reply to the
// COMMIT was lost, and the run after it found everything done.
func TestChangeWithALostReplyIsTold(t *testing.T) {
	t.Parallel()
	proxy := testdb.NewProxy(t, testdb.PostgresURL(t))
	f := newFixture(t, testdb.Open(t, proxy.URL()))
	p := f.newPayer(t, payer.BillingModePREPAID)
	f.reload(t, p.ID, usd(t, "1000"))
	changes := f.changes.Watch(t.Context(), f.org, ChangeBalance, func(Change) bool { return true })
	for try := 1; ; try++ {
		proxy.CutReply(try)
		_, err := f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr(fmt.Sprint("reload ", try))})
		cut := proxy.Cuts() > 0
		proxy.CutWhen(nil)
		if err != nil {
			t.Fatalf("reply %d lost: %v", try, err)
		}
		if _, told, _ := changes.take(); !told {
			t.Errorf("reply %d lost: nobody was told", try)
		}
		if !cut {
			break
		}
	}
}
