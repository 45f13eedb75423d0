package stripesandbox_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
)

// session makes a checkout session over 15.00 EUR that returns to shop.
func (b *bundle) session(more func(*stripe.CheckoutSessionParams)) *stripe.CheckoutSession {
	b.t.Helper()
	p := &stripe.CheckoutSessionParams{
		Mode: stripe.String("payment"), SuccessURL: stripe.String("https://shop.example/ok?session={CHECKOUT_SESSION_ID}"), CancelURL: stripe.String("https://shop.example/no"),
		ClientReferenceID: stripe.String("topup_1"),
		LineItems: []*stripe.CheckoutSessionLineItemParams{{Quantity: stripe.Int64(3), PriceData: &stripe.CheckoutSessionLineItemPriceDataParams{
			Currency: stripe.String("eur"), UnitAmount: stripe.Int64(500), ProductData: &stripe.CheckoutSessionLineItemPriceDataProductDataParams{Name: stripe.String("Top-up <b>")},
		}}},
		PaymentIntentData: &stripe.CheckoutSessionPaymentIntentDataParams{Metadata: map[string]string{"purser_payment": "pay_1"}},
	}
	if more != nil {
		more(p)
	}
	return must(b.CheckoutSessions.New(p))(b.t)
}

func TestCheckoutPayment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("checkout.session.completed", "payment_intent.succeeded")
	customer := b.customer("")
	s := b.session(func(p *stripe.CheckoutSessionParams) {
		p.Customer = stripe.String(customer.ID)
		p.PaymentIntentData.SetupFutureUsage = stripe.String("off_session")
	})
	equal(t, "amount", s.AmountTotal, 1500)
	equal(t, "payment status", s.PaymentStatus, stripe.CheckoutSessionPaymentStatusUnpaid)
	shown := browse(t, s.URL, nil)
	shown.contains(t, "TEST", "15.00 EUR", "3 × Top-up &lt;b&gt;", `name="number"`, `name="expiry"`, `name="cvc"`, `name="name"`, `href="https://shop.example/no"`)

	declined := browseOnce(t, s.URL, card("4000000000000002"))
	equal(t, "status of a declined card", declined.status, 402)
	declined.contains(t, "Your card was declined.", `role="alert"`, `name="number"`)
	s = must(b.CheckoutSessions.Get(s.ID, nil))(t)
	equal(t, "status", s.Status, stripe.CheckoutSessionStatusOpen)

	paid := browseOnce(t, s.URL, card("4242 4242 4242 4242"))
	equal(t, "status of the form", paid.status, http.StatusSeeOther)
	equal(t, "way back", paid.header.Get("Location"), "https://shop.example/ok?session="+s.ID)
	again := browseOnce(t, b.http.URL+"/base/pages/checkout/"+s.ID, card("4242 4242 4242 4242"))
	equal(t, "way back of the second form", again.header.Get("Location"), "https://shop.example/ok?session="+s.ID)

	get := &stripe.CheckoutSessionParams{}
	get.AddExpand("payment_intent.latest_charge")
	get.AddExpand("line_items")
	s = must(b.CheckoutSessions.Get(s.ID, get))(t)
	equal(t, "status", s.Status, stripe.CheckoutSessionStatusComplete)
	equal(t, "payment status", s.PaymentStatus, stripe.CheckoutSessionPaymentStatusPaid)
	equal(t, "url", s.URL, "")
	equal(t, "reference", s.ClientReferenceID, "topup_1")
	equal(t, "metadata of the intent", s.PaymentIntent.Metadata["purser_payment"], "pay_1")
	equal(t, "charge", s.PaymentIntent.LatestCharge.Amount, 1500)
	equal(t, "lines", len(s.LineItems.Data), 1)
	equal(t, "email", s.CustomerDetails.Email, "ada@example.com")
	equal(t, "owner of the saved card", must(b.PaymentMethods.Get(s.PaymentIntent.PaymentMethod.ID, nil))(t).Customer.ID, customer.ID)
	state := must(b.server.Inspect(t.Context(), testKey))(t)
	equal(t, "charges: one declined, one paid", len(state.Charges), 2)
	hook.wait(t, 2)
	browse(t, b.http.URL+"/base/pages/checkout/"+s.ID, nil).contains(t, "This checkout is complete.")
}

