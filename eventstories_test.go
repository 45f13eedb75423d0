package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"purser/ent/dispute"
	"purser/ent/ledgerentry"
	"purser/ent/payment"
	"purser/sandbox"
)

// A story is what happens at the gateway around one object of ours, in acts
// between which events may be delivered.
type story struct {
	name string
	// begin makes the object and returns what the acts need.
	begin func(t *testing.T, s *stack, c *cast)
	acts  []func(t *testing.T, s *stack, c *cast)
	// events are the kinds whose orders are all tried; the first of each kind
	// after begin counts, others are delivered at the end.
	events []string
	// want is the state at the end, as ending writes it.
	want string
}

// cast is who takes part in one telling of a story.
type cast struct {
	payer, card, quote, invoice, payment, hold, subscription string
	// method is a card whose own story is told.
	method string
	// declined is another card, which the bank declines.
	declined string
	// page is where the payer is sent.
	page string
}

func stories() []story {
	pay := func(number string) func(*testing.T, *stack, *cast) {
		return func(t *testing.T, s *stack, c *cast) { s.submit(t, c.page, cardForm(number)) }
	}
	press := func(button string) func(*testing.T, *stack, *cast) {
		return func(t *testing.T, s *stack, c *cast) { s.submit(t, c.page, url.Values{button: {button}}) }
	}
	return []story{
		{
			name: "invoice paid", begin: beginInvoice,
			acts:   []func(*testing.T, *stack, *cast){pay("4242424242424242")},
			events: []string{"invoice.finalized", "payment_intent.succeeded", "invoice.paid", "invoice.payment_succeeded", "charge.succeeded"},
			want:   "invoice PAID due 0.00 USD; payments SUCCEEDED; entries INVOICE 25.00, INVOICE_PAYMENT 25.00",
		},
		{
			name: "invoice failed, then paid", begin: beginInvoice,
			acts:   []func(*testing.T, *stack, *cast){pay("4000000000000002"), pay("4242424242424242")},
			events: []string{"payment_intent.payment_failed", "invoice.payment_failed", "payment_intent.succeeded", "invoice.paid", "invoice.payment_succeeded"},
			want:   "invoice PAID due 0.00 USD; payments SUCCEEDED; entries INVOICE 25.00, INVOICE_PAYMENT 25.00",
		},
		{
			name: "invoice failed, then void", begin: beginInvoice,
			acts:   []func(*testing.T, *stack, *cast){pay("4000000000000002"), voidAtGateway},
			events: []string{"payment_intent.payment_failed", "invoice.payment_failed", "invoice.voided", "payment_intent.canceled"},
			want:   "invoice VOID due 0.00 USD; payments CANCELED; entries INVOICE 25.00, REVERSAL 25.00",
		},
		{
			name: "invoice paid, then given back", begin: beginPaidInvoice,
			acts:   []func(*testing.T, *stack, *cast){giveBack, arrives},
			events: []string{"invoice.paid", "charge.refunded", "refund.created", "charge.refund.updated", "refund.updated"},
			want:   "invoice PAID due 0.00 USD; payments SUCCEEDED less 25.00; entries CREDIT_NOTE 25.00, INVOICE 25.00, INVOICE_PAYMENT 25.00, REFUND 25.00",
		},
		{
			name: "top-up with 3-D Secure", begin: beginSecureTopUp(false),
			acts:   []func(*testing.T, *stack, *cast){press("complete")},
			events: []string{"payment_intent.created", "payment_intent.requires_action", "payment_intent.succeeded", "charge.succeeded"},
			want:   "payment SUCCEEDED; entries TOP_UP 30.00",
		},
		{
			name: "top-up with 3-D Secure whose first reply was lost", begin: beginSecureTopUp(true),
			acts:   []func(*testing.T, *stack, *cast){press("complete")},
			events: []string{"payment_intent.created", "payment_intent.requires_action", "payment_intent.succeeded", "charge.succeeded"},
			want:   "payment SUCCEEDED; entries TOP_UP 30.00",
		},
		{
			name: "top-up with 3-D Secure that fails", begin: beginSecureTopUp(false),
			acts:   []func(*testing.T, *stack, *cast){press("fail")},
			events: []string{"payment_intent.created", "payment_intent.requires_action", "payment_intent.payment_failed"},
			want:   "payment FAILED; entries ",
		},
		{
			name: "top-up on a hosted page", begin: beginHostedTopUp,
			acts:   []func(*testing.T, *stack, *cast){pay("4000000000000002"), pay("4242424242424242")},
			events: []string{"payment_intent.payment_failed", "payment_intent.succeeded", "checkout.session.completed", "charge.succeeded"},
			want:   "payment SUCCEEDED; entries TOP_UP 30.00",
		},
		{
			name: "top-up given back, which the bank sends back", begin: beginReturnedRefund,
			acts:   []func(*testing.T, *stack, *cast){arrives},
			events: []string{"charge.refunded", "refund.created", "charge.refund.updated", "refund.updated"},
			want:   "payment SUCCEEDED; entries TOP_UP 30.00",
		},
		{
			name: "top-up contested, and won", begin: beginContested,
			acts:   []func(*testing.T, *stack, *cast){decide("winning_evidence")},
			events: []string{"payment_intent.succeeded", "charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed", "charge.dispute.funds_reinstated"},
			want:   "payment SUCCEEDED; dispute WON; entries TOP_UP 30.00",
		},
		{
			name: "top-up contested, and lost", begin: beginContested,
			acts:   []func(*testing.T, *stack, *cast){decide("more evidence"), decide("losing_evidence")},
			events: []string{"payment_intent.succeeded", "charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.updated", "charge.dispute.closed"},
			want:   "payment SUCCEEDED; dispute LOST; entries DISPUTE -30.00, TOP_UP 30.00",
		},
		{
			name: "quote accepted", begin: beginQuote,
			acts:   []func(*testing.T, *stack, *cast){answerQuote("quoteAccept")},
			events: []string{"quote.created", "quote.finalized", "quote.accepted"},
			want:   "quote ACCEPTED, invoice DRAFT",
		},
		{
			name: "quote canceled", begin: beginQuote,
			acts:   []func(*testing.T, *stack, *cast){answerQuote("quoteCancel")},
			events: []string{"quote.created", "quote.finalized", "quote.canceled"},
			want:   "quote CANCELED",
		},
		{
			name: "card saved on a page", begin: beginSetup,
			acts:   []func(*testing.T, *stack, *cast){pay("4000000000000002"), pay("5555555555554444")},
			events: []string{"setup_intent.setup_failed", "setup_intent.succeeded", "payment_method.attached", "checkout.session.completed"},
			want:   "card ACTIVE 4444",
		},
		{
			name: "card changed and taken away at the gateway", begin: beginCard,
			acts:   []func(*testing.T, *stack, *cast){changeCard(""), changeCard("/detach")},
			events: []string{"payment_method.attached", "payment_method.updated", "payment_method.detached"},
			want:   "card DETACHED 4242",
		},
	}
}

