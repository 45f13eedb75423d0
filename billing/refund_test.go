package billing

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"purser/ent"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/refund"
	"purser/gateway"
	"purser/money"
)

// toppedUp is a top-up of the payer from a saved card that has succeeded.
func (s *sale) toppedUp(t testing.TB, amount string) *ent.Payment {
	t.Helper()
	begun, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, amount), Key: ptr(s.newID("key"))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.FinishPayment(s.ctx, begun.ID, paymentAt(gateway.StatusSucceeded, s.named("pi"), usd(t, amount))); err != nil {
		t.Fatal(err)
	}
	return s.paid(t, begun.PaymentID)
}

// refundAt is a refund as the gateway reports it in a state.
func refundAt(state gateway.RefundState, id string, amount money.Amount) gateway.RefundResult {
	return gateway.RefundResult{Outcome: succeeded(), RefundID: id, State: state, Amount: amount}
}

func (s *sale) back(t testing.TB, id string) *ent.Refund {
	t.Helper()
	r, err := s.Client().Refund.Query().Where(refund.ID(id)).Only(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantBalance compares what remains and what is held of the payer's dollars,
// and what its payment says went back.
func (s *sale) wantRefunded(t testing.TB, remaining, held string, p *ent.Payment, refunded string) {
	t.Helper()
	b := s.balanceOf(t, s.payer.ID, "USD")
	if b.Remaining() != usd(t, remaining) || b.Held() != usd(t, held) || s.paid(t, p.ID).Refunded() != usd(t, refunded) {
		t.Fatalf("remaining %s, held %s, refunded %s; want %s, %s, %s", b.Remaining(), b.Held(), s.paid(t, p.ID).Refunded(), remaining, held, refunded)
	}
}

func (s *sale) beginRefund(t testing.TB, p *ent.Payment, amount string) *BegunRefund {
	t.Helper()
	d := RefundDraft{PaymentID: p.ID, Key: ptr(s.newID("key"))}
	if amount != "" {
		d.Amount = ptr(usd(t, amount))
	}
	begun, err := s.BeginRefund(s.ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	return begun
}

func TestRefundInPartAndInFull(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		p := s.toppedUp(t, "25")
		d := RefundDraft{PaymentID: p.ID, Amount: ptr(usd(t, "10")), Reason: ptr("too much"), Key: ptr("k")}
		begun, err := s.BeginRefund(s.ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		if begun.Call == nil || begun.Request.Amount != usd(t, "10") || begun.Request.GatewayPaymentID != orEmpty(p.GatewayPaymentID) || begun.Request.OrderCode != p.OrderCode {
			t.Fatalf("request %+v", begun.Request)
		}
		s.wantRefunded(t, "25", "10", p, "0")
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.Available() != usd(t, "15") {
			t.Errorf("available %s", b.Available())
		}
		for range 2 {
			if err := s.FinishRefund(s.ctx, begun.ID, refundAt(gateway.RefundSucceeded, "re_1", usd(t, "10"))); err != nil {
				t.Fatal(err)
			}
		}
		s.wantRefunded(t, "15", "0", p, "10")
		if r := s.back(t, begun.RefundID); r.Status != refund.StatusSUCCEEDED || orEmpty(r.Reason) != "too much" || orEmpty(r.GatewayRefundID) != "re_1" {
			t.Errorf("refund %+v", r)
		}
		again, err := s.BeginRefund(s.ctx, d)
		if err != nil || again.Call != nil || again.RefundID != begun.RefundID {
			t.Errorf("the same key: %+v, %v", again, err)
		}
		rest := s.beginRefund(t, p, "")
		if rest.Request.Amount != usd(t, "15") {
			t.Fatalf("the rest is %s", rest.Request.Amount)
		}
		if err := s.FinishRefund(s.ctx, rest.ID, refundAt(gateway.RefundSucceeded, "re_2", usd(t, "15"))); err != nil {
			t.Fatal(err)
		}
		s.wantRefunded(t, "0", "0", p, "25")
		wantBooked(t, s.booked(t, p.ID),
			"clearing:"+s.provider+"→"+ent.BalanceAccount(*p.BalanceID)+" TOP_UP 25.00 USD",
			ent.BalanceAccount(*p.BalanceID)+"→clearing:"+s.provider+" REFUND 10.00 USD",
			ent.BalanceAccount(*p.BalanceID)+"→clearing:"+s.provider+" REFUND 15.00 USD")
		_, err = s.BeginRefund(s.ctx, RefundDraft{PaymentID: p.ID, Key: ptr("again")})
		wantCode(t, err, CodeInvalidState, "id")
	})
}

func TestBadRefunds(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		p := s.toppedUp(t, "25")
		failed := s.reloadless(t)
		inv := s.openInvoiceOf(t, item(t, "API", "10", "USD", 1))
		if err := s.ApplyInvoice(s.ctx, inv, s.invoiceAt(t, inv, "paid")); err != nil {
			t.Fatal(err)
		}
		ofInvoice, err := s.Client().Payment.Query().Where(payment.InvoiceID(inv)).Only(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			draft RefundDraft
			code  Code
			field string
		}{
			"no key":           {RefundDraft{PaymentID: p.ID}, CodeRequired, "idempotencyKey"},
			"unknown":          {RefundDraft{PaymentID: "pmt_none", Key: ptr("1")}, CodeNotFound, "id"},
			"failed":           {RefundDraft{PaymentID: failed.ID, Key: ptr("2")}, CodeInvalidState, "id"},
			"of an invoice":    {RefundDraft{PaymentID: ofInvoice.ID, Key: ptr("3")}, CodeInvalidState, "id"},
			"more than it was": {RefundDraft{PaymentID: p.ID, Amount: ptr(usd(t, "25.01")), Key: ptr("4")}, CodeInvalid, "amount.amount"},
			"nothing":          {RefundDraft{PaymentID: p.ID, Amount: ptr(usd(t, "0")), Key: ptr("5")}, CodeInvalid, "amount.amount"},
			"negative":         {RefundDraft{PaymentID: p.ID, Amount: ptr(usd(t, "-1")), Key: ptr("6")}, CodeInvalid, "amount.amount"},
			"other currency":   {RefundDraft{PaymentID: p.ID, Amount: ptr(in(t, "5", "JPY")), Key: ptr("7")}, CodeCurrencyMismatch, "amount.currency"},
			"fractions":        {RefundDraft{PaymentID: p.ID, Amount: ptr(usd(t, "0.001")), Key: ptr("8")}, CodeInvalid, "amount.amount"},
		} {
			t.Run(name, func(t *testing.T) {
				_, err := s.BeginRefund(s.ctx, c.draft)
				wantCode(t, err, c.code, c.field)
			})
		}
		// No more than is available, with what it is made of.
		s.useRecorded(t, s.payer.ID, usd(t, "10"))
		_, err = s.BeginRefund(s.ctx, RefundDraft{PaymentID: p.ID, Key: ptr("9")})
		if e := wantCode(t, err, CodeInsufficientFunds, "amount"); e.Details == nil || e.Details.Available != usd(t, "15") || e.Details.Shortfall != usd(t, "10") {
			t.Errorf("details %+v", e.Details)
		}
		begun := s.beginRefund(t, p, "12")
		_, err = s.BeginRefund(s.ctx, RefundDraft{PaymentID: p.ID, Amount: ptr(usd(t, "5")), Key: ptr("10")})
		wantCode(t, err, CodeFundsReserved, "amount")
		// While one is under way, the rest is what is left beside it.
		s.reload(t, s.payer.ID, usd(t, "100"))
		_, err = s.BeginRefund(s.ctx, RefundDraft{PaymentID: p.ID, Amount: ptr(usd(t, "13.01")), Key: ptr("11")})
		wantCode(t, err, CodeInvalid, "amount.amount")
		if err := s.FinishRefund(s.ctx, begun.ID, refundAt(gateway.RefundSucceeded, "re_1", usd(t, "12"))); err != nil {
			t.Fatal(err)
		}
	})
}

