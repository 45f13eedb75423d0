package billing

import (
	"context"
	"encoding/json"
	"fmt"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/gatewaycustomer"
	"purser/ent/payment"
	"purser/ent/paymentattempt"
	"purser/ent/refund"
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

// refundOfOrder finds the refund that was sent under an order code, or "".
func refundOfOrder(ctx context.Context, client *ent.Client, providerID, code string) (string, error) {
	calls, err := client.GatewayCall.Query().Where(gatewaycall.ID(prefixCall+"_"+orderedID(code)),
		gatewaycall.ProviderID(providerID), gatewaycall.OperationEQ(gatewaycall.OperationREFUND)).All(ctx)
	if err != nil {
		return "", fmt.Errorf("find the refund of order %s: %w", code, err)
	}
	if len(calls) == 0 {
		return "", nil
	}
	return calls[0].Subject, nil
}

// toldOf is what an event says of money that went back, as it is stored.
func toldOf(e gateway.Event) (json.RawMessage, error) {
	if e.Told == nil {
		return nil, nil
	}
	raw, err := json.Marshal(e.Told)
	if err != nil {
		return nil, fmt.Errorf("encode what event %s tells: %w", e.ID, err)
	}
	return raw, nil
}

// fillTold reads what a stored event says of money that went back, and what is
// known here about it.
func (s *Service) fillTold(ctx context.Context, row *ent.GatewayEvent, e *EventToApply) error {
	if e.Object.Kind == gateway.ObjectPayment {
		var err error
		e.Settled, err = s.read.Payment.Query().Where(payment.ID(e.Subject), payment.StatusEQ(payment.StatusSUCCEEDED)).Exist(ctx)
		return wrapped(err, "read payment "+e.Subject)
	}
	if len(row.Told) == 0 {
		return nil
	}
	if err := json.Unmarshal(row.Told, &e.Told); err != nil || e.Told == nil {
		return wrapped(err, "read what event "+row.ID+" tells")
	}
	id, err := refundOfOrder(ctx, s.read, row.ProviderID, e.Told.Reference)
	if err != nil || id == "" {
		return err
	}
	e.Told.Ours, err = s.read.Refund.Query().Where(refund.ID(id), refund.PaymentID(e.Subject),
		refund.Currency(e.Told.Amount.Currency), refund.AmountUnits(e.Told.Amount.Units)).Exist(ctx)
	return wrapped(err, "read refund "+id)
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
			Where(gatewaycustomer.ProviderID(p.ProviderID), gatewaycustomer.PayerID(orEmpty(p.PayerID)), gatewaycustomer.DeletedAtIsNil()).Only(ctx)
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
