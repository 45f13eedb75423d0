package billing

import (
	"slices"
	"testing"
)

// What the API shows as allowed is what the domain allows.
func TestAllowedActions(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		want := func(id string, want ...InvoiceAction) {
			t.Helper()
			if got := InvoiceActions(s.invoiced(t, id)); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", s.invoiced(t, id).Status, got, want)
			}
		}
		id := s.invoiceOf(t, item(t, "API", "3", "USD", 1))
		want(id, InvoiceActionUpdate, InvoiceActionFinalize, InvoiceActionVoid)
		s.finalized(t, id)
		want(id, InvoiceActionPay, InvoiceActionSend, InvoiceActionMarkUncollectible, InvoiceActionVoid)
		if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, "uncollectible")); err != nil {
			t.Fatal(err)
		}
		want(id, InvoiceActionPay, InvoiceActionSend, InvoiceActionVoid)
		begun, err := s.BeginInvoiceVoid(s.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		want(id)
		if err := s.FinishInvoiceVoid(s.ctx, begun.ID, s.invoiceAt(t, id, "void")); err != nil {
			t.Fatal(err)
		}
		want(id)

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