// reloadless is a payment of the payer that was declined.
func (s *sale) reloadless(t testing.TB) *ent.Payment {
	t.Helper()
	begun, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "25"), Key: ptr(s.newID("key"))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.FinishPayment(s.ctx, begun.ID, gateway.PaymentResult{Outcome: ended(gateway.StatusDeclined)}); err != nil {
		t.Fatal(err)
	}
	return s.paid(t, begun.PaymentID)
}

// What the gateway may answer to a refund: only what it has given back is
// booked, and what it takes is on hold until that is known.
func TestRefundOutcomes(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		for name, c := range map[string]struct {
			result  gateway.RefundResult
			refusal Code
			status  refund.Status
			held    string
			taken   bool
		}{
			"succeeded":      {refundAt(gateway.RefundSucceeded, "re_a", usd(t, "5")), "", refund.StatusSUCCEEDED, "0", true},
			"pending":        {refundAt(gateway.RefundPending, "re_b", usd(t, "5")), "", refund.StatusPROCESSING, "5", false},
			"failed":         {refundAt(gateway.RefundFailed, "re_c", usd(t, "5")), "", refund.StatusFAILED, "0", false},
			"canceled":       {refundAt(gateway.RefundCanceled, "re_d", usd(t, "5")), "", refund.StatusFAILED, "0", false},
			"unknown":        {gateway.RefundResult{Outcome: ended(gateway.StatusUnknown)}, "", refund.StatusPROCESSING, "5", false},
			"rejected":       {gateway.RefundResult{Outcome: ended(gateway.StatusRejected)}, CodeProviderRefused, refund.StatusFAILED, "0", false},
			"unavailable":    {gateway.RefundResult{Outcome: ended(gateway.StatusUnavailable)}, CodeProviderUnavailable, refund.StatusFAILED, "0", false},
			"another amount": {refundAt(gateway.RefundSucceeded, "re_e", usd(t, "6")), CodeProviderRefused, refund.StatusPROCESSING, "5", false},
		} {
			t.Run(name, func(t *testing.T) {
				s.payer = s.newPayer(t, payer.BillingModePREPAID)
				s.card(t)
				p := s.toppedUp(t, "20")
				begun := s.beginRefund(t, p, "5")
				for range 2 {
					err := s.FinishRefund(s.ctx, begun.ID, c.result)
					if c.refusal != "" {
						wantCode(t, err, c.refusal, "")
					} else if err != nil {
						t.Fatal(err)
					}
				}
				if r := s.back(t, begun.RefundID); r.Status != c.status || (r.FailureMessage != nil) != (c.status == refund.StatusFAILED) {
					t.Fatalf("refund %+v", r)
				}
				if c.taken {
					s.wantRefunded(t, "15", c.held, p, "5")
				} else {
					s.wantRefunded(t, "20", c.held, p, "0")
				}
			})
		}
	})
}

