package billing

import (
	"context"
	"strings"
	"sync"
	"testing"

	"purser/ent/currency"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/money"
)

func TestReloadIsOneTransferFromBankToBalance(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		got, err := f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: usd(t, "25"), Reference: ptr(" wire 7 "), Key: ptr("k")})
		if err != nil {
			t.Fatal(err)
		}
		e, b := f.entry(t, got.EntryID), f.balanceOf(t, p.ID, "USD")
		if e.Kind != ledgerentry.KindRELOAD || e.DebitAccount != "bank" || e.CreditAccount != b.Account() || e.Amount() != usd(t, "25") {
			t.Errorf("got %s of %s from %s to %s", e.Kind, e.Amount(), e.DebitAccount, e.CreditAccount)
		}
		if orEmpty(e.Description) != "wire 7" || got.BalanceID != b.ID || b.Remaining() != usd(t, "25") {
			t.Errorf("got reference %q on %s, remaining %s", orEmpty(e.Description), got.BalanceID, b.Remaining())
		}
		again, err := f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: usd(t, "25.00"), Reference: ptr("wire 7"), Key: ptr("k")})
		if err != nil || again != got {
			t.Errorf("again: %v, %v; first %v", again, err, got)
		}
		_, err = f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: usd(t, "26"), Reference: ptr("wire 7"), Key: ptr("k")})
		wantCode(t, err, CodeIdempotencyKeyReused, "idempotencyKey")
	})
}

func TestReloadInEveryCurrency(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		for _, c := range []struct {
			code, amount string
			refused      bool
		}{
			{"USD", "0.01", false},
			{"USD", "0.001", true}, // payments are whole cents
			{"JPY", "1", false},
			{"JPY", "0.5", true},
			{"KWD", "0.001", false},
			{"KWD", "0.0001", true},
			{"POINTS", "0.000001", false}, // nobody pays points
		} {
			_, err := f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: in(t, c.amount, c.code), Key: ptr(c.code + c.amount)})
			if c.refused {
				wantCode(t, err, CodeInvalid, "amount.amount")
			} else if err != nil {
				t.Errorf("%s %s: %v", c.amount, c.code, err)
			}
		}
		// Points are used like money and never offered for money.
		if _, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: in(t, "0.000001", "POINTS"), Key: ptr("points")}); err != nil {
			t.Error(err)
		}
	})
}

func TestBadReload(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p, suspended, closed := f.newPayer(t, payer.BillingModePREPAID), f.newPayer(t, payer.BillingModePREPAID), f.newPayer(t, payer.BillingModePREPAID)
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			if err := tx.Currency.Update().Where(currency.Code("USD")).SetMinimumTopUpUnits(usd(t, "5").Units).Exec(ctx); err != nil {
				return err
			}
			if err := tx.Payer.Update().Where(payer.ID(suspended.ID)).SetStatus(payer.StatusSUSPENDED).Exec(ctx); err != nil {
				return err
			}
			return tx.Payer.Update().Where(payer.ID(closed.ID)).SetStatus(payer.StatusCLOSED).Exec(ctx)
		})
		good := Reload{PayerID: p.ID, Amount: usd(t, "5"), Key: ptr("bad")}
		for _, c := range []struct {
			name   string
			change func(*Reload)
			code   Code
			field  string
		}{
			{"no key", func(r *Reload) { r.Key = nil }, CodeRequired, "idempotencyKey"},
			{"zero", func(r *Reload) { r.Amount = usd(t, "0") }, CodeInvalid, "amount.amount"},
			{"negative", func(r *Reload) { r.Amount = usd(t, "-5") }, CodeInvalid, "amount.amount"},
			{"below the minimum", func(r *Reload) { r.Amount = usd(t, "4.99") }, CodeBelowMinimum, "amount.amount"},
			{"a currency not sold in", func(r *Reload) { r.Amount = in(t, "5", "EUR") }, CodeCurrencyMismatch, "amount.currency"},
			{"unknown payer", func(r *Reload) { r.PayerID = "dev_unknown" }, CodeNotFound, "payerId"},
			{"closed payer", func(r *Reload) { r.PayerID = closed.ID }, CodeInvalidState, "payerId"},
			{"a long reference", func(r *Reload) { r.Reference = ptr(strings.Repeat("x", 201)) }, CodeInvalid, "reference"},
			{"a card number", func(r *Reload) { r.Reference = ptr("4242-4242-4242-4242") }, CodeInvalid, "reference"},
			{"two lines", func(r *Reload) { r.Reference = ptr("a\nb") }, CodeInvalid, "reference"},
		} {
			t.Run(c.name, func(t *testing.T) {
				r := good
				c.change(&r)
				_, err := f.ReloadBalance(f.ctx, r)
				wantCode(t, err, c.code, c.field)
				if n := f.entries(t); n != 0 {
					t.Errorf("%d entries", n)
				}
			})
		}
		if n, err := f.Client().Balance.Query().Count(f.ctx); err != nil || n != 0 {
			t.Errorf("%d balances, %v", n, err)
		}
		if n, err := f.Client().IdempotencyRecord.Query().Count(f.ctx); err != nil || n != 0 {
			t.Errorf("%d keys, %v: refusals are not stored", n, err)
		}
		// A suspended payer may pay its way out.
		f.reload(t, suspended.ID, usd(t, "5"))
		f.reload(t, p.ID, money.Amount{Units: money.MaxUnits, Currency: "USD"})
		_, err := f.ReloadBalance(f.ctx, good)
		wantCode(t, err, CodeLimitExceeded, "amount.amount")
	})
}

func TestConcurrentReloadsWithOneKey(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		r := Reload{PayerID: p.ID, Amount: usd(t, "7"), Key: ptr("same")}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := f.ReloadBalance(f.ctx, r); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if b := f.balanceOf(t, p.ID, "USD"); b.Remaining() != usd(t, "7") || f.entries(t) != 1 {
			t.Errorf("remaining %s after %d entries", b.Remaining(), f.entries(t))
		}
	})
}
