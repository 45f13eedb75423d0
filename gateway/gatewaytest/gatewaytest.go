// Package gatewaytest holds what every adapter must keep, whatever its gateway
// speaks: the invariants of package gateway, tried against a gateway that
// remembers, with requests and answers lost one by one.
//
// An adapter's own tests call Run with a Fixture. Capabilities are found by
// type assertion, as everywhere; what an adapter does not offer is not tried.
package gatewaytest

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"purser/gateway"
	"purser/money"
)

// Fault is what goes wrong with one request.
type Fault string

// The faults.
const (
	// LostRequest closes the connection before anything was processed.
	LostRequest Fault = "lost request"
	// LostAnswer processes the request and closes the connection.
	LostAnswer Fault = "lost answer"
	// Busy answers that too much is asked; nothing was processed.
	Busy Fault = "busy"
	// Broken answers with a server error that is not remembered; nothing was
	// processed.
	Broken Fault = "broken"
	// BrokenForGood answers with a server error and remembers it for the
	// request's key; nothing was processed.
	BrokenForGood Fault = "broken for good"
	// HiddenSuccess processes the request, answers with a server error and
	// remembers that error for the key.
	HiddenSuccess Fault = "hidden success"
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{LostRequest, LostAnswer, Busy, Broken, BrokenForGood, HiddenSuccess}
}

// Cards are tokens as a browser would send them.
type Cards struct {
	Good           string // is saved and charged
	Failing        string // is saved, and declined when charged
	Refused        string // cannot be saved
	Authentication string // asks for 3-D Secure at every payment
}

// Fixture is one merchant account at a gateway that remembers, seen by nobody
// else. All functions fail the test themselves.
type Fixture struct {
	Adapter gateway.Adapter
	Account gateway.Account
	// Unreachable is an adapter whose gateway does not listen.
	Unreachable gateway.Adapter
	// BadAccount has credentials that the gateway refuses.
	BadAccount gateway.Account
	Cards      Cards
	// Fail makes one request go wrong: the one after skip others. The result
	// tells whether it has struck.
	Fail func(t *testing.T, f Fault, skip int) (struck func() bool)
	// Heal takes back what has not struck.
	Heal func(t *testing.T)
	// Slow makes the next request wait for d before it is processed.
	Slow func(t *testing.T, d time.Duration)
	// Charged returns the sums that the gateway has taken so far.
	Charged func(t *testing.T) []money.Amount
	// Count returns how many quotes or invoices stand: neither deleted nor
	// canceled nor void.
	Count func(t *testing.T, kind gateway.ObjectKind) int
	// Authenticate completes or fails the 3-D Secure of a page.
	Authenticate func(t *testing.T, page string, complete bool)
	// PayPage pays a hosted page with the card behind the token.
	PayPage func(t *testing.T, page, token string)
	// Deliveries starts sending events to the receiver and stops with the
	// test.
	Deliveries func(t *testing.T, receiver http.Handler) (url string)
	// SaveCard saves the card behind a token in the gateway's own way, where
	// the adapter cannot save one by itself.
	SaveCard func(t *testing.T, token string) (customerID, cardID string)
	// Refunded returns the sums that the gateway has given back so far. Refunds
	// are tried where it is set.
	Refunded func(t *testing.T) []money.Amount
	Lacks    Lacks
}

// Lacks says what a gateway's protocol does not have, so that no adapter can
// tell it.
type Lacks struct {
	// Receipts: payments have no receipt.
	Receipts bool
	// PagesAgain: the address of a page is told once. A call whose answer was
	// lost ends as one that never did anything, some minutes later.
	PagesAgain bool
	// PageCards: reading a page tells neither the card nor the customer.
	PageCards bool
}

// Run tries everything that the adapter offers. Each part starts a fixture of
// its own.
func Run(t *testing.T, start func(t *testing.T) Fixture) {
	t.Helper()
	first := start(t)
	probe := first.Adapter
	part := func(name string, offered bool, test func(*testing.T, *suite)) {
		if !offered {
			return
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &suite{Fixture: start(t), start: start})
		})
	}
	_, quotes := probe.(gateway.Quotes)
	_, invoices := probe.(gateway.Invoices)
	_, notes := probe.(gateway.CreditNotes)
	_, pages := probe.(gateway.HostedPayments)
	_, charges := probe.(gateway.Charges)
	_, cards := probe.(gateway.Cards)
	_, events := probe.(gateway.Events)
	_, notifications := probe.(gateway.Notifications)
	_, refunds := probe.(gateway.Refunds)
	if terms := probe.Kind().Terms(); terms.Quotes != quotes || terms.Invoices != invoices || notes != invoices {
		t.Errorf("the terms of %s name quotes: %t, invoices: %t; its adapter has quotes: %t, invoices: %t, credit notes: %t", probe.Kind(), terms.Quotes, terms.Invoices, quotes, invoices, notes)
	}
	chargeable := charges && (cards || first.SaveCard != nil)
	part("account", true, testAccount)
	part("charges", chargeable, testCharges)
	part("charges at once", chargeable, testChargesAtOnce)
	part("charges with 3-D Secure", charges && cards, testAuthentication)
	part("charges that get stuck", chargeable, testSlow)
	part("cards", cards, testCards)
	part("cards saved with a payment", first.SaveCard != nil, testSavedCards)
	part("refunds", refunds && chargeable && first.Refunded != nil, testRefunds)
	part("hosted payments", pages, testPages)
	part("quotes", quotes, testQuotes)
	part("invoices", invoices && cards, testInvoices)
	part("credit notes", notes && invoices && cards, testCreditNotes)
	part("events", events && charges && cards, testEvents)
	part("notifications", notifications && chargeable, testNotifications)
	for _, fault := range Faults() {
		part("faults/"+string(fault), true, func(t *testing.T, s *suite) { testFaults(t, s, fault) })
	}
}

