package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/currency"
	"purser/ent/ledgerentry"
	"purser/ent/outbox"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/provider"
	"purser/gateway"
	"purser/money"
)

// reloading switches automatic reload on: below 5 USD add 10 USD.
func (s *sale) reloading(t testing.TB, change func(*AutoReloadDraft)) {
	t.Helper()
	d := AutoReloadDraft{PayerID: s.payer.ID, Currency: "USD", Enabled: true, Threshold: ptr(usd(t, "5")), Amount: ptr(usd(t, "10"))}
	if change != nil {
		change(&d)
	}
	if _, err := s.SetAutoReload(s.ctx, d); err != nil {
		t.Fatal(err)
	}
}

// spend books usage of the payer, whatever is available.
func (s *sale) spend(t testing.TB, amount string) {
	t.Helper()
	s.useRecorded(t, s.payer.ID, usd(t, amount))
}

// begin begins the reload of the payer's balance, which must be due.
func (s *sale) begin(t testing.TB) *Charge {
	t.Helper()
	ids, err := s.DueReloads(s.ctx, 10)
	if err != nil || len(ids) != 1 {
		t.Fatalf("due %v, %v", ids, err)
	}
	begun, err := s.BeginAutoReload(s.ctx, ids[0])
	if err != nil || begun == nil {
		t.Fatalf("begun %+v, %v", begun, err)
	}
	return begun
}

// reloaded reloads the payer's balance, of which the gateway says as much.
func (s *sale) reloaded(t testing.TB, status gateway.Status, change func(*gateway.PaymentResult)) *ent.Payment {
	t.Helper()
	begun := s.begin(t)
	r := paymentAt(status, s.named("pi"), begun.Request.Amount)
	if change != nil {
		change(&r)
	}
	err := s.FinishPayment(s.ctx, begun.ID, r)
	if err != nil {
		asRefusal(t, err) // the gateway takes nothing
	}
	return s.paid(t, begun.PaymentID)
}

// notDue fails the test when a reload is due now.
func (s *sale) notDue(t testing.TB) {
	t.Helper()
	if ids, err := s.DueReloads(s.ctx, 10); err != nil || len(ids) > 0 {
		t.Fatalf("due %v, %v", ids, err)
	}
}

func (s *sale) row(t testing.TB) *ent.Balance {
	t.Helper()
	return s.balanceOf(t, s.payer.ID, "USD")
}

func (s *sale) suspendedFor(t testing.TB, reason string) {
	t.Helper()
	if b := s.row(t); b.AutoReloadSuspendedReason != reason || (reason != "" && b.AutoReloadDueAt != nil) {
		t.Fatalf("suspended for %q, due %v; want %q", b.AutoReloadSuspendedReason, b.AutoReloadDueAt, reason)
	}
}

// The example of the sources: below 5 USD add 10 USD, and 4.99 are left.
func TestReloadBelowTheThreshold(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		s.reload(t, s.payer.ID, usd(t, "20"))
		s.reloading(t, nil)
		s.spend(t, "15")
		s.notDue(t) // 5.00 is not below 5.00
		s.spend(t, "0.01")
		p := s.reloaded(t, gateway.StatusSucceeded, nil)
		if p.Purpose != payment.PurposeAUTO_RELOAD || !p.Recurring || p.Amount() != usd(t, "10") || orEmpty(p.PaymentMethodID) != card || p.Status != payment.StatusSUCCEEDED {
			t.Errorf("payment %+v", p)
		}
		if got := s.remaining(t, "USD"); got != usd(t, "14.99") {
			t.Errorf("remaining %s", got)
		}
		e, err := s.Client().LedgerEntry.Query().Where(ledgerentry.PaymentID(p.ID)).Only(s.ctx)
		if err != nil || e.Kind != ledgerentry.KindTOP_UP || e.DebitAccount != clearingAccount(s.provider) {
			t.Errorf("booked %+v, %v", e, err)
		}
		s.notDue(t)
		if b := s.row(t); b.AutoReloadPaymentID != nil || b.AutoReloadFailures != 0 {
			t.Errorf("balance %+v", b)
		}
	})
}

