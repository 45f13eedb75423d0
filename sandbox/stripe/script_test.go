package stripesandbox_test

import (
	"bytes"
	"io"
	"net/url"
	"slices"
	"testing"

	"github.com/stripe/stripe-go/v76"
)

// catalog makes a product with two one-time prices and a monthly one.
func (b *bundle) catalog() (basic, extra, monthly *stripe.Price) {
	b.t.Helper()
	product := must(b.Products.New(&stripe.ProductParams{Name: stripe.String("Weather API")}))(b.t)
	basic = must(b.Prices.New(&stripe.PriceParams{Product: stripe.String(product.ID), Currency: stripe.String("eur"), UnitAmount: stripe.Int64(27000)}))(b.t)
	extra = must(b.Prices.New(&stripe.PriceParams{Product: stripe.String(product.ID), Currency: stripe.String("eur"), UnitAmountDecimal: stripe.Float64(33.5)}))(b.t)
	monthly = must(b.Prices.New(&stripe.PriceParams{
		Product: stripe.String(product.ID), Currency: stripe.String("eur"), UnitAmount: stripe.Int64(3900),
		Recurring: &stripe.PriceRecurringParams{Interval: stripe.String("month")},
	}))(b.t)
	return basic, extra, monthly
}

func quoteLine(price string, quantity int64) *stripe.QuoteLineItemParams {
	return &stripe.QuoteLineItemParams{Price: stripe.String(price), Quantity: stripe.Int64(quantity)}
}

// openQuote makes a quote and finalizes it.
func (b *bundle) openQuote(customer string, lines ...*stripe.QuoteLineItemParams) *stripe.Quote {
	b.t.Helper()
	q := must(b.Quotes.New(&stripe.QuoteParams{
		Customer: stripe.String(customer), LineItems: lines,
		Metadata: map[string]string{"purser": "q1"},
	}))(b.t)
	equal(b.t, "status of a new quote", q.Status, stripe.QuoteStatusDraft)
	return must(b.Quotes.FinalizeQuote(q.ID, &stripe.QuoteFinalizeQuoteParams{}))(b.t)
}

