package stripe_test

import (
	"net/http"
	"testing"

	"purser/gateway"
	"purser/money"
)

// TestDeletedCustomer deletes a payer's customer in the sandbox: it is known as
// deleted, what is asked for it says so, and the payer gets another one.
func TestDeletedCustomer(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	f := s.fixture(t)
	calls := 0
	call := func() gateway.Call {
		calls++
		id := "call_" + string(rune('a'+calls))
		return gateway.Call{ID: id, Key: "purser:" + id, Subject: "pmd_1"}
	}
	attach := func(customer string) gateway.CardResult {
		return s.adapter.AttachCard(t.Context(), f.Account, call(), gateway.CardRequest{
			Customer: gateway.Customer{ID: customer, PayerID: "dev_1", Name: "Ada"}, Token: "pm_card_visa",
		})
	}
	charge := func(customer, card string) gateway.PaymentResult {
		return s.adapter.ChargeCard(t.Context(), f.Account, call(), gateway.ChargeRequest{
			CustomerID: customer, PaymentMethodID: card, Amount: money.Amount{Units: 500 * money.UnitsPerMinor, Currency: "USD"}, OrderCode: "ORDER1", OffSession: true,
		})
	}
	saved := attach("")
	if saved.Status != gateway.StatusSucceeded {
		t.Fatalf("saved: %+v", saved.Outcome)
	}
	if res := s.adapter.FetchCustomer(t.Context(), f.Account, saved.CustomerID); res.Status != gateway.StatusSucceeded || res.Deleted {
		t.Errorf("one that lives: %+v", res)
	}
	// Another refusal for want of an object says nothing of the customer.
	if res := charge(saved.CustomerID, "pm_nobody"); res.Status != gateway.StatusRejected || res.Failure.GoneCustomer != "" {
		t.Errorf("another card: %+v", res.Outcome)
	}
	// Nor does one of an account that has never known it.
	elsewhere := s.fixture(t)
	if res := s.adapter.FetchCustomer(t.Context(), elsewhere.Account, saved.CustomerID); res.Status != gateway.StatusRejected || res.Deleted {
		t.Errorf("in another account: %+v", res)
	}
	f, elsewhere = elsewhere, f
	if res := charge(saved.CustomerID, saved.PaymentMethodID); res.Status != gateway.StatusRejected || res.Failure.Code != "resource_missing" || res.Failure.GoneCustomer != "" {
		t.Errorf("a charge in another account: %+v", res.Outcome)
	}
	f = elsewhere

	s.control(t, f.Account.SecretKey, http.MethodDelete, "/v1/customers/"+saved.CustomerID, nil, nil)
	for range 2 {
		if res := s.adapter.FetchCustomer(t.Context(), f.Account, saved.CustomerID); res.Status != gateway.StatusSucceeded || !res.Deleted || res.CustomerID != saved.CustomerID {
			t.Errorf("the deleted one: %+v", res)
		}
	}
	if res := s.adapter.FetchCard(t.Context(), f.Account, saved.PaymentMethodID); res.Status != gateway.StatusSucceeded || res.CustomerID != "" {
		t.Errorf("its card: %+v", res)
	}
	page := gateway.HostedPaymentRequest{
		Customer: gateway.Customer{ID: saved.CustomerID, PayerID: "dev_1"}, Amount: money.Amount{Units: 500 * money.UnitsPerMinor, Currency: "USD"},
		SuccessURL: "https://shop.example/", CancelURL: "https://shop.example/",
	}
	for what, o := range map[string]gateway.Outcome{
		"a charge":  charge(saved.CustomerID, saved.PaymentMethodID).Outcome,
		"a card":    attach(saved.CustomerID).Outcome,
		"a page":    s.adapter.StartHostedPayment(t.Context(), f.Account, call(), page).Outcome,
		"a default": s.adapter.SetDefaultCard(t.Context(), f.Account, call(), saved.CustomerID, saved.PaymentMethodID).Outcome,
	} {
		if o.Status != gateway.StatusRejected || o.Failure == nil || o.Failure.GoneCustomer != saved.CustomerID {
			t.Errorf("%s of the deleted one: %+v %+v", what, o, o.Failure)
		}
	}
	again := attach("")
	if again.Status != gateway.StatusSucceeded || again.CustomerID == saved.CustomerID {
		t.Fatalf("another one: %+v", again)
	}
	if res := charge(again.CustomerID, again.PaymentMethodID); res.Status != gateway.StatusSucceeded {
		t.Errorf("a charge of another one: %+v", res.Outcome)
	}
}
