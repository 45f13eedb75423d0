package billing

import (
	"context"
	"encoding/json"
	"fmt"

	"purser/ent"
	"purser/ent/gatewaycustomer"
	"purser/ent/payment"
	"purser/ent/paymentattempt"
	"purser/gateway"
)

// A gateway that knows payments by order codes of ours has one of each call,
// made of the call's id: the payment's own code would name all its tries.

// paymentOfOrder finds the payment of whose tries an order code is one, or "".
func (s *Service) paymentOfOrder(ctx context.Context, providerID, code string) (string, error) {
	ids, err := s.read.PaymentAttempt.Query().Where(paymentattempt.CallID(prefixCall + "_" + orderedID(code))).
		QueryPayment().Where(payment.ProviderID(providerID)).IDs(ctx)
	if err != nil {
		return "", fmt.Errorf("find the payment of order %s: %w", code, err)
	}
	if len(ids) == 0 {
		return "", nil
	}
	return ids[0], nil
}

// ConfirmReturn turns what a gateway has signed about a payment into a result
// for ApplyPayment. It returns errMismatch where it is about another payment or
// another amount than was stored: who is credited, with how much, is never
// taken from an address.
func (s *Service) ConfirmReturn(ctx context.Context, paymentID string, r gateway.Return) (gateway.PaymentResult, error) {
	p, err := s.read.Payment.Query().Where(payment.ID(paymentID)).Only(ctx)
	if err != nil {
		return gateway.PaymentResult{}, orNotFound(err, "id", "payment", paymentID)
	}
	owner, err := s.paymentOfOrder(ctx, p.ProviderID, r.OrderCode)
	if err != nil {
		return gateway.PaymentResult{}, err
	}
	if owner != p.ID || r.Amount != p.Amount() {
		return gateway.PaymentResult{}, fmt.Errorf("payment %s is %s, the return is about order %s of %s: %w", p.ID, p.Amount(), r.OrderCode, r.Amount, errMismatch)
	}
	return gateway.PaymentResult{
		Outcome:     gateway.Outcome{Status: r.Status},
		ReferenceID: r.OrderCode,
		Payment:     gateway.PaymentState{Status: r.Status, Canceled: r.Canceled, GatewayPaymentID: r.OrderCode, Amount: r.Amount},
	}, nil
}

// savedCardOf is the card that an event brings, as it is stored.
func savedCardOf(e gateway.Event) (json.RawMessage, error) {
	if e.Saved == nil {
		return nil, nil
	}
	raw, err := json.Marshal(e.Saved)
	if err != nil {
		return nil, fmt.Errorf("encode the card of event %s: %w", e.ID, err)
	}
	return raw, nil
}

// KeepSavedCard keeps a card that an event told of, once its payment has
// succeeded and was made to save one. A card of another payer of the merchant's
// is nobody's here. It may be called any number of times.
func (s *Service) KeepSavedCard(ctx context.Context, paymentID string, saved gateway.SavedCard) error {
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		p, err := tx.Payment.Query().Where(payment.ID(paymentID)).Only(ctx)
		if err != nil {
			return fmt.Errorf("read payment %s: %w", paymentID, err)
		}
		if p.Status != payment.StatusSUCCEEDED || !p.SaveCard {
			return nil
		}
		known, err := tx.GatewayCustomer.Query().
			Where(gatewaycustomer.ProviderID(p.ProviderID), gatewaycustomer.PayerID(orEmpty(p.PayerID))).Only(ctx)
		if err != nil && !ent.IsNotFound(err) {
			return fmt.Errorf("read gateway customer: %w", err)
		}
		if known == nil || known.GatewayCustomerID != saved.CustomerID {
			tx.s.log.WarnContext(ctx, "saved card of another payer", "payment_id", p.ID)
			return nil
		}
		return tx.keepCard(ctx, p, gateway.PaymentResult{CustomerID: saved.CustomerID, Payment: gateway.PaymentState{
			PaymentMethodID: saved.PaymentMethodID, SchemeReference: saved.SchemeReference, Card: &saved.Card,
		}})
	})
}