// One charge closes the gap, however wide, within the caps and above what can
// be charged at all.
func TestReloadClosesTheGap(t *testing.T) {
	t.Parallel()
	units := func(s string) money.Units { return usd(t, s).Units }
	for _, c := range []struct {
		remaining, threshold, amount, least, want string
	}{
		{"4.99", "5", "10", "", "10"},
		{"-5", "5", "10", "", "10"},
		{"-5.00000001", "5", "10", "", "20"},
		{"-100", "5", "10", "", "110"},
		{"0", "0", "10", "", "10"}, // a turn that comes to nothing still adds one
		{"4.99", "5", "10", "25", "30"},
		{"-26", "5", "10", "25", "40"},
	} {
		r := &ent.AutoReload{Threshold: usd(t, c.threshold), Amount: usd(t, c.amount)}
		var least *money.Units
		if c.least != "" {
			least = ptr(units(c.least))
		}
		if got := reloadUnits(r, units(c.remaining), least); got != units(c.want) {
			t.Errorf("%+v: adds %d", c, got)
		}
	}
}

// What a balance's row says of its reload after a movement, for every state.
func TestReloadIsDueOnlyOnCrossing(t *testing.T) {
	t.Parallel()
	now, before := fixtureStart, fixtureStart.Add(-time.Hour)
	set := func(change func(*ent.Balance)) *ent.Balance {
		b := &ent.Balance{AutoReloadEnabled: true, AutoReloadThresholdUnits: ptr(money.Units(5)), BillingMode: balance.BillingModePREPAID}
		if change != nil {
			change(b)
		}
		return b
	}
	due := func(b *ent.Balance) { b.AutoReloadDueAt = &before }
	for name, c := range map[string]struct {
		b       *ent.Balance
		kind    ledgerentry.Kind
		left    money.Units
		want    *time.Time
		changed bool
	}{
		"above":             {set(nil), ledgerentry.KindUSAGE, 6, nil, false},
		"at":                {set(nil), ledgerentry.KindUSAGE, 5, nil, false},
		"below":             {set(nil), ledgerentry.KindUSAGE, 4, &now, true},
		"below again":       {set(due), ledgerentry.KindUSAGE, 3, &before, false},
		"above again":       {set(due), ledgerentry.KindRELOAD, 5, nil, true},
		"a small top-up":    {set(nil), ledgerentry.KindTOP_UP, 1, &now, true},
		"a refund":          {set(nil), ledgerentry.KindREFUND, 1, nil, false},
		"a dispute":         {set(nil), ledgerentry.KindDISPUTE, 1, nil, false},
		"its reversal":      {set(nil), ledgerentry.KindREVERSAL, 1, nil, false},
		"off":               {set(func(b *ent.Balance) { b.AutoReloadEnabled = false }), ledgerentry.KindUSAGE, 1, nil, false},
		"suspended":         {set(func(b *ent.Balance) { b.AutoReloadSuspendedReason = "x" }), ledgerentry.KindUSAGE, 1, nil, false},
		"in flight":         {set(func(b *ent.Balance) { b.AutoReloadPaymentID = ptr("pmt_1") }), ledgerentry.KindUSAGE, 1, nil, false},
		"never set up":      {set(func(b *ent.Balance) { b.AutoReloadThresholdUnits = nil }), ledgerentry.KindUSAGE, 1, nil, false},
		"postpaid meantime": {set(func(b *ent.Balance) { b.BillingMode = balance.BillingModePOSTPAID }), ledgerentry.KindUSAGE, 1, nil, false},
	} {
		got, changed := reloadDue(c.b, c.kind, c.left, now)
		if changed != c.changed || (got == nil) != (c.want == nil) || got != nil && !got.Equal(*c.want) {
			t.Errorf("%s: due %v, changed %v", name, got, changed)
		}
	}
}

// A movement writes the indexed column only when the balance crosses the
// threshold.
func TestUsageBelowTheThresholdWritesNothingMore(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reload(t, s.payer.ID, usd(t, "6"))
		s.reloading(t, nil)
		s.spend(t, "2")
		first := *s.row(t).AutoReloadDueAt
		s.clock.Advance(time.Second)
		s.spend(t, "1")
		if b := s.row(t); !b.AutoReloadDueAt.Equal(first) {
			t.Errorf("due %s, then %s", first, b.AutoReloadDueAt)
		}
		s.reload(t, s.payer.ID, usd(t, "50"))
		if b := s.row(t); b.AutoReloadDueAt != nil {
			t.Errorf("still due at %s", b.AutoReloadDueAt)
		}
	})
}

