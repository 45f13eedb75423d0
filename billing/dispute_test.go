package billing

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/dispute"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/gateway"
	"purser/money"
)

// disputeAt is a dispute of a payment as the gateway reports it in a state.
func disputeAt(state gateway.DisputeState, p *ent.Payment, amount money.Amount) gateway.DisputeResult {
	return gateway.DisputeResult{
		Outcome: succeeded(), DisputeID: "dp_" + p.ID, GatewayPaymentID: orEmpty(p.GatewayPaymentID), State: state, Amount: amount,
		Reason: "fraudulent", EvidenceDueAt: fixtureStart.Add(7 * 24 * time.Hour),
	}
}

func (s *sale) disputed(t testing.TB, p *ent.Payment, states ...gateway.DisputeState) {
	t.Helper()
	for _, state := range states {
		for range 2 {
			if err := s.ApplyDispute(s.ctx, p.ID, disputeAt(state, p, p.Amount())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A dispute takes the money until it is decided: in every order in which its
// states may be heard, the end is the same.
func TestDisputes(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		const warning, closed, needs, review, won, lost = gateway.DisputeWarning, gateway.DisputeWarningClosed,
			gateway.DisputeNeedsResponse, gateway.DisputeUnderReview, gateway.DisputeWon, gateway.DisputeLost
		for _, c := range []struct {
			heard []gateway.DisputeState
			want  dispute.Status
			left  string
		}{
			{[]gateway.DisputeState{needs}, dispute.StatusNEEDS_RESPONSE, "-20"},
			{[]gateway.DisputeState{needs, review}, dispute.StatusUNDER_REVIEW, "-20"},
			{[]gateway.DisputeState{needs, review, won}, dispute.StatusWON, "5"},
			{[]gateway.DisputeState{needs, won, review, needs}, dispute.StatusWON, "5"},
			{[]gateway.DisputeState{won, needs}, dispute.StatusWON, "5"},
			{[]gateway.DisputeState{needs, review, lost}, dispute.StatusLOST, "-20"},
			{[]gateway.DisputeState{lost, needs}, dispute.StatusLOST, "-20"},
			{[]gateway.DisputeState{lost, won}, dispute.StatusWON, "5"},
			{[]gateway.DisputeState{warning}, dispute.StatusWARNING, "5"},
			{[]gateway.DisputeState{warning, closed}, dispute.StatusWON, "5"},
			{[]gateway.DisputeState{warning, needs, warning}, dispute.StatusNEEDS_RESPONSE, "-20"},
		} {
			t.Run(fmt.Sprint(c.heard), func(t *testing.T) {
				s.payer = s.newPayer(t, payer.BillingModePREPAID)
				s.card(t)
				p := s.toppedUp(t, "25")
				s.useRecorded(t, s.payer.ID, usd(t, "20"))
				s.disputed(t, p, c.heard...)
				d, err := s.Client().Dispute.Query().Where(dispute.PaymentID(p.ID)).Only(s.ctx)
				if err != nil || d.Status != c.want || d.Amount() != usd(t, "25") || orEmpty(d.Reason) != "fraudulent" || d.EvidenceDueAt == nil {
					t.Fatalf("dispute %+v, %v", d, err)
				}
				s.wantRefunded(t, c.left, "0", p, "0")
				if p = s.paid(t, p.ID); p.Status != payment.StatusSUCCEEDED {
					t.Errorf("the payment is %s", p.Status)
				}
				_, err = s.RecordUsage(s.ctx, Usage{PayerID: s.payer.ID, Amount: usd(t, "1"), Key: ptr(s.newID("key"))})
				if c.left == "5" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				wantCode(t, err, CodeInsufficientFunds, "payerId")
				if b := s.balanceOf(t, s.payer.ID, "USD"); !b.InDebt() {
					t.Error("debt does not show")
				}
				_, err = s.BeginRefund(s.ctx, RefundDraft{PaymentID: p.ID, Key: ptr(s.newID("key"))})
				wantCode(t, err, CodeInvalidState, "id")
			})
		}
	})
}

// A dispute of an invoice's payment leaves the invoice paid; lost, it is
// written off.
func TestDisputeOfAnInvoicesPayment(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for _, c := range []struct {
			heard []gateway.DisputeState
			want  []string
		}{
			{[]gateway.DisputeState{gateway.DisputeNeedsResponse, gateway.DisputeWon}, []string{"disputes→clearing DISPUTE", "clearing→disputes REVERSAL"}},
			{[]gateway.DisputeState{gateway.DisputeNeedsResponse, gateway.DisputeLost}, []string{"disputes→clearing DISPUTE", "write-off→disputes WRITE_OFF"}},
			{[]gateway.DisputeState{gateway.DisputeLost, gateway.DisputeWon}, []string{"disputes→clearing DISPUTE", "write-off→disputes WRITE_OFF", "disputes→write-off REVERSAL", "clearing→disputes REVERSAL"}},
		} {
			inv := s.openInvoiceOf(t, item(t, "API", "10", "USD", 1))
			if err := s.ApplyInvoice(s.ctx, inv, s.invoiceAt(t, inv, "paid")); err != nil {
				t.Fatal(err)
			}
			p, err := s.Client().Payment.Query().Where(payment.InvoiceID(inv)).Only(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			s.disputed(t, p, c.heard...)
			got := s.booked(t, p.ID)[1:]
			for i := range got {
				want := c.want[i]
				if trimmed := withoutProvider(got[i], s.provider); trimmed != want+" 10.00 USD" {
					t.Errorf("booked %q, want %q", trimmed, want)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("booked %q, want %q", got, c.want)
			}
			if i := s.invoiced(t, inv); i.Status != "PAID" {
				t.Errorf("the invoice is %s", i.Status)
			}
		}
	})
}

// A dispute suspends the automatic reload: the card of who takes money back is
// not charged by itself.
func TestDisputeSuspendsReload(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		p := s.toppedUp(t, "25")
		s.reloading(t, nil)
		s.disputed(t, p, gateway.DisputeNeedsResponse)
		s.suspendedFor(t, SuspendedDispute)
		s.spend(t, "30")
		s.notDue(t)
		s.card(t) // nor does another card help
		s.notDue(t)
		s.disputed(t, p, gateway.DisputeWon)
		s.reloading(t, nil)
		s.begin(t)
	})
}

