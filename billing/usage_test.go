package billing

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/currency"
	"purser/ent/hold"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/money"
)

// reload adds to a balance under a key of its own.
func (f *fixture) reload(t testing.TB, payerID string, a money.Amount) Booking {
	t.Helper()
	b, err := f.ReloadBalance(f.ctx, Reload{PayerID: payerID, Amount: a, Key: ptr(f.newID("key"))})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// use records usage under a key of its own.
func (f *fixture) use(t testing.TB, payerID string, a money.Amount) Booking {
	t.Helper()
	b, err := f.RecordUsage(f.ctx, Usage{PayerID: payerID, Amount: a, Key: ptr(f.newID("key"))})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hold sets an amount aside on a balance.
func (f *fixture) hold(t testing.TB, b *ent.Balance, a money.Amount) {
	t.Helper()
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.Hold.Create().SetID(f.newID(prefixHold)).SetPayerID(b.PayerID).SetBalanceID(b.ID).
			SetCurrency(a.Currency).SetAmountUnits(a.Units).SetStatus(hold.StatusOPEN).
			SetExpiresAt(tx.Now.Add(time.Hour)).SetCreatedAt(tx.Now).Save(ctx)
		if err != nil {
			return err
		}
		return tx.Balance.Update().Where(balance.ID(b.ID)).AddHeldUnits(a.Units).Exec(ctx)
	})
}

// entries counts the entries of the organization.
func (f *fixture) entries(t testing.TB) int {
	t.Helper()
	n, err := f.Client().LedgerEntry.Query().Count(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// entry reads an entry.
func (f *fixture) entry(t testing.TB, id string) *ent.LedgerEntry {
	t.Helper()
	e, err := f.Client().LedgerEntry.Query().Where(ledgerentry.ID(id)).Only(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRemainingIsAmountLessUsage(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		for _, c := range []struct{ amount, usage, remaining string }{
			{"335.50", "34", "301.50"},
			{"2005", "2.1572", "2002.8428"},
			{"0.01", "0.00000001", "0.00999999"},
		} {
			p := f.newPayer(t, payer.BillingModePREPAID)
			f.reload(t, p.ID, usd(t, c.amount))
			f.use(t, p.ID, usd(t, c.usage))
			b := f.balanceOf(t, p.ID, "USD")
			if b.Amount() != usd(t, c.amount) || b.Usage() != usd(t, c.usage) || b.Remaining() != usd(t, c.remaining) {
				t.Errorf("%s − %s: got amount %s, usage %s, remaining %s", c.amount, c.usage, b.Amount(), b.Usage(), b.Remaining())
			}
		}
	})
}

func TestUsageIsOneTransferFromBalanceToRevenue(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		occurred := f.clock.Now().Add(-72*time.Hour - 123456789*time.Nanosecond)
		got, err := f.RecordUsage(f.ctx, Usage{
			PayerID: p.ID, Amount: usd(t, "1.23456789"), Description: ptr("  42 calls "),
			Metadata: map[string]string{"api": "weather", "b": ""}, OccurredAt: &occurred, Key: ptr("k1"),
		})
		if err != nil {
			t.Fatal(err)
		}
		e, b := f.entry(t, got.EntryID), f.balanceOf(t, p.ID, "USD")
		if got.BalanceID != b.ID || orEmpty(e.BalanceID) != b.ID {
			t.Errorf("booked on %s and %s, want %s", got.BalanceID, orEmpty(e.BalanceID), b.ID)
		}
		if e.Kind != ledgerentry.KindUSAGE || e.DebitAccount != b.Account() || e.CreditAccount != "revenue" || e.Amount() != usd(t, "-1.23456789") {
			t.Errorf("got %s of %s from %s to %s", e.Kind, e.Amount(), e.DebitAccount, e.CreditAccount)
		}
		if *e.RemainingAfter() != usd(t, "8.76543211") {
			t.Errorf("remaining after: %s", e.RemainingAfter())
		}
		if orEmpty(e.Description) != "42 calls" || len(e.Metadata) != 2 || e.Metadata["api"] != "weather" {
			t.Errorf("got description %q, metadata %v", orEmpty(e.Description), e.Metadata)
		}
		if want := occurred.Truncate(time.Microsecond); !e.EffectiveAt.Equal(want) || !e.BookedAt.Equal(f.clock.Now()) {
			t.Errorf("effective %s (want %s), booked %s (want %s)", e.EffectiveAt, want, e.BookedAt, f.clock.Now())
		}
		if e.Actor != "tok_test" {
			t.Errorf("actor %q", e.Actor)
		}
	})
}