func TestBadAutoReload(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		other := s.newKind(t, provider.KindSTRIPE)
		postpaid := s.newPayer(t, payer.BillingModePOSTPAID)
		cardless := s.newPayer(t, payer.BillingModePREPAID)
		card := s.card(t)
		s.setMinimum(t, "JPY", in(t, "500", "JPY"))
		draft := func(change func(*AutoReloadDraft)) AutoReloadDraft {
			d := AutoReloadDraft{PayerID: s.payer.ID, Currency: "USD", Enabled: true, Threshold: ptr(usd(t, "5")), Amount: ptr(usd(t, "10"))}
			change(&d)
			return d
		}
		yen := func(threshold, amount string) func(*AutoReloadDraft) {
			return func(d *AutoReloadDraft) {
				d.Currency, d.Threshold, d.Amount = "JPY", ptr(in(t, threshold, "JPY")), ptr(in(t, amount, "JPY"))
			}
		}
		for name, c := range map[string]struct {
			change func(*AutoReloadDraft)
			code   Code
			field  string
		}{
			"unknown payer": {func(d *AutoReloadDraft) { d.PayerID = "dev_none" }, CodeNotFound, "payerId"},
			"postpaid":      {func(d *AutoReloadDraft) { d.PayerID = postpaid.ID }, CodeInvalidState, "payerId"},
			"no card":       {func(d *AutoReloadDraft) { d.PayerID = cardless.ID }, CodePaymentMethodRequired, "paymentMethodId"},
			"points": {func(d *AutoReloadDraft) {
				d.Currency, d.Threshold, d.Amount = "POINTS", ptr(in(t, "5", "POINTS")), ptr(in(t, "10", "POINTS"))
			}, CodeProviderUnsupported, "currency"},
			"unsold currency": {func(d *AutoReloadDraft) {
				d.Currency, d.Threshold, d.Amount = "CHF", ptr(in(t, "5", "CHF")), ptr(in(t, "10", "CHF"))
			}, CodeCurrencyMismatch, "currency"},
			"two currencies":       {func(d *AutoReloadDraft) { d.Amount = ptr(in(t, "10", "JPY")) }, CodeCurrencyMismatch, "amount.currency"},
			"no threshold":         {func(d *AutoReloadDraft) { d.Threshold = nil }, CodeRequired, "threshold"},
			"no amount":            {func(d *AutoReloadDraft) { d.Amount = nil }, CodeRequired, "amount"},
			"negative threshold":   {func(d *AutoReloadDraft) { d.Threshold = ptr(usd(t, "-1")) }, CodeInvalid, "threshold.amount"},
			"as much":              {func(d *AutoReloadDraft) { d.Amount = ptr(usd(t, "5")) }, CodeInvalid, "amount.amount"},
			"fractions of a cent":  {func(d *AutoReloadDraft) { d.Amount = ptr(usd(t, "10.001")) }, CodeInvalid, "amount.amount"},
			"too little":           {yen("5", "499"), CodeBelowMinimum, "amount.amount"},
			"less than the gate":   {func(d *AutoReloadDraft) { d.Threshold, d.Amount = ptr(usd(t, "0")), ptr(usd(t, "0.49")) }, CodeBelowMinimum, "amount.amount"},
			"a cap too low":        {func(d *AutoReloadDraft) { d.DailyCap = ptr(usd(t, "9.99")) }, CodeInvalid, "dailyCap.amount"},
			"a month's cap":        {func(d *AutoReloadDraft) { d.DailyCap, d.MonthlyCap = ptr(usd(t, "20")), ptr(usd(t, "19")) }, CodeInvalid, "monthlyCap.amount"},
			"unknown provider":     {func(d *AutoReloadDraft) { d.ProviderID = ptr("prv_none") }, CodeNotFound, "providerId"},
			"no card there":        {func(d *AutoReloadDraft) { d.ProviderID = &other }, CodePaymentMethodRequired, "paymentMethodId"},
			"a card of the other":  {func(d *AutoReloadDraft) { d.ProviderID, d.PaymentMethodID = &other, &card }, CodeInvalid, "paymentMethodId"},
			"an unknown card":      {func(d *AutoReloadDraft) { d.PaymentMethodID = ptr("pmd_none") }, CodeNotFound, "paymentMethodId"},
			"off without balance":  {func(d *AutoReloadDraft) { d.Currency, d.Threshold, d.Amount, d.Enabled = "KWD", nil, nil, false }, CodeNotFound, "currency"},
			"off of an unknown on": {func(d *AutoReloadDraft) { d.PayerID, d.Enabled = "dev_none", false }, CodeNotFound, "payerId"},
		} {
			t.Run(name, func(t *testing.T) {
				_, err := s.SetAutoReload(s.ctx, draft(c.change))
				wantCode(t, err, c.code, c.field)
			})
		}
		if b := s.row(t); b != nil {
			t.Errorf("left behind: %+v", b)
		}
	})
}

