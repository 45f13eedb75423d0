package billing

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/currency"
	"purser/ent/hold"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/money"
)

// setAside makes a hold of an hour under a key of its own.
func (f *fixture) setAside(t testing.TB, payerID string, a money.Amount) HoldChange {
	t.Helper()
	h, err := f.CreateHold(f.ctx, HoldDraft{PayerID: payerID, Amount: a, ExpiresIn: time.Hour, Key: ptr(f.newID("key"))})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// capture captures a hold under a key of its own; all of it when amount is
// nil.
func (f *fixture) capture(holdID string, amount *money.Amount, policy OnInsufficient) (HoldChange, error) {
	return f.CaptureHold(f.ctx, HoldCapture{HoldID: holdID, Amount: amount, OnInsufficient: policy, Key: ptr(f.newID("key"))})
}

func (f *fixture) holdRow(t testing.TB, id string) *ent.Hold {
	t.Helper()
	h, err := f.Client().Hold.Query().Where(hold.ID(id)).Only(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// wantBalance fails the test unless the payer's dollars are these.
func (f *fixture) wantBalance(t testing.TB, payerID, remaining, held, available string) {
	t.Helper()
	b := f.balanceOf(t, payerID, "USD")
	if b.Remaining() != usd(t, remaining) || b.Held() != usd(t, held) || b.Available() != usd(t, available) {
		t.Errorf("remaining %s, held %s, available %s; want %s, %s, %s", b.Remaining(), b.Held(), b.Available(), remaining, held, available)
	}
}

func TestHoldIsSetAsideAndCaptured(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		for _, mode := range []payer.BillingMode{payer.BillingModePREPAID, payer.BillingModePOSTPAID} {
			for _, c := range []struct {
				name      string
				capture   string // empty: released
				policy    OnInsufficient
				remaining string
				code      Code
			}{
				{"all", "4", "", "6", ""},
				{"part", "1.00000001", "", "8.99999999", ""},
				{"above", "6", "", "4", ""},
				{"all there is", "10", "", "0", ""},
				{"a unit more than there is", "10.00000001", "", "10", CodeInsufficientFunds},
				{"recorded into debt", "12", OnInsufficientRecord, "-2", ""},
				{"released", "", "", "10", ""},
			} {
				t.Run(string(mode)+"/"+c.name, func(t *testing.T) {
					p := f.newPayer(t, mode)
					f.reload(t, p.ID, usd(t, "10"))
					h := f.setAside(t, p.ID, usd(t, "4"))
					f.wantBalance(t, p.ID, "10", "4", "6")
					_, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "7"), Key: ptr(f.newID("key"))})
					wantCode(t, err, CodeFundsReserved, "payerId")
					if c.capture == "" {
						if _, err := f.ReleaseHold(f.ctx, h.HoldID); err != nil {
							t.Fatal(err)
						}
						f.wantBalance(t, p.ID, c.remaining, "0", c.remaining)
						if got := f.holdRow(t, h.HoldID); got.Status != hold.StatusRELEASED || got.CapturedUnits != 0 || !got.ClosedAt.Equal(f.clock.Now()) {
							t.Errorf("got %v", got)
						}
						return
					}
					got, err := f.capture(h.HoldID, ptr(usd(t, c.capture)), c.policy)
					if c.code != "" {
						if mode == payer.BillingModePOSTPAID {
							c.code = CodeCreditLimitExceeded
						}
						e := wantCode(t, err, c.code, "amount.amount")
						want := Funds{Required: usd(t, "6.00000001"), Available: usd(t, "6"), Held: usd(t, "0"), Shortfall: usd(t, "0.00000001")}
						if e.Details == nil || *e.Details != want {
							t.Errorf("details %+v, want %+v", e.Details, want)
						}
						f.wantBalance(t, p.ID, "10", "4", "6")
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					f.wantBalance(t, p.ID, c.remaining, "0", c.remaining)
					row, e := f.holdRow(t, h.HoldID), f.entry(t, got.EntryID)
					if row.Status != hold.StatusCAPTURED || row.Captured() != usd(t, c.capture) || row.Amount() != usd(t, "4") {
						t.Errorf("hold %v", row)
					}
					if e.Kind != ledgerentry.KindUSAGE || orEmpty(e.HoldID) != h.HoldID || e.Amount() != usd(t, "-"+c.capture) || e.CreditAccount != accountRevenue {
						t.Errorf("entry %v", e)
					}
				})
			}
		}
	})
}

