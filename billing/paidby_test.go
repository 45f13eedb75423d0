package billing

import (
	"strings"
	"testing"

	"purser/ent"
	"purser/ent/creditnote"
	"purser/gateway"
)

// paidWith is what an invoice's receipt says that it was paid with.
func (s *sale) paidWith(t testing.TB, id string) string {
	t.Helper()
	d, err := s.receiptDocument(s.ctx, s.invoiced(t, id).PublicToken)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range d.Facts {
		if f.Name == d.Language.Words.PaidWith {
			return f.Value
		}
	}
	t.Fatalf("the receipt says %+v", d.Facts)
	return ""
}

// TestMoneyThatHasNotPaid: what came for an invoice when nothing was due any more
// is on the balance. A credit note is given back of the payment that has paid,
// which the receipt names as well, whatever comes later or becomes of the other.
func TestMoneyThatHasNotPaid(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.throughWorldpay(t)
		visit := func(id, name string) *InvoicePayment {
			t.Helper()
			page, err := s.BeginPageVisit(s.ctx, id, name)
			s.onPage(t, page, err)
			return page
		}
		paid := func(p *InvoicePayment, name string) {
			t.Helper()
			if err := s.ApplyPayment(s.ctx, p.PaymentID, paymentAt(gateway.StatusSucceeded, name, usd(t, "10"))); err != nil {
				t.Fatal(err)
			}
		}
		id := s.openInvoiceOf(t, item(t, "API", "10", "USD", 1))
		first := visit(id, "one")
		s.clock.Advance(pageFresh)
		second := visit(id, "two")
		paid(first, "wp_1")
		paid(second, "wp_2") // from the other window
		if got := s.paidWith(t, id); !strings.Contains(got, s.paid(t, first.PaymentID).OrderCode) {
			t.Errorf("paid with %q", got)
		}
		s.disputed(t, s.paid(t, second.PaymentID), gateway.DisputeNeedsResponse)
		back := s.noteTo(t, id, "", creditnote.SettlementREFUND).Refund
		if back == nil || back.Request.GatewayPaymentID != "wp_1" {
			t.Errorf("given back: %+v", back)
		}

		// Paid to the seller, or from the balance, and by a page as well.
		for with, outside := range map[string]bool{"Paid directly": true, "Balance": false} {
			id = s.openInvoiceOf(t, item(t, "API", "10", "USD", 1))
			page := visit(id, "one")
			if !outside {
				s.reload(t, s.payer.ID, usd(t, "10"))
			}
			d := InvoicePayDraft{InvoiceID: id, OutOfBand: outside, FromBalance: !outside, Key: &id}
			if _, err := s.BeginInvoicePayment(s.ctx, d); err != nil {
				t.Fatal(err)
			}
			paid(page, "wp_"+with)
			if got := s.paidWith(t, id); got != with {
				t.Errorf("paid with %q, want %q", got, with)
			}
			_, err := s.BeginCreditNote(s.ctx, CreditNoteDraft{InvoiceID: id, Reason: "x", Settlement: creditnote.SettlementREFUND, Key: ptr("back" + id)})
			wantCode(t, err, CodeInvalid, "settlement")
		}
		s.mustVerify(t)
	})
}

// TestNoteOfALostPayment: what the payer's bank has taken is given back by
// nobody else. A note says that nothing is owed all the same, and makes the loss
// less.
func TestNoteOfALostPayment(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(190_000) })
		taken := func(states ...gateway.DisputeState) string {
			t.Helper()
			id := s.paidInvoiceOf(t, item(t, "API", "10", "USD", 1))
			s.disputed(t, s.paymentsOf(t, id)[0], states...)
			return id
		}
		contested := taken(gateway.DisputeNeedsResponse)
		lost := taken(gateway.DisputeNeedsResponse, gateway.DisputeLost)
		for _, id := range []string{contested, lost} {
			for _, to := range []creditnote.Settlement{creditnote.SettlementREFUND, creditnote.SettlementBALANCE} {
				_, err := s.BeginCreditNote(s.ctx, CreditNoteDraft{InvoiceID: id, Reason: "x", Settlement: to, Key: ptr(s.newID("key"))})
				wantCode(t, err, CodeInvalidState, "settlement")
			}
		}
		s.noteTo(t, lost, "", creditnote.SettlementOUT_OF_BAND)
		wantBooked(t, s.booked(t, lost),
			"receivable→revenue INVOICE 10.00 USD", "receivable→tax TAX 1.90 USD",
			"clearing:"+s.provider+"→receivable INVOICE_PAYMENT 11.90 USD",
			"revenue→write-off CREDIT_NOTE 10.00 USD", "tax→write-off CREDIT_NOTE 1.90 USD")
		won := taken(gateway.DisputeNeedsResponse, gateway.DisputeWon)
		s.noteTo(t, won, "11", creditnote.SettlementBALANCE)
		s.noteTo(t, won, "", creditnote.SettlementOUT_OF_BAND)
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.Remaining() != usd(t, "11") {
			t.Errorf("%s remain", b.Remaining())
		}
		s.mustVerify(t)
	})
}
