package stripe_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"purser/gateway"
	"purser/gateway/gatewaytest"
	"purser/money"
)

// payback is an account of the sandbox with what refunds and disputes need.
type payback struct {
	gatewaytest.Fixture
	sandbox *testSandbox
	calls   int
}

func newPayback(t *testing.T, s *testSandbox) *payback {
	t.Helper()
	return &payback{Fixture: s.fixture(t), sandbox: s}
}

func (p *payback) call(subject string) gateway.Call {
	p.calls++
	return gateway.Call{
		ID: fmt.Sprintf("cal_%d", p.calls), Key: fmt.Sprintf("payback:%s:%d", p.Account.ProviderID, p.calls), Subject: subject, StartedAt: time.Now(),
	}
}

// charged charges 12.50 USD of the card behind a token and returns the payment.
func (p *payback) charged(t *testing.T, token string) string {
	t.Helper()
	card := p.Adapter.(gateway.Cards).AttachCard(t.Context(), p.Account, p.call("pmd"), gateway.CardRequest{
		Customer: gateway.Customer{PayerID: "dev_1", Name: "Ada"}, Token: token,
	})
	if card.Status != gateway.StatusSucceeded {
		t.Fatalf("card %+v", card)
	}
	paid := p.Adapter.(gateway.Charges).ChargeCard(t.Context(), p.Account, p.call("pmt_1"), gateway.ChargeRequest{
		CustomerID: card.CustomerID, PaymentMethodID: card.PaymentMethodID, Amount: dollars(t, "12.50"), OrderCode: "ORDER", OffSession: true,
	})
	if paid.Status != gateway.StatusSucceeded {
		t.Fatalf("charge %+v", paid)
	}
	return paid.Payment.GatewayPaymentID
}

// refunded is what the gateway has given back in all, in cents.
func (p *payback) refunded(t *testing.T) (cents int64) {
	t.Helper()
	var state struct {
		Charges []struct {
			AmountRefunded int64 `json:"amount_refunded"`
		}
	}
	p.sandbox.control(t, p.Account.SecretKey, http.MethodGet, "/_sandbox/state", nil, &state)
	for _, c := range state.Charges {
		cents += c.AmountRefunded
	}
	return cents
}

func dollars(t *testing.T, d money.Decimal) money.Amount {
	t.Helper()
	a, err := money.Parse(d, "USD")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRefunds(t *testing.T) {
	t.Parallel()
	p := newPayback(t, startSandbox(t))
	refunds, ctx := p.Adapter.(gateway.Refunds), t.Context()
	payment := p.charged(t, "pm_card_visa")
	request := gateway.RefundRequest{GatewayPaymentID: payment, OrderCode: "ORDER", Amount: dollars(t, "4"), Reason: "ordered twice"}
	call := p.call("rfd_1")
	first := refunds.RefundPayment(ctx, p.Account, call, request)
	if first.Status != gateway.StatusSucceeded || first.State != gateway.RefundSucceeded || first.Amount != request.Amount || first.RefundID == "" {
		t.Fatalf("refund %+v", first)
	}
	if again := refunds.RefundPayment(ctx, p.Account, call, request); again.RefundID != first.RefundID || again.Status != gateway.StatusSucceeded || p.refunded(t) != 400 {
		t.Errorf("the same call: %+v, %d cents went back", again, p.refunded(t))
	}
	// A key that Stripe may have forgotten gives nothing back; the refund is
	// found, or it surely was never made.
	late := call
	late.StartedAt = time.Now().Add(-48 * time.Hour)
	if res := refunds.RefundPayment(ctx, p.Account, late, request); res.RefundID != first.RefundID || p.refunded(t) != 400 {
		t.Errorf("late: %+v", res)
	}
	never := p.call("rfd_never")
	never.StartedAt = late.StartedAt
	if res := refunds.RefundPayment(ctx, p.Account, never, request); res.Status != gateway.StatusUnavailable || !res.Never || p.refunded(t) != 400 {
		t.Errorf("late and never made: %+v", res)
	}
	tooMuch := request
	tooMuch.Amount = dollars(t, "8.51")
	for name, res := range map[string]gateway.RefundResult{
		"more than is left": refunds.RefundPayment(ctx, p.Account, p.call("rfd_2"), tooMuch),
		"of nothing":        refunds.RefundPayment(ctx, p.Account, p.call("rfd_3"), gateway.RefundRequest{Amount: request.Amount}),
		"of what is not":    refunds.RefundPayment(ctx, p.Account, p.call("rfd_4"), gateway.RefundRequest{GatewayPaymentID: "pi_missing", Amount: request.Amount}),
		"not there":         refunds.FetchRefund(ctx, p.Account, request, "re_missing"),
		"of another":        refunds.FetchRefund(ctx, p.Account, gateway.RefundRequest{GatewayPaymentID: "pi_other"}, first.RefundID),
	} {
		if res.Status != gateway.StatusRejected || res.Failure == nil || res.Failure.Message == "" {
			t.Errorf("%s: %+v", name, res)
		}
	}
	if res := p.Unreachable.(gateway.Refunds).RefundPayment(ctx, p.Account, p.call("rfd_5"), request); res.Status != gateway.StatusUnavailable {
		t.Errorf("unreachable: %+v", res)
	}
	if res := refunds.FetchRefund(ctx, p.Account, request, first.RefundID); res.Status != gateway.StatusSucceeded || res.State != gateway.RefundSucceeded || res.Amount != request.Amount {
		t.Errorf("read: %+v", res)
	}
	all := p.Adapter.(gateway.RefundLists).FetchRefunds(ctx, p.Account, payment)
	if all.Status != gateway.StatusSucceeded || len(all.Refunds) != 1 || all.Refunds[0].Subject != "rfd_1" || all.Refunds[0].RefundID != first.RefundID {
		t.Errorf("list: %+v", all)
	}
}

// A refund that takes its time is pending, and one may fail after it had
// succeeded.
func TestRefundsThatEndLater(t *testing.T) {
	t.Parallel()
	p := newPayback(t, startSandbox(t))
	refunds, ctx := p.Adapter.(gateway.Refunds), t.Context()
	for token, want := range map[string][2]gateway.RefundState{
		"pm_card_pendingRefund": {gateway.RefundPending, gateway.RefundSucceeded},
		"pm_card_refundFail":    {gateway.RefundSucceeded, gateway.RefundFailed},
	} {
		request := gateway.RefundRequest{GatewayPaymentID: p.charged(t, token), Amount: dollars(t, "12.50")}
		made := refunds.RefundPayment(ctx, p.Account, p.call("rfd_1"), request)
		if made.Status != gateway.StatusSucceeded || made.State != want[0] {
			t.Fatalf("%s: %+v", token, made)
		}
		p.sandbox.control(t, p.Account.SecretKey, http.MethodPost, "/_sandbox/clock", map[string]any{"advance_seconds": 60}, nil)
		for deadline := time.Now().Add(10 * time.Second); ; {
			res := refunds.FetchRefund(ctx, p.Account, request, made.RefundID)
			if res.State == want[1] && res.Status == gateway.StatusSucceeded && (res.Failure != nil) == (want[1] == gateway.RefundFailed) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: stays %+v", token, res)
			}
		}
	}
}

