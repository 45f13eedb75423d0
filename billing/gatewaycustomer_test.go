package billing

import (
	"testing"

	"purser/ent"
	"purser/ent/gatewaycustomer"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/gateway"
)

// gone is what a gateway says of a customer that was deleted.
func gone(customerID string) gateway.CustomerResult {
	return gateway.CustomerResult{Outcome: succeeded(), CustomerID: customerID, Deleted: true}
}

// cardNow reads a card.
func (s *sale) cardNow(t testing.TB, id string) *ent.PaymentMethod {
	t.Helper()
	m, err := s.Client().PaymentMethod.Query().Where(paymentmethod.ID(id)).Only(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// wantCustomer begins to save a card and looks for whom the gateway is asked.
func (s *sale) wantCustomer(t testing.TB, want string) *CardSetup {
	t.Helper()
	begun, err := s.BeginCardAttach(s.ctx, CardDraft{PayerID: s.payer.ID, GatewayToken: "pm_card_visa"})
	if err != nil {
		t.Fatal(err)
	}
	if begun.Request.Customer.ID != want {
		t.Errorf("the gateway is asked for customer %q, not %q", begun.Request.Customer.ID, want)
	}
	return begun
}

// A customer that was deleted at the gateway is forgotten with its cards, and
// the payer gets another one. What is under way stays as it is.
func TestCustomerDeletedAtTheGateway(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		first := "cus_" + s.payer.ID
		id := s.card(t)
		charged, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "5"), Key: ptr("in flight")})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishPayment(s.ctx, charged.ID, paymentAt(gateway.StatusProcessing, "pi_1", usd(t, "5"))); err != nil {
			t.Fatal(err)
		}
		unknown, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "6"), Key: ptr("unknown")})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishPayment(s.ctx, unknown.ID, gateway.PaymentResult{Outcome: ended(gateway.StatusUnknown)}); err != nil {
			t.Fatal(err)
		}
		other := s.newPayer(t, payer.BillingModePREPAID)
		neighbour := &sale{fixture: s.fixture, payer: other}
		theirs := neighbour.wantCustomer(t, "")
		if err := s.FinishCard(s.ctx, theirs.ID, neighbour.cardAt("pm_theirs")); err != nil {
			t.Fatal(err)
		}

		// One that lives, or of which nobody knows, or that is another's.
		alive := gone(first)
		alive.Deleted = false
		unread := gone(first)
		unread.Outcome = ended(gateway.StatusUnknown)
		refused := gone(first)
		refused.Outcome = ended(gateway.StatusRejected)
		for _, r := range []gateway.CustomerResult{alive, unread, refused, gone("cus_never_ours")} {
			if err := s.ApplyCustomer(s.ctx, s.provider, s.payer.ID, r); err != nil {
				t.Fatal(err)
			}
		}
		if m := s.cardNow(t, id); m.Status != paymentmethod.StatusACTIVE || !m.IsDefault {
			t.Fatalf("the card is %s", m.Status)
		}
		for range 2 {
			if err := s.ApplyCustomer(s.ctx, s.provider, s.payer.ID, gone(first)); err != nil {
				t.Fatal(err)
			}
		}
		if m := s.cardNow(t, id); m.Status != paymentmethod.StatusDETACHED || m.IsDefault || m.ExpiryNoticeAt != nil {
			t.Errorf("the card is %s, %+v", m.Status, m)
		}
		if m := s.cardNow(t, theirs.PaymentMethodID); m.Status != paymentmethod.StatusACTIVE || !m.IsDefault {
			t.Errorf("another payer's card is %s", m.Status)
		}
		for _, p := range []string{charged.PaymentID, unknown.PaymentID} {
			if row := s.paid(t, p); row.Status != payment.StatusPROCESSING {
				t.Errorf("a payment that is under way is %s", row.Status)
			}
		}
		// What was begun with it ends as it ends, and does not bring it back.
		done := paymentAt(gateway.StatusSucceeded, "pi_1", usd(t, "5"))
		done.CustomerID = first
		if err := s.ApplyPayment(s.ctx, charged.PaymentID, done); err != nil {
			t.Fatal(err)
		}
		if row := s.paid(t, charged.PaymentID); row.Status != payment.StatusSUCCEEDED {
			t.Errorf("the payment is %s", row.Status)
		}
		begun := s.wantCustomer(t, "")
		next := s.cardAt("pm_next")
		next.CustomerID = "cus_next"
		if err := s.FinishCard(s.ctx, begun.ID, next); err != nil {
			t.Fatal(err)
		}
		if err := s.ApplyCustomer(s.ctx, s.provider, s.payer.ID, gone(first)); err != nil {
			t.Fatal(err)
		}
		if m := s.cardNow(t, begun.PaymentMethodID); m.Status != paymentmethod.StatusACTIVE || !m.IsDefault {
			t.Errorf("the new card is %s", m.Status)
		}
		s.wantCustomer(t, "cus_next")

		// The gateway says so itself where the event never came.
		charged, err = s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "7"), Key: ptr("refused")})
		if err != nil {
			t.Fatal(err)
		}
		no := gateway.PaymentResult{Outcome: ended(gateway.StatusRejected), CustomerID: "cus_next"}
		no.Failure.GoneCustomer = "cus_next"
		for range 2 {
			wantCode(t, s.FinishPayment(s.ctx, charged.ID, no), CodeProviderRefused, "")
		}
		if m := s.cardNow(t, begun.PaymentMethodID); m.Status != paymentmethod.StatusDETACHED || m.IsDefault {
			t.Errorf("the card is %s", m.Status)
		}
		s.wantCustomer(t, "")
	})
}

