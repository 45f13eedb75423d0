package billing

import (
	"context"
	"testing"
	"time"

	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/money"
)

// credit books a credit, adjust a correction, each under a key of its own.
func (f *fixture) credit(payerID string, a money.Amount) (Booking, error) {
	return f.CreditBalance(f.ctx, Credit{PayerID: payerID, Amount: a, Reason: "sorry", Key: ptr(f.newID("key"))})
}

func (f *fixture) adjust(payerID string, a money.Amount) (Booking, error) {
	return f.AdjustBalance(f.ctx, Adjustment{PayerID: payerID, Amount: a, Reason: "a slip", Key: ptr(f.newID("key"))})
}

func TestCreditsAndAdjustmentsChangeUsage(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		f.use(t, p.ID, usd(t, "4"))
		for _, c := range []struct {
			name                   string
			book                   func(string, money.Amount) (Booking, error)
			amount                 string
			usage                  string
			kind                   ledgerentry.Kind
			debit, credit, account string
		}{
			{"credit", f.credit, "1.00000001", "2.99999999", ledgerentry.KindCREDIT, "promotions", "", ""},
			{"taken back", f.credit, "-1.00000001", "4", ledgerentry.KindCREDIT, "", "promotions", ""},
			{"more than was used", f.credit, "5", "-1", ledgerentry.KindCREDIT, "promotions", "", ""},
			{"adjusted", f.adjust, "2", "-3", ledgerentry.KindADJUSTMENT, "adjustments", "", ""},
			{"back", f.adjust, "-13", "10", ledgerentry.KindADJUSTMENT, "", "adjustments", ""},
		} {
			got, err := c.book(p.ID, usd(t, c.amount))
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			e, b := f.entry(t, got.EntryID), f.balanceOf(t, p.ID, "USD")
			if b.Amount() != usd(t, "10") || b.Usage() != usd(t, c.usage) || got.BalanceID != b.ID {
				t.Errorf("%s: amount %s, usage %s, want usage %s", c.name, b.Amount(), b.Usage(), c.usage)
			}
			if c.debit == "" {
				c.debit = b.Account()
			} else {
				c.credit = b.Account()
			}
			if e.Kind != c.kind || e.DebitAccount != c.debit || e.CreditAccount != c.credit || e.Amount() != usd(t, c.amount) || e.Description == nil {
				t.Errorf("%s: %s of %s from %s to %s", c.name, e.Kind, e.Amount(), e.DebitAccount, e.CreditAccount)
			}
			if !e.EffectiveAt.Equal(f.clock.Now()) || e.Actor != "tok_test" {
				t.Errorf("%s: effective %s by %s", c.name, e.EffectiveAt, e.Actor)
			}
		}
		// Nothing that a person books goes below what is available.
		for _, book := range []func(string, money.Amount) (Booking, error){f.credit, f.adjust} {
			_, err := book(p.ID, usd(t, "-0.00000001"))
			wantCode(t, err, CodeInsufficientFunds, "payerId")
			f.reload(t, p.ID, usd(t, "1"))
			h := f.setAside(t, p.ID, usd(t, "1"))
			_, err = book(p.ID, usd(t, "-1"))
			wantCode(t, err, CodeFundsReserved, "payerId")
			if _, err := f.capture(h.HoldID, nil, ""); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A credit is for the running month or an earlier one, by the organization's
// own calendar; it is booked in the running one.
func TestCreditForAMonth(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		org, ctx := f.newOrganization(t, "tokyo", "Asia/Tokyo")
		f = &fixture{Service: f.Service, db: f.db, clock: f.clock, ctx: ctx, org: org}
		p := f.newPayer(t, payer.BillingModePREPAID)
		// In Tokyo it is April already.
		f.clock.Set(time.Date(2026, time.March, 31, 15, 0, 0, 0, time.UTC))
		for _, c := range []struct {
			month, year int
			at          time.Time // zero: refused
			field       string
		}{
			{4, 2026, f.clock.Now(), ""},
			{3, 2026, time.Date(2026, time.March, 31, 14, 59, 59, 999999000, time.UTC), ""},
			{12, 2025, time.Date(2025, time.December, 31, 14, 59, 59, 999999000, time.UTC), ""},
			{2, 2024, time.Date(2024, time.February, 29, 14, 59, 59, 999999000, time.UTC), ""},
			{5, 2026, time.Time{}, "month"},
			{1, 2027, time.Time{}, "month"},
			{13, 2025, time.Time{}, "month"},
			{0, 2026, time.Time{}, "month"},
			{4, 1969, time.Time{}, "year"},
			{4, 10000, time.Time{}, "year"},
		} {
			got, err := f.CreditBalance(f.ctx, Credit{
				PayerID: p.ID, Amount: usd(t, "1"), Reason: "sorry", Month: &c.month, Year: &c.year, Key: ptr(f.newID("key")),
			})
			if c.field != "" {
				wantCode(t, err, CodeInvalid, c.field)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if e := f.entry(t, got.EntryID); !e.EffectiveAt.Equal(c.at) || !e.BookedAt.Equal(f.clock.Now()) {
				t.Errorf("for %d/%d: effective %s, booked %s; want %s", c.month, c.year, e.EffectiveAt, e.BookedAt, c.at)
			}
		}
		if b := f.balanceOf(t, p.ID, "USD"); b.Period != "2026-04" || b.Usage() != usd(t, "-4") {
			t.Errorf("usage %s of %s", b.Usage(), b.Period)
		}
		_, err := f.CreditBalance(f.ctx, Credit{PayerID: p.ID, Amount: usd(t, "1"), Reason: "r", Month: ptr(4), Key: ptr("k")})
		wantCode(t, err, CodeRequired, "year")
		_, err = f.CreditBalance(f.ctx, Credit{PayerID: p.ID, Amount: usd(t, "1"), Reason: "r", Year: ptr(2026), Key: ptr("k")})
		wantCode(t, err, CodeRequired, "month")
	})
}

func TestBadCredits(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		suspended, closed := f.newPayer(t, payer.BillingModePREPAID), f.newPayer(t, payer.BillingModePREPAID)
		if err := f.CloseDeveloper(f.ctx, closed.ID, RestBalanceRefuse); err != nil {
			t.Fatal(err)
		}
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Payer.Update().Where(payer.ID(suspended.ID)).SetStatus(payer.StatusSUSPENDED).Exec(ctx)
		})
		if _, err := f.credit(suspended.ID, in(t, "0.5", "POINTS")); err != nil {
			t.Errorf("a suspended payer: %v", err)
		}
		good := Credit{PayerID: p.ID, Amount: usd(t, "1"), Reason: "sorry", Key: ptr("k")}
		first, err := f.CreditBalance(f.ctx, good)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name   string
			change func(*Credit)
			code   Code
			field  string
		}{
			{"no key", func(c *Credit) { c.Key = nil }, CodeRequired, "idempotencyKey"},
			{"another amount", func(c *Credit) { c.Amount = usd(t, "-1") }, CodeIdempotencyKeyReused, "idempotencyKey"},
			{"another month", func(c *Credit) { c.Month, c.Year = ptr(3), ptr(2026) }, CodeIdempotencyKeyReused, "idempotencyKey"},
			{"zero", func(c *Credit) { c.Amount = usd(t, "0") }, CodeInvalid, "amount.amount"},
			{"no reason", func(c *Credit) { c.Reason = " " }, CodeRequired, "reason"},
			{"a card number", func(c *Credit) { c.Reason = "4242424242424242" }, CodeInvalid, "reason"},
			{"an unknown payer", func(c *Credit) { c.PayerID, c.Key = "dev_unknown", ptr("x") }, CodeNotFound, "payerId"},
			{"a closed payer", func(c *Credit) { c.PayerID, c.Key = closed.ID, ptr("x") }, CodeInvalidState, "payerId"},
			{"a currency not sold in", func(c *Credit) { c.Amount, c.Key = in(t, "1", "EUR"), ptr("x") }, CodeCurrencyMismatch, "amount.currency"},
			{"more than can be counted", func(c *Credit) { c.Amount.Units, c.Key = money.MaxUnits, ptr("x") }, CodeLimitExceeded, "amount.amount"},
		} {
			t.Run(c.name, func(t *testing.T) {
				d := good
				c.change(&d)
				_, err := f.CreditBalance(f.ctx, d)
				wantCode(t, err, c.code, c.field)
			})
		}
		if again, err := f.CreditBalance(f.ctx, good); err != nil || again != first {
			t.Errorf("again: %v, %v; first %v", again, err, first)
		}
		// The same key for an adjustment is another operation's.
		_, err = f.AdjustBalance(f.ctx, Adjustment{PayerID: p.ID, Amount: usd(t, "1"), Reason: "sorry", Key: ptr("k")})
		wantCode(t, err, CodeIdempotencyKeyReused, "idempotencyKey")
		_, err = f.AdjustBalance(f.ctx, Adjustment{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr("x")})
		wantCode(t, err, CodeRequired, "reason")
		if n := f.entries(t); n != 2 {
			t.Errorf("%d entries, want 2", n)
		}
	})
}
