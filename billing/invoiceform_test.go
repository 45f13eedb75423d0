package billing

import (
	"testing"

	"purser/ent/invoice"
	"purser/gateway"
)

// TestInvoiceForm: a form of the seller's waits with the payment that the page
// waits with, for a secret that the gateway tells; what is declined in it may be
// tried there again.
func TestInvoiceForm(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		id := s.openInvoiceOf(t, item(t, "API", "10", "USD", 1))
		ask := func(key string, embedded bool) *InvoicePayment {
			t.Helper()
			begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, Embedded: embedded, Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			return begun
		}
		offer := func(p *InvoicePayment, r gateway.InvoiceResult) {
			t.Helper()
			for range 2 {
				if err := s.OfferInvoiceForm(s.ctx, id, p.PaymentID, r); err != nil {
					t.Fatal(err)
				}
			}
		}
		waits := func(p *InvoicePayment, secret, page string) {
			t.Helper()
			row := s.paid(t, p.PaymentID)
			if got, err := s.ClientSecret(row); row.Status != "REQUIRES_ACTION" || got != secret || row.ActionURL != page || err != nil {
				t.Errorf("it is %s with the secret %q on %q, %v; want %q on %q", row.Status, got, row.ActionURL, err, secret, page)
			}
		}
		page := orEmpty(s.invoiced(t, id).HostedURL)
		first := ask("one", true)
		if first.Form == nil || first.Form.InvoiceID != id || first.Form.GatewayInvoiceID != orEmpty(s.invoiced(t, id).GatewayInvoiceID) {
			t.Fatalf("begun %+v", first)
		}
		offer(first, gateway.InvoiceResult{Outcome: ended(gateway.StatusUnknown)})
		waits(first, "", page)
		again := ask("one", true)
		if again.PaymentID != first.PaymentID || again.Form == nil {
			t.Errorf("asked again: %+v", again)
		}
		r := s.invoiceAt(t, id, "open")
		r.ClientSecret = "pi_1_secret_x"
		offer(again, r)
		waits(first, "pi_1_secret_x", "")
		if again = ask("two", true); again.PaymentID != first.PaymentID || again.Form != nil {
			t.Errorf("asked again: %+v", again)
		}
		declined := r
		declined.Payment = gateway.PaymentState{Status: gateway.StatusDeclined, Failure: ended(gateway.StatusDeclined).Failure}
		if err := s.ApplyInvoice(s.ctx, id, declined); err != nil {
			t.Fatal(err)
		}
		waits(first, "pi_1_secret_x", "")
		ask("three", false)
		waits(first, "", page)
		offer(ask("four", true), s.invoiceAt(t, id, "paid"))
		if p := s.paid(t, first.PaymentID); p.Status != "SUCCEEDED" || s.invoiced(t, id).Status != invoice.StatusPAID || len(s.paymentsOf(t, id)) != 1 {
			t.Errorf("paid meanwhile, it is %s", p.Status)
		}
		if again = ask("four", true); again.Form != nil {
			t.Errorf("asked again: %+v", again)
		}

		for _, c := range []struct {
			draft InvoicePayDraft
			code  Code
		}{
			{InvoicePayDraft{InvoiceID: s.ownInvoiceOf(t, item(t, "API", "10", "USD", 1))}, CodeProviderUnsupported},
			{InvoicePayDraft{InvoiceID: s.openInvoiceOf(t, item(t, "API", "10", "USD", 1)), PaymentMethodID: card}, CodeInvalid},
		} {
			c.draft.Embedded, c.draft.Key = true, &c.draft.InvoiceID
			_, err := s.BeginInvoicePayment(s.ctx, c.draft)
			wantCode(t, err, c.code, "embedded")
		}
		s.mustVerify(t)
	})
}