// What a capture takes above its hold may be in the way of other holds.
func TestCaptureAboveLeavesOtherHoldsAlone(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		h, _ := f.setAside(t, p.ID, usd(t, "4")), f.setAside(t, p.ID, usd(t, "5"))
		_, err := f.capture(h.HoldID, ptr(usd(t, "6")), OnInsufficientRefuse)
		e := wantCode(t, err, CodeFundsReserved, "amount.amount")
		if want := (Funds{Required: usd(t, "2"), Available: usd(t, "1"), Held: usd(t, "5"), Shortfall: usd(t, "1")}); *e.Details != want {
			t.Errorf("details %+v, want %+v", e.Details, want)
		}
		if _, err := f.capture(h.HoldID, ptr(usd(t, "6")), OnInsufficientRecord); err != nil {
			t.Fatal(err)
		}
		f.wantBalance(t, p.ID, "4", "5", "-1")
	})
}

// What was promised is charged although the balance has fallen below zero
// since; what is above it is not.
func TestCaptureOfAPromiseInDebt(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		above, within := f.setAside(t, p.ID, usd(t, "2")), f.setAside(t, p.ID, usd(t, "3"))
		f.useRecorded(t, p.ID, usd(t, "9"))
		f.wantBalance(t, p.ID, "1", "5", "-4")
		_, err := f.capture(above.HoldID, ptr(usd(t, "2.01")), OnInsufficientRefuse)
		e := wantCode(t, err, CodeInsufficientFunds, "amount.amount")
		if e.Details.Required != usd(t, "0.01") || e.Details.Available != usd(t, "-4") {
			t.Errorf("details %+v", e.Details)
		}
		if _, err := f.capture(within.HoldID, nil, OnInsufficientRefuse); err != nil {
			t.Fatal(err)
		}
		f.wantBalance(t, p.ID, "-2", "2", "-4")
		if _, err := f.ReleaseHold(f.ctx, above.HoldID); err != nil {
			t.Fatal(err)
		}
		f.wantBalance(t, p.ID, "-2", "0", "-2")
	})
}

func TestHoldClosesOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "100"))
		captured, released := f.setAside(t, p.ID, usd(t, "1")), f.setAside(t, p.ID, usd(t, "1"))
		late, expired := f.setAside(t, p.ID, usd(t, "1")), f.setAside(t, p.ID, usd(t, "1"))
		if _, err := f.capture(captured.HoldID, nil, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReleaseHold(f.ctx, released.HoldID); err != nil {
			t.Fatal(err)
		}
		again, err := f.ReleaseHold(f.ctx, released.HoldID)
		if err != nil || again.HoldID != released.HoldID || again.BalanceID != released.BalanceID {
			t.Errorf("released again: %v, %v", again, err)
		}
		f.clock.Advance(time.Hour - time.Microsecond)
		if ids, err := f.BalancesWithOldHolds(f.ctx, 10); err != nil || len(ids) != 0 {
			t.Errorf("due before their time: %v, %v", ids, err)
		}
		f.clock.Advance(time.Microsecond)
		// Its time is over, whether or not anybody has expired it.
		_, err = f.capture(late.HoldID, nil, "")
		wantCode(t, err, CodeExpired, "id")
		_, err = f.ReleaseHold(f.ctx, late.HoldID)
		wantCode(t, err, CodeExpired, "id")
		f.expire(t)
		f.expire(t)
		f.wantBalance(t, p.ID, "99", "0", "99")
		for _, c := range []struct {
			hold             HoldChange
			status           hold.Status
			capture, release Code
		}{
			{captured, hold.StatusCAPTURED, CodeInvalidState, CodeInvalidState},
			{released, hold.StatusRELEASED, CodeInvalidState, ""},
			{late, hold.StatusEXPIRED, CodeExpired, CodeExpired},
			{expired, hold.StatusEXPIRED, CodeExpired, CodeExpired},
		} {
			if got := f.holdRow(t, c.hold.HoldID).Status; got != c.status {
				t.Errorf("hold is %s, want %s", got, c.status)
			}
			_, err := f.capture(c.hold.HoldID, nil, OnInsufficientRecord)
			wantCode(t, err, c.capture, "id")
			if _, err := f.ReleaseHold(f.ctx, c.hold.HoldID); c.release != "" {
				wantCode(t, err, c.release, "id")
			} else if err != nil {
				t.Errorf("release: %v", err)
			}
		}
		f.wantBalance(t, p.ID, "99", "0", "99")
	})
}

