package billing

import (
	"slices"
	"testing"

	"purser/ent/creditnote"
	"purser/ent/invoice"
)

// What the API shows as allowed is what the domain allows.
func TestAllowedActions(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		want := func(id string, want ...InvoiceAction) {
			t.Helper()
			if got := InvoiceActions(s.invoiced(t, id)); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", s.invoiced(t, id).Status, got, want)
			}
			// More than is left is refused for its amount, and only where a note
			// is allowed.
			to := creditnote.Settlement("")
			if s.invoiced(t, id).Status == invoice.StatusPAID {
				to = creditnote.SettlementBALANCE
			}
			_, err := s.BeginCreditNote(s.ctx, CreditNoteDraft{InvoiceID: id, Amount: ptr(usd(t, "99")), Reason: "x", Settlement: to, Key: ptr(s.newID("key"))})
			if slices.Contains(want, InvoiceActionCredit) {
				wantCode(t, err, CodeInvalid, "amount.amount")
			} else {
				wantCode(t, err, CodeInvalidState, "invoiceId")
			}
		}
		id := s.invoiceOf(t, item(t, "API", "3", "USD", 1))
		want(id, InvoiceActionUpdate, InvoiceActionFinalize, InvoiceActionVoid)
		s.finalized(t, id)
		want(id, InvoiceActionPay, InvoiceActionSend, InvoiceActionMarkUncollectible, InvoiceActionVoid, InvoiceActionCredit)
		if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, "uncollectible")); err != nil {
			t.Fatal(err)
		}
		want(id, InvoiceActionPay, InvoiceActionSend, InvoiceActionVoid, InvoiceActionCredit)
		begun, err := s.BeginInvoiceVoid(s.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		want(id)
		if err := s.FinishInvoiceVoid(s.ctx, begun.ID, s.invoiceAt(t, id, "void")); err != nil {
			t.Fatal(err)
		}
		want(id)
		own := s.ownInvoiceOf(t, item(t, "API", "3", "USD", 1))
		s.noteTo(t, own, "1", "")
		want(own, InvoiceActionPay, InvoiceActionSend, InvoiceActionMarkUncollectible, InvoiceActionCredit)
		_, err = s.BeginInvoiceVoid(s.ctx, own)
		wantCode(t, err, CodeInvalidState, "id")
		paid := s.paidInvoiceOf(t, item(t, "API", "3", "USD", 1))
		want(paid, InvoiceActionCredit)
		s.noteTo(t, paid, "", creditnote.SettlementBALANCE)
		want(paid)

		quoteID := s.openQuoteOf(t, item(t, "API", "3", "USD", 1))
		if got := s.QuoteActions(t.Context(), s.quoted(t, quoteID)); !slices.Equal(got, []QuoteAction{QuoteActionAccept, QuoteActionSend, QuoteActionRevise, QuoteActionCancel}) {
			t.Errorf("an open quote: %v", got)
		}
		s.clock.Advance(quoteLife)
		if got := s.QuoteActions(t.Context(), s.quoted(t, quoteID)); !slices.Equal(got, []QuoteAction{QuoteActionRevise}) {
			t.Errorf("a quote past its day: %v", got)
		}
	})
}
