package billing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"purser/auth"
	"purser/database"
	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
)

func TestUsageIsGivenBackInParts(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		reload := f.reload(t, p.ID, usd(t, "10"))
		used := f.use(t, p.ID, usd(t, "2.1572"))
		reverse := func(key, amount string) (Booking, error) {
			r := UsageReversal{EntryID: used.EntryID, Reason: ptr(" wrong price "), Key: &key}
			if amount != "" {
				r.Amount = ptr(usd(t, amount))
			}
			return f.ReverseUsage(f.ctx, r)
		}
		first, err := reverse("first", "2")
		if err != nil {
			t.Fatal(err)
		}
		e, b := f.entry(t, first.EntryID), f.balanceOf(t, p.ID, "USD")
		if e.Kind != ledgerentry.KindREVERSAL || orEmpty(e.ReversedKind) != "USAGE" || orEmpty(e.ReversesID) != used.EntryID ||
			e.DebitAccount != "revenue" || e.CreditAccount != b.Account() || e.Amount() != usd(t, "2") || orEmpty(e.Description) != "wrong price" {
			t.Errorf("booked %+v", e)
		}
		if first.BalanceID != b.ID || b.Remaining() != usd(t, "9.8428") || b.Usage() != usd(t, "0.1572") || b.Amount() != usd(t, "10") {
			t.Errorf("amount %s, usage %s, remaining %s", b.Amount(), b.Usage(), b.Remaining())
		}
		if again, err := reverse("first", "2"); err != nil || again != first {
			t.Errorf("again: %+v, %v", again, err)
		}
		_, err = reverse("first", "1")
		wantCode(t, err, CodeIdempotencyKeyReused, "idempotencyKey")
		_, err = reverse("second", "0.15720001")
		wantCode(t, err, CodeInvalid, "amount.amount")
		_, err = reverse("second", "-1")
		wantCode(t, err, CodeInvalid, "amount.amount")
		_, err = f.ReverseUsage(f.ctx, UsageReversal{EntryID: used.EntryID, Amount: ptr(in(t, "1", "JPY")), Key: ptr("k")})
		wantCode(t, err, CodeCurrencyMismatch, "amount.currency")
		_, err = f.ReverseUsage(f.ctx, UsageReversal{EntryID: used.EntryID})
		wantCode(t, err, CodeRequired, "idempotencyKey")
		for _, id := range []string{"ent_unknown", "ent_\x00"} {
			_, err = f.ReverseUsage(f.ctx, UsageReversal{EntryID: id, Key: ptr("k")})
			wantCode(t, err, CodeNotFound, "entryId")
		}
		for _, id := range []string{reload.EntryID, first.EntryID} {
			_, err = f.ReverseUsage(f.ctx, UsageReversal{EntryID: id, Key: ptr("k")})
			wantCode(t, err, CodeInvalidState, "entryId")
		}
		// The rest, also of somebody who may use nothing more.
		f.setStatus(t, p, payer.StatusSUSPENDED)
		if _, err := reverse("rest", ""); err != nil {
			t.Fatal(err)
		}
		_, err = reverse("more", "")
		wantCode(t, err, CodeInvalidState, "entryId")
		_, err = reverse("more", "0.00000001")
		wantCode(t, err, CodeInvalidState, "entryId")
		if b := f.balanceOf(t, p.ID, "USD"); b.Remaining() != usd(t, "10") || b.LastSeq != 4 {
			t.Errorf("%s remain after %d entries", b.Remaining(), b.LastSeq)
		}
	})
}

// A balance that was closed stays at zero.
func TestNothingIsGivenBackToAClosedPayer(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "1"))
		used := f.use(t, p.ID, usd(t, "1"))
		if err := f.CloseDeveloper(f.ctx, p.ID, RestBalanceRefuse); err != nil {
			t.Fatal(err)
		}
		_, err := f.ReverseUsage(f.ctx, UsageReversal{EntryID: used.EntryID, Key: ptr("k")})
		wantCode(t, err, CodeInvalidState, "entryId")
	})
}

// Many who give the same usage back at once give back no more than there was.
func TestUsageIsGivenBackOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		used := f.use(t, p.ID, usd(t, "3"))
		services := []*Service{f.Service, f.another(t)}
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				_, err := services[i%2].ReverseUsage(f.ctx, UsageReversal{EntryID: used.EntryID, Amount: ptr(usd(t, "1")), Key: ptr(fmt.Sprint(i))})
				var refusal *Error
				if err != nil && !errors.As(err, &refusal) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if b := f.balanceOf(t, p.ID, "USD"); b.Remaining() != usd(t, "10") || b.LastSeq != 5 {
			t.Errorf("%s remain after %d entries", b.Remaining(), b.LastSeq)
		}
	})
}

// Verify finds that more was given back than was used, though every chain is
// in order.
func TestVerifyCountsWhatWasGivenBack(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB, ...database.Option) *database.DB{
		"sqlite": newSQLite, "postgres": newPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, open(t))
			p := f.newPayer(t, payer.BillingModePREPAID)
			f.reload(t, p.ID, usd(t, "10"))
			used := f.use(t, p.ID, usd(t, "3"))
			giveBack := func(n int) {
				f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
					_, err := tx.post(ctx, posting{
						kind: ledgerentry.KindREVERSAL, reversedKind: ledgerentry.KindUSAGE, reversesID: used.EntryID,
						debit: accountRevenue, credit: ent.BalanceAccount(used.BalanceID), balanceID: used.BalanceID,
						amount: usd(t, "2"), causeKey: reversalPart(used.EntryID, n),
					})
					return err
				})
			}
			giveBack(1)
			f.mustVerify(t)
			giveBack(2)
			_, err := f.VerifyAll(auth.AllTenants(t.Context(), "verify"), VerifyOptions{})
			if err == nil || !strings.Contains(err.Error(), used.EntryID) || !strings.Contains(err.Error(), "all of its reversals") {
				t.Errorf("verify says %v", err)
			}
		})
	}
}

// setStatus changes what a payer may do.
func (f *fixture) setStatus(t testing.TB, p *ent.Payer, status payer.Status) {
	t.Helper()
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		return tx.Payer.Update().Where(payer.ID(p.ID)).SetStatus(status).Exec(ctx)
	})
}
