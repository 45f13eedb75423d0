package billing

import (
	"context"
	"testing"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/provider"
	"purser/gateway"
	"purser/money"
)

// onPage is a payment of an invoice on the gateway's page, as its payer finds
// it.
func (s *sale) onPage(t testing.TB, begun *InvoicePayment, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if begun.Page == nil || begun.Call == nil {
		t.Fatalf("no page is asked for: %+v", begun)
	}
	err = s.FinishPayment(s.ctx, begun.ID, gateway.PaymentResult{
		Outcome: ended(gateway.StatusActionNeeded), ReferenceID: s.named("order"), NextAction: gateway.NextAction{RedirectURL: "https://pay.example/page"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// leftPage is a payment of an invoice on a page that its payer left.
func (s *sale) leftPage(t testing.TB, begun *InvoicePayment, err error) {
	t.Helper()
	s.onPage(t, begun, err)
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error { return tx.cancelPayment(ctx, begun.PaymentID) })
}

// TestInvoiceIsPaidOnAPageOnce: what comes late, or twice, is the payer's.
func TestInvoiceIsPaidOnAPageOnce(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.provider = s.newKind(t, provider.KindWORLDPAY)
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider) })
		id := s.openInvoiceOf(t, item(t, "API", "10", "USD", 1))
		ask := func(visit string) *InvoicePayment {
			t.Helper()
			begun, err := s.BeginPageVisit(s.ctx, id, visit)
			if err != nil {
				t.Fatal(err)
			}
			return begun
		}
		first := ask("one")
		if first.Page.Amount != usd(t, "10") || first.Page.Description != "Invoice 2026-03-00000001" {
			t.Errorf("asked for %+v", first.Page)
		}
		_, err := s.BeginPageVisit(s.ctx, id, "two") // before it is known whether there is a page
		wantCode(t, err, CodeInvalidState, "id")
		s.onPage(t, first, nil)
		for _, visit := range []string{"one", "two"} {
			if again := ask(visit); again.PaymentID != first.PaymentID || again.Page != nil {
				t.Errorf("visit %s: payment %+v", visit, again)
			}
		}
		s.clock.Advance(pageFresh)
		second := ask("three")
		if second.PaymentID == first.PaymentID {
			t.Fatal("an old page is offered")
		}
		s.onPage(t, second, nil)
		paid := func(p *InvoicePayment, name string, amount money.Amount) error {
			return s.ApplyPayment(s.ctx, p.PaymentID, gateway.PaymentResult{
				Outcome: succeeded(), Payment: gateway.PaymentState{Status: gateway.StatusSucceeded, GatewayPaymentID: name, Amount: amount},
			})
		}
		if err := paid(second, "wp_2", usd(t, "9")); err == nil {
			t.Error("another amount is believed")
		}
		for range 2 {
			if err := paid(second, "wp_2", usd(t, "10")); err != nil {
				t.Fatal(err)
			}
		}
		if i := s.invoiced(t, id); i.Status != invoice.StatusPAID || i.AmountPaid() != usd(t, "10") {
			t.Errorf("invoice %+v", i)
		}
		if p := s.paid(t, first.PaymentID); p.Status != payment.StatusCANCELED {
			t.Errorf("the other page is %s", p.Status)
		}
		s.mustVerify(t)
		if err := paid(first, "wp_1", usd(t, "10")); err != nil { // from the other window
			t.Fatal(err)
		}
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.Remaining() != usd(t, "10") || b.UnpaidUnits != 0 {
			t.Errorf("balance %+v", b)
		}
		if to, over, err := s.PageOfPayment(s.ctx, second.PaymentID); to != "" || !over || err != nil {
			t.Errorf("a visit that has paid is led to %q, over %t, %v", to, over, err)
		}
		_, foreign := s.newOrganization(t, "other", "UTC")
		_, err = s.PublicInvoice(foreign, "other", s.invoiced(t, id).PublicToken)
		wantCode(t, err, CodeNotFound, "token")
		page, err := s.PublicInvoice(s.ctx, "demo", s.invoiced(t, id).PublicToken)
		if err != nil || page.Unpaid || page.Payable || page.ReceiptURL == "" {
			t.Errorf("page %+v, %v", page, err)
		}
	})
}

