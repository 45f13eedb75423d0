package gatewaytest

import (
	"context"
	"sync"
	"testing"
	"time"

	"purser/gateway"
)

// testCharges: a key charges once, a decline is a decline, and what was never
// there is Rejected.
func testCharges(t *testing.T, s *suite) {
	charges := s.Adapter.(gateway.Charges)
	ctx := t.Context()
	customer, good := s.card(t, s.Cards.Good)
	call := s.call()
	first := charges.ChargeCard(ctx, s.Account, call, chargeOf(t, customer, good))
	wantStatus(t, "charge", first.Outcome, gateway.StatusSucceeded)
	p := first.Payment
	if p.Status != gateway.StatusSucceeded || p.GatewayPaymentID == "" || p.Amount != usd(t, "12.50") || p.ReceiptURL == "" && !s.Lacks.Receipts || p.PaymentMethodID != good || p.Card == nil || len(p.Card.Last4) != 4 {
		t.Errorf("payment = %+v, card %+v", p, p.Card)
	}
	if first.CustomerID != customer {
		t.Errorf("charge = %+v", first)
	}
	again := charges.ChargeCard(ctx, s.Account, call, chargeOf(t, customer, good))
	wantStatus(t, "the same charge again", again.Outcome, gateway.StatusSucceeded)
	if again.Payment.GatewayPaymentID != p.GatewayPaymentID {
		t.Errorf("the same call made %s and %s", p.GatewayPaymentID, again.Payment.GatewayPaymentID)
	}
	s.wantCharged(t, "12.50")
	read := charges.FetchPayment(ctx, s.Account, p.GatewayPaymentID)
	wantStatus(t, "read the payment", read.Outcome, gateway.StatusSucceeded)
	if read.Payment.Amount != p.Amount || read.Payment.ReceiptURL == "" && !s.Lacks.Receipts {
		t.Errorf("payment, read = %+v", read)
	}

	// The same key with another sum must not charge, and must not be called
	// failed: the first one may be all there is.
	other := chargeOf(t, customer, good)
	other.Amount = usd(t, "99")
	if res := charges.ChargeCard(ctx, s.Account, call, other); res.Status == gateway.StatusDeclined || res.Status == gateway.StatusRejected {
		t.Errorf("a reused key: %s %+v", res.Status, res.Failure)
	} else if res.Status == gateway.StatusSucceeded && res.Payment.Amount != p.Amount {
		t.Errorf("a reused key reports %s, charged was %s", res.Payment.Amount, p.Amount)
	}
	s.wantCharged(t, "12.50")

	wantStatus(t, "a second charge", charges.ChargeCard(ctx, s.Account, s.call(), chargeOf(t, customer, good)).Outcome, gateway.StatusSucceeded)
	s.wantCharged(t, "12.50", "12.50")

	customer, failing := s.card(t, s.Cards.Failing)
	call = s.call()
	for range 2 { // asked again, a decline stays one
		res := charges.ChargeCard(ctx, s.Account, call, chargeOf(t, customer, failing))
		wantStatus(t, "charge a failing card", res.Outcome, gateway.StatusDeclined)
		wantReason(t, res.Outcome)
		if res.Payment.Status == gateway.StatusSucceeded {
			t.Errorf("declined, yet the payment is %+v", res.Payment)
		}
		if id := res.Payment.GatewayPaymentID; id != "" {
			wantStatus(t, "read the declined payment", charges.FetchPayment(ctx, s.Account, id).Outcome, gateway.StatusDeclined)
		}
	}
	s.wantCharged(t, "12.50", "12.50")

	missing := charges.FetchPayment(ctx, s.Account, "pi_missing")
	wantStatus(t, "read a payment that is not there", missing.Outcome, gateway.StatusRejected)
	wantReason(t, missing.Outcome)
	wantStatus(t, "charge a card that is not there", charges.ChargeCard(ctx, s.Account, s.call(), chargeOf(t, customer, "pm_missing")).Outcome, gateway.StatusRejected, gateway.StatusDeclined)
	tiny := chargeOf(t, customer, good)
	tiny.Amount = usd(t, "0.001")
	wantStatus(t, "charge less than a cent", charges.ChargeCard(ctx, s.Account, s.call(), tiny).Outcome, gateway.StatusRejected)
	wantStatus(t, "charge at an unreachable gateway", s.Unreachable.(gateway.Charges).ChargeCard(ctx, s.Account, s.call(), chargeOf(t, customer, good)).Outcome, gateway.StatusUnavailable)
	locked := charges.ChargeCard(ctx, s.BadAccount, s.call(), chargeOf(t, customer, good))
	wantStatus(t, "charge with bad credentials", locked.Outcome, gateway.StatusRejected)
	if !locked.Failure.Credentials {
		t.Errorf("bad credentials are not told apart: %+v", locked.Failure)
	}
	s.wantCharged(t, "12.50", "12.50")

	// A call so old that the gateway may have forgotten its key: never again.
	old := s.call()
	old.StartedAt = old.StartedAt.Add(-48 * time.Hour)
	customer, good = s.card(t, s.Cards.Good)
	if res := charges.ChargeCard(ctx, s.Account, old, chargeOf(t, customer, good)); res.Status == gateway.StatusSucceeded || res.Status == gateway.StatusDeclined {
		t.Errorf("a forgotten call charged: %+v", res)
	}
	s.wantCharged(t, "12.50", "12.50")
}

