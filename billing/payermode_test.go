package billing

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/currency"
	"purser/ent/hold"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/provider"
	"purser/money"
)

func (f *fixture) setMode(id string, mode payer.BillingMode) error {
	return f.UpdateDeveloper(f.ctx, PayerChange{ID: id, BillingMode: &mode})
}

func TestChangeOfBillingMode(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Currency.Update().Where(currency.Code("USD")).SetCreditLimitUnits(usd(t, "50").Units).Exec(ctx)
		})
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		f.reload(t, p.ID, in(t, "500", "JPY"))
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Balance.Update().Where(balance.Currency("USD")).SetAutoReloadEnabled(true).Exec(ctx)
		})

		// What remains is carried as credit, and the limit comes on top.
		if err := f.setMode(p.ID, payer.BillingModePOSTPAID); err != nil {
			t.Fatal(err)
		}
		b := f.balanceOf(t, p.ID, "USD")
		if b.BillingMode != balance.BillingModePOSTPAID || b.Remaining() != usd(t, "10") || b.Available() != usd(t, "60") || b.AutoReloadEnabled {
			t.Errorf("postpaid balance %+v", b)
		}
		if b := f.balanceOf(t, p.ID, "JPY"); b.BillingMode != balance.BillingModePOSTPAID || b.CreditLimitUnits != nil {
			t.Errorf("postpaid balance %+v", b)
		}
		if _, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "40"), Key: ptr("u1")}); err != nil {
			t.Fatal(err)
		}

		f.reload(t, p.ID, usd(t, "35"))
		// What is held must be there, and nothing is changed by the refusal.
		hold := func(units money.Units, status hold.Status) {
			t.Helper()
			f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
				u := tx.Hold.Update().SetStatus(status)
				if status != "OPEN" {
					u.SetClosedAt(tx.Now)
				}
				if err := u.Exec(ctx); err != nil {
					return err
				}
				return tx.Balance.Update().Where(balance.ID(b.ID)).SetHeldUnits(units).Exec(ctx)
			})
		}
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Hold.Create().SetID("hld_1").SetPayerID(p.ID).SetBalanceID(b.ID).SetCurrency("USD").SetAmountUnits(usd(t, "6").Units).
				SetExpiresAt(tx.Now.Add(time.Hour)).SetCreatedAt(tx.Now).Exec(ctx)
		})
		hold(usd(t, "6").Units, "OPEN")
		wantCode(t, f.setMode(p.ID, payer.BillingModePREPAID), CodeInvalidState, "billingMode")
		if b := f.balanceOf(t, p.ID, "JPY"); b.BillingMode != balance.BillingModePOSTPAID {
			t.Errorf("a refusal left %+v", b)
		}
		hold(0, "RELEASED")
		if err := f.setMode(p.ID, payer.BillingModePREPAID); err != nil {
			t.Fatal(err)
		}
		b = f.balanceOf(t, p.ID, "USD")
		if b.BillingMode != balance.BillingModePREPAID || b.CreditLimitUnits != nil || b.Available() != usd(t, "5") {
			t.Errorf("prepaid balance %+v", b)
		}
		_, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "6"), Key: ptr("u2")})
		wantCode(t, err, CodeInsufficientFunds, "payerId")

		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Organization.Update().Where(organization.ID(f.org)).SetBillingType(organization.BillingTypePREPAID).Exec(ctx)
		})
		wantCode(t, f.setMode(p.ID, payer.BillingModePOSTPAID), CodeInvalid, "billingMode")
		if err := f.setMode(p.ID, payer.BillingModePREPAID); err != nil {
			t.Errorf("the mode that it has: %v", err)
		}
	})
}

// TestDebtIsInvoicedFirst: who comes to pay ahead begins at nothing, and owes
// an invoice.
func TestDebtIsInvoicedFirst(t *testing.T) {
	for name, kind := range map[string]provider.Kind{"kept here": provider.KindWORLDPAY, "kept at the gateway": provider.KindSTRIPE} {
		t.Run(name, func(t *testing.T) {
			eachSale(t, func(t *testing.T, s *sale) {
				s.provider = s.newKind(t, kind)
				s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider) })
				s.payer = s.newPayer(t, payer.BillingModePOSTPAID)
				s.useRecorded(t, s.payer.ID, usd(t, "15"))
				s.useRecorded(t, s.payer.ID, in(t, "0.3", "JPY")) // cannot be invoiced
				if err := s.setMode(s.payer.ID, payer.BillingModePREPAID); err != nil {
					t.Fatal(err)
				}
				s.mustVerify(t)
				s.monthEnds(t)
				all := s.usageInvoices(t)
				if len(all) != 1 || all[0].Status != invoice.StatusOPEN || all[0].Total() != usd(t, "15") || all[0].UsageMonth != nil {
					t.Fatalf("invoices %+v", all)
				}
				b := s.balanceOf(t, s.payer.ID, "USD")
				if b.BillingMode != balance.BillingModePREPAID || !b.Available().IsZero() || b.Unpaid() != usd(t, "15") || b.UsageInvoiceAt != nil {
					t.Errorf("balance %+v", b)
				}
			})
		})
	}
}