// A pending refund is asked for until it has ended; one that was given back
// and fails later is booked back, whatever is heard afterwards.
func TestRefundThatEndsLater(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		p := s.toppedUp(t, "20")
		begun := s.beginRefund(t, p, "5")
		if err := s.FinishRefund(s.ctx, begun.ID, refundAt(gateway.RefundPending, "re_1", usd(t, "5"))); err != nil {
			t.Fatal(err)
		}
		if ids, err := s.DueRefunds(s.ctx, 10); err != nil || len(ids) != 0 {
			t.Fatalf("due %v, %v", ids, err)
		}
		s.clock.Advance(checkIn(0))
		ids, err := s.DueRefunds(s.ctx, 10)
		if err != nil || len(ids) != 1 {
			t.Fatalf("due %v, %v", ids, err)
		}
		due, err := s.ClaimRefund(s.ctx, ids[0])
		if err != nil || due == nil || due.GatewayRefundID != "re_1" || due.Request.GatewayPaymentID != orEmpty(p.GatewayPaymentID) {
			t.Fatalf("due %+v, %v", due, err)
		}
		if again, err := s.ClaimRefund(s.ctx, ids[0]); err != nil || again != nil {
			t.Fatalf("claimed twice: %+v, %v", again, err)
		}
		apply := func(state gateway.RefundState) {
			t.Helper()
			if err := s.ApplyRefund(s.ctx, p.ID, begun.RefundID, refundAt(state, "re_1", usd(t, "5"))); err != nil {
				t.Fatal(err)
			}
		}
		apply(gateway.RefundSucceeded)
		apply(gateway.RefundPending) // read before
		s.wantRefunded(t, "15", "0", p, "5")
		s.useRecorded(t, s.payer.ID, usd(t, "15"))
		for range 2 {
			apply(gateway.RefundFailed)
			s.wantRefunded(t, "5", "0", p, "0")
			apply(gateway.RefundSucceeded)
			apply(gateway.RefundPending)
		}
		s.wantRefunded(t, "5", "0", p, "0")
		if r := s.back(t, begun.RefundID); r.Status != refund.StatusFAILED {
			t.Errorf("refund %+v", r)
		}
		wantBooked(t, s.booked(t, p.ID)[1:],
			ent.BalanceAccount(*p.BalanceID)+"→clearing:"+s.provider+" REFUND 5.00 USD",
			"clearing:"+s.provider+"→"+ent.BalanceAccount(*p.BalanceID)+" REVERSAL 5.00 USD")
		// It may be given back once more.
		next := s.beginRefund(t, p, "5")
		if err := s.FinishRefund(s.ctx, next.ID, refundAt(gateway.RefundSucceeded, "re_2", usd(t, "5"))); err != nil {
			t.Fatal(err)
		}
		s.wantRefunded(t, "0", "0", p, "5")
	})
}