// The caps bound what is charged by the organization's own days and months,
// whatever is used; none of them is ever without a bound.
func TestReloadCaps(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetTimeZone("America/New_York") })
		s.card(t)
		s.reloading(t, nil)
		if r := s.row(t).AutoReload(); r.DailyCap != usd(t, "100") || r.MonthlyCap != usd(t, "500") {
			t.Fatalf("caps by default %+v", r)
		}
		s.reloading(t, func(d *AutoReloadDraft) { d.DailyCap, d.MonthlyCap = ptr(usd(t, "40")), ptr(usd(t, "60")) })
		s.spend(t, "100")
		if p := s.reloaded(t, gateway.StatusSucceeded, nil); p.Amount() != usd(t, "40") {
			t.Fatalf("charged %s", p.Amount())
		}
		s.clock.Advance(reloadCooldown)
		if begun, err := s.BeginAutoReload(s.ctx, s.row(t).ID); err != nil || begun != nil {
			t.Fatalf("above the day's cap: %+v, %v", begun, err)
		}
		midnight := time.Date(2026, time.March, 11, 4, 0, 0, 0, time.UTC) // in New York
		if b := s.row(t); !b.AutoReloadDueAt.Equal(midnight) {
			t.Fatalf("due at %s", b.AutoReloadDueAt)
		}
		s.clock.Set(midnight)
		if p := s.reloaded(t, gateway.StatusSucceeded, nil); p.Amount() != usd(t, "20") {
			t.Fatalf("charged %s, 20 are left of the month", p.Amount())
		}
		s.clock.Advance(reloadCooldown)
		if begun, err := s.BeginAutoReload(s.ctx, s.row(t).ID); err != nil || begun != nil {
			t.Fatalf("above the month's cap: %+v, %v", begun, err)
		}
		april := time.Date(2026, time.April, 1, 4, 0, 0, 0, time.UTC)
		if b := s.row(t); !b.AutoReloadDueAt.Equal(april) {
			t.Fatalf("due at %s", b.AutoReloadDueAt)
		}
		s.clock.Set(april)
		if p := s.reloaded(t, gateway.StatusDeclined, nil); p.Amount() != usd(t, "40") {
			t.Fatalf("charged %s", p.Amount())
		}
		s.clock.Advance(time.Hour)
		// What was declined has used nothing up.
		if p := s.reloaded(t, gateway.StatusSucceeded, nil); p.Amount() != usd(t, "40") {
			t.Fatalf("charged %s", p.Amount())
		}
	})
}

// After a reload the next one waits.
func TestReloadCooldown(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		s.reloaded(t, gateway.StatusSucceeded, nil)
		at := s.clock.Now()
		s.clock.Advance(time.Second)
		s.spend(t, "10")
		if begun, err := s.BeginAutoReload(s.ctx, s.row(t).ID); err != nil || begun != nil {
			t.Fatalf("at once: %+v, %v", begun, err)
		}
		if due := s.row(t).AutoReloadDueAt; !due.Equal(at.Add(reloadCooldown)) {
			t.Fatalf("due at %s", due)
		}
		s.clock.Set(at.Add(reloadCooldown))
		s.reloaded(t, gateway.StatusSucceeded, nil)
	})
}

