package stripesandbox_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
)

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

func (b *bundle) advance(by time.Duration) {
	b.t.Helper()
	if err := b.server.AdvanceClock(b.t.Context(), testKey, by); err != nil {
		b.t.Fatal(err)
	}
}

// What cannot be charged at once cannot be quoted or invoiced either.
func TestNothingCostsMoreThanCanBeCharged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("")
	product := must(b.Products.New(&stripe.ProductParams{Name: stripe.String("A yacht")}))(t)
	half := must(b.Prices.New(&stripe.PriceParams{Product: stripe.String(product.ID), Currency: stripe.String("usd"), UnitAmount: stripe.Int64(50_000_000)}))(t)
	_, err := b.Quotes.New(&stripe.QuoteParams{Customer: stripe.String(customer.ID), LineItems: []*stripe.QuoteLineItemParams{quoteLine(half.ID, 1), quoteLine(half.ID, 1)}})
	equal(t, "code", refused(t, err, 400).Code, stripe.ErrorCodeAmountTooLarge)
	q := must(b.Quotes.New(&stripe.QuoteParams{Customer: stripe.String(customer.ID), LineItems: []*stripe.QuoteLineItemParams{quoteLine(half.ID, 1)}}))(t)
	_, err = b.Quotes.Update(q.ID, &stripe.QuoteParams{LineItems: []*stripe.QuoteLineItemParams{quoteLine(half.ID, 1), quoteLine(half.ID, 1)}})
	equal(t, "code", refused(t, err, 400).Code, stripe.ErrorCodeAmountTooLarge)
	equal(t, "total", must(b.Quotes.Get(q.ID, nil))(t).AmountTotal, 50_000_000)

	inv := must(b.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String(customer.ID), Currency: stripe.String("usd")}))(t)
	must(b.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: stripe.String(customer.ID), Invoice: stripe.String(inv.ID), Amount: stripe.Int64(1), Currency: stripe.String("usd")}))(t)
	must(b.Customers.Update(customer.ID, &stripe.CustomerParams{Balance: stripe.Int64(99_999_999)}))(t)
	_, err = b.Invoices.FinalizeInvoice(inv.ID, nil)
	equal(t, "code", refused(t, err, 400).Code, stripe.ErrorCodeAmountTooLarge)
}

func TestQuoteRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	basic, _, monthly := b.catalog()
	customer := b.customer("")
	q := must(b.Quotes.New(&stripe.QuoteParams{}))(t)
	_, err := b.Quotes.FinalizeQuote(q.ID, nil)
	refused(t, err, 400)
	q = must(b.Quotes.Update(q.ID, &stripe.QuoteParams{Customer: stripe.String(customer.ID)}))(t)
	_, err = b.Quotes.FinalizeQuote(q.ID, nil)
	refused(t, err, 400)
	_, err = b.Quotes.PDF(q.ID, &stripe.QuotePDFParams{})
	refused(t, err, 400)
	_, err = b.Quotes.Accept(q.ID, nil)
	refused(t, err, 400)
	_, err = b.Quotes.Update(q.ID, &stripe.QuoteParams{Customer: stripe.String(b.customer("").ID)})
	refused(t, err, 400)
	q = must(b.Quotes.Update(q.ID, &stripe.QuoteParams{LineItems: []*stripe.QuoteLineItemParams{quoteLine(basic.ID, 2)}}))(t)
	equal(t, "total", q.AmountTotal, 54000)
	q = must(b.Quotes.FinalizeQuote(q.ID, nil))(t)
	if !strings.HasPrefix(q.Number, "QT-") || !strings.HasSuffix(q.Number, "-0001-1") {
		t.Errorf("the number is %s", q.Number)
	}
	equal(t, "open for", q.ExpiresAt-q.Created, 30*24*3600)
	_, err = b.Quotes.Update(q.ID, &stripe.QuoteParams{Description: stripe.String("late")})
	refused(t, err, 400)
	expires := time.Now().Add(hour).Unix()
	q = must(b.Quotes.Update(q.ID, &stripe.QuoteParams{ExpiresAt: stripe.Int64(expires)}))(t)
	equal(t, "expires", q.ExpiresAt, expires)
	lines := b.Quotes.ListLineItems(&stripe.QuoteListLineItemsParams{Quote: stripe.String(q.ID)})
	equal(t, "line", lines.Next() && lines.LineItem().Description == "Weather API", true)
	b.advance(2 * hour)
	q = must(b.Quotes.Get(q.ID, nil))(t)
	equal(t, "status after its expiry", q.Status, stripe.QuoteStatusCanceled)
	_, err = b.Quotes.Accept(q.ID, nil)
	refused(t, err, 400)
	_, err = b.Quotes.Cancel(q.ID, nil)
	refused(t, err, 400)

	second := b.openQuote(customer.ID, quoteLine(basic.ID, 1))
	if !strings.HasSuffix(second.Number, "-0002-1") {
		t.Errorf("the second number is %s", second.Number)
	}
	revised := must(b.Quotes.New(&stripe.QuoteParams{FromQuote: &stripe.QuoteFromQuoteParams{Quote: stripe.String(second.ID), IsRevision: stripe.Bool(true)}}))(t)
	revised = must(b.Quotes.FinalizeQuote(revised.ID, nil))(t)
	if !strings.HasSuffix(revised.Number, "-0002-2") || revised.AmountTotal != second.AmountTotal {
		t.Errorf("the revision is %s over %d", revised.Number, revised.AmountTotal)
	}
	must(b.Quotes.Accept(second.ID, nil))(t)
	_, err = b.Quotes.Accept(revised.ID, nil)
	refused(t, err, 400)
	_, err = b.Quotes.Accept(second.ID, nil)
	refused(t, err, 400)
	equal(t, "status", must(b.Quotes.Cancel(revised.ID, nil))(t).Status, stripe.QuoteStatusCanceled)

	yearly := must(b.Prices.New(&stripe.PriceParams{
		Product: stripe.String(monthly.Product.ID), Currency: stripe.String("eur"), UnitAmount: stripe.Int64(1),
		Recurring: &stripe.PriceRecurringParams{Interval: stripe.String("year")},
	}))(t)
	mixed := must(b.Quotes.New(&stripe.QuoteParams{Customer: stripe.String(customer.ID), LineItems: []*stripe.QuoteLineItemParams{quoteLine(monthly.ID, 1), quoteLine(yearly.ID, 1)}}))(t)
	_, err = b.Quotes.FinalizeQuote(mixed.ID, nil)
	refused(t, err, 400)
	_, err = b.Prices.New(&stripe.PriceParams{
		Product: stripe.String(monthly.Product.ID), Currency: stripe.String("eur"), UnitAmount: stripe.Int64(1),
		Recurring: &stripe.PriceRecurringParams{Interval: stripe.String("month"), IntervalCount: stripe.Int64(37)},
	})
	refused(t, err, 400)
	must(b.Prices.Update(basic.ID, &stripe.PriceParams{Active: stripe.Bool(false)}))(t)
	_, err = b.Quotes.New(&stripe.QuoteParams{LineItems: []*stripe.QuoteLineItemParams{quoteLine(basic.ID, 1)}})
	refused(t, err, 400)
}

func TestSendInvoiceQuote(t *testing.T) {
	t.Parallel()
	b := setup(t)
	basic, _, _ := b.catalog()
	customer := b.customer("")
	q := must(b.Quotes.New(&stripe.QuoteParams{
		Customer: stripe.String(customer.ID), LineItems: []*stripe.QuoteLineItemParams{quoteLine(basic.ID, 1)},
		CollectionMethod: stripe.String("send_invoice"), InvoiceSettings: &stripe.QuoteInvoiceSettingsParams{DaysUntilDue: stripe.Int64(14)},
	}))(t)
	must(b.Quotes.FinalizeQuote(q.ID, nil))(t)
	q = must(b.Quotes.Accept(q.ID, nil))(t)
	inv := must(b.Invoices.FinalizeInvoice(q.Invoice.ID, nil))(t)
	equal(t, "collection", inv.CollectionMethod, stripe.InvoiceCollectionMethodSendInvoice)
	equal(t, "days until due", (inv.DueDate-inv.StatusTransitions.FinalizedAt)/86400, 14)
	browse(t, inv.HostedInvoiceURL, nil).contains(t, "due on")
	equal(t, "status", must(b.Invoices.SendInvoice(inv.ID, nil))(t).Status, stripe.InvoiceStatusOpen)
}