func TestRefusedUsageSaysWhatIsShort(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Currency.Update().Where(currency.Code("USD")).SetCreditLimitUnits(usd(t, "50").Units).Exec(ctx)
		})
		for _, c := range []struct {
			name                       string
			mode                       payer.BillingMode
			reload, held, use          string
			code                       Code // empty: it fits
			available, held2, shortage string
		}{
			{"all of it", payer.BillingModePREPAID, "10", "", "10", "", "", "", ""},
			{"one unit more", payer.BillingModePREPAID, "10", "", "10.00000001", CodeInsufficientFunds, "10", "0", "0.00000001"},
			{"no balance", payer.BillingModePREPAID, "", "", "1", CodeInsufficientFunds, "0", "0", "1"},
			{"only holds in the way", payer.BillingModePREPAID, "10", "4", "7", CodeFundsReserved, "6", "4", "1"},
			{"more than holds in the way", payer.BillingModePREPAID, "10", "4", "11", CodeInsufficientFunds, "6", "4", "5"},
			{"within the limit", payer.BillingModePOSTPAID, "", "", "50", "", "", "", ""},
			{"above the limit", payer.BillingModePOSTPAID, "", "", "50.01", CodeCreditLimitExceeded, "50", "0", "0.01"},
			{"limit and money", payer.BillingModePOSTPAID, "10", "", "60.01", CodeCreditLimitExceeded, "60", "0", "0.01"},
			{"limit and holds", payer.BillingModePOSTPAID, "10", "20", "60", CodeFundsReserved, "40", "20", "20"},
		} {
			t.Run(c.name, func(t *testing.T) {
				p := f.newPayer(t, c.mode)
				if c.reload != "" {
					f.reload(t, p.ID, usd(t, c.reload))
				}
				if c.held != "" {
					f.hold(t, f.balanceOf(t, p.ID, "USD"), usd(t, c.held))
				}
				before := f.entries(t)
				check, err := f.CanSpend(f.ctx, p.ID, usd(t, c.use))
				if err != nil {
					t.Fatal(err)
				}
				_, err = f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, c.use), Key: ptr(p.ID)})
				if c.code == "" {
					if err != nil || !check.Allowed || check.Reason != "" {
						t.Fatalf("refused: %v, check %+v", err, check)
					}
					return
				}
				e := wantCode(t, err, c.code, "payerId")
				want := Funds{Required: usd(t, c.use), Available: usd(t, c.available), Held: usd(t, c.held2), Shortfall: usd(t, c.shortage)}
				if e.Details == nil || *e.Details != want {
					t.Errorf("details %+v, want %+v", e.Details, want)
				}
				if check.Allowed || check.Reason != c.code || *check.Details != want {
					t.Errorf("canSpend says %+v", check)
				}
				if f.entries(t) != before {
					t.Error("a refused usage left an entry")
				}
				if c.reload == "" && f.balanceOf(t, p.ID, "USD") != nil {
					t.Error("a refused usage left a balance")
				}
				// What was refused may be booked into debt, under the same key.
				if _, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, c.use), OnInsufficient: OnInsufficientRecord, Key: ptr(p.ID)}); err != nil {
					t.Fatal(err)
				}
				if b := f.balanceOf(t, p.ID, "USD"); b.Available() != usd(t, "-"+c.shortage) {
					t.Errorf("available %s after recording, want -%s", b.Available(), c.shortage)
				}
			})
		}
	})
}

func TestUsageKeyAnswersOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		u := Usage{PayerID: p.ID, Amount: usd(t, "10"), Key: ptr("once")}
		first, err := f.RecordUsage(f.ctx, u)
		if err != nil {
			t.Fatal(err)
		}
		// Neither the empty balance nor a suspended payer changes the answer.
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Payer.Update().Where(payer.ID(p.ID)).SetStatus(payer.StatusSUSPENDED).Exec(ctx)
		})
		u.OnInsufficient, u.Amount = OnInsufficientRefuse, usd(t, "10.000")
		if again, err := f.RecordUsage(f.ctx, u); err != nil || again != first {
			t.Errorf("again: %v, %v; first %v", again, err, first)
		}
		for name, change := range map[string]func(*Usage){
			"amount":      func(u *Usage) { u.Amount = usd(t, "9") },
			"payer":       func(u *Usage) { u.PayerID = f.newPayer(t, payer.BillingModePREPAID).ID },
			"description": func(u *Usage) { u.Description = ptr("other") },
			"metadata":    func(u *Usage) { u.Metadata = map[string]string{"a": "b"} },
			"occurredAt":  func(u *Usage) { u.OccurredAt = ptr(f.clock.Now()) },
			"policy":      func(u *Usage) { u.OnInsufficient = OnInsufficientRecord },
		} {
			other := u
			change(&other)
			_, err := f.RecordUsage(f.ctx, other)
			if e := wantCode(t, err, CodeIdempotencyKeyReused, "idempotencyKey"); e.Message == "" {
				t.Errorf("%s: no message", name)
			}
		}
		// The key is the organization's: another one may use the same.
		_, ctx := f.newOrganization(t, "other", "UTC")
		other := &fixture{Service: f.Service, db: f.db, clock: f.clock, ctx: ctx}
		q := other.newPayer(t, payer.BillingModePREPAID)
		if _, err := f.RecordUsage(ctx, Usage{PayerID: q.ID, Amount: usd(t, "1"), OnInsufficient: OnInsufficientRecord, Key: ptr("once")}); err != nil {
			t.Errorf("another organization: %v", err)
		}
		// The same key for a reload is another kind of operation.
		if _, err := f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr("once")}); err != nil {
			t.Errorf("a reload with the key of usage: %v", err)
		}
	})
}

func TestBadUsage(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		suspended := f.newPayer(t, payer.BillingModePREPAID)
		_, foreign := f.newOrganization(t, "foreign", "UTC")
		stranger := (&fixture{Service: f.Service, ctx: foreign}).newPayer(t, payer.BillingModePREPAID)
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			if err := tx.Currency.Update().Where(currency.Code("KWD")).SetStatus(currency.StatusINACTIVE).Exec(ctx); err != nil {
				return err
			}
			return tx.Payer.Update().Where(payer.ID(suspended.ID)).SetStatus(payer.StatusSUSPENDED).Exec(ctx)
		})
		before := f.entries(t)
		good := Usage{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr("bad")}
		for _, c := range []struct {
			name   string
			change func(*Usage)
			code   Code
			field  string
		}{
			{"no key", func(u *Usage) { u.Key = nil }, CodeRequired, "idempotencyKey"},
			{"empty key", func(u *Usage) { u.Key = ptr("") }, CodeRequired, "idempotencyKey"},
			{"huge key", func(u *Usage) { u.Key = ptr(strings.Repeat("k", 201)) }, CodeInvalid, "idempotencyKey"},
			{"zero", func(u *Usage) { u.Amount = usd(t, "0") }, CodeInvalid, "amount.amount"},
			{"negative", func(u *Usage) { u.Amount = usd(t, "-1") }, CodeInvalid, "amount.amount"},
			{"no amount", func(u *Usage) { u.Amount = money.Amount{} }, CodeInvalid, "amount.amount"},
			{"a currency not sold in", func(u *Usage) { u.Amount = in(t, "1", "EUR") }, CodeCurrencyMismatch, "amount.currency"},
			{"an inactive currency", func(u *Usage) { u.Amount = in(t, "1", "KWD") }, CodeInvalidState, "amount.currency"},
			{"unknown payer", func(u *Usage) { u.PayerID = "dev_unknown" }, CodeNotFound, "payerId"},
			{"foreign payer", func(u *Usage) { u.PayerID = stranger.ID }, CodeNotFound, "payerId"},
			{"suspended payer", func(u *Usage) { u.PayerID = suspended.ID }, CodeInvalidState, "payerId"},
			{"the future", func(u *Usage) { u.OccurredAt = ptr(f.clock.Now().Add(time.Minute + time.Microsecond)) }, CodeInvalid, "occurredAt"},
			{"before all time", func(u *Usage) { u.OccurredAt = ptr(time.Time{}) }, CodeInvalid, "occurredAt"},
			{"control characters", func(u *Usage) { u.Description = ptr("a\x00b") }, CodeInvalid, "description"},
			{"a long description", func(u *Usage) { u.Description = ptr(strings.Repeat("é", 1001)) }, CodeInvalid, "description"},
			{"a card number", func(u *Usage) { u.Description = ptr("paid with 4242 4242 4242 4242") }, CodeInvalid, "description"},
			{"a card number in metadata", func(u *Usage) { u.Metadata = map[string]string{"card": "4242424242424242"} }, CodeInvalid, "metadata"},
			{"no such policy", func(u *Usage) { u.OnInsufficient = "MAYBE" }, CodeInvalid, "onInsufficient"},
			{"more than can be counted", func(u *Usage) {
				u.Amount, u.OnInsufficient = money.Amount{Units: money.MaxUnits, Currency: "USD"}, OnInsufficientRecord
				f.useRecorded(t, p.ID, money.Amount{Units: money.MaxUnits - 5, Currency: "USD"})
				before++
			}, CodeLimitExceeded, "amount.amount"},
		} {
			t.Run(c.name, func(t *testing.T) {
				u := good
				c.change(&u)
				_, err := f.RecordUsage(f.ctx, u)
				wantCode(t, err, c.code, c.field)
				if n := f.entries(t); n != before {
					t.Errorf("%d entries, want %d", n, before)
				}
			})
		}
		if n, err := f.Client().Balance.Query().Count(f.ctx); err != nil || n != 1 {
			t.Errorf("%d balances, %v: want the one that was reloaded", n, err)
		}
		// A clock that is a little ahead is no error.
		at := f.clock.Now().Add(time.Minute)
		if _, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "0.00000001"), OccurredAt: &at, OnInsufficient: OnInsufficientRecord, Key: ptr("ahead")}); err != nil {
			t.Error(err)
		}
	})
}

