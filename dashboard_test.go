package main

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/billing"
	"purser/ent/gatewayevent"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/quote"
	"purser/gateway/stripe"
	"purser/sandbox"
)

// What a merchant does in the gateway's own dashboard, and what a gateway does
// by its own rules, must neither jam anything here nor leave the two apart.

// atSeller runs a test on a stack of its own.
func atSeller(t *testing.T, run func(t *testing.T, s *stack)) {
	t.Helper()
	t.Parallel()
	s := newStack(t, stackDatabase(t, dialect.SQLite))
	run(t, s)
	s.mustVerify(t)
}

// atGateway posts a form to the gateway, as its dashboard does.
func (s *stack) atGateway(t *testing.T, path string, form url.Values) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.control.address+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+stackSecretKey)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %d, %v", path, answer.StatusCode, err)
	}
}

// readGateway reads an object of the gateway's.
func (s *stack) readGateway(t *testing.T, path string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := s.control.ask(t.Context(), http.MethodGet, path, nil, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func (s *stack) spoilRequest(t *testing.T, f sandbox.RequestFault) (id string) {
	t.Helper()
	id, err := s.sandbox.Faults().AddRequest(f)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// refusedWith reports an error that is no refusal with the code and the words.
func refusedWith(t *testing.T, err error, code, words string) {
	t.Helper()
	var refused *refusal
	if !errors.As(err, &refused) || refused.Code != code || !strings.Contains(refused.Message, words) {
		t.Errorf("got %v, want %s with %q", err, code, words)
	}
}

func (s *stack) draftInvoice(t *testing.T, payer, amount string) string {
	t.Helper()
	return s.do(t, "invoiceCreate", "invoice { id }", map[string]any{
		"payerId": payer, "lineItems": []any{map[string]any{"description": "Consulting", "quantity": 1, "unitAmount": usDollars(amount)}},
	}).text("invoice.id")
}

// TestInvoiceBelowTheGatewaysMinimum: the gateway would take it into the
// customer's balance and charge it with the next. It is shown on a page of
// ours.
func TestInvoiceBelowTheGatewaysMinimum(t *testing.T) {
	atSeller(t, func(t *testing.T, s *stack) {
		payer := s.newPayer(t, "Ada")
		card := s.newCard(t, payer, "pm_card_visa")
		s.gateway.take()
		small := s.do(t, "invoiceFinalize", "invoice { status hostedUrl }", map[string]any{"id": s.draftInvoice(t, payer, "0.30")})
		if small.text("invoice.status") != "OPEN" || !strings.HasPrefix(small.text("invoice.hostedUrl"), "http://127.0.0.1:1/invoices/") || len(s.gateway.take()) != 0 {
			t.Errorf("the small one: %v", small)
		}
		next := s.newInvoice(t, payer).text("invoice.id")
		paid := s.do(t, "invoicePay", "invoice { status } payment { status }", map[string]any{"id": next, "paymentMethodId": card, "idempotencyKey": "pay"})
		if paid.text("invoice.status") != "PAID" {
			t.Errorf("the next one: %v", paid)
		}
	})
}

// TestCustomerBalanceAtTheGateway: an invoice that would ask for another amount
// than ours is not opened, and can be once the balance is settled there.
func TestCustomerBalanceAtTheGateway(t *testing.T) {
	atSeller(t, func(t *testing.T, s *stack) {
		payer := s.newPayer(t, "Ada")
		first, err := s.billing.Client().Invoice.Get(s.ctx, s.newInvoice(t, payer).text("invoice.id"))
		if err != nil {
			t.Fatal(err)
		}
		customer := "/v1/customers/" + s.readGateway(t, "/v1/invoices/"+*first.GatewayInvoiceID)["customer"].(string)
		ours := s.draftInvoice(t, payer, "25.00")
		q := s.do(t, "quoteCreate", "quote { id }", map[string]any{"payerId": payer, "lineItems": []any{map[string]any{"description": "Consulting", "unitAmount": usDollars("25.00")}}}).text("quote.id")
		s.do(t, "quoteFinalize", "quote { id }", map[string]any{"id": q})
		ofQuote := s.do(t, "quoteAccept", "quote { invoice { id } }", map[string]any{"id": q, "idempotencyKey": "accept"}).text("quote.invoice.id")
		for _, balance := range []string{"500", "-500"} {
			s.atGateway(t, customer, url.Values{"balance": {balance}})
			for _, id := range []string{ours, ofQuote} {
				_, err := s.mutate(t.Context(), "invoiceFinalize", "invoice { id }", map[string]any{"id": id})
				refusedWith(t, err, "PROVIDER_REFUSED", "set the balance of customer")
				row, err := s.billing.Client().Invoice.Get(s.ctx, id)
				if err != nil || row.Status != invoice.StatusDRAFT || row.PendingCallID != nil {
					t.Errorf("balance %s: invoice %+v, %v", balance, row, err)
				}
			}
		}
		s.atGateway(t, customer, url.Values{"balance": {"0"}})
		for _, id := range []string{ours, ofQuote} {
			if got := s.do(t, "invoiceFinalize", "invoice { status }", map[string]any{"id": id}); got.text("invoice.status") != "OPEN" {
				t.Errorf("without a balance: %v", got)
			}
		}
	})
}

// TestKeysOfAnotherAccount: the gateway of another account would say of a
// charge that it never happened.
func TestKeysOfAnotherAccount(t *testing.T) {
	atSeller(t, func(t *testing.T, s *stack) {
		payer := s.newPayer(t, "Ada")
		card := s.newCard(t, payer, "pm_card_visa")
		s.spoilRequest(t, sandbox.RequestFault{Method: "POST", Path: "/v1/payment_intents", Action: sandbox.ActionReset, When: sandbox.WhenAfter})
		hidden := s.spoilRequest(t, sandbox.RequestFault{Method: "GET", Path: "/v1/payment_intents", Action: sandbox.ActionReset, Count: -1})
		charged := s.do(t, "balanceTopUp", "payment { id status }", map[string]any{"payerId": payer, "amount": usDollars("30.00"), "paymentMethodId": card, "idempotencyKey": "k"})
		if charged.text("payment.status") != "PROCESSING" {
			t.Fatalf("the charge: %v", charged)
		}
		s.sandbox.Faults().Remove("", hidden)
		provider, err := s.billing.Client().Provider.Query().Only(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		update := func(secretKey string) error {
			_, err := s.mutate(t.Context(), "providerUpdate", "provider { id }", map[string]any{"id": provider.ID, "credentials": map[string]any{"stripe": map[string]any{
				"secretKey": secretKey, "publishableKey": "pk_test_stack0000000000000000",
			}}})
			return err
		}
		refusedWith(t, update("sk_test_other0000000000000000"), "INVALID", "make another provider")
		s.spoilRequest(t, sandbox.RequestFault{Path: "/v1/account", Action: sandbox.ActionStatus, Status: 503, Count: 2})
		refusedWith(t, update("sk_test_stack0000000000000000__mute"), "INVALID_STATE", "did not say whose")
		if err := update("sk_test_stack0000000000000000__rolled"); err != nil {
			t.Fatal(err)
		}
		s.settle(t)
		row, err := s.billing.Client().Payment.Get(s.ctx, charged.text("payment.id"))
		if err != nil || row.Status != payment.StatusSUCCEEDED {
			t.Errorf("the charge is %s, %v", row.Status, err)
		}
	})
}

// TestCardRefusedOnAnOpenPage: the payer may try another one.
func TestCardRefusedOnAnOpenPage(t *testing.T) {
	atSeller(t, func(t *testing.T, s *stack) {
		payer := s.newPayer(t, "Ada")
		got := s.do(t, "paymentMethodSetup", "paymentMethod { id } nextAction { ... on RedirectAction { url } }", map[string]any{"payerId": payer, "returnUrl": "http://127.0.0.1:9/x"})
		id, page := got.text("paymentMethod.id"), got.text("nextAction.url")
		state := func() paymentmethod.Status {
			row, err := s.billing.Client().PaymentMethod.Get(s.ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			return row.Status
		}
		s.submit(t, page, cardForm("4000000000000002"))
		heard := false
		for _, e := range s.newEvents(t) {
			heard = heard || e.kind == "setup_intent.setup_failed"
			s.deliver(t, e)
		}
		if !heard || state() != paymentmethod.StatusPENDING {
			t.Fatalf("after a refused card it is %s", state())
		}
		s.submit(t, page, cardForm("4242424242424242"))
		s.newEvents(t) // they are lost
		s.settle(t)
		if state() != paymentmethod.StatusACTIVE {
			t.Errorf("after a good card it is %s", state())
		}
	})
}

// TestFirstOperationsAtOnce: a card and an invoice that are made at the same
// time belong to one customer.
func TestFirstOperationsAtOnce(t *testing.T) {
	atSeller(t, func(t *testing.T, s *stack) {
		payer := s.newPayer(t, "Ada")
		id := s.draftInvoice(t, payer, "25.00")
		s.spoilRequest(t, sandbox.RequestFault{Method: "POST", Path: "/v1/customers", Action: sandbox.ActionDelay, When: sandbox.WhenAfter, DelayMilliseconds: 300})
		var card string
		var both sync.WaitGroup
		both.Go(func() { card = s.newCard(t, payer, "pm_card_visa") })
		both.Go(func() { s.do(t, "invoiceFinalize", "invoice { status }", map[string]any{"id": id}) })
		both.Wait()
		s.settle(t)
		// Time has passed meanwhile, and the card may have been charged.
		paid, err := s.billing.Client().Invoice.Get(s.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if paid.Status != invoice.StatusPAID {
			s.do(t, "invoicePay", "invoice { status }", map[string]any{"id": id, "paymentMethodId": card, "idempotencyKey": "pay"})
			if paid, err = s.billing.Client().Invoice.Get(s.ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		if customers := s.readGateway(t, "/v1/customers")["data"].([]any); paid.Status != invoice.StatusPAID || len(customers) != 1 {
			t.Errorf("the invoice is %s, %d customers", paid.Status, len(customers))
		}
	})
}

// TestQuoteAcceptedAtTheGateway: the invoice that the gateway makes of it is
// taken in hand, so that it is not charged there by itself.
func TestQuoteAcceptedAtTheGateway(t *testing.T) {
	atSeller(t, func(t *testing.T, s *stack) {
		payer := s.newPayer(t, "Ada")
		id := s.do(t, "quoteCreate", "quote { id }", map[string]any{"payerId": payer, "lineItems": []any{map[string]any{"description": "Consulting", "unitAmount": usDollars("25.00")}}}).text("quote.id")
		s.do(t, "quoteFinalize", "quote { id }", map[string]any{"id": id})
		q, err := s.billing.Client().Quote.Get(s.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		s.newEvents(t)
		s.atGateway(t, "/v1/quotes/"+*q.GatewayQuoteID+"/accept", nil)
		for _, e := range s.newEvents(t) {
			s.deliver(t, e)
		}
		if q, err = s.billing.Client().Quote.Get(s.ctx, id); err != nil || q.Status != quote.StatusACCEPTED {
			t.Fatalf("the quote is %s, %v", q.Status, err)
		}
		inv, err := s.billing.Client().Invoice.Get(s.ctx, *q.InvoiceID)
		if err != nil {
			t.Fatal(err)
		}
		path := "/v1/invoices/" + *inv.GatewayInvoiceID
		s.atGateway(t, path, url.Values{"auto_advance": {"true"}}) // as the gateway may make it
		s.clock.Advance(time.Minute)
		if err := s.jobs.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := s.readGateway(t, path)
		if metadata, _ := got["metadata"].(map[string]any); got["auto_advance"] != false || metadata["purser_step"] != "adopt" {
			t.Errorf("auto_advance %v, metadata %v", got["auto_advance"], got["metadata"])
		}
	})
}

// TestEventsOfAnotherProvider: two providers with one account hear of each
// other's objects, which is nothing to wait for or to be alarmed by.
func TestEventsOfAnotherProvider(t *testing.T) {
	atSeller(t, func(t *testing.T, s *stack) {
		payer := s.newPayer(t, "Ada")
		card := s.newCard(t, payer, "pm_card_visa")
		other, err := s.billing.CreateProvider(s.ctx, billing.ProviderDraft{Name: "Second", Credentials: billing.Credentials{
			Kind: "STRIPE", SecretKey: stackSecretKey, PublishableKey: "pk_test_stack0000000000000000", WebhookSecret: stackWebhookSecret,
		}}, stripe.New(stripe.Config{}))
		if err != nil {
			t.Fatal(err)
		}
		row, err := s.billing.Client().Provider.Get(s.ctx, other)
		if err != nil {
			t.Fatal(err)
		}
		s.do(t, "balanceTopUp", "payment { status }", map[string]any{"payerId": payer, "amount": usDollars("30.00"), "paymentMethodId": card, "idempotencyKey": "k"})
		s.hook = "/webhooks/stack/" + row.WebhookToken
		var kinds []string
		for _, e := range s.newEvents(t) {
			kinds = append(kinds, e.kind)
			if status := s.deliver(t, e); status != http.StatusOK {
				t.Errorf("%s is answered with %d", e.kind, status)
			}
		}
		if !slices.Contains(kinds, "payment_intent.succeeded") {
			t.Fatalf("events %v", kinds)
		}
		events, err := s.billing.Client().GatewayEvent.Query().Where(gatewayevent.ProviderID(other)).All(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Status != gatewayevent.StatusIGNORED || e.NextAttemptAt != nil {
				t.Errorf("%s is %s, again at %v", e.Type, e.Status, e.NextAttemptAt)
			}
		}
	})
}

// TestDetachRefusedByTheGateway: the caller is told that the card is still
// there.
func TestDetachRefusedByTheGateway(t *testing.T) {
	atSeller(t, func(t *testing.T, s *stack) {
		payer := s.newPayer(t, "Ada")
		for _, name := range []string{"paymentMethodSetDefault", "paymentMethodDetach"} {
			for _, status := range []int{400, 401, 403} {
				card := s.newCard(t, payer, "pm_card_visa")
				s.spoilRequest(t, sandbox.RequestFault{Method: "POST", Action: sandbox.ActionStatus, Status: status})
				_, err := s.mutate(t.Context(), name, "paymentMethod { status }", map[string]any{"id": card})
				refusedWith(t, err, "PROVIDER_REFUSED", name)
			}
		}
	})
}

// TestStoredErrorThatDidNothing: the gateway will answer the key with the same
// error for a day; the payment ends as soon as it is seen that nothing was
// taken, and another can be made.
func TestStoredErrorThatDidNothing(t *testing.T) {
	atSeller(t, func(t *testing.T, s *stack) {
		payer := s.newPayer(t, "Ada")
		card := s.newCard(t, payer, "pm_card_visa")
		id := s.newInvoice(t, payer).text("invoice.id")
		for _, c := range []struct {
			path, name string
			input      map[string]any
		}{
			{"/v1/payment_intents", "balanceTopUp", map[string]any{"payerId": payer, "amount": usDollars("30.00"), "paymentMethodId": card}},
			{"/v1/checkout/sessions", "paymentStart", map[string]any{"payerId": payer, "amount": usDollars("30.00")}},
			{"/v1/invoices/", "invoicePay", map[string]any{"id": id, "paymentMethodId": card}},
		} {
			s.spoilRequest(t, sandbox.RequestFault{Method: "POST", Path: c.path, Action: sandbox.ActionStatus, Status: 500, Store: true})
			c.input["idempotencyKey"] = c.name + " broken"
			broken := s.do(t, c.name, "payment { id status }", c.input)
			if broken.text("payment.status") != "PROCESSING" {
				t.Errorf("%s: %v", c.name, broken)
			}
			s.clock.Advance(time.Minute)
			if err := s.jobs.Round(t.Context()); err != nil {
				t.Fatal(err)
			}
			row, err := s.billing.Client().Payment.Get(s.ctx, broken.text("payment.id"))
			if err != nil || row.Status != payment.StatusFAILED {
				t.Errorf("%s: a minute later it is %s, %v", c.name, row.Status, err)
			}
			c.input["idempotencyKey"] = c.name + " anew"
			if anew := s.do(t, c.name, "payment { status }", c.input).text("payment.status"); anew != "SUCCEEDED" && anew != "REQUIRES_ACTION" {
				t.Errorf("%s: anew it is %s", c.name, anew)
			}
		}
	})
}
