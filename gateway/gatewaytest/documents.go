package gatewaytest

import (
	"testing"
	"time"

	"purser/gateway"
	"purser/money"
)

// quoteOf is a quote over 25.00 USD.
func quoteOf(t *testing.T) gateway.QuoteRequest {
	return gateway.QuoteRequest{
		Customer: payer(), Currency: "USD", Description: "A quote", ExpiresAt: time.Now().Add(72 * time.Hour).Truncate(time.Hour),
		Lines: []gateway.Line{
			{Description: "Seat", Quantity: 2, UnitAmount: usd(t, "10"), Total: usd(t, "20")},
			{Description: "Setup", Quantity: 1, UnitAmount: usd(t, "5"), Total: usd(t, "5")},
		},
	}
}

// invoiceOf is an invoice over 11.90 USD with digits below the cent.
func invoiceOf(t *testing.T) gateway.InvoiceRequest {
	return gateway.InvoiceRequest{
		Customer: payer(), Currency: "USD", Description: "An invoice",
		Lines: []gateway.Line{
			{Description: "Calls", Quantity: 3, UnitAmount: usd(t, "1.115"), Total: usd(t, "3.345")},
			{Description: "Storage", Quantity: 1, UnitAmount: usd(t, "6.655"), Total: usd(t, "6.655")},
		},
		Tax: usd(t, "1.90"), Total: usd(t, "11.90"),
	}
}

// pageOf is a hosted payment over 12.50 USD.
func pageOf(t *testing.T) gateway.HostedPaymentRequest {
	return gateway.HostedPaymentRequest{
		Customer: payer(), Amount: usd(t, "12.50"), Description: "Top-up", OrderCode: "ORDER", SaveCard: true,
		SuccessURL: "http://127.0.0.1/ok", CancelURL: "http://127.0.0.1/no", ExpiresAt: time.Now().Add(2 * time.Hour).Truncate(time.Minute),
	}
}

// quote makes a finalized quote.
func (s *suite) quote(t *testing.T) string {
	t.Helper()
	res := s.Adapter.(gateway.Quotes).FinalizeQuote(t.Context(), s.Account, s.call(), quoteOf(t))
	wantStatus(t, "finalize a quote", res.Outcome, gateway.StatusSucceeded)
	return res.QuoteID
}

// invoice makes a finalized invoice.
func (s *suite) invoice(t *testing.T, customer string) string {
	t.Helper()
	r := invoiceOf(t)
	if customer != "" {
		r.Customer = gateway.Customer{ID: customer}
	}
	res := s.Adapter.(gateway.Invoices).FinalizeInvoice(t.Context(), s.Account, s.call(), r)
	wantStatus(t, "finalize an invoice", res.Outcome, gateway.StatusSucceeded)
	return res.InvoiceID
}

// end is what is known of an operation when its effect is checked.
type end int

const (
	settled   end = iota // it succeeded: its effect is there once
	unsettled            // it is unknown: its effect is there once or not at all
	nothing              // it is said that nothing happened
)

// once checks how many objects stand.
func (s *suite) once(kind gateway.ObjectKind) func(*testing.T, end) {
	return func(t *testing.T, e end) {
		t.Helper()
		if n := s.Count(t, kind); n > 1 || e == settled && n != 1 || e == nothing && n != 0 {
			t.Fatalf("%d of %s stand", n, kind)
		}
	}
}

// gone checks that the one object no longer stands once it is settled, and
// still does where nothing happened.
func (s *suite) gone(kind gateway.ObjectKind) func(*testing.T, end) {
	return func(t *testing.T, e end) {
		t.Helper()
		if n := s.Count(t, kind); e == settled && n != 0 || e == nothing && n != 1 {
			t.Fatalf("%d of %s stand", n, kind)
		}
	}
}

// charged checks what the gateway has taken: all of it or nothing, as it was
// said.
func (s *suite) charged(want ...money.Decimal) func(*testing.T, end) {
	return func(t *testing.T, e end) {
		t.Helper()
		if e == nothing || e == unsettled && len(s.Charged(t)) == 0 {
			s.wantCharged(t)
			return
		}
		s.wantCharged(t, want...)
	}
}

