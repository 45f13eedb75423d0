package billing

import (
	"context"
	"errors"
	"testing"

	"purser/ent"
	"purser/ent/dispute"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/provider"
	"purser/ent/refund"
	"purser/ent/subscription"
	"purser/gateway"
	"purser/money"
)

// refusalOfPayment is what the gateway says of a payment that it refuses after
// all.
func refusalOfPayment(p *ent.Payment) gateway.PaymentResult {
	r := paymentAt(gateway.StatusDeclined, orEmpty(p.GatewayPaymentID), p.Amount())
	r.Payment.Status = gateway.StatusDeclined
	return r
}

func (s *sale) refusedLate(t testing.TB, p *ent.Payment) {
	t.Helper()
	for range 2 {
		if err := s.ApplyRefusal(s.ctx, p.ID, refusalOfPayment(p)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLateRefusal: what a refused payment had credited is booked back, once,
// also where it is used already; the payment stays what it was.
func TestLateRefusal(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		p := s.toppedUp(t, "25")
		s.useRecorded(t, s.payer.ID, usd(t, "20"))
		s.refusedLate(t, p)
		s.wantRefunded(t, "-20", "0", p, "0")
		if now := s.paid(t, p.ID); now.Status != payment.StatusSUCCEEDED || now.RefusedAt == nil {
			t.Errorf("the payment is %s, refused at %v", now.Status, now.RefusedAt)
		}
		wantBooked(t, s.booked(t, p.ID),
			"clearing:"+s.provider+"→"+ent.BalanceAccount(*p.BalanceID)+" TOP_UP 25.00 USD",
			ent.BalanceAccount(*p.BalanceID)+"→clearing:"+s.provider+" REVERSAL 25.00 USD")
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.AutoReloadSuspendedReason != SuspendedDeclined || !b.InDebt() {
			t.Errorf("the card is charged on: %q", b.AutoReloadSuspendedReason)
		}
		_, err := s.BeginRefund(s.ctx, RefundDraft{PaymentID: p.ID, Key: ptr("k")})
		wantCode(t, err, CodeInvalidState, "id")
		if err := s.ApplyDispute(s.ctx, p.ID, disputeAt(gateway.DisputeNeedsResponse, p, p.Amount())); !errors.Is(err, errMismatch) {
			t.Errorf("it is contested as well: %v", err)
		}
		if err := s.ApplyRefund(s.ctx, p.ID, "", refundAt(gateway.RefundSucceeded, "re_x", usd(t, "1"))); !errors.Is(err, errMismatch) {
			t.Errorf("some of it goes back as well: %v", err)
		}
	})
}

// TestLateRefusalThatDoesNotFit: a person has to look, and nothing is booked.
func TestLateRefusalThatDoesNotFit(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		part := s.toppedUp(t, "25")
		begun := s.beginRefund(t, part, "10")
		whole := s.toppedUp(t, "6")
		s.beginRefund(t, whole, "")
		contested := s.toppedUp(t, "8")
		s.disputed(t, contested, gateway.DisputeNeedsResponse)
		paid := s.toppedUp(t, "7")
		another := refusalOfPayment(paid)
		another.Payment.GatewayPaymentID = "pi_another"
		lost := paymentAt(gateway.StatusProcessing, orEmpty(paid.GatewayPaymentID), paid.Amount())
		lost.Payment.Failure = &gateway.Failure{Code: gateway.CodeCaptureFailed}
		failed := s.reloadless(t)
		for name, c := range map[string]struct {
			payment  string
			said     gateway.PaymentResult
			mismatch bool
		}{
			"a part goes back":             {part.ID, refusalOfPayment(part), true},
			"all goes back uncaptured":     {whole.ID, refusalOfPayment(whole), false},
			"contested":                    {contested.ID, refusalOfPayment(contested), true},
			"another payment":              {paid.ID, another, true},
			"not captured":                 {paid.ID, lost, true},
			"it has succeeded":             {paid.ID, paymentAt(gateway.StatusSucceeded, orEmpty(paid.GatewayPaymentID), paid.Amount()), false},
			"one that never had succeeded": {failed.ID, paymentAt(gateway.StatusDeclined, "pi_f", usd(t, "5")), false},
		} {
			if err := s.ApplyRefusal(s.ctx, c.payment, c.said); errors.Is(err, errMismatch) != c.mismatch || err != nil && !c.mismatch {
				t.Errorf("%s: %v", name, err)
			}
		}
		s.wantRefunded(t, "38", "16", part, "0") // 25 + 6 + 7, of which 10 and 6 are on their way back
		if err := s.FinishRefund(s.ctx, begun.ID, refundAt(gateway.RefundSucceeded, "re_1", usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLateRefusalOfAnInvoicesPayment: the invoice is due again, and can be paid
// again.
func TestLateRefusalOfAnInvoicesPayment(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.openInvoiceOf(t, item(t, "API", "10", "USD", 1))
		if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, "paid")); err != nil {
			t.Fatal(err)
		}
		p, err := s.Client().Payment.Query().Where(payment.InvoiceID(id)).Only(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		s.refusedLate(t, p)
		inv := s.invoiced(t, id)
		if inv.Status != invoice.StatusOPEN || inv.AmountDue() != usd(t, "10") || inv.AmountPaidUnits != 0 || inv.PaidAt != nil {
			t.Errorf("the invoice is %s, %s are due", inv.Status, inv.AmountDue())
		}
		s.mustVerify(t)
	})
}

// throughWorldpay has everything sold through a gateway that keeps no invoices,
// where the payer has a card, whose id it returns.
func (s *sale) throughWorldpay(t testing.TB) (card string) {
	t.Helper()
	card = s.newID(prefixPaymentMethod)
	s.provider = s.newKind(t, provider.KindWORLDPAY)
	s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider) })
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.PaymentMethod.Update().Where(paymentmethod.PayerID(s.payer.ID)).SetIsDefault(false).Save(ctx)
		if err != nil {
			return err
		}
		return tx.PaymentMethod.Create().SetID(card).SetPayerID(s.payer.ID).SetProviderID(s.provider).
			SetStatus(paymentmethod.StatusACTIVE).SetGatewayID("token_1").SetGatewayCustomerID(s.payer.ID).SetIsDefault(true).
			SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Exec(ctx)
	})
	return card
}