// A card that is declined is tried again after 1 h, 6 h and 24 h, and then no
// more; a new default card is tried at once.
func TestSoftDeclines(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		for n, wait := range []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour} {
			if p := s.reloaded(t, gateway.StatusDeclined, nil); p.Status != payment.StatusFAILED {
				t.Fatalf("payment %+v", p)
			}
			if b := s.row(t); b.AutoReloadFailures != n+1 || !b.AutoReloadDueAt.Equal(s.clock.Now().Add(wait)) || b.AutoReloadPaymentID != nil {
				t.Fatalf("after %d declines: %+v", n+1, b)
			}
			s.spend(t, "0.01") // does not bring it forward
			s.notDue(t)
			s.clock.Advance(wait)
		}
		p := s.reloaded(t, gateway.StatusDeclined, nil)
		s.suspendedFor(t, SuspendedDeclined)
		s.spend(t, "1")
		s.notDue(t)
		n := s.told(t, 1)
		if n.Reason != SuspendedDeclined || n.PaymentID != p.ID || n.PayURL != "http://purser.test/thanks/demo/"+p.PublicToken {
			t.Errorf("told %+v", n)
		}
		s.card(t)
		s.suspendedFor(t, "")
		s.reloaded(t, gateway.StatusSucceeded, nil)
		if b := s.row(t); b.AutoReloadFailures != 0 {
			t.Errorf("%d failures are remembered", b.AutoReloadFailures)
		}
	})
}

// told is the newest of so many notices.
func (s *sale) told(t testing.TB, count int) reloadSuspended {
	t.Helper()
	rows, err := s.Client().Outbox.Query().Where(outbox.Kind(noticeReloadSuspended)).Order(ent.Asc(outbox.FieldID)).All(s.ctx)
	if err != nil || len(rows) != count {
		t.Fatalf("%d notices, want %d, %v", len(rows), count, err)
	}
	var n reloadSuspended
	if err := json.Unmarshal(rows[count-1].Payload, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// What stands in the way of a reload for good, or until somebody does
// something, suspends it with the reason; the same charge is not tried again.
func TestSuspensions(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		other := s.newKind(t, provider.KindSTRIPE)
		for name, c := range map[string]struct {
			status gateway.Status
			change func(*gateway.PaymentResult)
			before func() // the reload begins
			reason string
		}{
			"a final decline": {status: gateway.StatusDeclined, reason: SuspendedDeclined, change: func(r *gateway.PaymentResult) { r.Failure.Final = true }},
			"a refusal":       {status: gateway.StatusRejected, reason: SuspendedRefused},
			"the bank asks":   {status: gateway.StatusActionNeeded, reason: SuspendedAuthentication},
			"no card": {reason: SuspendedNoCard, before: func() {
				s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
					return tx.PaymentMethod.Update().Where(paymentmethod.PayerID(s.payer.ID)).SetStatus(paymentmethod.StatusDETACHED).SetIsDefault(false).Exec(ctx)
				})
			}},
			"archived": {reason: SuspendedProvider, before: func() {
				s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
					return tx.Provider.Update().Where(provider.ID(s.provider)).SetStatus(provider.StatusARCHIVED).Exec(ctx)
				})
			}},
		} {
			t.Run(name, func(t *testing.T) {
				s.payer = s.newPayer(t, payer.BillingModePREPAID)
				s.provider, other = other, s.provider
				s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider) })
				s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
					return tx.Provider.Update().SetStatus(provider.StatusACTIVE).Where(provider.StatusEQ(provider.StatusARCHIVED)).Exec(ctx)
				})
				s.card(t)
				s.reloading(t, nil)
				s.spend(t, "1")
				if c.before != nil {
					c.before()
					if begun, err := s.BeginAutoReload(s.ctx, s.row(t).ID); err != nil || begun != nil {
						t.Fatalf("begun %+v, %v", begun, err)
					}
				} else {
					s.reloaded(t, c.status, c.change)
				}
				s.suspendedFor(t, c.reason)
				s.spend(t, "1")
				s.clock.Advance(48 * time.Hour)
				s.notDue(t)
			})
		}
	})
}