// testQuotes walks a quote from its lines to its invoice.
func testQuotes(t *testing.T, s *suite) {
	quotes := s.Adapter.(gateway.Quotes)
	ctx := t.Context()
	call, request := s.call(), quoteOf(t)
	first := quotes.FinalizeQuote(ctx, s.Account, call, request)
	wantStatus(t, "finalize", first.Outcome, gateway.StatusSucceeded)
	if first.State != "open" || first.CustomerID == "" || first.Total != usd(t, "25") {
		t.Errorf("quote = %+v", first)
	}
	again := quotes.FinalizeQuote(ctx, s.Account, call, request)
	wantStatus(t, "finalize again", again.Outcome, gateway.StatusSucceeded)
	if again.QuoteID != first.QuoteID || s.Count(t, gateway.ObjectQuote) != 1 {
		t.Errorf("one call made %s and %s", first.QuoteID, again.QuoteID)
	}
	var invoice string
	for range 2 {
		accepted := quotes.AcceptQuote(ctx, s.Account, s.call(), first.QuoteID)
		wantStatus(t, "accept", accepted.Outcome, gateway.StatusSucceeded)
		if accepted.State != "accepted" || accepted.InvoiceID == "" || (invoice != "" && invoice != accepted.InvoiceID) {
			t.Errorf("accepted = %+v", accepted)
		}
		invoice = accepted.InvoiceID
	}
	wantStatus(t, "cancel an accepted quote", quotes.CancelQuote(ctx, s.Account, s.call(), first.QuoteID).Outcome, gateway.StatusRejected)
	read := quotes.FetchQuote(ctx, s.Account, first.QuoteID)
	wantStatus(t, "read", read.Outcome, gateway.StatusSucceeded)
	if read.State != "accepted" || read.InvoiceID != invoice {
		t.Errorf("quote, read = %+v", read)
	}
	if invoices, ok := s.Adapter.(gateway.Invoices); ok {
		for range 2 {
			res := invoices.FinalizeInvoice(ctx, s.Account, s.call(), gateway.InvoiceRequest{InvoiceID: invoice, Currency: "USD", Total: usd(t, "25")})
			wantStatus(t, "finalize the quote's invoice", res.Outcome, gateway.StatusSucceeded)
			if res.State != "open" || res.Total != usd(t, "25") || res.HostedURL == "" || res.PDFURL == "" {
				t.Errorf("the quote's invoice = %+v", res)
			}
		}
		wrong := invoices.FinalizeInvoice(ctx, s.Account, s.call(), gateway.InvoiceRequest{InvoiceID: invoice, Currency: "USD", Total: usd(t, "24")})
		wantStatus(t, "finalize with another total", wrong.Outcome, gateway.StatusRejected)
	}
	other := s.quote(t)
	for range 2 {
		wantStatus(t, "cancel", quotes.CancelQuote(ctx, s.Account, s.call(), other).Outcome, gateway.StatusSucceeded)
	}
	wantStatus(t, "accept a canceled quote", quotes.AcceptQuote(ctx, s.Account, s.call(), other).Outcome, gateway.StatusRejected)
	wantStatus(t, "accept a quote that is not there", quotes.AcceptQuote(ctx, s.Account, s.call(), "qt_missing").Outcome, gateway.StatusRejected)
}

