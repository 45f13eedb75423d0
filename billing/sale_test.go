package billing

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"purser/auth"
	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/price"
	"purser/ent/provider"
	"purser/ent/quote"
	"purser/gateway"
	"purser/money"
)

// sale is a fixture in which something is sold: the organization's default
// provider can be asked, and there is a payer. The gateway's part is played by
// the results that a test hands to Finish.
type sale struct {
	*fixture
	payer *ent.Payer
	// asked counts what the gateway has named.
	asked int
}

// eachSale runs a test on a sale over both databases.
func eachSale(t *testing.T, run func(t *testing.T, s *sale)) {
	t.Helper()
	eachDatabase(t, func(t *testing.T, f *fixture) {
		s := &sale{fixture: f}
		s.provider = s.newKind(t, provider.KindSTRIPE)
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider) })
		s.payer = f.newPayer(t, payer.BillingModePREPAID)
		run(t, s)
	})
}

// newKind makes a provider whose secrets can be opened.
func (s *sale) newKind(t testing.TB, kind provider.Kind) string {
	t.Helper()
	id := s.newID(prefixProvider)
	sealed, err := s.sealer.Seal(auth.Secret("sk_test_"+id), auth.Place{OrganizationID: s.org, EntityID: id, Column: columnSecret})
	if err != nil {
		t.Fatal(err)
	}
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
		return tx.Provider.Create().
			SetID(id).SetSlug(id).SetName("Provider").SetKind(kind).SetSecretSealed(sealed).
			SetWebhookToken(id).SetCreatedAt(tx.Now).Exec(ctx)
	})
	return id
}

func (s *sale) setOrganization(t testing.TB, change func(*ent.OrganizationUpdate)) {
	t.Helper()
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
		u := tx.Organization.Update().Where(organization.ID(s.org))
		change(u)
		return u.Exec(ctx)
	})
}

func (s *sale) setPayer(t testing.TB, change func(*ent.PayerUpdate)) {
	t.Helper()
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
		u := tx.Payer.Update().Where(payer.ID(s.payer.ID))
		change(u)
		return u.Exec(ctx)
	})
}

func (s *sale) archiveProvider(t testing.TB) {
	t.Helper()
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
		return tx.Provider.Update().Where(provider.ID(s.provider)).SetStatus(provider.StatusARCHIVED).Exec(ctx)
	})
}

// named is a name such as a gateway gives.
func (s *sale) named(prefix string) string {
	s.asked++
	return fmt.Sprintf("%s_%d", prefix, s.asked)
}