func TestCheckoutWithAuthentication(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.session(nil)
	begun := browse(t, s.URL, card("4000002760003184"))
	begun.contains(t, "3-D Secure", "15.00 EUR")
	failed := browse(t, begun.url, url.Values{"fail": {"fail"}})
	equal(t, "page after a failure", failed.url, s.URL)
	failed.contains(t, "unable to authenticate")
	begun = browse(t, s.URL, card("4000002760003184"))
	done := browseOnce(t, begun.url, url.Values{"complete": {"complete"}})
	equal(t, "way back", done.header.Get("Location"), "https://shop.example/ok?session="+s.ID)
	s = must(b.CheckoutSessions.Get(s.ID, nil))(t)
	equal(t, "payment status", s.PaymentStatus, stripe.CheckoutSessionPaymentStatusPaid)
}

func TestCheckoutSetup(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("")
	s := must(b.CheckoutSessions.New(&stripe.CheckoutSessionParams{
		Mode: stripe.String("setup"), Customer: stripe.String(customer.ID), Currency: stripe.String("eur"),
		SuccessURL: stripe.String("https://shop.example/ok"), SetupIntentData: &stripe.CheckoutSessionSetupIntentDataParams{Metadata: map[string]string{"a": "b"}},
	}))(t)
	browse(t, s.URL, nil).contains(t, "Save a card", "Nothing is charged now")
	equal(t, "status of a declined card", browseOnce(t, s.URL, card("4000000000000002")).status, 402)
	equal(t, "status of the form", browseOnce(t, s.URL, card("4242424242424242")).status, 303)
	get := &stripe.CheckoutSessionParams{}
	get.AddExpand("setup_intent.payment_method")
	s = must(b.CheckoutSessions.Get(s.ID, get))(t)
	equal(t, "status", s.Status, stripe.CheckoutSessionStatusComplete)
	equal(t, "payment status", s.PaymentStatus, stripe.CheckoutSessionPaymentStatusNoPaymentRequired)
	equal(t, "metadata", s.SetupIntent.Metadata["a"], "b")
	equal(t, "last digits", s.SetupIntent.PaymentMethod.Card.Last4, "4242")
	equal(t, "owner", s.SetupIntent.PaymentMethod.Customer.ID, customer.ID)
}

func TestCheckoutExpires(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("checkout.session.expired")
	first, second := b.session(nil), b.session(nil)
	address := second.URL
	equal(t, "status", must(b.CheckoutSessions.Expire(first.ID, nil))(t).Status, stripe.CheckoutSessionStatusExpired)
	_, err := b.CheckoutSessions.Expire(first.ID, nil)
	refused(t, err, 400)
	if err := b.server.AdvanceClock(t.Context(), testKey, 25*time.Hour); err != nil {
		t.Fatal(err)
	}
	equal(t, "status", must(b.CheckoutSessions.Get(second.ID, nil))(t).Status, stripe.CheckoutSessionStatusExpired)
	browse(t, address, card("4242424242424242")).contains(t, "has expired", `href="https://shop.example/no"`)
	equal(t, "charges", len(must(b.server.Inspect(t.Context(), testKey))(t).Charges), 0)
	hook.wait(t, 2)
}

func TestCheckoutRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, change := range map[string]func(*stripe.CheckoutSessionParams){
		"no success url":       func(p *stripe.CheckoutSessionParams) { p.SuccessURL = nil },
		"script as return url": func(p *stripe.CheckoutSessionParams) { p.SuccessURL = stripe.String("javascript:alert(1)") },
		"no lines":             func(p *stripe.CheckoutSessionParams) { p.LineItems = nil },
		"too small":            func(p *stripe.CheckoutSessionParams) { p.LineItems[0].PriceData.UnitAmount = stripe.Int64(1) },
		"expires too soon":     func(p *stripe.CheckoutSessionParams) { p.ExpiresAt = stripe.Int64(time.Now().Unix() + 60) },
		"setup data": func(p *stripe.CheckoutSessionParams) {
			p.SetupIntentData = &stripe.CheckoutSessionSetupIntentDataParams{Description: stripe.String("x")}
		},
		"recurring price": func(p *stripe.CheckoutSessionParams) {
			p.LineItems[0].PriceData.Recurring = &stripe.CheckoutSessionLineItemPriceDataRecurringParams{Interval: stripe.String("month")}
		},
	} {
		p := &stripe.CheckoutSessionParams{
			Mode: stripe.String("payment"), SuccessURL: stripe.String("https://shop.example/"),
			LineItems: []*stripe.CheckoutSessionLineItemParams{{Quantity: stripe.Int64(1), PriceData: &stripe.CheckoutSessionLineItemPriceDataParams{
				Currency: stripe.String("eur"), UnitAmount: stripe.Int64(500), ProductData: &stripe.CheckoutSessionLineItemPriceDataProductDataParams{Name: stripe.String("x")},
			}}},
		}
		change(p)
		_, err := b.CheckoutSessions.New(p)
		t.Run(name, func(t *testing.T) { refused(t, err, 400) })
	}
}

func TestHostedInvoiceForm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inv := b.invoice(b.customer("").ID)
	shown := browse(t, inv.HostedInvoiceURL, nil)
	shown.contains(t, "TEST", "12.00 EUR", "Calls", inv.Number, `<label for="number">`, `<label for="expiry">`, `<label for="cvc">`, `<label for="name">`)
	policy := shown.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.Contains(policy, "form-action 'self'") || strings.Contains(policy, "http:") {
		t.Errorf("the policy is %s", policy)
	}
	if strings.Contains(shown.body, "<script") {
		t.Error("the page has a script")
	}
	for name, change := range map[string]url.Values{
		"real card":    {"number": {"5105105105105100"}},
		"wrong number": {"number": {"4242424242424241"}},
		"past expiry":  {"expiry": {"12/20"}},
		"month 13":     {"expiry": {"13/44"}},
		"no expiry":    {"expiry": {""}},
		"short cvc":    {"cvc": {"12"}},
		"cvc of words": {"cvc": {"abc"}},
	} {
		form := card("4242424242424242")
		for key, value := range change {
			form[key] = value
		}
		got := browseOnce(t, inv.HostedInvoiceURL, form)
		equal(t, "status with "+name, got.status, http.StatusUnprocessableEntity)
		got.contains(t, `role="alert"`)
		if strings.Contains(got.body, form.Get("number")) {
			t.Errorf("the page repeats the number typed (%s)", name)
		}
	}
	for _, expiry := range []string{"0144", "01/2044", "01 / 44"} {
		form := card("4000000000000002")
		form.Set("expiry", expiry)
		equal(t, "status with expiry "+expiry, browseOnce(t, inv.HostedInvoiceURL, form).status, http.StatusPaymentRequired)
	}
	first := browseOnce(t, inv.HostedInvoiceURL, card("4242-4242-4242-4242"))
	equal(t, "status of the form", first.status, http.StatusSeeOther)
	equal(t, "status of the form again", browseOnce(t, inv.HostedInvoiceURL, card("4242424242424242")).status, http.StatusSeeOther)
	after := browse(t, inv.HostedInvoiceURL, nil)
	after.contains(t, "Paid. Thank you.", `id="receipt"`)
	paid := 0
	for _, c := range must(b.server.Inspect(t.Context(), testKey))(t).Charges {
		if c["paid"] == true {
			paid++
		}
	}
	equal(t, "paid charges", paid, 1)
	pdf := browse(t, inv.InvoicePDF, nil)
	equal(t, "type of the PDF", pdf.header.Get("Content-Type"), "application/pdf")
	pdf.contains(t, "%PDF-", "12.00 EUR", "Paid on")
	equal(t, "status of a page that does not exist", browse(t, b.http.URL+"/base/pages/invoices/nobody", nil).status, 404)
}

func TestNothingTypedIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inv := b.invoice(b.customer("").ID)
	s := b.session(nil)
	for _, address := range []string{inv.HostedInvoiceURL, s.URL} {
		// When a test card ends is kept, of no other card.
		for number, expiry := range map[string]string{"5105105105105100": "11/59", "4000000000000002": "12/44", "4242424242424242": "12/44"} {
			browseOnce(t, address, url.Values{"number": {number}, "expiry": {expiry}, "cvc": {"8642"}, "name": {"Mallory Typed"}})
		}
	}
	// Nor is there a digest of it: as far as the key's record knows, two
	// numbers that are none of a test card are the same request.
	for i, number := range []string{"5105105105105100", "5555444433331111"} {
		params := &stripe.PaymentMethodParams{Type: stripe.String("card"), Card: &stripe.PaymentMethodCardParams{
			Number: stripe.String(number), ExpMonth: stripe.Int64(11), ExpYear: stripe.Int64(2059), CVC: stripe.String(fmt.Sprint(123 + i)),
		}}
		params.SetIdempotencyKey("a real card")
		_, err := b.PaymentMethods.New(params)
		refused(t, err, 402)
	}
	b.stop()
	stored := ""
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(b.path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		stored += string(raw)
	}
	if !strings.Contains(stored, "ada@example.com") {
		t.Fatal("the file is not the sandbox's state")
	}
	for _, typed := range []string{"5105105105105100", "4000000000000002", "4242424242424242", "8642\"", "2059", "Mallory"} {
		if strings.Contains(stored, typed) {
			t.Errorf("%q is in the database", typed)
		}
		if strings.Contains(b.log.String(), typed) {
			t.Errorf("%q is in the log", typed)
		}
	}
}

// What is wrong with a form is said of the field that it is about.
func TestTheWrongFieldIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inv, s := b.invoice(b.customer("").ID), b.session(nil)
	for _, address := range []string{inv.HostedInvoiceURL, s.URL} {
		if strings.Contains(browse(t, address, nil).body, "autofocus") {
			t.Errorf("%s takes the focus before anything was typed", address)
		}
		for _, c := range []struct{ number, expiry, cvc, field string }{
			{"5105105105105100", "12/44", "123", "number"},
			{"4242424242424242", "12/20", "123", "expiry"},
			{"4242424242424242", "12/44", "1", "cvc"},
			{"4000000000000002", "12/44", "123", ""}, // refused by the bank: nothing is wrong with the form
		} {
			p := browse(t, address, url.Values{"number": {c.number}, "expiry": {c.expiry}, "cvc": {c.cvc}})
			p.contains(t, "<title>Error: ", `role="alert" id="problem"`)
			for _, field := range []string{"number", "expiry", "cvc"} {
				_, input, _ := strings.Cut(p.body, `<input id="`+field+`"`)
				input, _, _ = strings.Cut(input, ">")
				equal(t, c.field+" wrong, "+field+" is invalid", strings.Contains(input, "aria-invalid"), field == c.field)
				equal(t, c.field+" wrong, "+field+" is described", strings.Contains(input, `aria-describedby="problem`), field == c.field)
				equal(t, c.field+" wrong, "+field+" has the focus", strings.Contains(input, "autofocus"), field == c.field || c.field == "" && field == "number")
			}
		}
	}
}

func TestPortalAndHome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("pm_card_visa")
	inv := b.invoice(customer.ID)
	p := must(b.BillingPortalSessions.New(&stripe.BillingPortalSessionParams{Customer: stripe.String(customer.ID), ReturnURL: stripe.String("https://shop.example/home")}))(t)
	browse(t, p.URL, nil).contains(t, "ending in 4242", inv.Number, "https://shop.example/home")
	if err := b.server.AdvanceClock(t.Context(), testKey, 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	equal(t, "status of an old portal", browse(t, p.URL, nil).status, 404)
	browse(t, b.http.URL+"/base/", nil).contains(t, "sk_test_", stripe.APIVersion)
}
