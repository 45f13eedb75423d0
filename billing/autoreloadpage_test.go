package billing

import (
	"context"
	"testing"

	"purser/ent"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/gateway"
)

// A card that the bank does not let through by itself is given up, and the
// payer told of a page; what is paid there is credited, and reloads go on.
func TestReloadThatTheBankAsksAbout(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		p := s.reloaded(t, gateway.StatusActionNeeded, nil)
		if b := s.row(t); b.AutoReloadSuspendedReason != SuspendedAuthentication || orEmpty(b.AutoReloadPaymentID) != p.ID {
			t.Fatalf("balance %+v", b)
		}
		given := s.begin(t)
		if given.Cancel == nil || given.PaymentID != p.ID || given.Cancel.GatewayPaymentID != orEmpty(p.GatewayPaymentID) {
			t.Fatalf("begun %+v", given)
		}
		s.spend(t, "1")
		s.notDue(t)
		canceled := paymentAt(gateway.StatusDeclined, orEmpty(p.GatewayPaymentID), usd(t, "10"))
		canceled.Payment.Canceled = true
		for range 2 {
			if err := s.FinishReloadCancel(s.ctx, given.ID, canceled); err != nil {
				t.Fatal(err)
			}
		}
		if p := s.paid(t, p.ID); p.Status != payment.StatusCANCELED {
			t.Fatalf("payment %+v", p)
		}
		page := s.paidOnAPage(t, SuspendedAuthentication)
		if page.Amount() != usd(t, "10") || page.Recurring {
			t.Errorf("payment %+v", page)
		}
		s.suspendedFor(t, "")
		s.spend(t, "5")
		s.clock.Advance(reloadCooldown)
		if next := s.begin(t); next.Page != nil || next.Cancel != nil {
			t.Errorf("begun %+v", next)
		}
	})
}

// paidOnAPage begins the page of a reload, which must be due, has the payer
// told of it, and pays it.
func (s *sale) paidOnAPage(t testing.TB, reason string) *ent.Payment {
	t.Helper()
	begun := s.begin(t)
	if begun.Page == nil || !begun.Page.SaveCard || begun.Page.SuccessURL != "http://purser.test/return/demo/"+s.paid(t, begun.PaymentID).PublicToken+"/success" {
		t.Fatalf("begun %+v", begun)
	}
	open := gateway.PaymentResult{
		Outcome: ended(gateway.StatusActionNeeded), ReferenceID: s.named("cs"), CustomerID: "cus_" + s.payer.ID,
		NextAction: gateway.NextAction{RedirectURL: "https://pay.example/page"},
	}
	for range 2 {
		if err := s.FinishPayment(s.ctx, begun.ID, open); err != nil {
			t.Fatal(err)
		}
	}
	p := s.paid(t, begun.PaymentID)
	if n := s.told(t, 1); n.Reason != reason || n.PaymentID != p.ID || n.PayURL != "http://purser.test/thanks/demo/"+p.PublicToken {
		t.Fatalf("told %+v", n)
	}
	s.notDue(t)
	paid := paymentAt(gateway.StatusSucceeded, s.named("pi"), begun.Page.Amount)
	paid.ReferenceID, paid.CustomerID = open.ReferenceID, open.CustomerID
	paid.Payment.PaymentMethodID, paid.Payment.Card = s.named("pm"), &gateway.Card{Brand: "visa", Last4: "4242", ExpMonth: 1, ExpYear: 2031}
	for range 2 {
		if err := s.ApplyPayment(s.ctx, p.ID, paid); err != nil {
			t.Fatal(err)
		}
	}
	return s.paid(t, p.ID)
}