// chargedDirectly charges what is due for an invoice that no gateway keeps, with
// this end, and reads the payment.
func (s *sale) chargedDirectly(t testing.TB, id string, status gateway.Status) *ent.Payment {
	t.Helper()
	c := s.beginCharge(t, id)
	if c == nil || c.Direct == nil {
		t.Fatalf("nothing was begun for %s: %+v", id, c)
	}
	if err := s.FinishPayment(s.ctx, c.ID, paymentAt(status, c.Direct.OrderCode, c.Direct.Amount)); err != nil {
		t.Fatal(err)
	}
	return s.paid(t, c.PaymentID)
}

// TestLateRefusalIsCollectedAgain: an invoice whose payment was refused late is
// charged again like one of which a try has failed, its subscription is late
// until it is paid, and it can be given up as often as it comes back.
func TestLateRefusalIsCollectedAgain(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.throughWorldpay(t)
		id := s.invoiceOf(t, item(t, "API", "10", "USD", 1))
		sub := s.newSubscription(t, id)
		s.finalized(t, id)
		if err := s.MarkInvoiceUncollectible(s.ctx, id); err != nil {
			t.Fatal(err)
		}
		page, err := s.BeginPageVisit(s.ctx, id, "one")
		s.onPage(t, page, err)
		if err := s.ApplyPayment(s.ctx, page.PaymentID, paymentAt(gateway.StatusSucceeded, "wp_1", usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
		s.refusedLate(t, s.paid(t, page.PaymentID))
		wantTries(t, s.invoiced(t, id), 0, invoice.DunningRUNNING, 3*days, s.clock.Now())
		told := s.toldOf(t, noticeChargeFailed)
		if got := s.subscriptionOf(t, sub).Status; got != subscription.StatusPAST_DUE || len(told) != 1 || told[0].PaymentID != page.PaymentID {
			t.Errorf("the subscription is %s; told %+v", got, told)
		}
		// Given up once more, and paid after all.
		if err := s.MarkInvoiceUncollectible(s.ctx, id); err != nil {
			t.Fatal(err)
		}
		s.mustVerify(t)
		page, err = s.BeginPageVisit(s.ctx, id, "two")
		s.onPage(t, page, err)
		if err := s.ApplyPayment(s.ctx, page.PaymentID, paymentAt(gateway.StatusSucceeded, "wp_2", usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
		s.mustVerify(t)
		// Charged by itself it is charged by itself again.
		s.refusedLate(t, s.paid(t, page.PaymentID))
		p := s.chargedDirectly(t, id, gateway.StatusSucceeded)
		if i := s.invoiced(t, id); p.Status != payment.StatusSUCCEEDED || i.Status != invoice.StatusPAID || s.subscriptionOf(t, sub).Status != subscription.StatusACTIVE {
			t.Errorf("the payment is %s, the invoice %s, the subscription %s", p.Status, i.Status, s.subscriptionOf(t, sub).Status)
		}
	})
}

// TestMoneyForAPaidInvoice: what was paid for an invoice that needed nothing any
// more went to the balance, and goes back from there: refused late, contested or
// refunded. The invoice stays paid by what has paid it.
func TestMoneyForAPaidInvoice(t *testing.T) {
	for name, back := range map[string]func(t *testing.T, s *sale, p *ent.Payment){
		"refused late": func(t *testing.T, s *sale, p *ent.Payment) { s.refusedLate(t, p) },
		"contested": func(t *testing.T, s *sale, p *ent.Payment) {
			s.disputed(t, p, gateway.DisputeNeedsResponse, gateway.DisputeLost)
			if d, err := s.Client().Dispute.Query().Where(dispute.PaymentID(p.ID)).Only(s.ctx); err != nil || d.Status != dispute.StatusLOST {
				t.Errorf("dispute %+v, %v", d, err)
			}
		},
		"refunded": func(t *testing.T, s *sale, p *ent.Payment) {
			begun := s.beginRefund(t, p, "")
			if err := s.FinishRefund(s.ctx, begun.ID, refundAt(gateway.RefundSucceeded, "re_1", p.Amount())); err != nil {
				t.Fatal(err)
			}
		},
		"refunded at the gateway": func(t *testing.T, s *sale, p *ent.Payment) {
			if err := s.ApplyRefund(s.ctx, p.ID, "", refundAt(gateway.RefundSucceeded, "re_1", p.Amount())); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachSale(t, func(t *testing.T, s *sale) {
				s.throughWorldpay(t)
				id := s.openInvoiceOf(t, item(t, "API", "10", "USD", 1))
				page, err := s.BeginPageVisit(s.ctx, id, "one")
				s.onPage(t, page, err)
				if _, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, OutOfBand: true, Key: &id}); err != nil {
					t.Fatal(err)
				}
				if err := s.ApplyPayment(s.ctx, page.PaymentID, paymentAt(gateway.StatusSucceeded, "wp_1", usd(t, "10"))); err != nil {
					t.Fatal(err)
				}
				if got := s.remaining(t, "USD"); got != usd(t, "10") {
					t.Fatalf("%s on the balance", got)
				}
				back(t, s, s.paid(t, page.PaymentID))
				if i := s.invoiced(t, id); i.Status != invoice.StatusPAID || i.AmountDueUnits != 0 || !s.remaining(t, "USD").IsZero() {
					t.Errorf("the invoice is %s with %s due; %s on the balance", i.Status, i.AmountDue(), s.remaining(t, "USD"))
				}
			})
		})
	}
}