func TestQuoteToPaidInvoiceAcrossRestarts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("*")
	customer := b.customer("pm_card_visa")
	basic, extra, _ := b.catalog()
	q := b.openQuote(customer.ID, quoteLine(basic.ID, 1), quoteLine(extra.ID, 3))
	equal(t, "quote status", q.Status, stripe.QuoteStatusOpen)
	equal(t, "quote total", q.AmountTotal, 27000+101) // 3 × 33.5 = 100.5, half up
	if q.Number == "" {
		t.Error("a finalized quote has no number")
	}

	b.restart()

	stream := must(b.Quotes.PDF(q.ID, &stripe.QuotePDFParams{}))(t)
	pdf := must(io.ReadAll(stream.LastResponse.Body))(t)
	if err := stream.LastResponse.Body.Close(); err != nil {
		t.Error(err)
	}
	if !bytes.HasPrefix(pdf, []byte("%PDF-")) || !bytes.Contains(pdf, []byte(q.Number)) || !bytes.Contains(pdf, []byte("271.01 EUR")) {
		t.Errorf("the PDF lacks its mark, number or total:\n%s", pdf)
	}
	q = must(b.Quotes.Accept(q.ID, &stripe.QuoteAcceptParams{}))(t)
	equal(t, "quote status", q.Status, stripe.QuoteStatusAccepted)
	inv := must(b.Invoices.Get(q.Invoice.ID, nil))(t)
	equal(t, "invoice status", inv.Status, stripe.InvoiceStatusDraft)
	equal(t, "invoice quote", inv.Quote.ID, q.ID)
	if inv.HostedInvoiceURL != "" || inv.PaymentIntent != nil || inv.Number != "" {
		t.Error("a draft has a page, an intent or a number already")
	}
	inv = must(b.Invoices.FinalizeInvoice(inv.ID, &stripe.InvoiceFinalizeInvoiceParams{}))(t)
	equal(t, "invoice status", inv.Status, stripe.InvoiceStatusOpen)
	equal(t, "amount due", inv.AmountDue, 27101)

	b.restart()

	inv = must(b.Invoices.Pay(inv.ID, &stripe.InvoicePayParams{}))(t)
	equal(t, "invoice status", inv.Status, stripe.InvoiceStatusPaid)
	equal(t, "amount paid", inv.AmountPaid, 27101)
	equal(t, "attempt count", inv.AttemptCount, 1)
	get := &stripe.InvoiceParams{}
	get.AddExpand("payment_intent.latest_charge")
	inv = must(b.Invoices.Get(inv.ID, get))(t)
	receipt := inv.PaymentIntent.LatestCharge.ReceiptURL
	equal(t, "receipt charge invoice", inv.PaymentIntent.LatestCharge.Invoice.ID, inv.ID)

	b.restart()

	// Links are absolute and were made by an earlier process on another port.
	u := must(url.Parse(receipt))(t)
	browse(t, b.http.URL+u.Path, nil).contains(t, "Receipt", "271.01 EUR", "ending in 4242")
	inv = must(b.Invoices.Get(inv.ID, nil))(t)
	equal(t, "invoice status after a restart", inv.Status, stripe.InvoiceStatusPaid)

	want := []string{
		"quote.created", "quote.finalized", "quote.accepted", "invoice.created", "invoice.finalized",
		"payment_intent.succeeded", "charge.succeeded", "invoice.paid", "invoice.payment_succeeded",
	}
	// customer, card, default; product, three prices; quote and items and the rest.
	all := hook.distinct(t, 21)
	for _, kind := range want {
		if n := len(slices.DeleteFunc(types(all), func(s string) bool { return s != kind })); n != 1 {
			t.Errorf("%s came %d times, want once; all: %v", kind, n, types(all))
		}
	}
	for _, r := range all {
		if r.event.Type == "invoice.paid" && r.event.GetObjectValue("payment_intent") != inv.PaymentIntent.ID {
			t.Errorf("the event's snapshot has payment_intent %q", r.event.GetObjectValue("payment_intent"))
		}
	}
}

func TestInvoiceWithAuthentication(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("invoice.paid", "invoice.payment_action_required")
	inv := b.invoice(b.customer("pm_card_authenticationRequired").ID)

	_, err := b.Invoices.Pay(inv.ID, &stripe.InvoicePayParams{})
	e := refused(t, err, 402)
	equal(t, "code", e.Code, stripe.ErrorCodeInvoicePaymentIntentRequiresAction)
	pi := must(b.PaymentIntents.Get(inv.PaymentIntent.ID, nil))(t)
	equal(t, "intent status", pi.Status, stripe.PaymentIntentStatusRequiresAction)
	if pi.LatestCharge != nil {
		t.Error("there is a charge before the payer has authenticated")
	}

	shown := browse(t, inv.HostedInvoiceURL, nil)
	shown.contains(t, "TEST", "12.00 EUR", `id="authenticate"`)
	next := must(url.Parse(inv.HostedInvoiceURL))(t)
	link := next.ResolveReference(must(url.Parse(between(t, shown.body, `id="authenticate" href="`, `"`)))(t)).String()
	browse(t, link, nil).contains(t, `id="complete"`, `id="fail"`)
	after := browse(t, link, url.Values{"complete": {"complete"}})
	equal(t, "where the payer ends", after.url, inv.HostedInvoiceURL)
	after.contains(t, "Paid. Thank you.", `id="receipt"`)
	all := hook.wait(t, 2)
	if got := types(all); !slices.Equal(got, []string{"invoice.payment_action_required", "invoice.paid"}) {
		t.Errorf("events are %v", got)
	}
	inv = must(b.Invoices.Get(inv.ID, nil))(t)
	equal(t, "invoice status", inv.Status, stripe.InvoiceStatusPaid)

	// The form a second time changes nothing.
	browse(t, link, url.Values{"complete": {"complete"}})
	state := must(b.server.Inspect(t.Context(), testKey))(t)
	equal(t, "number of charges", len(state.Charges), 1)
}