// Every way in which the request or its answer can go wrong: it is given back
// once, and never called failed.
func TestRefundFaults(t *testing.T) {
	t.Parallel()
	sandbox := startSandbox(t)
	for _, fault := range gatewaytest.Faults() {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			p := newPayback(t, sandbox)
			refunds := p.Adapter.(gateway.Refunds)
			request := gateway.RefundRequest{GatewayPaymentID: p.charged(t, "pm_card_visa"), Amount: dollars(t, "4")}
			call := p.call("rfd_1")
			struck := p.Fail(t, fault, 0)
			res := refunds.RefundPayment(t.Context(), p.Account, call, request)
			if !struck() {
				t.Fatal("nothing went wrong")
			}
			deadline := time.Now().Add(15 * time.Second)
			for tries := 0; res.Status != gateway.StatusSucceeded; tries++ {
				switch {
				case res.Status == gateway.StatusDeclined || res.Status == gateway.StatusRejected:
					t.Fatalf("called failed: %+v", res)
				case fault == gatewaytest.BrokenForGood && tries == 2 && p.refunded(t) == 0:
					return // the gateway will not tell, and nothing is found
				case time.Now().After(deadline):
					t.Fatalf("stays %+v", res)
				}
				res = refunds.RefundPayment(t.Context(), p.Account, call, request)
			}
			if p.refunded(t) != 400 {
				t.Errorf("%d cents went back", p.refunded(t))
			}
		})
	}
}

func TestDisputes(t *testing.T) {
	t.Parallel()
	p := newPayback(t, startSandbox(t))
	disputes, ctx := p.Adapter.(gateway.Disputes), t.Context()
	for token, want := range map[string]gateway.DisputeState{
		"pm_card_createDispute":        gateway.DisputeNeedsResponse,
		"pm_card_createDisputeInquiry": gateway.DisputeWarning,
	} {
		payment := p.charged(t, token)
		var list struct {
			Data []struct {
				ID string `json:"id"`
			} `json:"data"`
		}
		p.sandbox.control(t, p.Account.SecretKey, http.MethodGet, "/v1/disputes?payment_intent="+payment, nil, &list)
		if len(list.Data) != 1 {
			t.Fatalf("%s: disputes %+v", token, list)
		}
		res := disputes.FetchDispute(ctx, p.Account, list.Data[0].ID)
		if res.Status != gateway.StatusSucceeded || res.State != want || res.GatewayPaymentID != payment || res.Amount != dollars(t, "12.50") ||
			res.DisputeID != list.Data[0].ID || res.Reason != "fraudulent" || !res.EvidenceDueAt.After(time.Now()) {
			t.Errorf("%s: %+v", token, res)
		}
	}
	if res := disputes.FetchDispute(ctx, p.Account, "dp_missing"); res.Status != gateway.StatusRejected {
		t.Errorf("not there: %+v", res)
	}
}