// useRecorded books usage into debt.
func (f *fixture) useRecorded(t testing.TB, payerID string, a money.Amount) {
	t.Helper()
	if _, err := f.RecordUsage(f.ctx, Usage{PayerID: payerID, Amount: a, OnInsufficient: OnInsufficientRecord, Key: ptr(f.newID("key"))}); err != nil {
		t.Fatal(err)
	}
}

func TestConcurrentDuplicatesAnswerOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "1"))
		// Each takes all there is: a duplicate that looked at the balance
		// alone would be refused.
		var answers sync.Map
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				b, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr("same")})
				if err != nil {
					t.Error(err)
				}
				answers.Store(b, true)
			})
		}
		wg.Wait()
		n := 0
		answers.Range(func(any, any) bool { n++; return true })
		if n != 1 || f.entries(t) != 2 {
			t.Errorf("%d answers, %d entries; want 1 answer, 2 entries", n, f.entries(t))
		}
	})
}

func TestFirstUsageMakesOneBalance(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		var wg sync.WaitGroup
		for range 8 {
			u := Usage{PayerID: p.ID, Amount: usd(t, "1"), OnInsufficient: OnInsufficientRecord, Key: ptr(f.newID("key"))}
			wg.Go(func() {
				if _, err := f.RecordUsage(f.ctx, u); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		b := f.balanceOf(t, p.ID, "USD")
		if b == nil || b.Remaining() != usd(t, "-8") || b.LastSeq != 8 {
			t.Errorf("got %v", b)
		}
	})
}

func TestCanSpendOfPayers(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		if c, err := f.CanSpend(f.ctx, p.ID, usd(t, "0")); err != nil || !c.Allowed {
			t.Errorf("nothing: %+v, %v", c, err)
		}
		_, err := f.CanSpend(f.ctx, p.ID, usd(t, "-1"))
		wantCode(t, err, CodeInvalid, "amount.amount")
		_, err = f.CanSpend(f.ctx, "dev_unknown", usd(t, "1"))
		wantCode(t, err, CodeNotFound, "payerId")
		_, err = f.CanSpend(f.ctx, p.ID, in(t, "1", "EUR"))
		wantCode(t, err, CodeCurrencyMismatch, "amount.currency")
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Payer.Update().Where(payer.ID(p.ID)).SetStatus(payer.StatusSUSPENDED).Exec(ctx)
		})
		if c, err := f.CanSpend(f.ctx, p.ID, usd(t, "0")); err != nil || c.Allowed || c.Reason != CodeInvalidState || c.Details != nil {
			t.Errorf("suspended: %+v, %v", c, err)
		}
	})
}