// TestUnpaidInvoicesStayDue: who comes to pay ahead owes what was invoiced
// before, and can spend what it has all the same.
func TestUnpaidInvoicesStayDue(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		if err := s.setMode(s.payer.ID, payer.BillingModePOSTPAID); err != nil {
			t.Fatal(err)
		}
		s.openInvoiceOf(t, item(t, "API", "30", "USD", 1))
		s.reload(t, s.payer.ID, usd(t, "20"))
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.Available() != usd(t, "-10") {
			t.Errorf("postpaid, available is %s", b.Available())
		}
		if err := s.setMode(s.payer.ID, payer.BillingModePREPAID); err != nil {
			t.Fatal(err)
		}
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.Available() != usd(t, "20") || b.Unpaid() != usd(t, "30") {
			t.Errorf("prepaid, available is %s of %+v", b.Available(), b)
		}
	})
}

// TestModeAndUsageMeet changes the mode to and fro while balances are made and
// used: each balance ends in its payer's mode, and nobody goes below what the
// mode allowed.
func TestModeAndUsageMeet(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "1"))
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for i := range 6 {
					mode := []payer.BillingMode{payer.BillingModePOSTPAID, payer.BillingModePREPAID}[i%2]
					if err := f.setMode(p.ID, mode); err != nil {
						t.Errorf("change the mode: %v", err)
					}
				}
			})
			all.Go(func() {
				for _, code := range []string{"JPY", "KWD", "POINTS"} {
					amount := money.Amount{Units: in(t, "5", code).Units, Currency: code}
					if _, err := f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: amount, Key: ptr(f.newID("key"))}); err != nil {
						t.Errorf("reload in %s: %v", code, err)
					}
				}
				for range 6 {
					_, _ = f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "0.3"), Key: ptr(f.newID("key"))})
				}
			})
		}
		all.Wait()
		if b := f.balanceOf(t, p.ID, "USD"); b.Remaining().Sign() < 0 {
			t.Errorf("remaining is %s, and there is no credit limit", b.Remaining())
		}
		// That modes agree is what verification holds, at the end of the test.
	})
}

// TestBalanceInThePayersMode: what was read of a payer before its mode changed
// is no reason to make a balance.
func TestBalanceInThePayersMode(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		if err := f.setMode(p.ID, payer.BillingModePOSTPAID); err != nil {
			t.Fatal(err)
		}
		err := f.inTx(f.ctx, func(ctx context.Context, tx *Tx) error {
			_, err := tx.ensureBalance(ctx, p, "USD", "")
			return err
		})
		if !errors.Is(err, errRetry) {
			t.Errorf("a balance is made for %s: %v", p.BillingMode, err)
		}
	})
}

func TestCloseWithRest(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		closing := func(p *ent.Payer, rest RestBalance) error { return f.CloseDeveloper(f.ctx, p.ID, rest) }
		entry := func(p *ent.Payer, kind ledgerentry.Kind) *ent.LedgerEntry {
			t.Helper()
			b := f.balanceOf(t, p.ID, "USD")
			e, err := f.Client().LedgerEntry.Query().Where(ledgerentry.BalanceID(b.ID), ledgerentry.KindEQ(kind)).Only(f.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if !b.Remaining().IsZero() {
				t.Errorf("%s: %s remain", kind, b.Remaining())
			}
			return e
		}
		rich := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, rich.ID, usd(t, "7.5"))
		wantCode(t, closing(rich, RestBalanceRefuse), CodeInvalidState, "id")
		for range 2 { // again it books nothing
			if err := closing(rich, RestBalancePayOut); err != nil {
				t.Fatal(err)
			}
		}
		if e := entry(rich, ledgerentry.KindREFUND); e.CreditAccount != accountBank || e.Amount() != usd(t, "-7.5") {
			t.Errorf("paid out by %+v", e)
		}

		// Parts of a cent, and points, cannot be paid.
		exact := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, exact.ID, usd(t, "2"))
		f.useRecorded(t, exact.ID, usd(t, "0.0037"))
		f.reload(t, exact.ID, in(t, "3", "POINTS"))
		wantCode(t, closing(exact, RestBalancePayOut), CodeInvalidState, "restBalance")
		if _, err := f.RecordUsage(f.ctx, Usage{PayerID: exact.ID, Amount: in(t, "3", "POINTS"), Key: ptr("points")}); err != nil {
			t.Fatal(err)
		}
		if err := closing(exact, RestBalancePayOut); err != nil {
			t.Fatal(err)
		}
		if paid, lost := entry(exact, ledgerentry.KindREFUND), entry(exact, ledgerentry.KindWRITE_OFF); paid.Amount() != usd(t, "-1.99") || lost.Amount() != usd(t, "-0.0063") {
			t.Errorf("paid out %s, given up %s", paid.Amount(), lost.Amount())
		}

		generous := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, generous.ID, usd(t, "2"))
		if err := closing(generous, RestBalanceWriteOff); err != nil {
			t.Fatal(err)
		}
		if e := entry(generous, ledgerentry.KindWRITE_OFF); e.CreditAccount != accountWriteOff || e.Amount() != usd(t, "-2") {
			t.Errorf("written off by %+v", e)
		}

		debtor := f.newPayer(t, payer.BillingModePREPAID)
		f.useRecorded(t, debtor.ID, usd(t, "3"))
		wantCode(t, closing(debtor, RestBalanceRefuse), CodeInvalidState, "id")
		wantCode(t, closing(debtor, RestBalancePayOut), CodeInvalidState, "restBalance")
		if err := closing(debtor, RestBalanceWriteOff); err != nil {
			t.Fatal(err)
		}
		if e := entry(debtor, ledgerentry.KindWRITE_OFF); e.DebitAccount != accountWriteOff || e.Amount() != usd(t, "3") {
			t.Errorf("written off by %+v", e)
		}
	})
}
