package billing

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/currency"
	"purser/ent/outbox"
	"purser/ent/payer"
	"purser/money"
)

func TestCreditLimitOfAPayer(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		limit := func(text string) { // of the currency
			t.Helper()
			if _, err := f.SetCurrency(f.ctx, CurrencyChange{Code: "USD", CreditLimit: ptr(usd(t, text))}); err != nil {
				t.Fatal(err)
			}
		}
		limit("50")
		own, follows := f.newPayer(t, payer.BillingModePOSTPAID), f.newPayer(t, payer.BillingModePOSTPAID)
		prepaid := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, prepaid.ID, usd(t, "1"))
		want := func(p *ent.Payer, text string) {
			t.Helper()
			b := f.balanceOf(t, p.ID, "USD")
			if b.CreditLimit() == nil || *b.CreditLimit() != usd(t, text) {
				t.Errorf("limit %v, want %s", b.CreditLimit(), text)
			}
		}
		f.use(t, follows.ID, usd(t, "40"))
		id, err := f.SetCreditLimit(f.ctx, CreditLimitChange{PayerID: own.ID, Amount: ptr(usd(t, "100.005"))})
		if err != nil || id != f.balanceOf(t, own.ID, "USD").ID {
			t.Fatalf("%s, %v", id, err)
		}
		want(own, "100.005")
		want(follows, "50")
		limit("30")
		want(own, "100.005")
		want(follows, "30")
		// What is owed already is above the new limit: nothing new is accepted.
		b := f.balanceOf(t, follows.ID, "USD")
		if !b.InDebt() || b.Available() != usd(t, "-10") {
			t.Errorf("in debt %t, available %s", b.InDebt(), b.Available())
		}
		_, err = f.RecordUsage(f.ctx, Usage{PayerID: follows.ID, Amount: usd(t, "1"), Key: ptr("k")})
		e := wantCode(t, err, CodeCreditLimitExceeded, "payerId")
		if want := (Funds{Required: usd(t, "1"), Available: usd(t, "-10"), Held: usd(t, "0"), Shortfall: usd(t, "11")}); *e.Details != want {
			t.Errorf("details %+v", e.Details)
		}
		if _, err := f.SetCreditLimit(f.ctx, CreditLimitChange{PayerID: own.ID, Amount: ptr(usd(t, "0")), Currency: "USD"}); err != nil {
			t.Fatal(err)
		}
		want(own, "0")
		if _, err := f.SetCreditLimit(f.ctx, CreditLimitChange{PayerID: own.ID, Currency: "USD"}); err != nil {
			t.Fatal(err)
		}
		want(own, "30")
		limit("35")
		want(own, "35")
		if b := f.balanceOf(t, prepaid.ID, "USD"); b.CreditLimit() != nil {
			t.Errorf("a prepaid balance has a limit of %s", b.CreditLimit())
		}
		closed := f.newPayer(t, payer.BillingModePOSTPAID)
		if err := f.CloseDeveloper(f.ctx, closed.ID, RestBalanceRefuse); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			change CreditLimitChange
			code   Code
			field  string
		}{
			{CreditLimitChange{PayerID: own.ID}, CodeRequired, "amount"},
			{CreditLimitChange{PayerID: own.ID, Amount: ptr(usd(t, "-1"))}, CodeInvalid, "amount.amount"},
			{CreditLimitChange{PayerID: own.ID, Amount: ptr(usd(t, "1")), Currency: "JPY"}, CodeCurrencyMismatch, "currency"},
			{CreditLimitChange{PayerID: own.ID, Amount: ptr(in(t, "1", "EUR"))}, CodeCurrencyMismatch, "amount.currency"},
			{CreditLimitChange{PayerID: own.ID, Currency: "EUR"}, CodeCurrencyMismatch, "currency"},
			{CreditLimitChange{PayerID: prepaid.ID, Amount: ptr(usd(t, "1"))}, CodeInvalidState, "payerId"},
			{CreditLimitChange{PayerID: closed.ID, Amount: ptr(usd(t, "1"))}, CodeInvalidState, "payerId"},
			{CreditLimitChange{PayerID: "dev_unknown", Amount: ptr(usd(t, "1"))}, CodeNotFound, "payerId"},
		} {
			_, err := f.SetCreditLimit(f.ctx, c.change)
			wantCode(t, err, c.code, c.field)
		}
	})
}