func beginInvoice(t *testing.T, s *stack, c *cast) {
	made := s.newInvoice(t, c.payer)
	c.invoice, c.page = made.text("invoice.id"), made.text("invoice.hostedUrl")
	// The payer is going to pay on the hosted page: a payment waits for that.
	s.do(t, "invoicePay", "payment { status }", map[string]any{"id": c.invoice, "idempotencyKey": "pay " + c.invoice})
}

// beginPaidInvoice has an invoice paid with a card to which money goes back
// with a delay. None of its events is needed to know that it is paid.
func beginPaidInvoice(t *testing.T, s *stack, c *cast) {
	beginInvoice(t, s, c)
	s.submit(t, c.page, cardForm("4000000000007726"))
	payment, err := s.billing.Client().Payment.Query().Where(payment.InvoiceID(c.invoice)).OnlyID(s.ctx)
	must(t, err)
	s.do(t, "paymentSync", "payment { status }", map[string]any{"id": payment})
}

// giveBack credits an invoice. The gateway begins to give it back, and its
// reply is lost.
func giveBack(t *testing.T, s *stack, c *cast) {
	id, err := s.sandbox.Faults().AddRequest(sandbox.RequestFault{Path: "/v1/refunds", Action: sandbox.ActionReset, When: sandbox.WhenAfter, Count: -1})
	must(t, err)
	defer s.sandbox.Faults().Remove("", id)
	got := s.do(t, "creditNoteCreate", "creditNote { refunds { status } }", map[string]any{
		"invoiceId": c.invoice, "reason": "Not wanted", "settlement": "REFUND", "idempotencyKey": "back " + c.invoice,
	})
	if status := lastRefund(got); status != "PROCESSING" {
		t.Fatalf("without a reply the refund is %s, want PROCESSING", status)
	}
}

// arrives lets time pass at the gateway until the money has gone back.
func arrives(t *testing.T, s *stack, _ *cast) {
	must(t, s.sandbox.AdvanceClock(t.Context(), stackSecretKey, time.Minute))
}

// lastRefund is how the latest refund of a credit note stands.
func lastRefund(got result) string {
	all, _ := got.at("creditNote.refunds").([]any)
	if len(all) == 0 {
		return ""
	}
	return result(all[len(all)-1].(map[string]any)).text("status")
}

