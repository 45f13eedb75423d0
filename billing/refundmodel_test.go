package billing

import (
	"testing"

	"pgregory.net/rapid"

	"purser/ent"
	"purser/ent/hold"
	"purser/ent/payer"
	"purser/ent/provider"
	"purser/ent/refund"
	"purser/gateway"
	"purser/money"
)

// In whatever order, and however often, the states of refunds and disputes are
// told: the balance is what is left of the payment, and the books agree.
func TestRandomRefundsAgreeWithTheModel(t *testing.T) {
	t.Parallel()
	s := &sale{fixture: newFixture(t, newSQLite(t))}
	s.provider = s.newKind(t, provider.KindSTRIPE)
	s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider) })
	rapid.Check(t, func(rt *rapid.T) {
		s.payer = s.newPayer(t, payer.BillingModePREPAID)
		s.card(t)
		p := s.toppedUp(t, "100")
		type told struct {
			begun   *BegunRefund
			replied bool
			id      string
			amount  money.Amount
			state   gateway.RefundState
		}
		var all []*told
		going := func() (sum money.Units) {
			for _, r := range all {
				if r.state != gateway.RefundFailed {
					sum += r.amount.Units
				}
			}
			return sum
		}
		tell := func(r *told) {
			result := refundAt(r.state, r.id, r.amount)
			var err error
			if r.begun != nil && !r.replied && rapid.Bool().Draw(rt, "reply") {
				r.replied = true
				err = s.FinishRefund(s.ctx, r.begun.ID, result)
			} else {
				own := ""
				if r.begun != nil {
					own = r.begun.RefundID
				}
				err = s.ApplyRefund(s.ctx, p.ID, own, result)
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"begin": func(rt *rapid.T) {
				amount := money.Amount{Units: money.Units(rapid.Int64Range(1, 6000).Draw(rt, "cents")) * money.UnitsPerMinor, Currency: "USD"}
				begun, err := s.BeginRefund(s.ctx, RefundDraft{PaymentID: p.ID, Amount: &amount, Key: ptr(s.newID("key"))})
				fits := amount.Units <= p.AmountUnits-going()
				if fits != (err == nil) {
					rt.Fatalf("%s with %d under way: %v", amount, going(), err)
				}
				if fits {
					all = append(all, &told{begun: begun, id: s.named("re"), amount: amount, state: gateway.RefundPending})
				}
			},
			"elsewhere": func(rt *rapid.T) {
				amount := money.Amount{Units: money.Units(rapid.Int64Range(1, 6000).Draw(rt, "cents")) * money.UnitsPerMinor, Currency: "USD"}
				if amount.Units > p.AmountUnits-going() {
					rt.Skip("the gateway takes no more than there is")
				}
				r := &told{id: s.named("re"), amount: amount, state: gateway.RefundSucceeded}
				all = append(all, r)
				tell(r)
			},
			"move": func(rt *rapid.T) {
				if len(all) == 0 {
					rt.Skip("none")
				}
				r := rapid.SampledFrom(all).Draw(rt, "refund")
				next := rapid.SampledFrom([]gateway.RefundState{gateway.RefundSucceeded, gateway.RefundFailed}).Draw(rt, "state")
				if r.state == gateway.RefundFailed || next == r.state {
					next = r.state // told once more
				}
				r.state = next
				tell(r)
			},
			"": func(rt *rapid.T) {
				var gone, held money.Units
				for _, r := range all {
					row, err := s.Client().Refund.Query().Where(refund.PaymentID(p.ID), refund.GatewayRefundID(r.id)).Only(s.ctx)
					if ent.IsNotFound(err) && r.begun != nil {
						held += r.amount.Units
						continue
					}
					if err != nil {
						rt.Fatal(err)
					}
					switch r.state {
					case gateway.RefundSucceeded:
						gone += r.amount.Units
					case gateway.RefundPending:
						held += r.amount.Units
					default:
						if row.Status != refund.StatusFAILED {
							rt.Fatalf("refund %+v", row)
						}
					}
				}
				b := s.balanceOf(t, s.payer.ID, "USD")
				if b.Remaining().Units != p.AmountUnits-gone || b.HeldUnits != held || s.paid(t, p.ID).RefundedUnits != gone {
					rt.Fatalf("remaining %s, held %s, refunded %s; want %d gone and %d held", b.Remaining(), b.Held(), s.paid(t, p.ID).Refunded(), gone, held)
				}
			},
		})
	})
	open, err := s.Client().Hold.Query().Where(hold.StatusEQ(hold.StatusOPEN)).Count(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d holds are open", open)
	s.mustVerify(t)
}