// price makes a price of a new product; interval is empty for one-off prices.
func (s *sale) price(t testing.TB, d ProductDraft, amount money.Amount, interval price.RecurrenceInterval) string {
	t.Helper()
	productID, err := s.CreateProduct(s.ctx, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	draft := PriceDraft{ProductID: productID, UnitAmount: amount}
	if interval != "" {
		draft.Recurrence = &Recurrence{Interval: interval, Count: 1}
	}
	id, err := s.CreatePrice(s.ctx, draft, nil)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// item is a position with a text.
func item(t testing.TB, description, amount, currency string, quantity int) LineDraft {
	t.Helper()
	a := in(t, amount, currency)
	return LineDraft{Description: description, UnitAmount: &a, Quantity: quantity}
}

// quoted reads a quote.
func (s *sale) quoted(t testing.TB, id string) *ent.Quote {
	t.Helper()
	q, err := s.Client().Quote.Query().Where(quote.ID(id)).Only(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// invoiced reads an invoice.
func (s *sale) invoiced(t testing.TB, id string) *ent.Invoice {
	t.Helper()
	i, err := s.Client().Invoice.Query().Where(invoice.ID(id)).Only(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// paid reads a payment.
func (s *sale) paid(t testing.TB, id string) *ent.Payment {
	t.Helper()
	p, err := s.Client().Payment.Query().Where(payment.ID(id)).Only(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// paymentsOf reads an invoice's payments, oldest first.
func (s *sale) paymentsOf(t testing.TB, invoiceID string) []*ent.Payment {
	t.Helper()
	all, err := s.Client().Payment.Query().Where(payment.InvoiceID(invoiceID)).Order(ent.Asc(payment.FieldID)).All(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// called reads a gateway call.
func (s *sale) called(t testing.TB, id string) *ent.GatewayCall {
	t.Helper()
	c, err := s.Client().GatewayCall.Query().Where(gatewaycall.ID(id)).Only(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// calls counts the calls about an object.
func (s *sale) calls(t testing.TB, subject string) int {
	t.Helper()
	n, err := s.Client().GatewayCall.Query().Where(gatewaycall.Subject(subject)).Count(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// quoteOf writes a draft for the payer.
func (s *sale) quoteOf(t testing.TB, lines ...LineDraft) string {
	t.Helper()
	id, err := s.CreateQuote(s.ctx, QuoteDraft{PayerID: s.payer.ID, Lines: lines})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// openQuoteOf writes a quote and makes it binding; the gateway agrees where it
// is asked.
func (s *sale) openQuoteOf(t testing.TB, lines ...LineDraft) string {
	t.Helper()
	id := s.quoteOf(t, lines...)
	begun, err := s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	if begun.Call != nil {
		if err := s.FinishQuoteFinalization(s.ctx, begun.ID, s.quoteAt(t, id, "open")); err != nil {
			t.Fatal(err)
		}
	}
	if q := s.quoted(t, id); q.Status != quote.StatusOPEN {
		t.Fatalf("the quote is %s", q.Status)
	}
	return id
}

// quoteAt is the quote as the gateway reports it in a state; the first report
// names it.
func (s *sale) quoteAt(t testing.TB, id string, state gateway.QuoteState) gateway.QuoteResult {
	t.Helper()
	q := s.quoted(t, id)
	r := gateway.QuoteResult{
		Outcome: succeeded(), QuoteID: orEmpty(q.GatewayQuoteID), CustomerID: "cus_" + s.payer.ID, State: state, Total: *q.Total(),
	}
	if r.QuoteID == "" {
		r.QuoteID = s.named("qt")
	}
	if state == "accepted" {
		r.InvoiceID = "in_of_" + r.QuoteID
	}
	return r
}

// accepted accepts an open quote and returns the invoice's id.
func (s *sale) accepted(t testing.TB, quoteID string) string {
	t.Helper()
	begun, err := s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: quoteID, Key: ptr(s.newID("key"))})
	if err != nil {
		t.Fatal(err)
	}
	if begun.Call != nil {
		if err := s.FinishQuoteAcceptance(s.ctx, begun.ID, s.quoteAt(t, quoteID, "accepted")); err != nil {
			t.Fatal(err)
		}
	}
	q := s.quoted(t, quoteID)
	if q.Status != quote.StatusACCEPTED || q.InvoiceID == nil {
		t.Fatalf("the quote is %s with invoice %v", q.Status, q.InvoiceID)
	}
	return *q.InvoiceID
}

// invoiceOf writes an invoice for the payer.
func (s *sale) invoiceOf(t testing.TB, lines ...LineDraft) string {
	t.Helper()
	id, err := s.CreateInvoice(s.ctx, InvoiceDraft{PayerID: s.payer.ID, Lines: lines, Collection: invoice.CollectionAUTOMATIC})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// openInvoiceOf writes an invoice and makes it payable; the gateway agrees
// where it is asked.
func (s *sale) openInvoiceOf(t testing.TB, lines ...LineDraft) string {
	t.Helper()
	id := s.invoiceOf(t, lines...)
	s.finalized(t, id)
	return id
}

func (s *sale) finalized(t testing.TB, id string) {
	t.Helper()
	begun, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	if begun.Call != nil {
		if err := s.FinishInvoiceFinalization(s.ctx, begun.ID, s.invoiceAt(t, id, "open")); err != nil {
			t.Fatal(err)
		}
	}
}

// invoiceAt is the invoice as the gateway reports it in a state; the first
// report names it.
func (s *sale) invoiceAt(t testing.TB, id string, state gateway.InvoiceState) gateway.InvoiceResult {
	t.Helper()
	i := s.invoiced(t, id)
	r := gateway.InvoiceResult{
		Outcome: succeeded(), InvoiceID: orEmpty(i.GatewayInvoiceID), CustomerID: "cus_" + s.payer.ID,
		State: state, Total: i.Total(), AmountDue: i.Total(),
		AmountPaid: money.Amount{Currency: i.Currency},
	}
	if r.InvoiceID == "" {
		r.InvoiceID = s.named("in")
	}
	if state != "draft" {
		r.HostedURL, r.PDFURL = "https://pay.example/"+r.InvoiceID, "https://pay.example/"+r.InvoiceID+".pdf"
	}
	if state == "paid" {
		r.AmountPaid = i.Total()
		r.Payment = gateway.PaymentState{
			Status: gateway.StatusSucceeded, GatewayPaymentID: "pi_of_" + r.InvoiceID,
			Amount: i.Total(), ReceiptURL: "https://pay.example/receipts/" + r.InvoiceID,
		}
	}
	return r
}

// card saves a card of the payer and returns its id.
func (s *sale) card(t testing.TB) string {
	t.Helper()
	begun, err := s.BeginCardAttach(s.ctx, CardDraft{PayerID: s.payer.ID, GatewayToken: "pm_card_visa", MakeDefault: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.FinishCard(s.ctx, begun.ID, s.cardAt(s.named("pm"))); err != nil {
		t.Fatal(err)
	}
	return begun.PaymentMethodID
}

func (s *sale) cardAt(gatewayID string) gateway.CardResult {
	return gateway.CardResult{
		Outcome: succeeded(), CustomerID: "cus_" + s.payer.ID, PaymentMethodID: gatewayID,
		Card: gateway.Card{Brand: "visa", Last4: "4242", ExpMonth: 12, ExpYear: 2030},
	}
}

// session is the context of the payer itself.
func (s *sale) session(t testing.TB, payerID string) context.Context {
	t.Helper()
	return auth.NewContext(t.Context(), &auth.Viewer{
		OrganizationID: s.org, OrganizationSlug: "demo", SessionID: "ses_test", PayerID: payerID, Permission: auth.PermissionReadWrite,
	})
}

func succeeded() gateway.Outcome {
	return gateway.Outcome{Status: gateway.StatusSucceeded, RequestID: "req_1"}
}

// ended is an outcome other than success.
func ended(status gateway.Status) gateway.Outcome {
	o := gateway.Outcome{Status: status, RequestID: "req_1"}
	switch status {
	case gateway.StatusDeclined:
		o.Failure = &gateway.Failure{Code: "card_declined", DeclineCode: "generic_decline", Message: "Your card was declined."}
	case gateway.StatusRejected:
		o.Failure = &gateway.Failure{Code: "parameter_invalid", Message: "The gateway does not like it."}
	default: // says it all
	}
	return o
}

// resumed is what the resume job does before it asks again: the call becomes
// due and is taken over.
func (s *sale) resumed(t testing.TB, callID string) DueCall {
	t.Helper()
	s.clock.Advance(callLease)
	due, err := s.ClaimCall(s.ctx, callID)
	if err != nil {
		t.Fatal(err)
	}
	if due == nil {
		t.Fatalf("call %s is not due", callID)
	}
	return *due
}

// wantCodeIn reports an error that is no refusal with the code; unlike
// wantCode it may be called beside the test's own goroutine.
func wantCodeIn(t testing.TB, err error, code Code) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got %v, want a refusal with %s", err, code)
		return nil
	}
	return e
}

// orders returns every order of n things.
func orders(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, shorter := range orders(n - 1) {
		for at := range n {
			one := append([]int{}, shorter[:at]...)
			all = append(all, append(append(one, n-1), shorter[at:]...))
		}
	}
	return all
}