// expire does what the clock's front door does with holds.
func (f *fixture) expire(t testing.TB) {
	t.Helper()
	ids, err := f.BalancesWithOldHolds(f.ctx, 50)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if err := f.ExpireHolds(f.ctx, id); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHoldKeysAnswerOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		d := HoldDraft{PayerID: p.ID, Amount: usd(t, "10"), ExpiresIn: time.Hour, Description: ptr(" a job "), Key: ptr("k")}
		first, err := f.CreateHold(f.ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range map[string]func(*HoldDraft){
			"amount":      func(d *HoldDraft) { d.Amount = usd(t, "1") },
			"payer":       func(d *HoldDraft) { d.PayerID = f.newPayer(t, payer.BillingModePREPAID).ID },
			"life":        func(d *HoldDraft) { d.ExpiresIn = time.Minute },
			"description": func(d *HoldDraft) { d.Description = nil },
		} {
			other := d
			change(&other)
			_, err := f.CreateHold(f.ctx, other)
			wantCode(t, err, CodeIdempotencyKeyReused, "idempotencyKey")
		}
		// The same key names another capture, another usage, another reload.
		c := HoldCapture{HoldID: first.HoldID, Amount: ptr(usd(t, "3")), Key: ptr("k")}
		captured, err := f.CaptureHold(f.ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		f.use(t, p.ID, usd(t, "7"))
		for range 2 {
			if again, err := f.CreateHold(f.ctx, d); err != nil || again != first {
				t.Errorf("hold again: %v, %v; first %v", again, err, first)
			}
			if again, err := f.CaptureHold(f.ctx, c); err != nil || again != captured {
				t.Errorf("capture again: %v, %v; first %v", again, err, captured)
			}
		}
		c.Amount = nil
		_, err = f.CaptureHold(f.ctx, c)
		wantCode(t, err, CodeIdempotencyKeyReused, "idempotencyKey")
		if e := f.entry(t, captured.EntryID); orEmpty(e.Description) != "a job" {
			t.Errorf("description %q", orEmpty(e.Description))
		}
		f.wantBalance(t, p.ID, "0", "0", "0")
		// A refusal is not remembered.
		d.Key = ptr("refused")
		_, err = f.CreateHold(f.ctx, d)
		wantCode(t, err, CodeInsufficientFunds, "payerId")
		f.reload(t, p.ID, usd(t, "10"))
		if _, err := f.CreateHold(f.ctx, d); err != nil {
			t.Error(err)
		}
	})
}

