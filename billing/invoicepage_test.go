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
