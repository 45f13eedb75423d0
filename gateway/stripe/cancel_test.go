package stripe_test

import (
	"testing"
	"time"

	"purser/gateway"
	"purser/gateway/gatewaytest"
)

// A payment that waits for its payer is given up, on its page or by itself;
// one that was paid meanwhile says so, and whatever goes wrong, no money comes
// of one that is reported as given up.
func TestCancelPayment(t *testing.T) {
	t.Parallel()
	sandbox := startSandbox(t)
	p := newPayback(t, sandbox)
	cancels, ctx := p.Adapter.(gateway.Cancels), t.Context()

	refused := p.unauthenticated(t)
	request := gateway.CancelRequest{GatewayPaymentID: refused}
	for range 2 {
		res := cancels.CancelPayment(ctx, p.Account, p.call("pmt_1"), request)
		if res.Status != gateway.StatusDeclined || !res.Payment.Canceled || res.Payment.GatewayPaymentID != refused {
			t.Errorf("given up: %+v", res)
		}
	}
	page := p.Adapter.(gateway.HostedPayments).StartHostedPayment(ctx, p.Account, p.call("pmt_2"), gateway.HostedPaymentRequest{
		Customer: gateway.Customer{PayerID: "dev_1", Name: "Ada"}, Amount: dollars(t, "10"), OrderCode: "ORDER",
		SuccessURL: "http://127.0.0.1/back", CancelURL: "http://127.0.0.1/back", ExpiresAt: time.Now().Add(time.Hour),
	})
	if page.Status != gateway.StatusActionNeeded {
		t.Fatalf("page %+v", page)
	}
	request = gateway.CancelRequest{ReferenceID: page.ReferenceID}
	for range 2 {
		if res := cancels.CancelPayment(ctx, p.Account, p.call("pmt_2"), request); res.Status != gateway.StatusDeclined || !res.Payment.Canceled {
			t.Errorf("the page, given up: %+v", res)
		}
	}
	paid := p.charged(t, "pm_card_visa")
	if res := cancels.CancelPayment(ctx, p.Account, p.call("pmt_3"), gateway.CancelRequest{GatewayPaymentID: paid}); res.Status != gateway.StatusSucceeded || res.Payment.Amount != dollars(t, "12.50") {
		t.Errorf("paid meanwhile: %+v", res)
	}
	if res := cancels.CancelPayment(ctx, p.Account, p.call("pmt_4"), gateway.CancelRequest{GatewayPaymentID: "pi_missing"}); res.Status != gateway.StatusRejected {
		t.Errorf("not there: %+v", res)
	}
	for _, fault := range gatewaytest.Faults() {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			p := newPayback(t, sandbox)
			request := gateway.CancelRequest{GatewayPaymentID: p.unauthenticated(t)}
			call := p.call("pmt_1")
			struck := p.Fail(t, fault, 0)
			res := p.Adapter.(gateway.Cancels).CancelPayment(t.Context(), p.Account, call, request)
			if !struck() {
				t.Fatal("nothing went wrong")
			}
			deadline := time.Now().Add(15 * time.Second)
			for res.Status != gateway.StatusDeclined {
				if res.Status == gateway.StatusSucceeded || res.Status == gateway.StatusRejected || time.Now().After(deadline) {
					t.Fatalf("ended %+v", res)
				}
				res = p.Adapter.(gateway.Cancels).CancelPayment(t.Context(), p.Account, call, request)
			}
			if !res.Payment.Canceled {
				t.Errorf("given up: %+v", res)
			}
		})
	}
}

// unauthenticated is a payment that the bank does not let through by itself.
func (p *payback) unauthenticated(t *testing.T) string {
	t.Helper()
	setup := p.Adapter.(gateway.Cards).AttachCard(t.Context(), p.Account, p.call("pmd"), gateway.CardRequest{
		Customer: gateway.Customer{PayerID: "dev_1", Name: "Ada"}, Token: "pm_card_authenticationRequired", ReturnURL: "http://127.0.0.1/back",
	})
	if setup.Status != gateway.StatusActionNeeded {
		t.Fatalf("card %+v", setup)
	}
	p.Authenticate(t, setup.NextAction.RedirectURL, true)
	card := p.Adapter.(gateway.Cards).FetchSetup(t.Context(), p.Account, setup.ReferenceID)
	res := p.Adapter.(gateway.Charges).ChargeCard(t.Context(), p.Account, p.call("pmt_1"), gateway.ChargeRequest{
		CustomerID: card.CustomerID, PaymentMethodID: card.PaymentMethodID, Amount: dollars(t, "12.50"), OrderCode: "ORDER", OffSession: true,
	})
	if res.Status != gateway.StatusActionNeeded || res.Payment.GatewayPaymentID == "" {
		t.Fatalf("charge %+v", res)
	}
	return res.Payment.GatewayPaymentID
}