// What does not fit is parked and books nothing; what comes before its payment
// waits.
func TestBadDisputes(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		p := s.toppedUp(t, "25")
		for name, change := range map[string]func(*gateway.DisputeResult){
			"another payment":  func(r *gateway.DisputeResult) { r.GatewayPaymentID = "pi_other" },
			"another currency": func(r *gateway.DisputeResult) { r.Amount = in(t, "25", "JPY") },
			"nothing":          func(r *gateway.DisputeResult) { r.Amount.Units = 0 },
		} {
			r := disputeAt(gateway.DisputeNeedsResponse, p, usd(t, "25"))
			change(&r)
			if err := s.ApplyDispute(s.ctx, p.ID, r); !isMismatch(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		s.disputed(t, p, gateway.DisputeNeedsResponse)
		if err := s.ApplyDispute(s.ctx, p.ID, disputeAt(gateway.DisputeWon, p, usd(t, "24"))); !isMismatch(err) {
			t.Errorf("another amount: %v", err)
		}
		s.wantRefunded(t, "0", "0", p, "0")
		s.clock.Advance(disputeCheckEach)
		ids, err := s.DueDisputes(s.ctx, 10)
		if err != nil || len(ids) != 1 {
			t.Fatalf("due %v, %v", ids, err)
		}
		if due, err := s.ClaimDispute(s.ctx, ids[0]); err != nil || due == nil || due.PaymentID != p.ID {
			t.Fatalf("due %+v, %v", due, err)
		}
	})
}

// withoutProvider shortens the names of the provider's accounts.
func withoutProvider(booked, providerID string) string {
	return strings.ReplaceAll(booked, ":"+providerID, "")
}

// A dispute is told before the payment it is of is known: it waits, is woken by
// the payment, and is foreign only where no payment can be meant.
func TestDisputeToldBeforeItsPayment(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		store := func(id, pi string) string {
			t.Helper()
			event, err := s.StoreEvent(s.ctx, s.provider, gateway.Event{
				ID: id, Type: "charge.dispute.created", Object: gateway.Object{Kind: gateway.ObjectDispute, ID: "dp_" + id, PaymentID: pi},
			})
			if err != nil {
				t.Fatal(err)
			}
			return event
		}
		claim := func(id string) *EventToApply {
			t.Helper()
			e, err := s.ClaimEvent(s.ctx, id)
			if err != nil || e == nil {
				t.Fatalf("claimed %+v, %v", e, err)
			}
			return e
		}
		if e := claim(store("foreign", "pi_foreign")); !errors.Is(e.Unclaimed(), ErrForeign) {
			t.Errorf("of nobody: %+v", e)
		}
		for n, finishFirst := range []bool{false, true} {
			begun, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), Key: ptr(s.newID("key"))})
			if err != nil {
				t.Fatal(err)
			}
			pi := s.named("pi")
			event := store(fmt.Sprint("early", n), pi)
			e := claim(event)
			if !errors.Is(e.Unclaimed(), errWaiting) {
				t.Fatalf("early: %+v", e)
			}
			pay := func() {
				if err := s.FinishPayment(s.ctx, begun.ID, paymentAt(gateway.StatusSucceeded, pi, usd(t, "10"))); err != nil {
					t.Fatal(err)
				}
			}
			if finishFirst {
				pay()
			}
			if err := s.FinishEvent(s.ctx, event, e.Unclaimed()); err != nil {
				t.Fatal(err)
			}
			if !finishFirst {
				pay()
			}
			if e = claim(event); e.Subject != begun.PaymentID || e.Object.PaymentID != pi || e.Unclaimed() != nil {
				t.Errorf("woken: %+v", e)
			}
			if err := s.FinishEvent(s.ctx, event, nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}