// testInvoices: paid, declined, authenticated, settled, void, deleted; each
// twice.
func testInvoices(t *testing.T, s *suite) {
	invoices := s.Adapter.(gateway.Invoices)
	ctx := t.Context()
	customer, good := s.card(t, s.Cards.Good)
	call, request := s.call(), invoiceOf(t)
	request.Customer = gateway.Customer{ID: customer}
	made := invoices.FinalizeInvoice(ctx, s.Account, call, request)
	wantStatus(t, "finalize", made.Outcome, gateway.StatusSucceeded)
	if made.State != "open" || made.Total != request.Total || made.HostedURL == "" || made.PDFURL == "" || made.CustomerID != customer || made.Payment.Status != "" {
		t.Errorf("invoice = %+v", made)
	}
	pay := gateway.InvoicePayRequest{InvoiceID: made.InvoiceID, PaymentMethodID: good, OffSession: true}
	call = s.call()
	for range 2 {
		paid := invoices.PayInvoice(ctx, s.Account, call, pay)
		wantStatus(t, "pay", paid.Outcome, gateway.StatusSucceeded)
		if paid.State != "paid" || paid.PaidOutside || paid.AmountPaid != request.Total || paid.Payment.Status != gateway.StatusSucceeded ||
			paid.Payment.GatewayPaymentID == "" || paid.Payment.ReceiptURL == "" || paid.Payment.Amount != request.Total {
			t.Errorf("paid = %+v", paid)
		}
	}
	wantStatus(t, "pay with another call", invoices.PayInvoice(ctx, s.Account, s.call(), pay).Outcome, gateway.StatusSucceeded)
	s.wantCharged(t, "11.90")
	wantStatus(t, "void a paid invoice", invoices.VoidInvoice(ctx, s.Account, s.call(), made.InvoiceID).Outcome, gateway.StatusRejected)
	wantStatus(t, "delete a paid invoice", invoices.DeleteDraftInvoice(ctx, s.Account, s.call(), made.InvoiceID).Outcome, gateway.StatusRejected)

	failingCustomer, failing := s.card(t, s.Cards.Failing)
	second := s.invoice(t, failingCustomer)
	for range 2 {
		res := invoices.PayInvoice(ctx, s.Account, s.call(), gateway.InvoicePayRequest{InvoiceID: second, PaymentMethodID: failing, OffSession: true})
		wantStatus(t, "pay with a failing card", res.Outcome, gateway.StatusDeclined)
		wantReason(t, res.Outcome)
		if res.State != "open" || res.Payment.Status != gateway.StatusDeclined {
			t.Errorf("declined = %+v", res)
		}
	}
	for range 2 {
		settled := invoices.SettleInvoice(ctx, s.Account, s.call(), second)
		wantStatus(t, "settle", settled.Outcome, gateway.StatusSucceeded)
		if settled.State != "paid" || !settled.PaidOutside {
			t.Errorf("settled = %+v", settled)
		}
	}

	authCustomer, auth := s.card(t, s.Cards.Authentication)
	third := s.invoice(t, authCustomer)
	call = s.call()
	for range 2 {
		res := invoices.PayInvoice(ctx, s.Account, call, gateway.InvoicePayRequest{InvoiceID: third, PaymentMethodID: auth})
		wantStatus(t, "pay with 3-D Secure", res.Outcome, gateway.StatusActionNeeded)
		if res.NextAction.RedirectURL == "" || res.Payment.GatewayPaymentID == "" || res.State != "open" {
			t.Errorf("waiting = %+v", res)
		}
	}
	s.wantCharged(t, "11.90")
	if read := invoices.FetchInvoice(ctx, s.Account, third); read.ClientSecret == "" {
		t.Error("there is no secret for a form")
	}
	if hosted := invoices.FetchInvoice(ctx, s.Account, third).HostedURL; hosted == "" {
		t.Error("there is no page to pay on")
	} else {
		s.PayPage(t, hosted, s.Cards.Good)
	}
	res := invoices.PayInvoice(ctx, s.Account, call, gateway.InvoicePayRequest{InvoiceID: third, PaymentMethodID: auth})
	wantStatus(t, "ask when paid on the page", res.Outcome, gateway.StatusSucceeded)
	if res.ClientSecret != "" {
		t.Error("a paid invoice has a secret for a form")
	}
	s.wantCharged(t, "11.90", "11.90")

	led := s.invoice(t, authCustomer)
	call = s.call()
	leading := gateway.InvoicePayRequest{InvoiceID: led, PaymentMethodID: auth, ReturnURL: "http://127.0.0.1/back"}
	var bank string
	for range 2 {
		res := invoices.PayInvoice(ctx, s.Account, call, leading)
		wantStatus(t, "pay with 3-D Secure that leads back", res.Outcome, gateway.StatusActionNeeded)
		if bank = res.NextAction.RedirectURL; bank == "" || bank == res.HostedURL {
			t.Fatalf("it leads to %q", bank)
		}
	}
	if read := invoices.FetchInvoice(ctx, s.Account, led); read.NextAction.RedirectURL != bank {
		t.Errorf("read, it leads to %q instead of %q", read.NextAction.RedirectURL, bank)
	}
	s.Authenticate(t, bank, true)
	wantStatus(t, "ask when authenticated", invoices.PayInvoice(ctx, s.Account, call, leading).Outcome, gateway.StatusSucceeded)
	s.wantCharged(t, "11.90", "11.90", "11.90")

	fourth := s.invoice(t, "")
	for range 2 {
		voided := invoices.VoidInvoice(ctx, s.Account, s.call(), fourth)
		wantStatus(t, "void", voided.Outcome, gateway.StatusSucceeded)
		if voided.State != "void" {
			t.Errorf("void = %+v", voided)
		}
	}
	wantStatus(t, "pay a void invoice", invoices.PayInvoice(ctx, s.Account, s.call(), gateway.InvoicePayRequest{InvoiceID: fourth, PaymentMethodID: good, OffSession: true}).Outcome, gateway.StatusRejected)
	wantStatus(t, "read an invoice that is not there", invoices.FetchInvoice(ctx, s.Account, "in_missing").Outcome, gateway.StatusRejected)

	wrong := invoiceOf(t)
	wrong.Total = usd(t, "11.91")
	standing := s.Count(t, gateway.ObjectInvoice)
	wantStatus(t, "finalize what does not add up", invoices.FinalizeInvoice(ctx, s.Account, s.call(), wrong).Outcome, gateway.StatusRejected)
	if n := s.Count(t, gateway.ObjectInvoice); n != standing {
		t.Errorf("%d invoices stand, %d before", n, standing)
	}
	if quotes, ok := s.Adapter.(gateway.Quotes); ok {
		draft := quotes.AcceptQuote(ctx, s.Account, s.call(), s.quote(t)).InvoiceID
		for range 2 {
			wantStatus(t, "delete a draft", invoices.DeleteDraftInvoice(ctx, s.Account, s.call(), draft).Outcome, gateway.StatusSucceeded)
		}
	}
	s.wantCharged(t, "11.90", "11.90", "11.90")
}
