package gatewaytest

import (
	"testing"

	"purser/gateway"
)

// readyInvoiceCredit takes 4.00 of 11.90 USD back.
func readyInvoiceCredit(t *testing.T, s *suite) (func() gateway.Outcome, func(*testing.T, end)) {
	invoice, call := s.invoice(t, ""), s.call()
	request := gateway.CreditNoteRequest{InvoiceID: invoice, Amount: usd(t, "4"), Reason: "down for a day"}
	var made string
	ask := func() gateway.Outcome {
		res := s.Adapter.(gateway.CreditNotes).CreditInvoice(t.Context(), s.Account, call, request)
		if res.Status == gateway.StatusSucceeded {
			if res.Amount != request.Amount || made != "" && made != res.CreditNoteID {
				t.Errorf("one call made %s, now %+v", made, res)
			}
			made = res.CreditNoteID
		}
		return res.Outcome
	}
	return ask, func(t *testing.T, e end) {
		t.Helper()
		now := s.Adapter.(gateway.Invoices).FetchInvoice(t.Context(), s.Account, invoice)
		done := now.Credited == request.Amount && now.AmountDue == usd(t, "7.90")
		undone := now.Credited.IsZero() && now.AmountDue == now.Total
		if e == settled && !done || e == nothing && !undone || !done && !undone {
			t.Fatalf("%s are due, %s credited", now.AmountDue, now.Credited)
		}
	}
}

// testCreditNotes: less is due, what is due is paid, and what is credited as a
// whole is settled. One that is paid is not credited.
func testCreditNotes(t *testing.T, s *suite) {
	invoices, notes := s.Adapter.(gateway.Invoices), s.Adapter.(gateway.CreditNotes)
	ctx := t.Context()
	customer, card := s.card(t, s.Cards.Good)
	invoice := s.invoice(t, customer)
	part := gateway.CreditNoteRequest{InvoiceID: invoice, Amount: usd(t, "4"), Reason: "down for a day"}
	wantStatus(t, "credit a part", notes.CreditInvoice(ctx, s.Account, s.call(), part).Outcome, gateway.StatusSucceeded)
	more := part
	more.Amount = usd(t, "7.91")
	wantStatus(t, "credit more than is due", notes.CreditInvoice(ctx, s.Account, s.call(), more).Outcome, gateway.StatusRejected)
	paid := invoices.PayInvoice(ctx, s.Account, s.call(), gateway.InvoicePayRequest{InvoiceID: invoice, PaymentMethodID: card, OffSession: true})
	wantStatus(t, "pay the rest", paid.Outcome, gateway.StatusSucceeded)
	if paid.AmountPaid != usd(t, "7.90") || paid.Credited != part.Amount || paid.Payment.Amount != paid.AmountPaid || paid.Total != usd(t, "11.90") {
		t.Errorf("paid %+v", paid)
	}
	wantStatus(t, "credit a paid invoice", notes.CreditInvoice(ctx, s.Account, s.call(), part).Outcome, gateway.StatusRejected)

	whole := gateway.CreditNoteRequest{InvoiceID: s.invoice(t, ""), Amount: usd(t, "11.90")}
	wantStatus(t, "credit all of it", notes.CreditInvoice(ctx, s.Account, s.call(), whole).Outcome, gateway.StatusSucceeded)
	if now := invoices.FetchInvoice(ctx, s.Account, whole.InvoiceID); now.State != gateway.InvoicePaid || !now.AmountPaid.IsZero() || now.Credited != whole.Amount {
		t.Errorf("credited as a whole it is %+v", now)
	}
	s.wantCharged(t, "7.90")
}