func TestInvoiceStates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("pm_card_visa").ID
	draft := func() *stripe.Invoice {
		return must(b.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String(customer), Currency: stripe.String("usd")}))(t)
	}
	item := func(invoice string, amount int64) (*stripe.InvoiceItem, error) {
		return b.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: stripe.String(customer), Invoice: stripe.String(invoice), Amount: stripe.Int64(amount), Currency: stripe.String("usd")})
	}

	empty := draft()
	_, err := b.Invoices.FinalizeInvoice(empty.ID, nil)
	refused(t, err, 400)
	_, err = b.Invoices.Pay(empty.ID, nil)
	refused(t, err, 400)
	_, err = b.Invoices.VoidInvoice(empty.ID, nil)
	refused(t, err, 400)
	equal(t, "deleted", must(b.Invoices.Del(empty.ID, nil))(t).Deleted, true)
	_, err = b.Invoices.Get(empty.ID, nil)
	refused(t, err, 404)

	inv := draft()
	line := must(item(inv.ID, 1000))(t)
	must(b.InvoiceItems.Update(line.ID, &stripe.InvoiceItemParams{Amount: stripe.Int64(1100)}))(t)
	second := must(item(inv.ID, 500))(t)
	equal(t, "total", must(b.Invoices.Get(inv.ID, nil))(t).Total, 1600)
	must(b.InvoiceItems.Del(second.ID, nil))(t)
	_, err = b.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: stripe.String(customer), Invoice: stripe.String(inv.ID), Amount: stripe.Int64(5), Currency: stripe.String("eur")})
	refused(t, err, 400)
	inv = must(b.Invoices.FinalizeInvoice(inv.ID, nil))(t)
	equal(t, "due", inv.AmountDue, 1100)
	if inv.Number == "" || inv.InvoicePDF == "" || inv.PaymentIntent == nil || inv.AutoAdvance {
		t.Errorf("the open invoice is %+v", inv)
	}
	_, err = b.Invoices.FinalizeInvoice(inv.ID, nil)
	refused(t, err, 400)
	_, err = item(inv.ID, 5)
	refused(t, err, 400)
	_, err = b.InvoiceItems.Del(line.ID, nil)
	refused(t, err, 400)
	_, err = b.Invoices.Update(inv.ID, &stripe.InvoiceParams{Description: stripe.String("late")})
	refused(t, err, 400)
	_, err = b.Invoices.Del(inv.ID, nil)
	refused(t, err, 400)
	_, err = b.PaymentIntents.Cancel(inv.PaymentIntent.ID, nil)
	refused(t, err, 400)
	inv = must(b.Invoices.Update(inv.ID, &stripe.InvoiceParams{Metadata: map[string]string{"a": "b"}}))(t)
	equal(t, "metadata", inv.Metadata["a"], "b")
	inv = must(b.Invoices.MarkUncollectible(inv.ID, nil))(t)
	equal(t, "status", inv.Status, stripe.InvoiceStatusUncollectible)
	inv = must(b.Invoices.Pay(inv.ID, nil))(t)
	equal(t, "status", inv.Status, stripe.InvoiceStatusPaid)
	_, err = b.Invoices.Pay(inv.ID, nil)
	refused(t, err, 400)
	_, err = b.Invoices.VoidInvoice(inv.ID, nil)
	refused(t, err, 400)

	voided := b.invoice(customer)
	voided = must(b.Invoices.VoidInvoice(voided.ID, nil))(t)
	equal(t, "status", voided.Status, stripe.InvoiceStatusVoid)
	equal(t, "intent status", must(b.PaymentIntents.Get(voided.PaymentIntent.ID, nil))(t).Status, stripe.PaymentIntentStatusCanceled)
	browse(t, voided.HostedInvoiceURL, card("4242424242424242")).contains(t, "is void and cannot be paid")
	_, err = b.Invoices.Pay(voided.ID, nil)
	refused(t, err, 400)

	outside := must(b.Invoices.Pay(b.invoice(customer).ID, &stripe.InvoicePayParams{PaidOutOfBand: stripe.Bool(true)}))(t)
	equal(t, "status", outside.Status, stripe.InvoiceStatusPaid)
	equal(t, "out of band", outside.PaidOutOfBand, true)
	equal(t, "intent status", must(b.PaymentIntents.Get(outside.PaymentIntent.ID, nil))(t).Status, stripe.PaymentIntentStatusCanceled)

	poor := b.invoice(b.customer("").ID)
	_, err = b.Invoices.Pay(poor.ID, nil)
	refused(t, err, 400)
}