// lowNotices are the notices of low balances so far, oldest first.
func (f *fixture) lowNotices(t testing.TB) []lowBalance {
	t.Helper()
	rows, err := f.Client().Outbox.Query().Where(outbox.Kind(noticeLowBalance)).Order(ent.Asc(outbox.FieldID)).All(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]lowBalance, len(rows))
	for i, r := range rows {
		if err := json.Unmarshal(r.Payload, &out[i]); err != nil || out[i].BalanceID != r.Subject {
			t.Fatalf("%s of %s: %v", r.Payload, r.Subject, err)
		}
	}
	return out
}

// Once each time that what is left reaches the level, whatever moved it.
func TestLowBalanceIsNoticedOncePerCrossing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		if _, err := f.SetLowBalanceNotice(f.ctx, LowBalanceChange{PayerID: p.ID, Currency: "USD", Level: ptr(usd(t, "5"))}); err != nil {
			t.Fatal(err)
		}
		noticed := 0
		step := func(name string, do func(), low bool) {
			t.Helper()
			f.clock.Advance(time.Minute)
			was := f.balanceOf(t, p.ID, "USD").LowBalanceNoticedAt
			do()
			at := f.balanceOf(t, p.ID, "USD").LowBalanceNoticedAt
			if (at != nil) != low {
				t.Errorf("%s: noticed %v, want low: %t", name, at, low)
			}
			if low && was == nil {
				noticed++
				if at == nil || !at.Equal(f.clock.Now()) {
					t.Errorf("%s: noticed at %v", name, at)
				}
			}
			got := f.lowNotices(t)
			if len(got) != noticed {
				t.Fatalf("%s: %d notices, want %d", name, len(got), noticed)
			}
			if low && was == nil {
				want := lowBalance{
					BalanceID: f.balanceOf(t, p.ID, "USD").ID, PayerID: p.ID, Currency: "USD",
					Level: "5.00", Left: f.balanceOf(t, p.ID, "USD").Remaining().Decimal(), At: f.clock.Now(),
				}
				if last := got[len(got)-1]; last != want {
					t.Errorf("%s: %+v, want %+v", name, last, want)
				}
			}
		}
		var h HoldChange
		step("a unit above", func() { f.use(t, p.ID, usd(t, "4.99999999")) }, false)
		step("a hold does not count", func() { h = f.setAside(t, p.ID, usd(t, "2")) }, false)
		step("on the level", func() { f.use(t, p.ID, usd(t, "0.00000001")) }, true)
		step("below", func() { f.use(t, p.ID, usd(t, "1")) }, true)
		step("captured", func() {
			if _, err := f.capture(h.HoldID, nil, ""); err != nil {
				t.Fatal(err)
			}
		}, true)
		step("raised, still below", func() { f.reload(t, p.ID, usd(t, "1")) }, true)
		step("a top-up", func() { f.topUp(t, p, usd(t, "10"), "pi_1") }, false)
		step("down again", func() { f.use(t, p.ID, usd(t, "9")) }, true)
		step("a credit", func() {
			if _, err := f.credit(p.ID, usd(t, "3")); err != nil {
				t.Fatal(err)
			}
		}, false)
		step("an adjustment", func() {
			if _, err := f.adjust(p.ID, usd(t, "-2.5")); err != nil {
				t.Fatal(err)
			}
		}, true)
		step("recorded into debt", func() { f.useRecorded(t, p.ID, usd(t, "50")) }, true)
		step("the same level again", func() {
			if _, err := f.SetLowBalanceNotice(f.ctx, LowBalanceChange{PayerID: p.ID, Currency: "USD", Level: ptr(usd(t, "5.0"))}); err != nil {
				t.Fatal(err)
			}
		}, true)
		step("no notices any more", func() {
			if _, err := f.SetLowBalanceNotice(f.ctx, LowBalanceChange{PayerID: p.ID, Currency: "USD"}); err != nil {
				t.Fatal(err)
			}
		}, false)
		step("a new level that it is at", func() {
			if _, err := f.SetLowBalanceNotice(f.ctx, LowBalanceChange{PayerID: p.ID, Currency: "USD", Level: ptr(usd(t, "5"))}); err != nil {
				t.Fatal(err)
			}
		}, true)
		// A refused movement is none.
		_, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "100"), Key: ptr("refused")})
		wantCode(t, err, CodeInsufficientFunds, "payerId")
		step("nothing", func() {}, true)
	})
}

