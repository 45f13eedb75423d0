package billing

import (
	"context"
	"database/sql"
	"fmt"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/payment"
	"purser/ent/predicate"
	"purser/ent/provider"
	"purser/ent/refund"
	"purser/gateway"
	"purser/money"
)

// A refund gives a top-up back. What it takes of the balance is set aside when
// it is begun and booked when the gateway has given it back; a refund that
// fails later is booked back. Refunds that were made at the gateway are told by
// its events and booked in the same way.

// RefundDraft asks for a payment to be given back.
type RefundDraft struct {
	PaymentID string
	Amount    *money.Amount // nil: all that is left of the payment
	Reason    *string
	Key       *string `json:"-"`
}

// BegunRefund is a begun refund; without a Call there is nothing to ask.
type BegunRefund struct {
	RefundID string
	*Call
	Request gateway.RefundRequest
}

// refundReasonMax bounds the reason of a refund.
const refundReasonMax = 200

// BeginRefund stores that a top-up is to be given back, and sets aside what it
// takes of the balance: no more than is available. Called again with the same
// key it returns the same refund.
//
// Codes: REQUIRED, INVALID, NOT_FOUND, INVALID_STATE, CURRENCY_MISMATCH,
// IDEMPOTENCY_KEY_REUSED, and with details FUNDS_RESERVED,
// CREDIT_LIMIT_EXCEEDED, INSUFFICIENT_FUNDS.
func (s *Service) BeginRefund(ctx context.Context, d RefundDraft) (*BegunRefund, error) {
	var err error
	if d.Reason, err = optionalLabel(d.Reason, "reason", "the reason", refundReasonMax); err != nil {
		return nil, err
	}
	op, err := s.newOperation("paymentRefund", d.Key, keyRequired, d)
	if err != nil {
		return nil, err
	}
	id, holdID, callID := s.newID(prefixRefund), s.newID(prefixHold), s.newID(prefixCall)
	var out BegunRefund
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			out.RefundID, found = earlier.Subject, earlier.CallID
			return nil
		}
		if _, err := tx.organization(ctx); err != nil {
			return err
		}
		p, amount, err := tx.refundable(ctx, d)
		if err != nil {
			return err
		}
		c := tx.Refund.Create().SetID(id).SetPaymentID(p.ID).SetCurrency(p.Currency).SetAmountUnits(amount.Units).
			SetNillableReason(d.Reason).SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now)
		if p.Purpose != payment.PurposeTEST { // a test has credited nobody
			if err := tx.setAside(ctx, holdID, p, amount, "Refund "+id); err != nil {
				return err
			}
			c.SetHoldID(holdID)
		}
		if err := c.Exec(ctx); err != nil {
			return fmt.Errorf("store refund: %w", err)
		}
		out.RefundID, found = id, callID
		out.Request = gateway.RefundRequest{
			GatewayPaymentID: orEmpty(p.GatewayPaymentID), OrderCode: p.OrderCode, Amount: amount, Reason: orEmpty(d.Reason),
		}
		if err := tx.openCall(ctx, callID, p.ProviderID, gatewaycall.OperationREFUND, id, out.Request); err != nil {
			return err
		}
		tx.changed(ctx, ChangePayment, p.ID, orEmpty(p.PayerID))
		tx.changed(ctx, ChangeRefund, id, orEmpty(p.PayerID))
		return tx.remember(ctx, op, id, p.ID, callID)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// refundable reads the payment that is to be given back, and how much of it.
func (tx *Tx) refundable(ctx context.Context, d RefundDraft) (*ent.Payment, money.Amount, error) {
	none := money.Amount{}
	p, err := tx.lockPayment(ctx, d.PaymentID)
	if err != nil {
		return nil, none, orNotFound(err, "id", "payment", d.PaymentID)
	}
	switch {
	case p.Status != payment.StatusSUCCEEDED:
		return nil, none, refuse(CodeInvalidState, "id", "the payment is %s: only money that has arrived can be given back", p.Status)
	case p.RefusedAt != nil:
		return nil, none, refuse(CodeInvalidState, "id", "the gateway has refused the payment after all: no money has come that could be given back")
	}
	if p.Purpose == payment.PurposeINVOICE {
		credited, err := tx.wentToBalance(ctx, p)
		if err != nil {
			return nil, none, err
		}
		if !credited {
			return nil, none, refuse(CodeInvalidState, "id", "the payment is of an invoice: such a one is given back with a credit note")
		}
	}
	if err := tx.notTakenBack(ctx, p, "id"); err != nil {
		return nil, none, err
	}
	going, err := tx.refunds(ctx, p.ID, refund.StatusIn(refund.StatusPROCESSING, refund.StatusSUCCEEDED))
	if err != nil {
		return nil, none, err
	}
	left := money.Amount{Units: p.AmountUnits - going, Currency: p.Currency}
	switch amount := d.Amount; {
	case left.Units <= 0:
		return nil, none, refuse(CodeInvalidState, "id", "the whole payment is given back already")
	case amount == nil:
		return p, left, nil
	case amount.Currency != p.Currency:
		return nil, none, refuse(CodeCurrencyMismatch, "amount.currency", "the payment is in %s", p.Currency)
	case amount.Units > left.Units:
		return nil, none, refuse(CodeInvalid, "amount.amount", "%s are left of the payment", left)
	}
	account, err := tx.Provider.Query().Where(provider.ID(p.ProviderID)).Only(ctx)
	if err != nil {
		return nil, none, fmt.Errorf("read provider %s: %w", p.ProviderID, err)
	}
	return p, *d.Amount, chargeable(*d.Amount, account.Kind, "amount.amount")
}