// TestRefundToldByItsOrder: a gateway that knows a refund by the code of its
// call tells of it in any order with the call's own answer; one that was made
// there without a name is booked once, and back when it fails.
func TestRefundToldByItsOrder(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		p := s.toppedUp(t, "25")
		begun := s.beginRefund(t, p, "10")
		told := refundAt(gateway.RefundSucceeded, orderCode(begun.ID), usd(t, "10"))
		for range 2 {
			if err := s.ApplyRefund(s.ctx, p.ID, "", told); err != nil {
				t.Fatal(err)
			}
		}
		s.wantRefunded(t, "15", "0", p, "10")
		late := told
		late.State = gateway.RefundPending
		if err := s.FinishRefund(s.ctx, begun.ID, late); err != nil {
			t.Fatal(err)
		}
		s.wantRefunded(t, "15", "0", p, "10")
		if n, err := s.Client().Refund.Query().Where(refund.PaymentID(p.ID)).Count(s.ctx); n != 1 || err != nil {
			t.Fatalf("%d refunds, %v", n, err)
		}
		other := s.beginRefund(t, p, "5")
		wrong := refundAt(gateway.RefundSucceeded, orderCode(other.ID), usd(t, "6"))
		if err := s.ApplyRefund(s.ctx, p.ID, "", wrong); !errors.Is(err, errMismatch) {
			t.Errorf("another amount: %v", err)
		}
		for _, step := range []struct {
			state     gateway.RefundState
			id        string
			remaining string
			refunded  string
		}{
			{gateway.RefundPending, "", "15", "10"},
			{gateway.RefundFailed, "", "15", "10"}, // never booked
			{gateway.RefundSucceeded, "2026-03-10:3", "12", "13"},
			{gateway.RefundSucceeded, "2026-03-10:3", "12", "13"},
			{gateway.RefundFailed, "", "15", "10"},
			{gateway.RefundFailed, "", "15", "10"},
		} {
			if err := s.ApplyRefund(s.ctx, p.ID, "", refundAt(step.state, step.id, usd(t, "3"))); err != nil {
				t.Fatal(err)
			}
			s.wantRefunded(t, step.remaining, "5", p, step.refunded)
		}
	})
}