func TestBadHolds(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		f.reload(t, p.ID, in(t, "10", "KWD"))
		made, dinars := f.setAside(t, p.ID, usd(t, "1")), f.setAside(t, p.ID, in(t, "1", "KWD"))
		suspended := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, suspended.ID, usd(t, "10"))
		promised, more := f.setAside(t, suspended.ID, usd(t, "2")), f.setAside(t, suspended.ID, usd(t, "3"))
		closed := f.newPayer(t, payer.BillingModePREPAID)
		if err := f.CloseDeveloper(f.ctx, closed.ID, RestBalanceRefuse); err != nil {
			t.Fatal(err)
		}
		_, foreign := f.newOrganization(t, "foreign", "UTC")
		abroad := &fixture{Service: f.Service, ctx: foreign}
		stranger := abroad.newPayer(t, payer.BillingModePREPAID)
		abroad.reload(t, stranger.ID, usd(t, "10"))
		strange := abroad.setAside(t, stranger.ID, usd(t, "1"))
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			if err := tx.Currency.Update().Where(currency.Code("KWD")).SetStatus(currency.StatusINACTIVE).Exec(ctx); err != nil {
				return err
			}
			return tx.Payer.Update().Where(payer.ID(suspended.ID)).SetStatus(payer.StatusSUSPENDED).Exec(ctx)
		})
		good := HoldDraft{PayerID: p.ID, Amount: usd(t, "1"), ExpiresIn: time.Hour, Key: ptr("bad")}
		for _, c := range []struct {
			name   string
			change func(*HoldDraft)
			code   Code
			field  string
		}{
			{"no key", func(d *HoldDraft) { d.Key = nil }, CodeRequired, "idempotencyKey"},
			{"zero", func(d *HoldDraft) { d.Amount = usd(t, "0") }, CodeInvalid, "amount.amount"},
			{"negative", func(d *HoldDraft) { d.Amount = usd(t, "-1") }, CodeInvalid, "amount.amount"},
			{"huge", func(d *HoldDraft) { d.Amount.Units = money.MaxUnits }, CodeInsufficientFunds, "payerId"},
			{"no time", func(d *HoldDraft) { d.ExpiresIn = 0 }, CodeInvalid, "expiresIn"},
			{"a negative time", func(d *HoldDraft) { d.ExpiresIn = -time.Hour }, CodeInvalid, "expiresIn"},
			{"too long", func(d *HoldDraft) { d.ExpiresIn = holdLifeMax + time.Second }, CodeInvalid, "expiresIn"},
			{"a currency not sold in", func(d *HoldDraft) { d.Amount = in(t, "1", "EUR") }, CodeCurrencyMismatch, "amount.currency"},
			{"an inactive currency", func(d *HoldDraft) { d.Amount = in(t, "1", "KWD") }, CodeInvalidState, "amount.currency"},
			{"an unknown payer", func(d *HoldDraft) { d.PayerID = "dev_unknown" }, CodeNotFound, "payerId"},
			{"a foreign payer", func(d *HoldDraft) { d.PayerID = stranger.ID }, CodeNotFound, "payerId"},
			{"a suspended payer", func(d *HoldDraft) { d.PayerID = suspended.ID }, CodeInvalidState, "payerId"},
			{"a closed payer", func(d *HoldDraft) { d.PayerID = closed.ID }, CodeInvalidState, "payerId"},
			{"a card number", func(d *HoldDraft) { d.Description = ptr("4242 4242 4242 4242") }, CodeInvalid, "description"},
		} {
			t.Run(c.name, func(t *testing.T) {
				d := good
				c.change(&d)
				_, err := f.CreateHold(f.ctx, d)
				wantCode(t, err, c.code, c.field)
			})
		}
		draft := HoldCapture{HoldID: made.HoldID, Key: ptr("bad")}
		for _, c := range []struct {
			name   string
			change func(*HoldCapture)
			code   Code
			field  string
		}{
			{"no key", func(c *HoldCapture) { c.Key = nil }, CodeRequired, "idempotencyKey"},
			{"zero", func(c *HoldCapture) { c.Amount = ptr(usd(t, "0")) }, CodeInvalid, "amount.amount"},
			{"negative", func(c *HoldCapture) { c.Amount = ptr(usd(t, "-1")) }, CodeInvalid, "amount.amount"},
			{"huge", func(c *HoldCapture) {
				c.Amount, c.OnInsufficient = &money.Amount{Units: money.MaxUnits, Currency: "USD"}, OnInsufficientRecord
				f.useRecorded(t, p.ID, usd(t, "100"))
			}, CodeLimitExceeded, "amount.amount"},
			{"another currency", func(c *HoldCapture) { c.Amount = ptr(in(t, "1", "JPY")) }, CodeCurrencyMismatch, "amount.currency"},
			{"an unknown hold", func(c *HoldCapture) { c.HoldID = "hld_unknown" }, CodeNotFound, "id"},
			{"a foreign hold", func(c *HoldCapture) { c.HoldID = strange.HoldID }, CodeNotFound, "id"},
			{"no such policy", func(c *HoldCapture) { c.OnInsufficient = "MAYBE" }, CodeInvalid, "onInsufficient"},
			{"above, of a suspended payer", func(c *HoldCapture) {
				c.HoldID, c.Amount, c.OnInsufficient = promised.HoldID, ptr(usd(t, "2.01")), OnInsufficientRecord
			}, CodeInvalidState, "id"},
			{"above, in an inactive currency", func(c *HoldCapture) { c.HoldID, c.Amount = dinars.HoldID, ptr(in(t, "1.1", "KWD")) }, CodeInvalidState, "id"},
		} {
			t.Run("capture/"+c.name, func(t *testing.T) {
				d := draft
				c.change(&d)
				_, err := f.CaptureHold(f.ctx, d)
				wantCode(t, err, c.code, c.field)
			})
		}
		_, err := f.ReleaseHold(f.ctx, strange.HoldID)
		wantCode(t, err, CodeNotFound, "id")
		if n, err := f.Client().Hold.Query().Count(f.ctx); err != nil || n != 4 {
			t.Errorf("%d holds, %v; want the four that were made", n, err)
		}
		// What was promised before is charged, or given back.
		for _, id := range []string{promised.HoldID, dinars.HoldID} {
			if _, err := f.capture(id, nil, ""); err != nil {
				t.Error(err)
			}
		}
		if _, err := f.ReleaseHold(f.ctx, more.HoldID); err != nil {
			t.Error(err)
		}
	})
}