// A gateway that cannot be reached, and keys that it does not take, are nobody's
// decline.
func TestReloadWaitsForTheGateway(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		s.reloaded(t, gateway.StatusUnavailable, nil)
		if b := s.row(t); b.AutoReloadFailures != 0 || !b.AutoReloadDueAt.Equal(s.clock.Now().Add(reloadUnreached)) {
			t.Fatalf("unreached: %+v", b)
		}
		s.clock.Advance(reloadUnreached)
		s.reloaded(t, gateway.StatusRejected, func(r *gateway.PaymentResult) { r.Failure.Credentials = true })
		if b := s.row(t); b.AutoReloadSuspendedReason != "" || !b.AutoReloadDueAt.Equal(s.clock.Now().Add(time.Hour)) {
			t.Fatalf("wrong keys: %+v", b)
		}
		s.clock.Advance(time.Hour)
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetStatus(payer.StatusSUSPENDED) })
		if begun, err := s.BeginAutoReload(s.ctx, s.row(t).ID); err != nil || begun != nil {
			t.Fatalf("of a suspended payer: %+v, %v", begun, err)
		}
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetStatus(payer.StatusACTIVE) })
		s.clock.Advance(reloadLater)
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Currency.Update().Where(currency.Code("USD")).SetStatus(currency.StatusINACTIVE).Exec(ctx)
		})
		if begun, err := s.BeginAutoReload(s.ctx, s.row(t).ID); err != nil || begun != nil {
			t.Fatalf("in a currency that is not sold: %+v, %v", begun, err)
		}
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Currency.Update().Where(currency.Code("USD")).SetStatus(currency.StatusACTIVE).Exec(ctx)
		})
		s.clock.Advance(reloadLater)
		s.reloaded(t, gateway.StatusSucceeded, nil)
	})
}

// An outcome that nobody knows stays in flight, whatever is used meanwhile,
// until the gateway is asked; then its money is there once.
func TestUnknownReloadStaysInFlight(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		begun := s.begin(t)
		if err := s.FinishPayment(s.ctx, begun.ID, gateway.PaymentResult{Outcome: ended(gateway.StatusUnknown)}); err != nil {
			t.Fatal(err)
		}
		s.spend(t, "30")
		s.reloading(t, nil) // nor does setting it up again
		s.notDue(t)
		if p := s.paid(t, begun.PaymentID); p.Status != payment.StatusPROCESSING || orEmpty(s.row(t).AutoReloadPaymentID) != p.ID {
			t.Fatalf("payment %+v", p)
		}
		due := s.resumed(t, begun.ID)
		for range 2 {
			if err := s.FinishPayment(s.ctx, due.ID, paymentAt(gateway.StatusSucceeded, "pi_1", usd(t, "10"))); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.remaining(t, "USD"); got != usd(t, "-21") {
			t.Fatalf("remaining %s", got)
		}
		s.clock.Advance(reloadCooldown)
		if p := s.reloaded(t, gateway.StatusSucceeded, nil); p.Amount() != usd(t, "30") {
			t.Errorf("the next one is of %s", p.Amount())
		}
	})
}

// Switched off while a charge is in flight, what it brings is credited, and
// nothing follows; a decline is not tried again.
func TestSwitchingOffInFlight(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		for _, status := range []gateway.Status{gateway.StatusSucceeded, gateway.StatusDeclined} {
			s.reloading(t, nil)
			s.spend(t, "20")
			begun := s.begin(t)
			if _, err := s.SetAutoReload(s.ctx, AutoReloadDraft{PayerID: s.payer.ID, Currency: "USD"}); err != nil {
				t.Fatal(err)
			}
			before := s.remaining(t, "USD")
			if err := s.FinishPayment(s.ctx, begun.ID, paymentAt(status, s.named("pi"), begun.Request.Amount)); err != nil {
				t.Fatal(err)
			}
			added, err := s.remaining(t, "USD").Sub(before)
			if err != nil || (status == gateway.StatusSucceeded) != (added == begun.Request.Amount) {
				t.Errorf("%s: added %s, %v", status, added, err)
			}
			s.spend(t, "20")
			s.notDue(t)
			if b := s.row(t); b.AutoReloadPaymentID != nil || b.AutoReloadEnabled || b.AutoReload().Amount != usd(t, "10") {
				t.Errorf("balance %+v", b)
			}
			s.clock.Advance(time.Hour)
		}
	})
}

// A reload moves to another provider with a card there; what is in flight at
// the old one is credited from there.
func TestReloadMovesToAnotherProvider(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		begun := s.begin(t)
		old := s.provider
		s.provider = s.newKind(t, provider.KindSTRIPE)
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider) })
		card := s.card(t)
		s.reloading(t, func(d *AutoReloadDraft) { d.ProviderID = &s.provider })
		if archived, err := s.DeleteProvider(s.ctx, old); err != nil || !archived {
			t.Fatalf("archived %v, %v", archived, err)
		}
		if err := s.FinishPayment(s.ctx, begun.ID, paymentAt(gateway.StatusSucceeded, "pi_old", begun.Request.Amount)); err != nil {
			t.Fatal(err)
		}
		s.spend(t, "5")
		s.clock.Advance(reloadCooldown)
		next := s.reloaded(t, gateway.StatusSucceeded, nil)
		if next.ProviderID != s.provider || orEmpty(next.PaymentMethodID) != card || s.paid(t, begun.PaymentID).ProviderID != old {
			t.Errorf("charged at %s, then %s", old, next.ProviderID)
		}
		if got := s.remaining(t, "USD"); got != usd(t, "14") {
			t.Errorf("remaining %s", got)
		}
	})
}