func TestSmallAndEmptyInvoices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("pm_card_visa").ID
	charge := func(amount int64) *stripe.Invoice {
		inv := must(b.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String(customer), Currency: stripe.String("eur")}))(t)
		must(b.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: stripe.String(customer), Invoice: stripe.String(inv.ID), Amount: stripe.Int64(amount), Currency: stripe.String("eur")}))(t)
		return must(b.Invoices.FinalizeInvoice(inv.ID, nil))(t)
	}
	small := charge(30)
	equal(t, "status", small.Status, stripe.InvoiceStatusPaid)
	equal(t, "due", small.AmountDue, 0)
	equal(t, "carried over", small.EndingBalance, 30)
	next := charge(100)
	equal(t, "due with what was carried over", next.AmountDue, 130)
	credit := charge(-500)
	equal(t, "status", credit.Status, stripe.InvoiceStatusPaid)
	equal(t, "credit", must(b.Customers.Get(customer, nil))(t).Balance, -500)
	equal(t, "due with the credit", charge(800).AmountDue, 300)
}

func TestPendingItems(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("").ID
	basic, _, monthly := b.catalog()
	_, err := b.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: stripe.String(customer), Price: stripe.String(monthly.ID)})
	refused(t, err, 400)
	must(b.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: stripe.String(customer), Price: stripe.String(basic.ID), Quantity: stripe.Int64(2)}))(t)
	must(b.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: stripe.String(customer), UnitAmountDecimal: stripe.Float64(0.25), Quantity: stripe.Int64(10), Currency: stripe.String("eur")}))(t)
	without := must(b.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String(customer), Currency: stripe.String("eur")}))(t)
	equal(t, "total without pending items", without.Total, 0)
	with := must(b.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String(customer), PendingInvoiceItemsBehavior: stripe.String("include")}))(t)
	equal(t, "total with pending items", with.Total, 54000+3)
	equal(t, "currency", with.Currency, stripe.CurrencyEUR)
	equal(t, "line text", with.Lines.Data[0].Description, "Weather API")
	again := must(b.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String(customer), PendingInvoiceItemsBehavior: stripe.String("include")}))(t)
	equal(t, "total of the next one", again.Total, 0)
}

func TestDraftFinalizesAndCollectsByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("pm_card_visa").ID
	inv := must(b.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String(customer), Currency: stripe.String("eur"), AutoAdvance: stripe.Bool(true)}))(t)
	must(b.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: stripe.String(customer), Invoice: stripe.String(inv.ID), Amount: stripe.Int64(900), Currency: stripe.String("eur")}))(t)
	b.advance(59 * time.Minute)
	equal(t, "status before the hour", must(b.Invoices.Get(inv.ID, nil))(t).Status, stripe.InvoiceStatusDraft)
	b.advance(2 * time.Minute)
	equal(t, "status after the hour", must(b.Invoices.Get(inv.ID, nil))(t).Status, stripe.InvoiceStatusPaid)

	broken := must(b.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String(customer), Currency: stripe.String("eur"), AutoAdvance: stripe.Bool(true)}))(t)
	b.advance(2 * hour)
	broken = must(b.Invoices.Get(broken.ID, nil))(t)
	equal(t, "status of an empty draft", broken.Status, stripe.InvoiceStatusDraft)
	equal(t, "why", broken.LastFinalizationError.Code, stripe.ErrorCodeInvoiceNoCustomerLineItems)

	held := must(b.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String(customer), Currency: stripe.String("eur"), AutoAdvance: stripe.Bool(true)}))(t)
	must(b.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: stripe.String(customer), Invoice: stripe.String(held.ID), Amount: stripe.Int64(900), Currency: stripe.String("eur")}))(t)
	must(b.Invoices.Update(held.ID, &stripe.InvoiceParams{AutoAdvance: stripe.Bool(false)}))(t)
	b.advance(2 * day)
	equal(t, "status with auto_advance off", must(b.Invoices.Get(held.ID, nil))(t).Status, stripe.InvoiceStatusDraft)
}

func TestTimePassesByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("").ID
	basic, _, _ := b.catalog()
	q := must(b.Quotes.New(&stripe.QuoteParams{
		Customer: stripe.String(customer), LineItems: []*stripe.QuoteLineItemParams{quoteLine(basic.ID, 1)},
		ExpiresAt: stripe.Int64(time.Now().Unix() + 2),
	}))(t)
	eventually(t, "the quote expires", func() bool { return must(b.Quotes.Get(q.ID, nil))(t).Status == stripe.QuoteStatusCanceled })
}

func (b *bundle) subscribe(customer, price, behavior string, more func(*stripe.SubscriptionParams)) (*stripe.Subscription, error) {
	p := &stripe.SubscriptionParams{
		Customer: stripe.String(customer), Items: []*stripe.SubscriptionItemsParams{{Price: stripe.String(price), Quantity: stripe.Int64(1)}},
		PaymentBehavior: stripe.String(behavior),
	}
	p.AddExpand("latest_invoice.payment_intent")
	if more != nil {
		more(p)
	}
	return b.Subscriptions.New(p)
}

func TestSubscriptionCreation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, _, monthly := b.catalog()
	good, failing, poor := b.customer("pm_card_visa").ID, b.customer("pm_card_chargeCustomerFail").ID, b.customer("").ID

	sub := must(b.subscribe(good, monthly.ID, "allow_incomplete", nil))(t)
	equal(t, "status", sub.Status, stripe.SubscriptionStatusActive)
	equal(t, "invoice", sub.LatestInvoice.Status, stripe.InvoiceStatusPaid)
	sub = must(b.subscribe(good, monthly.ID, "default_incomplete", nil))(t)
	equal(t, "status", sub.Status, stripe.SubscriptionStatusIncomplete)
	if sub.LatestInvoice.PaymentIntent.ClientSecret == "" {
		t.Error("there is no client secret to pay with")
	}
	sub = must(b.subscribe(failing, monthly.ID, "allow_incomplete", nil))(t)
	equal(t, "status", sub.Status, stripe.SubscriptionStatusIncomplete)
	before := len(must(b.server.Inspect(t.Context(), testKey))(t).Invoices)
	_, err := b.subscribe(failing, monthly.ID, "error_if_incomplete", nil)
	refused(t, err, 402)
	equal(t, "invoices after a refused subscription", len(must(b.server.Inspect(t.Context(), testKey))(t).Invoices), before)
	_, err = b.subscribe(poor, monthly.ID, "allow_incomplete", nil)
	refused(t, err, 400)

	b.advance(24 * hour)
	sub = must(b.Subscriptions.Get(sub.ID, nil))(t)
	equal(t, "status a day later", sub.Status, stripe.SubscriptionStatusIncompleteExpired)
	equal(t, "invoice a day later", must(b.Invoices.Get(sub.LatestInvoice.ID, nil))(t).Status, stripe.InvoiceStatusVoid)

	var all []string
	for it := b.Subscriptions.List(&stripe.SubscriptionListParams{Customer: stripe.String(good), Status: stripe.String("all")}); it.Next(); {
		all = append(all, string(it.Subscription().Status))
	}
	equal(t, "statuses", fmt.Sprint(all), "[incomplete_expired active]")
}

