package main

import (
	"context"
	"testing"
	"time"

	"purser/ent/invoice"
	"purser/gateway"
	worldpaysandbox "purser/sandbox/worldpay"
)

// byItself says that what is charged is charged by the clock alone. For all
// other steps the organization's charging is off, so that time may pass.
func (m move) byItself() bool { return m.class == classRenewal || m.class == classRetry }

// renewalStep has a subscription's next period billed by due work: its invoice
// is issued, and charged a minute later.
func renewalStep(of gateway.Kind, writes string) move {
	return move{
		name: "renewal at " + string(of), class: classRenewal, gateway: of, writes: writes, want: "PAID ", takes: true,
		prepare: func(t *testing.T, s *stack, c *cast) {
			*c = *s.renewing(t, of)
			row, err := s.billing.Client().Subscription.Get(s.ctx, c.subscription)
			must(t, err)
			if row.LatestInvoiceID != nil {
				c.invoice = *row.LatestInvoiceID
			}
			s.dueAt(t, *row.DueAt)
		},
		lead: func(t *testing.T, s *stack) { must(t, s.jobs.Round(t.Context())) },
		ask: func(ctx context.Context, s *stack, c *cast, _ string) (string, error) {
			_ = s.jobs.Round(ctx) // the invoice says what has come of it
			s.clock.Advance(2 * time.Minute)
			_ = s.jobs.Round(ctx)
			var data map[string]result
			err := s.post(ctx, `query($id: ID!) { node(id: $id) { ... on Subscription { latestInvoice { id status } } } }`, map[string]any{"id": c.subscription}, &data)
			if data["node"].text("latestInvoice.id") == c.invoice {
				return "not renewed ", err
			}
			return data["node"].text("latestInvoice.status") + " ", err
		},
		finish: func(t *testing.T, s *stack) {
			c := s.reloading(t, of)
			s.do(t, "subscriptionCancel", "subscription { id }", map[string]any{"id": c.subscription})
			c.subscription = ""
		},
	}
}

// renewing is a payer with a weekly subscription, which begins with the first
// play of its renewal.
func (s *stack) renewing(t *testing.T, of gateway.Kind) *cast {
	t.Helper()
	c := s.reloading(t, of)
	if c.subscription != "" {
		return c
	}
	product := s.do(t, "productCreate", "product { id }", map[string]any{"name": "Week"}).text("product.id")
	price := s.do(t, "priceCreate", "price { id }", map[string]any{
		"productId": product, "unitAmount": usDollars("30.00"), "recurrence": map[string]any{"interval": "WEEK"},
	}).text("price.id")
	input := map[string]any{
		"payerId": c.payer, "items": []any{map[string]any{"priceId": price}}, "paymentMethodId": c.card,
		"startsAt": s.clock.Now().Add(time.Hour).UTC().Format(time.RFC3339), "idempotencyKey": "weeks of " + c.payer,
	}
	if of == gateway.KindWorldpay {
		input["providerId"] = s.worldpay.provider
	}
	c.subscription = s.do(t, "subscriptionCreate", "subscription { id }", input).text("subscription.id")
	return c
}

// invoiced makes an open invoice of a payer's, of 30.00, whose payments go to this
// gateway.
func (s *stack) invoiced(t *testing.T, of gateway.Kind, payer string) string {
	t.Helper()
	input := map[string]any{
		"payerId": payer, "lineItems": []any{map[string]any{"description": "Consulting", "unitAmount": usDollars("30.00")}},
	}
	if of == gateway.KindWorldpay {
		input["providerId"] = s.worldpay.provider
	}
	id := s.do(t, "invoiceCreate", "invoice { id }", input).text("invoice.id")
	s.do(t, "invoiceFinalize", "invoice { id }", map[string]any{"id": id})
	return id
}

// retryStep has an invoice charged once more whose automatic charge was
// declined: at Stripe as soon as the payer has another card, at Worldpay with
// the same one when the time has come.
func retryStep(of gateway.Kind, writes string) move {
	return move{
		name: "retry at " + string(of), class: classRetry, gateway: of, writes: writes, want: "PAID ", takes: true,
		prepare: func(t *testing.T, s *stack, c *cast) {
			*c = *s.reloading(t, of)
			heal := s.declining(t, of)
			c.invoice = s.invoiced(t, of, c.payer)
			row, err := s.billing.Client().Invoice.Get(s.ctx, c.invoice)
			must(t, err)
			s.dueAt(t, *row.NextAttemptAt)
			must(t, s.jobs.Round(t.Context()))
			heal()
			row, err = s.billing.Client().Invoice.Get(s.ctx, c.invoice)
			must(t, err)
			if row.Attempts != 1 || row.Dunning != invoice.DunningRUNNING {
				t.Fatalf("after a decline the invoice has %d tries and its dunning is %s", row.Attempts, row.Dunning)
			}
			s.dueAt(t, *row.NextAttemptAt)
		},
		ask: func(ctx context.Context, s *stack, c *cast, _ string) (string, error) {
			_ = s.jobs.Round(ctx) // the invoice says what has come of it
			var data map[string]result
			err := s.post(ctx, `query($id: ID!) { node(id: $id) { ... on Invoice { status } } }`, map[string]any{"id": c.invoice}, &data)
			return data["node"].text("status") + " ", err
		},
	}
}

// declining has the bank decline the reloading payer's card until it is healed.
func (s *stack) declining(t *testing.T, of gateway.Kind) (heal func()) {
	t.Helper()
	c := s.reloading(t, of)
	if of == gateway.KindWorldpay {
		card, err := s.billing.Client().PaymentMethod.Get(s.ctx, c.card)
		must(t, err)
		bank := func(says string) {
			t.Helper()
			must(t, s.worldpay.SetTokenOutcome(t.Context(), worldpaysandbox.DemoMerchant().Code, *card.GatewayID, says))
		}
		bank("REFUSED5")
		return func() { bank("AUTHORISED") }
	}
	if c.declined == "" {
		c.declined = s.newCard(t, c.payer, "pm_card_chargeCustomerFail")
	}
	first := func(card string) {
		t.Helper()
		s.do(t, "paymentMethodSetDefault", "paymentMethod { id }", map[string]any{"id": card})
	}
	first(c.declined)
	return func() { first(c.card) }
}

// dueAt lets the time come at which something falls due, with everything done
// that is due before.
func (s *stack) dueAt(t *testing.T, at time.Time) {
	t.Helper()
	left := at.Sub(s.clock.Now())
	if left <= 0 {
		return
	}
	s.clock.Advance(left - time.Minute)
	_ = s.jobs.Round(t.Context())
	s.clock.Advance(time.Minute)
}