// voidAtGateway is somebody's click in the gateway's own dashboard.
func voidAtGateway(t *testing.T, s *stack, c *cast) {
	row, err := s.billing.Client().Invoice.Get(s.ctx, c.invoice)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.control.ask(t.Context(), http.MethodPost, "/v1/invoices/"+*row.GatewayInvoiceID+"/void", nil, nil); err != nil {
		t.Fatal(err)
	}
}

func beginSecureTopUp(lost bool) func(*testing.T, *stack, *cast) {
	return func(t *testing.T, s *stack, c *cast) {
		if lost {
			fault := sandbox.RequestFault{Path: "/v1/payment_intents", Action: sandbox.ActionReset, When: sandbox.WhenAfter, Count: -1}
			id, err := s.sandbox.Faults().AddRequest(fault)
			if err != nil {
				t.Fatal(err)
			}
			defer s.sandbox.Faults().Remove("", id)
		}
		got := s.do(t, "balanceTopUp", "payment { id status nextAction { ... on RedirectAction { url } } }", map[string]any{
			"payerId": c.payer, "amount": usDollars("30.00"), "paymentMethodId": c.card, "idempotencyKey": "top-up " + c.payer + s.clock.Now().String(),
		})
		c.payment, c.page = got.text("payment.id"), got.text("payment.nextAction.url")
		if !lost {
			return
		}
		if got.text("payment.status") != "PROCESSING" {
			t.Fatalf("without a reply the payment is %s, want PROCESSING", got.text("payment.status"))
		}
		// The payer finds the page in the bank's app.
		state, err := s.sandbox.Inspect(t.Context(), stackSecretKey)
		if err != nil {
			t.Fatal(err)
		}
		last := result(state.PaymentIntents[len(state.PaymentIntents)-1])
		c.page = last.text("next_action.redirect_to_url.url")
	}
}

// beginReturnedRefund gives a top-up back to a card that does not take it. The
// gateway's reply is lost.
func beginReturnedRefund(t *testing.T, s *stack, c *cast) {
	topUpWith(t, s, c, "pm_card_refundFail")
	id, err := s.sandbox.Faults().AddRequest(sandbox.RequestFault{Path: "/v1/refunds", Action: sandbox.ActionReset, When: sandbox.WhenAfter, Count: -1})
	must(t, err)
	defer s.sandbox.Faults().Remove("", id)
	got := s.do(t, "paymentRefund", "refund { status }", map[string]any{"id": c.payment, "idempotencyKey": "back " + c.payment})
	if status := got.text("refund.status"); status != "PROCESSING" {
		t.Fatalf("without a reply the refund is %s, want PROCESSING", status)
	}
}

func beginContested(t *testing.T, s *stack, c *cast) { topUpWith(t, s, c, "pm_card_createDispute") }

func topUpWith(t *testing.T, s *stack, c *cast, card string) {
	t.Helper()
	c.payment = s.do(t, "balanceTopUp", "payment { id }", map[string]any{
		"payerId": c.payer, "amount": usDollars("30.00"), "paymentMethodId": s.newCard(t, c.payer, card), "idempotencyKey": "top-up " + s.newName(),
	}).text("payment.id")
}

// decide hands the bank evidence of the newest dispute.
func decide(evidence string) func(*testing.T, *stack, *cast) {
	return func(t *testing.T, s *stack, _ *cast) {
		t.Helper()
		state, err := s.sandbox.Inspect(t.Context(), stackSecretKey)
		must(t, err)
		id := result(state.Disputes[len(state.Disputes)-1]).text("id")
		must(t, s.control.form(t.Context(), "/v1/disputes/"+id, url.Values{"evidence[uncategorized_text]": {evidence}}))
	}
}

func beginQuote(t *testing.T, s *stack, c *cast) {
	c.quote = s.do(t, "quoteCreate", "quote { id }", map[string]any{
		"payerId": c.payer, "lineItems": []any{map[string]any{"description": "Consulting", "unitAmount": usDollars("25.00")}},
	}).text("quote.id")
	s.do(t, "quoteFinalize", "quote { id }", map[string]any{"id": c.quote})
}

// answerQuote accepts or cancels a quote; what the gateway replies is lost.
func answerQuote(mutation string) func(*testing.T, *stack, *cast) {
	return func(t *testing.T, s *stack, c *cast) {
		t.Helper()
		id, err := s.sandbox.Faults().AddRequest(sandbox.RequestFault{Path: "/v1/", Action: sandbox.ActionReset, When: sandbox.WhenAfter, Count: -1})
		must(t, err)
		defer s.sandbox.Faults().Remove("", id)
		input := map[string]any{"id": c.quote}
		if mutation == "quoteAccept" {
			input["idempotencyKey"] = "accept " + c.quote
		}
		got := s.do(t, mutation, "quote { status }", input)
		if status := got.text("quote.status"); status != "OPEN" {
			t.Fatalf("without a reply the quote is %s, want OPEN", status)
		}
	}
}