// testChargesAtOnce: many askers with one key, one charge.
func testChargesAtOnce(t *testing.T, s *suite) {
	charges := s.Adapter.(gateway.Charges)
	customer, good := s.card(t, s.Cards.Good)
	call, request := s.call(), chargeOf(t, customer, good)
	results := make([]gateway.PaymentResult, 8)
	var askers sync.WaitGroup
	for i := range results {
		askers.Go(func() { results[i] = charges.ChargeCard(t.Context(), s.Account, call, request) })
	}
	askers.Wait()
	for i, res := range results {
		// Unknown: another asker was being served.
		wantStatus(t, "asked at once", res.Outcome, gateway.StatusSucceeded, gateway.StatusUnknown)
		if res.Status == gateway.StatusUnknown {
			results[i] = charges.ChargeCard(t.Context(), s.Account, call, request)
			wantStatus(t, "asked again", results[i].Outcome, gateway.StatusSucceeded)
		}
		if results[i].Payment.GatewayPaymentID != results[0].Payment.GatewayPaymentID {
			t.Errorf("one key made %s and %s", results[0].Payment.GatewayPaymentID, results[i].Payment.GatewayPaymentID)
		}
	}
	s.wantCharged(t, "12.50")
}

// testAuthentication: 3-D Secure is neither paid nor failed until the payer
// has spoken.
func testAuthentication(t *testing.T, s *suite) {
	charges := s.Adapter.(gateway.Charges)
	ctx := t.Context()
	customer, card := s.card(t, s.Cards.Authentication)
	request := chargeOf(t, customer, card)
	request.OffSession, request.ReturnURL = false, "http://127.0.0.1/back"
	start := func() (gateway.Call, gateway.PaymentResult) {
		call := s.call()
		res := charges.ChargeCard(ctx, s.Account, call, request)
		wantStatus(t, "charge with 3-D Secure", res.Outcome, gateway.StatusActionNeeded)
		if res.NextAction.RedirectURL == "" || res.Payment.GatewayPaymentID == "" || res.Payment.Status != gateway.StatusActionNeeded {
			t.Fatalf("waiting charge = %+v", res)
		}
		return call, res
	}

	call, waiting := start()
	s.wantCharged(t)
	wantStatus(t, "read while waiting", charges.FetchPayment(ctx, s.Account, waiting.Payment.GatewayPaymentID).Outcome, gateway.StatusActionNeeded)
	wantStatus(t, "ask while waiting", charges.ChargeCard(ctx, s.Account, call, request).Outcome, gateway.StatusActionNeeded)
	s.Authenticate(t, waiting.NextAction.RedirectURL, true)
	wantStatus(t, "read when authenticated", charges.FetchPayment(ctx, s.Account, waiting.Payment.GatewayPaymentID).Outcome, gateway.StatusSucceeded)
	// The gateway's stored answer still says that it waits.
	done := charges.ChargeCard(ctx, s.Account, call, request)
	wantStatus(t, "ask when authenticated", done.Outcome, gateway.StatusSucceeded)
	if done.Payment.GatewayPaymentID != waiting.Payment.GatewayPaymentID {
		t.Errorf("it is another payment: %s", done.Payment.GatewayPaymentID)
	}
	s.wantCharged(t, "12.50")

	call, waiting = start()
	s.Authenticate(t, waiting.NextAction.RedirectURL, false)
	wantStatus(t, "read when refused", charges.FetchPayment(ctx, s.Account, waiting.Payment.GatewayPaymentID).Outcome, gateway.StatusDeclined)
	wantStatus(t, "ask when refused", charges.ChargeCard(ctx, s.Account, call, request).Outcome, gateway.StatusDeclined)

	// Without the payer it cannot be authenticated: not declined for good.
	request.OffSession, request.ReturnURL = true, ""
	res := charges.ChargeCard(ctx, s.Account, s.call(), request)
	wantStatus(t, "charge without the payer", res.Outcome, gateway.StatusActionNeeded)
	wantReason(t, res.Outcome)
	if res.NextAction.RedirectURL == "" && res.NextAction.ClientSecret == "" {
		t.Error("there is no way on")
	}
	s.wantCharged(t, "12.50")
}

// testSlow: no answer in time is Unknown, and asking again tells.
func testSlow(t *testing.T, s *suite) {
	charges := s.Adapter.(gateway.Charges)
	customer, good := s.card(t, s.Cards.Good)
	call, request := s.call(), chargeOf(t, customer, good)
	s.Slow(t, 2*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	wantStatus(t, "charge in haste", charges.ChargeCard(ctx, s.Account, call, request).Outcome, gateway.StatusUnknown)
	s.settle(t, "charge", func() gateway.Outcome {
		return charges.ChargeCard(t.Context(), s.Account, call, request).Outcome
	})
	s.wantCharged(t, "12.50")
}

// settle asks again until the outcome is known, as the server does; it never
// takes a failure for an end.
func (s *suite) settle(t *testing.T, what string, ask func() gateway.Outcome) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		out := ask()
		if out.Status == gateway.StatusSucceeded {
			return
		}
		wantStatus(t, what+", asked again", out, gateway.StatusUnknown, gateway.StatusUnavailable)
		if time.Now().After(deadline) {
			t.Fatalf("%s stays %s: %+v", what, out.Status, out.Failure)
		}
		time.Sleep(50 * time.Millisecond) // the gateway tells nobody when it is done
	}
}