// The payer cannot be closed while something is on hold.
func TestPayerWithAHoldIsNotClosed(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePOSTPAID)
		if _, err := f.SetCreditLimit(f.ctx, CreditLimitChange{PayerID: p.ID, Amount: ptr(usd(t, "5"))}); err != nil {
			t.Fatal(err)
		}
		h := f.setAside(t, p.ID, usd(t, "5"))
		wantCode(t, f.CloseDeveloper(f.ctx, p.ID, RestBalanceRefuse), CodeInvalidState, "id")
		f.clock.Advance(time.Hour)
		f.expire(t)
		if err := f.CloseDeveloper(f.ctx, p.ID, RestBalanceRefuse); err != nil {
			t.Fatal(err)
		}
		_, err := f.ReleaseHold(f.ctx, h.HoldID)
		wantCode(t, err, CodeExpired, "id")
	})
}

// Whoever comes at once with a hold, a capture, a release or the clock: each
// hold ends once, and no more is set aside than there is.
func TestHoldsAtOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		var made sync.Map
		var wg sync.WaitGroup
		for i := range 12 {
			key := f.newID("key")
			for range 2 { // each is sent twice
				wg.Go(func() {
					h, err := f.CreateHold(f.ctx, HoldDraft{PayerID: p.ID, Amount: usd(t, "1"), ExpiresIn: time.Hour, Key: &key})
					var e *Error
					switch {
					case err == nil:
						made.Store(h.HoldID, i)
					case !errors.As(err, &e) || e.Code != CodeFundsReserved:
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		f.wantBalance(t, p.ID, "10", "10", "0")
		n := 0
		made.Range(func(id, _ any) bool {
			n++
			key := f.newID("key")
			for range 2 {
				wg.Go(func() {
					_, err := f.CaptureHold(f.ctx, HoldCapture{HoldID: id.(string), Key: &key})
					var e *Error
					if err != nil && (!errors.As(err, &e) || e.Code != CodeInvalidState) {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				_, err := f.ReleaseHold(f.ctx, id.(string))
				var e *Error
				if err != nil && (!errors.As(err, &e) || e.Code != CodeInvalidState) {
					t.Error(err)
				}
			})
			return true
		})
		wg.Wait()
		captured, err := f.Client().Hold.Query().Where(hold.StatusEQ(hold.StatusCAPTURED)).Count(f.ctx)
		if err != nil || n != 10 {
			t.Fatalf("%d holds, %v", n, err)
		}
		b := f.balanceOf(t, p.ID, "USD")
		if b.HeldUnits != 0 || b.Usage() != (money.Amount{Units: money.Units(captured) * 100 * money.UnitsPerMinor, Currency: "USD"}) {
			t.Errorf("held %s, used %s after %d captures", b.Held(), b.Usage(), captured)
		}
	})
}