// The reply that tells of a customer, and of its card, may come before the news
// that it was deleted, after it, or more than once: the end is the same.
func TestCustomerDeletedInAnyOrder(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for _, order := range orders(3) {
			s := &sale{fixture: s.fixture, payer: s.newPayer(t, payer.BillingModePREPAID)}
			customer := "cus_" + s.payer.ID
			attach := s.wantCustomer(t, "")
			page, err := s.BeginHostedPayment(s.ctx, HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "5"), SaveCard: true, Key: ptr(s.payer.ID)})
			if err != nil {
				t.Fatal(err)
			}
			saved := s.cardAt("pm_typed_" + s.payer.ID)
			paid := paymentAt(gateway.StatusSucceeded, "pi_"+s.payer.ID, usd(t, "5"))
			paid.CustomerID, paid.ReferenceID, paid.Payment.PaymentMethodID = customer, "cs_"+s.payer.ID, "pm_paid_"+s.payer.ID
			paid.Payment.Card = &saved.Card
			acts := []func() error{
				func() error { return s.FinishCard(s.ctx, attach.ID, saved) },
				func() error { return s.FinishPayment(s.ctx, page.ID, paid) },
				func() error { return s.ApplyCustomer(s.ctx, s.provider, s.payer.ID, gone(customer)) },
			}
			for _, i := range order {
				for range 2 { // not all of them again: that would put right what is wrong
					if err := acts[i](); err != nil {
						t.Fatalf("%v: %v", order, err)
					}
				}
			}
			if m := s.cardNow(t, attach.PaymentMethodID); m.Status != paymentmethod.StatusDETACHED || m.IsDefault || orEmpty(m.GatewayID) != saved.PaymentMethodID {
				t.Errorf("%v: the card is %s", order, m.Status)
			}
			usable, err := s.Client().PaymentMethod.Query().Where(paymentmethod.PayerID(s.payer.ID),
				paymentmethod.Or(paymentmethod.StatusEQ(paymentmethod.StatusACTIVE), paymentmethod.IsDefault(true))).Count(s.ctx)
			if err != nil || usable != 0 {
				t.Errorf("%v: %d cards can be charged, %v", order, usable, err)
			}
			if p := s.paid(t, page.PaymentID); p.Status != payment.StatusSUCCEEDED {
				t.Errorf("%v: the payment is %s", order, p.Status)
			}
			rows, err := s.Client().GatewayCustomer.Query().Where(gatewaycustomer.PayerID(s.payer.ID)).All(s.ctx)
			if err != nil || len(rows) != 1 || rows[0].DeletedAt == nil {
				t.Errorf("%v: customers %v, %v", order, rows, err)
			}
			s.wantCustomer(t, "")
		}
	})
}
