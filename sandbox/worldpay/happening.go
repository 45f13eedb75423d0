package worldpaysandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Happening is something that happens to an order's payment from outside:
// what a bank, the acquirer or somebody in the administration interface does.
type Happening struct {
	// Type is the journal type.
	Type string `json:"type"`
	// Amount is in minor units. Defaults to all that the event can be about.
	Amount int64 `json:"amount"`
	// Reference is that of the refund that REFUNDED and REFUND_FAILED are
	// about; without one they are about the latest that fits.
	Reference string `json:"reference"`
	// ReturnCode is the ISO 8583 code of a refusal. Defaults to 5.
	ReturnCode string `json:"return_code"`
}

// Happen lets something happen to an order. It fails when the payment's state
// does not allow it.
func (s *Server) Happen(ctx context.Context, merchant, order string, h Happening) error {
	return s.inTx(ctx, merchant, func(t *tx) error {
		o, err := t.order(order)
		switch {
		case err != nil:
			return err
		case o != nil && o.Payment == nil && o.Hosted && h.Type == shopperRedirected:
			t.redirect(o)
			t.save(o)
			return nil
		case o == nil || o.Payment == nil:
			return errors.New("there is no such order, or nobody has tried to pay it")
		}
		if err := t.befall(o, h); err != nil {
			return err
		}
		t.save(o)
		return nil
	})
}

// redirectedMethod is a payment method that is none of a card: the shopper is
// sent on to somebody else's page.
const redirectedMethod = "PAYPAL-EXPRESS"

// redirect lets a shopper choose to pay elsewhere; what comes of it there is
// told by further events.
func (t *tx) redirect(o *Order) {
	o.Challenge = nil
	o.Payment = &Payment{Method: redirectedMethod, Outcome: outcomePending, Refunds: []Refund{}}
	t.event(o, shopperRedirected, o.Amount.Value, "")
}

func (t *tx) befall(o *Order, h Happening) error {
	p := o.Payment
	redirected := p.LastEvent == shopperRedirected
	undecided := p.LastEvent == sentForAuthorisation || redirected
	paid := p.Authorised > 0 && !slices.Contains([]string{cancelled, expired, refused, refusedByBank, failedWithError}, p.LastEvent)
	amount := func(most int64) (int64, error) {
		if h.Amount == 0 {
			h.Amount = most
		}
		if h.Amount <= 0 || h.Amount > most {
			return 0, fmt.Errorf("the amount is %d, at most %d is possible", h.Amount, max(0, most))
		}
		return h.Amount, nil
	}
	impossible := fmt.Errorf("%s cannot follow on %s", h.Type, p.LastEvent)
	switch h.Type {
	case authorised:
		if !undecided {
			return impossible
		}
		t.decide(o, outcomeAuthorised)
	case shopperCancelled:
		if !redirected {
			return impossible
		}
		t.event(o, shopperCancelled, o.Amount.Value, "")
	case refused, refusedByBank, failedWithError, expired, cancelled:
		if !undecided && !paid {
			return impossible
		}
		if h.Type == refused || h.Type == refusedByBank {
			if p.ReturnCode = h.ReturnCode; p.ReturnCode == "" {
				p.ReturnCode = outcomeRefused.returnCode()
			}
		}
		// Whatever was authorised or captured is taken back.
		p.Authorised, p.Captured = 0, 0
		t.event(o, h.Type, o.Amount.Value, "")
	case captured:
		if p.LastEvent != authorised {
			return impossible
		}
		n, err := amount(p.Authorised)
		if err != nil {
			return err
		}
		p.Captured = n
		t.event(o, captured, n, h.Reference)
	case captureFailed:
		if !p.captured() {
			return impossible
		}
		n := p.Captured
		p.Captured = 0
		t.event(o, captureFailed, n, h.Reference)
	case settled, settledByMerchant, informationRequested, refundWebformIssued:
		if !p.captured() {
			return impossible
		}
		t.event(o, h.Type, p.Captured, "")
	case sentForRefund, refundedByMerchant:
		n, err := amount(p.refundable())
		if err != nil {
			return err
		}
		if h.Type == sentForRefund {
			t.sendRefund(o, n, h.Reference)
			return nil
		}
		p.Refunded += n
		p.Refunds = append(p.Refunds, Refund{Reference: h.Reference, Amount: n, State: refundedByMerchant})
		t.event(o, refundedByMerchant, n, h.Reference)
	case refunded, refundFailed:
		return t.endRefund(o, h)
	case chargedBack:
		n, err := amount(p.refundable())
		if err != nil {
			return err
		}
		p.ChargedBack += n
		t.event(o, chargedBack, n, "")
	case chargebackReversed:
		n, err := amount(p.ChargedBack)
		if err != nil {
			return err
		}
		p.ChargedBack -= n
		t.event(o, chargebackReversed, n, "")
	default:
		return fmt.Errorf("events of the type %q do not happen here", h.Type)
	}
	return nil
}

// endRefund lets a refund succeed or fail; also one that had succeeded may
// fail.
func (t *tx) endRefund(o *Order, h Happening) error {
	p := o.Payment
	for i := len(p.Refunds) - 1; i >= 0; i-- {
		r := &p.Refunds[i]
		if h.Reference != "" && r.Reference != h.Reference || r.State == h.Type || r.State == refundFailed {
			continue
		}
		r.State = h.Type
		if h.Type == refundFailed {
			p.Refunded -= r.Amount
		}
		t.event(o, h.Type, r.Amount, r.Reference)
		return nil
	}
	return errors.New("there is no such refund under way")
}

// SetTokenOutcome decides what charges of a token come to from now on: one of
// the names of the test environment, such as AUTHORISED or REFUSED51.
func (s *Server) SetTokenOutcome(ctx context.Context, merchant, id, name string) error {
	o, ok := parseOutcome(name)
	if !ok || o == outcomeChallenge {
		return fmt.Errorf("the outcome is %q, want AUTHORISED, REFUSED, REFUSED with a code, ERROR or PENDING", name)
	}
	return s.inTx(ctx, merchant, func(t *tx) error {
		token, err := t.token(id)
		if err != nil {
			return err
		}
		if token == nil || token.Deleted {
			return errors.New("there is no such token")
		}
		token.Outcome = o
		t.keep(token)
		return nil
	})
}