// refunds sums those of a payment's refunds that fit.
func (tx *Tx) refunds(ctx context.Context, paymentID string, fit ...predicate.Refund) (money.Units, error) {
	var sums []struct{ Sum sql.NullInt64 }
	err := tx.Refund.Query().Where(refund.PaymentID(paymentID)).Where(fit...).
		Aggregate(ent.As(ent.Sum(refund.FieldAmountUnits), "sum")).Scan(ctx, &sums)
	if err != nil || len(sums) == 0 {
		return 0, wrapped(err, "sum refunds of payment "+paymentID)
	}
	return money.Units(sums[0].Sum.Int64), nil
}

// FinishRefund applies the outcome of a refund. It may be called any number of
// times; the returned refusal says that the gateway gives nothing back.
func (s *Service) FinishRefund(ctx context.Context, callID string, r gateway.RefundResult) error {
	var refusal error
	err := s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		c, v, err := tx.settleCall(ctx, callID, r.Outcome)
		if err != nil {
			return err
		}
		refusal = nil
		back, err := tx.Refund.Query().Where(refund.ID(c.Subject)).Only(ctx)
		if err != nil {
			return fmt.Errorf("read refund %s: %w", c.Subject, err)
		}
		switch v {
		case verdictKnown:
			if back.CreditNoteID == nil {
				refusal = refusalOf("", c)
			}
			return nil
		case verdictAgain:
			return nil // it stays PROCESSING
		case verdictFreed:
			if back.CreditNoteID != nil {
				break // the note stands, and bears a refund that has failed
			}
			refusal = callRefusal("", r.Outcome)
			if err := tx.forgetKey(ctx, callID); err != nil {
				return err
			}
		case verdictDone: // as the gateway has it
		}
		p, err := tx.lockPayment(ctx, back.PaymentID)
		if err != nil {
			return fmt.Errorf("read payment %s: %w", back.PaymentID, err)
		}
		if v == verdictFreed {
			return tx.refundFailed(ctx, p, c.Subject, r.Failure)
		}
		return tx.applyRefund(ctx, p, c.Subject, r)
	})
	if err != nil {
		return s.finishFailed(ctx, callID, err)
	}
	return refusal
}

// DueRefund is a refund that the gateway has not finished yet.
type DueRefund struct {
	RefundID        string
	PaymentID       string
	GatewayRefundID string
	Request         gateway.RefundRequest
	Account         gateway.Account
}

// DueRefunds lists refunds of the viewer's organization of which nobody has
// told for too long, the longest waiting first.
func (s *Service) DueRefunds(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Refund.Query().Where(refundDue(s.now(ctx))).
		Order(ent.Asc(refund.FieldNextCheckAt)).Limit(limit).IDs(ctx)
	return ids, wrapped(err, "list due refunds")
}

// ClaimRefund takes a refund that is due and returns what must be asked of its
// gateway; nil when it is not due any more.
func (s *Service) ClaimRefund(ctx context.Context, id string) (*DueRefund, error) {
	var row *ent.Refund
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		row = nil
		r, err := tx.Refund.Query().Where(refund.ID(id), refundDue(tx.Now)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read refund %s: %w", id, err)
		}
		n, err := tx.Refund.Update().Where(refund.ID(id), refundDue(tx.Now)).
			SetNextCheckAt(tx.Now.Add(checkIn(r.Checks + 1))).AddChecks(1).Save(ctx)
		if n == 1 {
			row = r
		}
		return err
	})
	if err != nil || row == nil {
		return nil, err
	}
	p, err := s.read.Payment.Query().Where(payment.ID(row.PaymentID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read payment %s: %w", row.PaymentID, err)
	}
	account, err := s.OpenAccount(ctx, p.ProviderID)
	if err != nil {
		return nil, err
	}
	return &DueRefund{
		RefundID: row.ID, PaymentID: p.ID, GatewayRefundID: orEmpty(row.GatewayRefundID), Account: account,
		Request: gateway.RefundRequest{
			GatewayPaymentID: orEmpty(p.GatewayPaymentID), OrderCode: p.OrderCode, Amount: row.Amount(), Reason: orEmpty(row.Reason),
		},
	}, nil
}

// ApplyRefund brings a refund of the payment to what the gateway said when
// asked; refundID is ours where it is known, else empty. One that nobody here
// has asked for is stored. It may be called any number of times; a gateway that
// said nothing changes nothing.
func (s *Service) ApplyRefund(ctx context.Context, paymentID, refundID string, r gateway.RefundResult) error {
	if !r.Known() {
		return nil
	}
	newID, told := s.newID(prefixRefund), r
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		p, err := tx.lockPayment(ctx, paymentID)
		if err != nil {
			return fmt.Errorf("read payment %s: %w", paymentID, err)
		}
		r := told
		if r.RefundID == "" {
			if r.RefundID, err = tx.latestForeign(ctx, p, r); err != nil || r.RefundID == "" {
				return err
			}
		}
		id, err := tx.refundOf(ctx, p, refundID, r)
		if err != nil {
			return err
		}
		if id == "" {
			if id, err = tx.foreignRefund(ctx, newID, p, r); err != nil || id == "" {
				return err
			}
		}
		return tx.applyRefund(ctx, p, id, r)
	})
}

func (tx *Tx) lockPayment(ctx context.Context, id string) (*ent.Payment, error) {
	return tx.Payment.Query().Where(payment.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
}