// A payment that was given up and succeeds after all is credited, and leaves
// the one that has taken its place alone.
func TestLateSuccessOfAReload(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		first := s.reloaded(t, gateway.StatusDeclined, nil)
		s.clock.Advance(time.Hour)
		second := s.begin(t)
		if err := s.ApplyPayment(s.ctx, first.ID, paymentAt(gateway.StatusSucceeded, orEmpty(first.GatewayPaymentID), usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
		if b := s.row(t); orEmpty(b.AutoReloadPaymentID) != second.PaymentID || b.Remaining() != usd(t, "9") {
			t.Errorf("balance %+v", b)
		}
		if err := s.FinishPayment(s.ctx, second.ID, paymentAt(gateway.StatusSucceeded, "pi_second", usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
		if got := s.remaining(t, "USD"); got != usd(t, "19") {
			t.Errorf("remaining %s", got)
		}
	})
}

// The payer satisfies the bank: the money is credited and reloads go on.
func TestAuthenticatedReload(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		p := s.reloaded(t, gateway.StatusActionNeeded, nil)
		n := s.told(t, 1)
		if secret, err := s.ClientSecret(p); err != nil || secret == "" || n.PaymentID != p.ID {
			t.Fatalf("payment %+v, told %+v, %v", p, n, err)
		}
		s.spend(t, "1")
		s.notDue(t)
		if err := s.ApplyPayment(s.ctx, p.ID, paymentAt(gateway.StatusSucceeded, orEmpty(p.GatewayPaymentID), usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
		s.suspendedFor(t, "")
		s.spend(t, "5")
		s.clock.Advance(reloadCooldown)
		s.begin(t)
	})
}

// Two servers find the same balance due, many times over, while it is used:
// each reload is begun by one of them, and the balance is what the entries say.
func TestReloadsByTwoServers(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reload(t, s.payer.ID, usd(t, "30"))
		s.reloading(t, func(d *AutoReloadDraft) { d.DailyCap, d.MonthlyCap = ptr(usd(t, "1000")), ptr(usd(t, "1000")) })
		id := s.row(t).ID
		other := New(Config{DB: s.db, Sealer: s.sealer, Logger: s.log, Now: s.clock.Now, PublicURL: "http://purser.test"})
		for round := range 8 {
			s.spend(t, fmt.Sprintf("%d", 20+round))
			var mu sync.Mutex
			var begun []*Charge
			var wg sync.WaitGroup
			for n := range 8 {
				server := []*Service{s.Service, other}[n%2]
				wg.Go(func() {
					c, err := server.BeginAutoReload(s.ctx, id)
					if err != nil {
						t.Error(err)
					}
					if c != nil {
						mu.Lock()
						begun = append(begun, c)
						mu.Unlock()
					}
				})
				wg.Go(func() {
					_, err := server.RecordUsage(s.ctx, Usage{PayerID: s.payer.ID, Amount: usd(t, "0.01"), OnInsufficient: OnInsufficientRecord, Key: ptr(s.newID("key"))})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(begun) > 1 {
				t.Fatalf("round %d: %d charges at once", round, len(begun))
			}
			if len(begun) == 0 {
				continue // the cooldown, or the one before sufficed
			}
			for n := range 4 { // reply, event, return and resumption
				server := []*Service{s.Service, other}[n%2]
				wg.Go(func() {
					err := server.FinishPayment(s.ctx, begun[0].ID, paymentAt(gateway.StatusSucceeded, fmt.Sprint("pi_", round), begun[0].Request.Amount))
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			s.clock.Advance(reloadCooldown)
		}
		n, err := s.Client().Payment.Query().Where(payment.PurposeEQ(payment.PurposeAUTO_RELOAD)).Count(s.ctx)
		if b := s.row(t); err != nil || n < 7 || b.Remaining().Units < usd(t, "-30").Units || b.AutoReloadPaymentID != nil {
			t.Errorf("%d reloads, balance %+v, %v", n, b, err)
		}
	})
}