// suite is a fixture with the words the tests use.
type suite struct {
	Fixture
	start func(*testing.T) Fixture
	calls atomic.Int64
}

// call returns an intent that was stored just now.
func (s *suite) call() gateway.Call {
	n := s.calls.Add(1)
	return gateway.Call{
		ID:        fmt.Sprintf("call_%d", n),
		Key:       fmt.Sprintf("conformance:%s:%d", s.Account.ProviderID, n),
		Subject:   fmt.Sprintf("subject_%d", n),
		StartedAt: time.Now(),
	}
}

// payer is somebody the gateway does not know yet.
func payer() gateway.Customer {
	return gateway.Customer{PayerID: "dev_1", Name: "Ada Lovelace", Email: "ada@example.com"}
}

// usd returns dollars and cents.
func usd(t *testing.T, d money.Decimal) money.Amount {
	t.Helper()
	a, err := money.Parse(d, "USD")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// card saves a card and returns the customer and the card.
func (s *suite) card(t *testing.T, token string) (customerID, cardID string) {
	t.Helper()
	if s.SaveCard != nil {
		return s.SaveCard(t, token)
	}
	res := s.Adapter.(gateway.Cards).AttachCard(t.Context(), s.Account, s.call(), gateway.CardRequest{Customer: payer(), Token: token, ReturnURL: "http://127.0.0.1/back"})
	if res.Status == gateway.StatusActionNeeded && res.NextAction.RedirectURL != "" {
		s.Authenticate(t, res.NextAction.RedirectURL, true)
		res = s.Adapter.(gateway.Cards).FetchSetup(t.Context(), s.Account, res.ReferenceID)
	}
	wantStatus(t, "save a card", res.Outcome, gateway.StatusSucceeded)
	if res.CustomerID == "" || res.PaymentMethodID == "" {
		t.Fatalf("saved card = %+v", res)
	}
	return res.CustomerID, res.PaymentMethodID
}

// chargeOf is a charge of 12.50 USD.
func chargeOf(t *testing.T, customerID, cardID string) gateway.ChargeRequest {
	return gateway.ChargeRequest{CustomerID: customerID, PaymentMethodID: cardID, Amount: usd(t, "12.50"), Description: "Top-up", OrderCode: "ORDER", OffSession: true}
}

// wantCharged checks what the gateway has taken.
func (s *suite) wantCharged(t *testing.T, want ...money.Decimal) {
	t.Helper()
	got := s.Charged(t)
	if len(got) != len(want) {
		t.Fatalf("charged %v, want %v", got, want)
	}
	for i, d := range want {
		if got[i] != usd(t, d) {
			t.Fatalf("charged %v, want %v", got, want)
		}
	}
}

func wantStatus(t *testing.T, what string, out gateway.Outcome, want ...gateway.Status) {
	t.Helper()
	for _, status := range want {
		if out.Status == status {
			return
		}
	}
	t.Fatalf("%s: %s %+v, want %v", what, out.Status, out.Failure, want)
}

// testAccount: who the credentials belong to, and that bad ones are refused.
func testAccount(t *testing.T, s *suite) {
	res := s.Adapter.TestAccount(t.Context(), s.Account)
	wantStatus(t, "test the account", res.Outcome, gateway.StatusSucceeded)
	if res.AccountID == "" || !res.ChargesEnabled {
		t.Errorf("account = %+v", res)
	}
	bad := s.Adapter.TestAccount(t.Context(), s.BadAccount)
	wantStatus(t, "test a bad account", bad.Outcome, gateway.StatusRejected)
	wantReason(t, bad.Outcome)
	wantStatus(t, "test an unreachable gateway", s.Unreachable.TestAccount(t.Context(), s.Account).Outcome, gateway.StatusUnavailable)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	wantStatus(t, "test without time", s.Adapter.TestAccount(gone, s.Account).Outcome, gateway.StatusUnavailable, gateway.StatusUnknown)
}

// wantReason checks that a person is told why.
func wantReason(t *testing.T, out gateway.Outcome) {
	t.Helper()
	if out.Failure == nil || out.Failure.Code == "" || out.Failure.Message == "" {
		t.Errorf("%s without a reason: %+v", out.Status, out.Failure)
	}
}