// A refund that was made at the gateway is booked as it is told, once, also
// where the balance cannot bear it.
func TestRefundMadeAtTheGateway(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		p := s.toppedUp(t, "20")
		s.useRecorded(t, s.payer.ID, usd(t, "18"))
		for range 3 {
			if err := s.ApplyRefund(s.ctx, p.ID, "", refundAt(gateway.RefundSucceeded, "re_1", usd(t, "15"))); err != nil {
				t.Fatal(err)
			}
		}
		s.wantRefunded(t, "-13", "0", p, "15")
		if b := s.balanceOf(t, s.payer.ID, "USD"); !b.InDebt() {
			t.Error("it is in debt and does not show it")
		}
		_, err := s.RecordUsage(s.ctx, Usage{PayerID: s.payer.ID, Amount: usd(t, "0.01"), Key: ptr("debt")})
		wantCode(t, err, CodeInsufficientFunds, "payerId")
		for name, r := range map[string]gateway.RefundResult{
			"more than there was": refundAt(gateway.RefundSucceeded, "re_2", usd(t, "5.01")),
			"another amount":      refundAt(gateway.RefundSucceeded, "re_1", usd(t, "14")),
			"another currency":    refundAt(gateway.RefundSucceeded, "re_3", in(t, "5", "JPY")),
		} {
			if err := s.ApplyRefund(s.ctx, p.ID, "", r); !isMismatch(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, state := range []gateway.RefundState{gateway.RefundFailed, gateway.RefundCanceled} {
			if err := s.ApplyRefund(s.ctx, p.ID, "", refundAt(state, "re_4", usd(t, "5"))); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := s.Client().Refund.Query().Count(s.ctx); err != nil || n != 1 {
			t.Errorf("%d refunds, %v", n, err)
		}
		s.wantRefunded(t, "-13", "0", p, "15")
	})
}

// The reply to a refund is lost, and its event comes first: it is the same
// refund, by our name on it.
func TestRefundToldBeforeItsReply(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		p := s.toppedUp(t, "20")
		begun := s.beginRefund(t, p, "5")
		if err := s.FinishRefund(s.ctx, begun.ID, gateway.RefundResult{Outcome: ended(gateway.StatusUnknown)}); err != nil {
			t.Fatal(err)
		}
		told := refundAt(gateway.RefundSucceeded, "re_1", usd(t, "5"))
		if err := s.ApplyRefund(s.ctx, p.ID, begun.RefundID, told); err != nil {
			t.Fatal(err)
		}
		due := s.resumed(t, begun.ID)
		if err := s.FinishRefund(s.ctx, due.ID, told); err != nil {
			t.Fatal(err)
		}
		s.wantRefunded(t, "15", "0", p, "5")
		if n, err := s.Client().Refund.Query().Count(s.ctx); err != nil || n != 1 {
			t.Errorf("%d refunds, %v", n, err)
		}
	})
}

// Many refunds of one payment at once: together they never come to more than
// it was, nor to more than the balance has.
func TestRefundsAtOnce(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		p := s.toppedUp(t, "20")
		var wg sync.WaitGroup
		for n := range 10 {
			wg.Go(func() {
				begun, err := s.BeginRefund(s.ctx, RefundDraft{PaymentID: p.ID, Amount: ptr(usd(t, "3")), Key: ptr(fmt.Sprint(n))})
				if err != nil {
					wantCodeIn(t, err, CodeInvalid)
					return
				}
				if err := s.FinishRefund(s.ctx, begun.ID, refundAt(gateway.RefundSucceeded, fmt.Sprint("re_", n), usd(t, "3"))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s.wantRefunded(t, "2", "0", p, "18")
	})
}

// A reload is not made because money went back.
func TestRefundReloadsNothing(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		p := s.toppedUp(t, "20")
		s.reloading(t, nil)
		begun := s.beginRefund(t, p, "20")
		if err := s.FinishRefund(s.ctx, begun.ID, refundAt(gateway.RefundSucceeded, "re_1", usd(t, "20"))); err != nil {
			t.Fatal(err)
		}
		s.notDue(t)
		s.spend(t, "1")
		s.begin(t)
	})
}

func isMismatch(err error) bool { return errors.Is(err, errMismatch) }