// TestEndOfADisputeWithoutAName: it is the latest that took the amount, and one
// that is not known yet is waited for.
func TestEndOfADisputeWithoutAName(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		p := s.toppedUp(t, "25")
		apply := func(state gateway.DisputeState, id string, amount money.Amount) error {
			r := disputeAt(state, p, amount)
			r.DisputeID = id
			return s.ApplyDispute(s.ctx, p.ID, r)
		}
		if err := apply(gateway.DisputeWon, "", usd(t, "25")); !errors.Is(err, errEarly) || !IsWaiting(err) {
			t.Fatalf("before it is known: %v", err)
		}
		for _, step := range []struct {
			state  gateway.DisputeState
			id     string
			amount string
			left   string
		}{
			{gateway.DisputeNeedsResponse, "a", "25", "0"},
			{gateway.DisputeWon, "", "25", "25"},
			{gateway.DisputeNeedsResponse, "b", "25", "0"},
			{gateway.DisputeNeedsResponse, "a", "25", "0"}, // an old one once more
			{gateway.DisputeWon, "", "25", "25"},
		} {
			if err := apply(step.state, step.id, usd(t, step.amount)); err != nil {
				t.Fatal(err)
			}
			s.wantRefunded(t, step.left, "0", p, "0")
		}
		if err := apply(gateway.DisputeWon, "", usd(t, "25")); !errors.Is(err, errEarly) || !IsWaiting(err) {
			t.Errorf("all have ended: %v", err)
		}
	})
}

// TestWhatAnEventTells: only a refund that was asked for here, of this amount
// and payment, is ours.
func TestWhatAnEventTells(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		p, second := s.toppedUp(t, "25"), s.toppedUp(t, "25")
		begun := s.beginRefund(t, p, "10")
		for name, c := range map[string]struct {
			of        *ent.Payment
			reference string
			amount    string
			ours      bool
		}{
			"ours":              {p, orderCode(begun.ID), "10", true},
			"of another amount": {p, orderCode(begun.ID), "11", false},
			"of another's":      {second, orderCode(begun.ID), "10", false},
			"without a name":    {p, "", "10", false},
			"nobody's":          {p, "SOMETHING", "10", false},
		} {
			id, err := s.StoreEvent(s.ctx, s.provider, gateway.Event{
				ID: name, Type: "REFUNDED", Told: &gateway.Told{Type: "REFUNDED", Reference: c.reference, Amount: usd(t, c.amount), Ours: true},
				Object: gateway.Object{Kind: gateway.ObjectRefund, ID: c.reference, PaymentID: orEmpty(c.of.GatewayPaymentID)},
			})
			if err != nil {
				t.Fatal(err)
			}
			e, err := s.ClaimEvent(s.ctx, id)
			if err != nil || e == nil || e.Told == nil || e.Subject != c.of.ID || e.Told.Ours != c.ours || e.Told.Amount != usd(t, c.amount) {
				t.Errorf("%s: %+v, %v", name, e, err)
			}
		}
		id, err := s.StoreEvent(s.ctx, s.provider, gateway.Event{ID: "refused", Object: gateway.Object{Kind: gateway.ObjectPayment, ID: orEmpty(p.GatewayPaymentID)}})
		if err != nil {
			t.Fatal(err)
		}
		if e, err := s.ClaimEvent(s.ctx, id); err != nil || !e.Settled {
			t.Errorf("the payment is not settled: %+v, %v", e, err)
		}
	})
}