func beginSetup(t *testing.T, s *stack, c *cast) {
	got := s.do(t, "paymentMethodSetup", "paymentMethod { id } nextAction { ... on RedirectAction { url } }", map[string]any{
		"payerId": c.payer, "returnUrl": "http://127.0.0.1:3000/cards", "idempotencyKey": "card " + s.newName(),
	})
	c.method, c.page = got.text("paymentMethod.id"), got.text("nextAction.url")
}

func beginCard(t *testing.T, s *stack, c *cast) { c.method = s.newCard(t, c.payer, "pm_card_visa") }

// changeCard is what a bank, or somebody in the gateway's own dashboard, does
// to a saved card.
func changeCard(how string) func(*testing.T, *stack, *cast) {
	return func(t *testing.T, s *stack, c *cast) {
		t.Helper()
		row, err := s.billing.Client().PaymentMethod.Get(s.ctx, c.method)
		must(t, err)
		fields := url.Values{}
		if how == "" {
			fields = url.Values{"card[exp_month]": {"11"}, "card[exp_year]": {"2039"}}
		}
		must(t, s.control.form(t.Context(), "/v1/payment_methods/"+*row.GatewayID+how, fields))
	}
}

func beginHostedTopUp(t *testing.T, s *stack, c *cast) {
	got := s.do(t, "paymentStart", "payment { id nextAction { ... on RedirectAction { url } } }", map[string]any{
		"payerId": c.payer, "amount": usDollars("30.00"), "idempotencyKey": "start " + c.payer + s.clock.Now().String(),
	})
	c.payment, c.page = got.text("payment.id"), got.text("payment.nextAction.url")
}

// ending writes how the story stands in our books.
func (s *stack) ending(t *testing.T, c *cast) string {
	t.Helper()
	var parts []string
	client := s.billing.Client()
	switch {
	case c.quote != "":
		q, err := client.Quote.Get(s.ctx, c.quote)
		must(t, err)
		if q.InvoiceID == nil {
			return fmt.Sprintf("quote %s", q.Status)
		}
		inv, err := client.Invoice.Get(s.ctx, *q.InvoiceID)
		must(t, err)
		return fmt.Sprintf("quote %s, invoice %s", q.Status, inv.Status)
	case c.method != "":
		m, err := client.PaymentMethod.Get(s.ctx, c.method)
		must(t, err)
		return fmt.Sprintf("card %s %s", m.Status, m.Last4)
	}
	entries := client.LedgerEntry.Query()
	if c.invoice != "" {
		inv, err := client.Invoice.Get(s.ctx, c.invoice)
		if err != nil {
			t.Fatal(err)
		}
		payments, err := client.Payment.Query().Where(payment.InvoiceID(c.invoice)).All(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		var states []string
		for _, p := range payments {
			state := string(p.Status)
			if p.RefundedUnits != 0 {
				state += fmt.Sprint(" less ", p.Refunded().Decimal())
			}
			states = append(states, state)
		}
		slices.Sort(states)
		parts = append(parts, fmt.Sprintf("invoice %s due %s", inv.Status, inv.AmountDue()), "payments "+strings.Join(states, ", "))
		entries = entries.Where(ledgerentry.InvoiceID(c.invoice))
	} else {
		p, err := client.Payment.Get(s.ctx, c.payment)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, fmt.Sprintf("payment %s", p.Status))
		contested, err := client.Dispute.Query().Where(dispute.PaymentID(c.payment)).All(s.ctx)
		must(t, err)
		for _, d := range contested {
			parts = append(parts, fmt.Sprintf("dispute %s", d.Status))
		}
		entries = entries.Where(ledgerentry.PaymentID(c.payment))
	}
	rows, err := entries.All(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	// What went and came back is booked both ways where it was heard of between:
	// the end is the same.
	undone := map[string]bool{}
	for _, e := range rows {
		if c.payment != "" && e.ReversesID != nil {
			undone[e.ID], undone[*e.ReversesID] = true, true
		}
	}
	var booked []string
	for _, e := range rows {
		if undone[e.ID] {
			continue
		}
		booked = append(booked, fmt.Sprintf("%s %s", e.Kind, e.Amount().Decimal()))
	}
	slices.Sort(booked)
	return strings.Join(append(parts, "entries "+strings.Join(booked, ", ")), "; ")
}