func TestSubscriptionRenewsIsRetriedAndEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("customer.subscription.deleted")
	_, _, monthly := b.catalog()
	customer := b.customer("pm_card_visa")
	sub := must(b.subscribe(customer.ID, monthly.ID, "allow_incomplete", nil))(t)
	upcoming := must(b.Invoices.Upcoming(&stripe.InvoiceUpcomingParams{Customer: stripe.String(customer.ID)}))(t)
	equal(t, "upcoming total", upcoming.Total, 3900)
	equal(t, "upcoming id", upcoming.ID, "")

	bad := must(b.PaymentMethods.Attach("pm_card_chargeCustomerFail", &stripe.PaymentMethodAttachParams{Customer: stripe.String(customer.ID)}))(t)
	must(b.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{DefaultPaymentMethod: stripe.String(bad.ID)}))(t)
	b.advance(31*day + 2*hour)
	sub = must(b.Subscriptions.Get(sub.ID, nil))(t)
	equal(t, "status after a failed renewal", sub.Status, stripe.SubscriptionStatusPastDue)
	inv := must(b.Invoices.Get(sub.LatestInvoice.ID, nil))(t)
	equal(t, "attempts", inv.AttemptCount, 1)
	equal(t, "reason", inv.BillingReason, stripe.InvoiceBillingReasonSubscriptionCycle)
	if inv.NextPaymentAttempt == 0 {
		t.Error("no further attempt is planned")
	}
	b.advance(12*day + hour)
	sub = must(b.Subscriptions.Get(sub.ID, nil))(t)
	equal(t, "status after all attempts", sub.Status, stripe.SubscriptionStatusUnpaid)
	inv = must(b.Invoices.Get(inv.ID, nil))(t)
	equal(t, "attempts", inv.AttemptCount, 4)
	equal(t, "next attempt", inv.NextPaymentAttempt, 0)

	must(b.Invoices.Pay(inv.ID, &stripe.InvoicePayParams{PaymentMethod: stripe.String("pm_card_visa")}))(t)
	sub = must(b.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{CancelAtPeriodEnd: stripe.Bool(true)}))(t)
	equal(t, "status after paying", sub.Status, stripe.SubscriptionStatusActive)
	_, err := b.Invoices.Upcoming(&stripe.InvoiceUpcomingParams{Customer: stripe.String(customer.ID)})
	equal(t, "code", refused(t, err, 404).Code, stripe.ErrorCodeInvoiceUpcomingNone)
	b.advance(40 * day)
	sub = must(b.Subscriptions.Get(sub.ID, nil))(t)
	equal(t, "status after the period", sub.Status, stripe.SubscriptionStatusCanceled)
	hook.wait(t, 1)
	_, err = b.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{Description: stripe.String("x")})
	refused(t, err, 400)
	_, err = b.Subscriptions.Cancel(sub.ID, nil)
	refused(t, err, 404)
}

func TestSubscriptionTrialItemsAndCancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, _, monthly := b.catalog()
	customer := b.customer("pm_card_visa").ID
	sub := must(b.subscribe(customer, monthly.ID, "allow_incomplete", func(p *stripe.SubscriptionParams) { p.TrialPeriodDays = stripe.Int64(7) }))(t)
	equal(t, "status", sub.Status, stripe.SubscriptionStatusTrialing)
	equal(t, "trial invoice", sub.LatestInvoice.Total, 0)
	_, err := b.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{Items: []*stripe.SubscriptionItemsParams{{ID: stripe.String(sub.Items.Data[0].ID), Quantity: stripe.Int64(3)}}})
	refused(t, err, 400) // prorations
	sub = must(b.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{
		ProrationBehavior: stripe.String("none"),
		Items:             []*stripe.SubscriptionItemsParams{{ID: stripe.String(sub.Items.Data[0].ID), Quantity: stripe.Int64(3)}},
	}))(t)
	equal(t, "quantity", sub.Items.Data[0].Quantity, 3)
	b.advance(7*day + 2*hour)
	get := &stripe.SubscriptionParams{}
	get.AddExpand("latest_invoice")
	sub = must(b.Subscriptions.Get(sub.ID, get))(t)
	equal(t, "status after the trial", sub.Status, stripe.SubscriptionStatusActive)
	equal(t, "first real invoice", sub.LatestInvoice.AmountPaid, 11700)
	sub = must(b.Subscriptions.Cancel(sub.ID, nil))(t)
	equal(t, "status", sub.Status, stripe.SubscriptionStatusCanceled)
	if sub.EndedAt == 0 || sub.CanceledAt == 0 {
		t.Error("a canceled subscription has no end")
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var clock struct{ Now int64 }
	equal(t, "status", b.control("POST", "clock", `{"advance_seconds":86400}`, &clock), 200)
	if ahead := clock.Now - time.Now().Unix(); ahead < 86395 || ahead > 86405 {
		t.Errorf("the clock is %d s ahead, want a day", ahead)
	}
	c := b.customer("")
	equal(t, "created by the account's clock", c.Created >= clock.Now, true)
	b.restart()
	now := must(b.server.Clock(t.Context(), testKey))(t)
	equal(t, "still ahead after a restart", now.Unix() >= clock.Now, true)
	other := must(b.server.Clock(t.Context(), "sk_test_another0account"))(t)
	equal(t, "another account's clock", other.Unix() < clock.Now, true)
	for _, body := range []string{`{"advance_seconds":-1}`, `{"advance_seconds":1000000000}`, `{"advance":5}`, `[]`} {
		equal(t, "status of "+body, b.control("POST", "clock", body, nil), 400)
	}
	equal(t, "status of the view", b.control("GET", "clock", "", &clock), 200)
}

func TestRenewalThatCannotHappenHoldsNothingUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	basic, _, monthly := b.catalog()
	customer := b.customer("pm_card_visa").ID
	sub := must(b.subscribe(customer, monthly.ID, "allow_incomplete", nil))(t)
	must(b.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{
		ProrationBehavior: stripe.String("none"),
		Items:             []*stripe.SubscriptionItemsParams{{ID: stripe.String(sub.Items.Data[0].ID), Quantity: stripe.Int64(1_000_000)}},
	}))(t)
	q := must(b.Quotes.New(&stripe.QuoteParams{
		Customer: stripe.String(customer), LineItems: []*stripe.QuoteLineItemParams{quoteLine(basic.ID, 1)},
		ExpiresAt: stripe.Int64(time.Now().Add(60 * day).Unix()),
	}))(t)
	b.advance(61 * day)
	equal(t, "quote status", must(b.Quotes.Get(q.ID, nil))(t).Status, stripe.QuoteStatusCanceled)
	equal(t, "latest invoice", must(b.Subscriptions.Get(sub.ID, nil))(t).LatestInvoice.ID, sub.LatestInvoice.ID)
}

func TestControlEndpointsBelongToTheirAccount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi := must(b.intent("pm_card_visa", "", func(p *stripe.PaymentIntentParams) {
		p.Metadata = map[string]string{"purser_payment": "pay_1"}
	}))(t)
	var state struct {
		Account        string
		Charges        []stripe.Charge
		PaymentIntents []stripe.PaymentIntent `json:"payment_intents"`
		Refunds        []stripe.Refund
	}
	equal(t, "status", b.control("GET", "state", "", &state), 200)
	equal(t, "account", state.Account, must(b.Accounts.Get())(t).ID)
	equal(t, "intents", len(state.PaymentIntents), 1)
	equal(t, "charge", state.Charges[0].PaymentIntent.ID, pi.ID)
	equal(t, "amount", state.Charges[0].Amount, 2000)
	equal(t, "metadata", state.Charges[0].Metadata["purser_payment"], "pay_1")
	equal(t, "refunds", len(state.Refunds), 0)

	for key, want := range map[string]int{"": 401, "sk_live_0123456789abcdef": 401, "sk_test_another0account": 200} {
		status, body, _ := b.raw("GET", "/_sandbox/state", "", map[string]string{"Authorization": "Bearer " + key})
		equal(t, "status with key "+key, status, want)
		if strings.Contains(body, pi.ID) {
			t.Errorf("the key %q sees another account's payments", key)
		}
	}
}