func TestLowBalanceInPercent(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Currency.Update().Where(currency.Code("USD")).SetCreditLimitUnits(usd(t, "100").Units).Exec(ctx)
		})
		for _, mode := range []payer.BillingMode{payer.BillingModePREPAID, payer.BillingModePOSTPAID} {
			p := f.newPayer(t, mode)
			if mode == payer.BillingModePREPAID {
				f.reload(t, p.ID, usd(t, "100"))
			}
			if _, err := f.SetLowBalanceNotice(f.ctx, LowBalanceChange{PayerID: p.ID, Currency: "USD", Percent: ptr(10)}); err != nil {
				t.Fatal(err)
			}
			before := len(f.lowNotices(t))
			f.use(t, p.ID, usd(t, "89.99"))
			if n := len(f.lowNotices(t)) - before; n != 0 {
				t.Errorf("%s: %d notices with 10.01 left of 100", mode, n)
			}
			f.use(t, p.ID, usd(t, "0.01"))
			f.use(t, p.ID, usd(t, "1"))
			if n := len(f.lowNotices(t)) - before; n != 1 {
				t.Errorf("%s: %d notices with 9 left of 100", mode, n)
			}
		}
		p := f.newPayer(t, payer.BillingModePREPAID)
		for _, c := range []struct {
			change LowBalanceChange
			code   Code
			field  string
		}{
			{LowBalanceChange{PayerID: p.ID, Currency: "USD", Percent: ptr(0)}, CodeInvalid, "percent"},
			{LowBalanceChange{PayerID: p.ID, Currency: "USD", Percent: ptr(101)}, CodeInvalid, "percent"},
			{LowBalanceChange{PayerID: p.ID, Currency: "USD", Percent: ptr(1), Level: ptr(usd(t, "1"))}, CodeInvalid, "percent"},
			{LowBalanceChange{PayerID: p.ID, Currency: "USD", Level: ptr(in(t, "1", "JPY"))}, CodeCurrencyMismatch, "level.currency"},
			{LowBalanceChange{PayerID: p.ID, Currency: "USD", Level: ptr(usd(t, "-1"))}, CodeInvalid, "level.amount"},
			{LowBalanceChange{PayerID: p.ID, Currency: "EUR"}, CodeCurrencyMismatch, "currency"},
			{LowBalanceChange{PayerID: "dev_unknown", Currency: "USD"}, CodeNotFound, "payerId"},
		} {
			_, err := f.SetLowBalanceNotice(f.ctx, c.change)
			wantCode(t, err, c.code, c.field)
		}
	})
}

func TestLowLevelOfHugeBalances(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ amount, want money.Units }{
		{money.MaxUnits, money.MaxUnits / 100 * 99}, {-money.MaxUnits, -money.MaxUnits / 100 * 99}, {199, 197}, {0, 0},
	} {
		if level, ok := lowLevel(&ent.Balance{AmountUnits: c.amount, LowBalancePercent: ptr(99)}); !ok || level.Units != c.want {
			t.Errorf("99 %% of %d: %d, want %d", c.amount, level.Units, c.want)
		}
	}
}