func TestInvoiceWithFailingCard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("invoice.payment_failed")
	inv := b.invoice(b.customer("pm_card_chargeCustomerFail").ID)
	_, err := b.Invoices.Pay(inv.ID, &stripe.InvoicePayParams{})
	e := refused(t, err, 402)
	equal(t, "code", e.Code, stripe.ErrorCodeCardDeclined)
	equal(t, "decline code", e.DeclineCode, stripe.DeclineCodeGenericDecline)
	equal(t, "intent status", e.PaymentIntent.Status, stripe.PaymentIntentStatusRequiresPaymentMethod)
	if e.ChargeID == "" {
		t.Error("the error names no charge")
	}
	hook.wait(t, 1)
	inv = must(b.Invoices.Get(inv.ID, nil))(t)
	equal(t, "invoice status", inv.Status, stripe.InvoiceStatusOpen)
	equal(t, "attempted", inv.Attempted, true)
	charge := must(b.Charges.Get(e.ChargeID, nil))(t)
	equal(t, "charge status", charge.Status, stripe.ChargeStatusFailed)
	equal(t, "failure code", charge.FailureCode, "card_declined")

	// Another card pays it after all.
	inv = must(b.Invoices.Pay(inv.ID, &stripe.InvoicePayParams{PaymentMethod: stripe.String("pm_card_mastercard")}))(t)
	equal(t, "invoice status", inv.Status, stripe.InvoiceStatusPaid)
}

func TestRecurringQuoteToActiveSubscription(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("")
	basic, _, monthly := b.catalog()
	q := b.openQuote(customer.ID, quoteLine(monthly.ID, 2), quoteLine(basic.ID, 1))
	equal(t, "recurring total", q.Computed.Recurring.AmountTotal, 7800)
	q = must(b.Quotes.Accept(q.ID, &stripe.QuoteAcceptParams{}))(t)
	if q.Invoice != nil {
		t.Error("a recurring quote has an invoice of its own")
	}
	get := &stripe.SubscriptionParams{}
	get.AddExpand("latest_invoice")
	sub := must(b.Subscriptions.Get(q.Subscription.ID, get))(t)
	equal(t, "subscription status", sub.Status, stripe.SubscriptionStatusIncomplete)
	equal(t, "first invoice status", sub.LatestInvoice.Status, stripe.InvoiceStatusDraft)
	equal(t, "first invoice total", sub.LatestInvoice.Total, 34800)
	equal(t, "billing reason", sub.LatestInvoice.BillingReason, stripe.InvoiceBillingReasonSubscriptionCreate)

	inv := must(b.Invoices.FinalizeInvoice(sub.LatestInvoice.ID, &stripe.InvoiceFinalizeInvoiceParams{}))(t)
	browse(t, inv.HostedInvoiceURL, card("4242 4242 4242 4242")).contains(t, "Paid. Thank you.")
	sub = must(b.Subscriptions.Get(sub.ID, nil))(t)
	equal(t, "subscription status", sub.Status, stripe.SubscriptionStatusActive)
	if sub.DefaultPaymentMethod == nil {
		t.Error("the card that paid first was not kept for the next periods")
	}

	// The next month comes by itself: draft, an hour later charged.
	if err := b.server.AdvanceClock(t.Context(), testKey, 32*24*3600e9); err != nil {
		t.Fatal(err)
	}
	sub = must(b.Subscriptions.Get(sub.ID, get))(t)
	equal(t, "second invoice status", sub.LatestInvoice.Status, stripe.InvoiceStatusPaid)
	equal(t, "second invoice total", sub.LatestInvoice.Total, 7800)
	equal(t, "subscription status", sub.Status, stripe.SubscriptionStatusActive)
}

func between(t *testing.T, text, from, to string) string {
	t.Helper()
	_, rest, ok := bytes.Cut([]byte(text), []byte(from))
	value, _, end := bytes.Cut(rest, []byte(to))
	if !ok || !end {
		t.Fatalf("no %q … %q in:\n%s", from, to, text)
	}
	return string(value)
}