// TestPageOfAnInvoiceThatChanges: a page that is open while an invoice is paid
// in another way, or less comes to be due, is given up or its money the payer's;
// what is paid outside then is booked as a whole.
func TestPageOfAnInvoiceThatChanges(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.throughWorldpay(t)
		open := func() (string, *InvoicePayment) {
			id := s.openInvoiceOf(t, item(t, "API", "10", "USD", 1))
			page, err := s.BeginPageVisit(s.ctx, id, "one")
			s.onPage(t, page, err)
			return id, page
		}
		credited, page := open()
		s.noteTo(t, credited, "4", "")
		if err := s.ApplyPayment(s.ctx, page.PaymentID, paymentAt(gateway.StatusSucceeded, "wp_1", usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
		s.mustVerify(t)
		if i := s.invoiced(t, credited); i.Status != invoice.StatusOPEN || s.remaining(t, "USD") != usd(t, "10") {
			t.Errorf("the invoice is %s, %s on the balance", i.Status, s.remaining(t, "USD"))
		}
		if _, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: credited, OutOfBand: true, Key: &credited}); err != nil {
			t.Fatal(err)
		}
		wantBooked(t, s.booked(t, credited), "receivable→revenue INVOICE 10.00 USD", "revenue→receivable CREDIT_NOTE 4.00 USD", "bank→receivable INVOICE_PAYMENT 6.00 USD")
		// From the balance.
		id, page := open()
		if err := s.payFromBalance(id, "balance"); err != nil {
			t.Fatal(err)
		}
		if p := s.paid(t, page.PaymentID); p.Status != payment.StatusCANCELED {
			t.Errorf("the page of an invoice that is paid is %s", p.Status)
		}
	})
}

// TestPageThatWasLeftDoesNotStopCharges: a payer who opens a page and leaves it
// is charged all the same once nobody can pay there any more.
func TestPageThatWasLeftDoesNotStopCharges(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.throughWorldpay(t)
		id := s.openInvoiceOf(t, item(t, "API", "10", "USD", 1))
		page, err := s.BeginPageVisit(s.ctx, id, "one")
		s.onPage(t, page, err)
		if begun := s.beginCharge(t, id); begun != nil {
			t.Fatalf("charged while a page is open: %+v", begun)
		}
		s.clock.Advance(hostedPageLife)
		s.chargedDirectly(t, id, gateway.StatusSucceeded)
		if i := s.invoiced(t, id); i.Status != invoice.StatusPAID || s.paid(t, page.PaymentID).Status != payment.StatusCANCELED {
			t.Errorf("the invoice is %s, the page %s", i.Status, s.paid(t, page.PaymentID).Status)
		}
	})
}

// TestInvoicePaidWithACardDirectly: where the gateway keeps no invoices a saved
// card is charged by hand all the same. That neither counts nor meets a charge
// that is made by itself.
func TestInvoicePaidWithACardDirectly(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		elsewhere := s.card(t)
		card := s.throughWorldpay(t)
		id := s.invoiceOf(t, item(t, "API", "10", "USD", 1))
		s.newSubscription(t, id)
		s.finalized(t, id)
		if first, err := s.SubscriptionCard(s.ctx, id); err != nil || first != card {
			t.Errorf("at first %q is charged, %v", first, err)
		}
		// Whoever is not charged by itself is not at first either.
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetChargingEnabled(false) })
		if first, err := s.SubscriptionCard(s.ctx, id); err != nil || first != "" {
			t.Errorf("a payer whose charging is off is charged %q, %v", first, err)
		}
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetChargingEnabled(true) })
		pay := func(of, with, key string) (*InvoicePayment, error) {
			return s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: of, PaymentMethodID: with, Key: &key})
		}
		_, err := pay(id, elsewhere, "elsewhere")
		wantCode(t, err, CodeInvalid, "paymentMethodId")
		declined, err := pay(id, card, "one")
		if err != nil || declined.Direct == nil || declined.Direct.OffSession || declined.Direct.Amount != usd(t, "10") || declined.Direct.PaymentMethodID != "token_1" {
			t.Fatalf("begun %+v, %v", declined, err)
		}
		_, err = pay(id, card, "two") // while that is under way
		wantCode(t, err, CodeInvalidState, "id")
		if begun := s.beginCharge(t, id); begun != nil {
			t.Errorf("charged at the same time: %+v", begun)
		}
		if err := s.FinishPayment(s.ctx, declined.ID, paymentAt(gateway.StatusDeclined, declined.Direct.OrderCode, usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
		if i := s.invoiced(t, id); i.Status != invoice.StatusOPEN || i.Attempts != 0 || i.Dunning != invoice.DunningNONE {
			t.Errorf("declined by hand: %+v", i)
		}
		paid, err := pay(id, card, "three")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.FinishPayment(s.ctx, paid.ID, paymentAt(gateway.StatusSucceeded, paid.Direct.OrderCode, usd(t, "10"))); err != nil {
				t.Fatal(err)
			}
		}
		if again, err := pay(id, card, "three"); err != nil || again.PaymentID != paid.PaymentID || again.Call != nil {
			t.Errorf("once more: %+v, %v", again, err)
		}
		if i := s.invoiced(t, id); i.Status != invoice.StatusPAID || i.Attempts != 0 {
			t.Errorf("%+v", i)
		}
		points := s.openInvoiceOf(t, item(t, "API", "10", "POINTS", 1))
		_, err = pay(points, card, "points")
		wantCode(t, err, CodeProviderUnsupported, "id")
	})
}
