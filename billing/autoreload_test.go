package billing

import (
	"testing"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/ent/payment"
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
func (s *sale) begin(t testing.TB) *BegunReload {
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
		b    *ent.Balance
		kind ledgerentry.Kind
		left money.Units
		want *time.Time
	}{
		"above":             {set(nil), ledgerentry.KindUSAGE, 6, nil},
		"at":                {set(nil), ledgerentry.KindUSAGE, 5, nil},
		"below":             {set(nil), ledgerentry.KindUSAGE, 4, &now},
		"below again":       {set(due), ledgerentry.KindUSAGE, 3, &before},
		"above again":       {set(due), ledgerentry.KindRELOAD, 5, nil},
		"a small top-up":    {set(nil), ledgerentry.KindTOP_UP, 1, &now},
		"a refund":          {set(nil), ledgerentry.KindREFUND, 1, nil},
		"a dispute":         {set(nil), ledgerentry.KindDISPUTE, 1, nil},
		"its reversal":      {set(nil), ledgerentry.KindREVERSAL, 1, nil},
		"off":               {set(func(b *ent.Balance) { b.AutoReloadEnabled = false }), ledgerentry.KindUSAGE, 1, nil},
		"suspended":         {set(func(b *ent.Balance) { b.AutoReloadSuspendedReason = "x" }), ledgerentry.KindUSAGE, 1, nil},
		"in flight":         {set(func(b *ent.Balance) { b.AutoReloadPaymentID = ptr("pmt_1") }), ledgerentry.KindUSAGE, 1, nil},
		"never set up":      {set(func(b *ent.Balance) { b.AutoReloadThresholdUnits = nil }), ledgerentry.KindUSAGE, 1, nil},
		"postpaid meantime": {set(func(b *ent.Balance) { b.BillingMode = balance.BillingModePOSTPAID }), ledgerentry.KindUSAGE, 1, nil},
	} {
		c.b.AmountUnits = c.left
		got := reloadDue(c.b, c.kind, now)
		if (got == nil) != (c.want == nil) || got != nil && !got.Equal(*c.want) {
			t.Errorf("%s: due %v, want %v", name, got, c.want)
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
// A63: from an account at either gateway to one at the other, or to another one
// at the same.
func TestReloadMovesToAnotherProvider(t *testing.T) {
	for _, way := range [][2]provider.Kind{
		{provider.KindSTRIPE, provider.KindSTRIPE},
		{provider.KindSTRIPE, provider.KindWORLDPAY},
		{provider.KindWORLDPAY, provider.KindSTRIPE},
		{provider.KindWORLDPAY, provider.KindWORLDPAY},
	} {
		t.Run(string(way[0])+" to "+string(way[1]), func(t *testing.T) { reloadMoves(t, way[0], way[1]) })
	}
}

func reloadMoves(t *testing.T, from, to provider.Kind) {
	t.Helper()
	eachSale(t, func(t *testing.T, s *sale) {
		s.provider = s.newKind(t, from)
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider) })
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		begun := s.begin(t)
		old := s.provider
		s.provider = s.newKind(t, to)
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