// Without a card the payer pays on a page, and the card used there is the next
// one's.
func TestReloadWithoutACard(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.PaymentMethod.Update().Where(paymentmethod.PayerID(s.payer.ID)).SetStatus(paymentmethod.StatusDETACHED).SetIsDefault(false).Exec(ctx)
		})
		s.spend(t, "1")
		s.paidOnAPage(t, SuspendedNoCard)
		s.suspendedFor(t, "")
		s.spend(t, "5")
		s.clock.Advance(reloadCooldown)
		if next := s.begin(t); next.Request.PaymentMethodID == "" {
			t.Errorf("begun %+v", next)
		}
	})
}

// The payer satisfies the bank while the payment is being given up: it counts,
// and no page follows.
func TestReloadPaidWhileGivenUp(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		p := s.reloaded(t, gateway.StatusActionNeeded, nil)
		given := s.begin(t)
		for _, r := range []gateway.PaymentResult{
			{Outcome: ended(gateway.StatusUnknown)}, paymentAt(gateway.StatusSucceeded, orEmpty(p.GatewayPaymentID), usd(t, "10")),
		} {
			if err := s.FinishReloadCancel(s.ctx, given.ID, r); err != nil {
				t.Fatal(err)
			}
		}
		s.suspendedFor(t, "")
		s.notDue(t)
		if got := s.remaining(t, "USD"); got != usd(t, "9") {
			t.Errorf("remaining %s", got)
		}
	})
}

// A page that is left to close is followed by nothing; another card takes its
// place at once, and closes it where it is still open.
func TestReloadPageIsLeft(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.PaymentMethod.Update().Where(paymentmethod.PayerID(s.payer.ID)).SetStatus(paymentmethod.StatusDETACHED).SetIsDefault(false).Exec(ctx)
		})
		s.spend(t, "1")
		open := func() *ent.Payment {
			begun := s.begin(t)
			err := s.FinishPayment(s.ctx, begun.ID, gateway.PaymentResult{
				Outcome: ended(gateway.StatusActionNeeded), ReferenceID: s.named("cs"), NextAction: gateway.NextAction{RedirectURL: "https://pay.example/page"},
			})
			if err != nil {
				t.Fatal(err)
			}
			return s.paid(t, begun.PaymentID)
		}
		closed := gateway.PaymentResult{Outcome: ended(gateway.StatusDeclined), Payment: gateway.PaymentState{Canceled: true}}
		p := open()
		if err := s.ApplyPayment(s.ctx, p.ID, closed); err != nil {
			t.Fatal(err)
		}
		s.suspendedFor(t, SuspendedNoCard)
		s.spend(t, "1")
		s.notDue(t)
		s.card(t)
		if next := s.reloaded(t, gateway.StatusActionNeeded, nil); next.Amount() != usd(t, "10") {
			t.Fatalf("payment %+v", next)
		}
		given := s.begin(t)
		canceled := paymentAt(gateway.StatusDeclined, given.Cancel.GatewayPaymentID, usd(t, "10"))
		canceled.Payment.Canceled = true
		if err := s.FinishReloadCancel(s.ctx, given.ID, canceled); err != nil {
			t.Fatal(err)
		}
		p = open()
		s.card(t) // while its page is open
		given = s.begin(t)
		if given.PaymentID != p.ID || given.Cancel == nil || given.Cancel.ReferenceID != orEmpty(p.ReferenceID) {
			t.Fatalf("begun %+v", given)
		}
		// A gateway that cannot be reached is asked again later.
		if err := s.FinishReloadCancel(s.ctx, given.ID, gateway.PaymentResult{Outcome: ended(gateway.StatusUnavailable)}); err != nil {
			t.Fatal(err)
		}
		s.notDue(t)
		s.clock.Advance(reloadUnreached)
		given = s.begin(t)
		if err := s.FinishReloadCancel(s.ctx, given.ID, closed); err != nil {
			t.Fatal(err)
		}
		if next := s.reloaded(t, gateway.StatusSucceeded, nil); next.Status != payment.StatusSUCCEEDED {
			t.Errorf("payment %+v", next)
		}
		s.suspendedFor(t, "")
	})
}
