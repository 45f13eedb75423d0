package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/hold"
	"purser/ent/ledgerentry"
	"purser/ent/payment"
	"purser/ent/refund"
	"purser/gateway"
	"purser/money"
)

// refundCause names a refund by what the gateway calls it.
func refundCause(providerID, gatewayRefundID string) string {
	return "refund:" + providerID + ":" + gatewayRefundID
}

// refundOf finds the refund of the payment that the gateway's is, by our name
// for it or by the gateway's; empty where there is none.
func (tx *Tx) refundOf(ctx context.Context, p *ent.Payment, refundID string, r gateway.RefundResult) (string, error) {
	row, err := tx.Refund.Query().Where(refund.PaymentID(p.ID),
		refund.Or(refund.GatewayRefundID(r.RefundID), refund.And(refund.ID(refundID), refund.GatewayRefundIDIsNil()))).Only(ctx)
	if err == nil {
		return row.ID, nil
	}
	if !ent.IsNotFound(err) {
		return "", fmt.Errorf("find refund %s: %w", r.RefundID, err)
	}
	// The gateway may tell of it before it has answered the call.
	id, err := refundOfOrder(ctx, tx.Client, p.ProviderID, r.RefundID)
	if err != nil || id == "" {
		return "", err
	}
	ids, err := tx.Refund.Query().Where(refund.ID(id), refund.PaymentID(p.ID), refund.GatewayRefundIDIsNil()).IDs(ctx)
	if err != nil || len(ids) == 0 {
		return "", wrapped(err, "find refund "+id)
	}
	return ids[0], nil
}

// latestForeign names a refund that was made at the gateway, for one that does
// not name it: the latest of the amount that has not failed. What is under way
// there is told again when it is done.
func (tx *Tx) latestForeign(ctx context.Context, p *ent.Payment, r gateway.RefundResult) (string, error) {
	if r.State != gateway.RefundFailed {
		return "", nil
	}
	row, err := tx.Refund.Query().Where(refund.PaymentID(p.ID), refund.AmountUnits(r.Amount.Units),
		refund.StatusEQ(refund.StatusSUCCEEDED), refund.HoldIDIsNil(), refund.GatewayRefundIDNotNil()).
		Order(ent.Desc(refund.FieldID)).First(ctx)
	if ent.IsNotFound(err) {
		return "", nil // it was never booked
	}
	if err != nil {
		return "", fmt.Errorf("find the refund of payment %s that has failed: %w", p.ID, err)
	}
	return *row.GatewayRefundID, nil
}

// foreignRefund stores a refund that was made at the gateway. One that gave
// nothing back is not stored.
func (tx *Tx) foreignRefund(ctx context.Context, id string, p *ent.Payment, r gateway.RefundResult) (string, error) {
	switch {
	case r.RefundID == "" || r.State == gateway.RefundFailed || r.State == gateway.RefundCanceled:
		return "", nil
	case p.Status != payment.StatusSUCCEEDED:
		return "", errWaiting // what it gives back is not here yet
	case p.RefusedAt != nil:
		return "", fmt.Errorf("refund %s gives back payment %s, which the gateway had refused: %w", r.RefundID, p.ID, errMismatch)
	case r.Amount.Currency != p.Currency || r.Amount.Units <= 0:
		return "", fmt.Errorf("refund %s of payment %s in %s is %s: %w", r.RefundID, p.ID, p.Currency, r.Amount, errMismatch)
	}
	if p.Purpose == payment.PurposeINVOICE {
		credited, err := tx.wentToBalance(ctx, p)
		if err != nil {
			return "", err
		}
		if !credited {
			return "", fmt.Errorf("refund %s gives back payment %s of an invoice without a credit note: %w", r.RefundID, p.ID, errMismatch)
		}
	}
	err := tx.Refund.Create().SetID(id).SetPaymentID(p.ID).SetCurrency(p.Currency).SetAmountUnits(r.Amount.Units).
		SetReason("made at the gateway").SetGatewayRefundID(r.RefundID).
		SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Exec(ctx)
	if err != nil {
		return "", fmt.Errorf("store refund %s: %w", r.RefundID, err)
	}
	tx.changed(ctx, ChangeRefund, id, orEmpty(p.PayerID))
	return id, nil
}

// applyRefund brings a refund to what the gateway says of it, and books what
// that means. It may be called any number of times, by anybody, in any order.
func (tx *Tx) applyRefund(ctx context.Context, p *ent.Payment, id string, r gateway.RefundResult) error {
	row, err := tx.Refund.Query().Where(refund.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	if err != nil {
		return fmt.Errorf("read refund %s: %w", id, err)
	}
	if name := orEmpty(row.GatewayRefundID); r.RefundID == "" || name != "" && name != r.RefundID || r.Amount != row.Amount() {
		return fmt.Errorf("refund %s is %s under %q, the gateway confirms %s under %q: %w", id, row.Amount(), name, r.Amount, r.RefundID, errMismatch)
	}
	u := tx.Refund.Update().Where(refund.ID(id), refund.StatusEQ(row.Status)).SetGatewayRefundID(r.RefundID).SetUpdatedAt(tx.Now)
	failed := r.State == gateway.RefundFailed || r.State == gateway.RefundCanceled
	switch {
	case row.Status == refund.StatusFAILED && row.GatewayRefundID != nil:
		return nil // the gateway has said so; what else is heard is older
	case r.State == gateway.RefundSucceeded && row.Status != refund.StatusSUCCEEDED:
		if err := cas(u.SetStatus(refund.StatusSUCCEEDED).ClearFailureMessage().ClearNextCheckAt().Save(ctx)); err != nil {
			return fmt.Errorf("move refund %s: %w", id, err)
		}
		tx.changed(ctx, ChangeRefund, id, orEmpty(p.PayerID))
		return tx.bookRefund(ctx, p, row, r.RefundID)
	case failed:
		u.SetStatus(refund.StatusFAILED).SetFailureMessage(refundMessage(r.Failure)).ClearNextCheckAt()
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("move refund %s: %w", id, err)
		}
		tx.changed(ctx, ChangeRefund, id, orEmpty(p.PayerID))
		if row.Status == refund.StatusSUCCEEDED {
			return tx.takeBackRefund(ctx, p, row)
		}
		return tx.giveBack(ctx, row)
	case r.State == gateway.RefundPending && row.Status != refund.StatusSUCCEEDED:
		if row.Status != refund.StatusPROCESSING {
			tx.changed(ctx, ChangeRefund, id, orEmpty(p.PayerID))
		}
		return cas(u.SetStatus(refund.StatusPROCESSING).SetNextCheckAt(tx.Now.Add(checkIn(row.Checks))).Save(ctx))
	}
	return nil
}

// refundFailed ends a refund of which the gateway gives nothing back.
func (tx *Tx) refundFailed(ctx context.Context, p *ent.Payment, id string, f *gateway.Failure) error {
	row, err := tx.Refund.Query().Where(refund.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	if err != nil {
		return fmt.Errorf("read refund %s: %w", id, err)
	}
	if row.Status != refund.StatusPROCESSING {
		return nil
	}
	n, err := tx.Refund.Update().Where(refund.ID(id), refund.StatusEQ(row.Status)).
		SetStatus(refund.StatusFAILED).SetFailureMessage(refundMessage(f)).SetUpdatedAt(tx.Now).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("end refund %s: %w", id, err)
	}
	tx.changed(ctx, ChangePayment, p.ID, orEmpty(p.PayerID))
	tx.changed(ctx, ChangeRefund, id, orEmpty(p.PayerID))
	return tx.giveBack(ctx, row)
}

func refundMessage(f *gateway.Failure) string {
	if f == nil || f.Message == "" {
		return "the gateway could not give it back"
	}
	return cut(f.Message, 500)
}

// bookRefund books that the gateway has given a part of a payment back.
func (tx *Tx) bookRefund(ctx context.Context, p *ent.Payment, row *ent.Refund, gatewayRefundID string) error {
	if err := tx.countRefunded(ctx, p, row.AmountUnits); err != nil {
		return err
	}
	if p.Purpose == payment.PurposeTEST {
		return nil
	}
	if row.CreditNoteID != nil {
		return tx.bookNoteRefund(ctx, p, row, gatewayRefundID)
	}
	if err := tx.giveBack(ctx, row); err != nil {
		return err
	}
	balanceID, err := tx.creditedBalance(ctx, p)
	if err != nil {
		return err
	}
	_, err = tx.postOnce(ctx, posting{
		kind:  ledgerentry.KindREFUND,
		debit: ent.BalanceAccount(balanceID), credit: clearingAccount(p.ProviderID), balanceID: balanceID,
		amount:      row.Amount(),
		description: row.Reason,
		paymentID:   p.ID, refundID: row.ID, providerID: p.ProviderID,
		causeKey: refundCause(p.ProviderID, gatewayRefundID),
	})
	return wrapped(err, "book refund "+row.ID)
}

// takeBackRefund books that a refund which was given back has come back: the
// payer's bank did not take it.
func (tx *Tx) takeBackRefund(ctx context.Context, p *ent.Payment, row *ent.Refund) error {
	if err := tx.countRefunded(ctx, p, -row.AmountUnits); err != nil {
		return err
	}
	if p.Purpose == payment.PurposeTEST {
		return nil
	}
	e, err := tx.LedgerEntry.Query().Where(ledgerentry.CauseKey(refundCause(p.ProviderID, orEmpty(row.GatewayRefundID)))).Only(ctx)
	if err != nil {
		return fmt.Errorf("read entry of refund %s: %w", row.ID, err)
	}
	_, err = tx.reverse(ctx, e, "")
	return wrapped(err, "take back refund "+row.ID)
}

// countRefunded brings a payment's refunded to what went back of it.
func (tx *Tx) countRefunded(ctx context.Context, p *ent.Payment, more money.Units) error {
	sum := p.RefundedUnits + more
	if sum < 0 || sum > p.AmountUnits {
		return fmt.Errorf("refunds of payment %s come to %d units of %s: %w", p.ID, sum, p.Amount(), errMismatch)
	}
	n, err := tx.Payment.Update().Where(payment.ID(p.ID), payment.RefundedUnits(p.RefundedUnits)).
		SetRefundedUnits(sum).SetUpdatedAt(tx.Now).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("count refunds of payment %s: %w", p.ID, err)
	}
	tx.changed(ctx, ChangePayment, p.ID, orEmpty(p.PayerID))
	return nil
}

// creditedBalance is the balance that a payment went to.
func (tx *Tx) creditedBalance(ctx context.Context, p *ent.Payment) (string, error) {
	if p.BalanceID != nil {
		return *p.BalanceID, nil
	}
	b, err := tx.settledBalance(ctx, orEmpty(p.PayerID), p.Currency)
	if err != nil {
		return "", err
	}
	return b.ID, nil
}

// setAsideFor is how long what a refund takes may be set aside: until the
// gateway has spoken.
const setAsideFor = 100 * 365 * 24 * time.Hour

// setAside holds what a refund of the payment takes of its balance. The hold
// has no key of a client's: no client may capture or release it.
func (tx *Tx) setAside(ctx context.Context, holdID string, p *ent.Payment, amount money.Amount, description string) error {
	id, err := tx.creditedBalance(ctx, p)
	if err != nil {
		return err
	}
	b, err := tx.lockBalance(ctx, id)
	if err != nil {
		return err
	}
	after, err := setAside(b, amount)
	if short := shortOf(b, amount); short != nil {
		e := refuse(short.code, "amount", "%s are to be given back and %s are available of the balance: give back no more than that", amount, short.Available)
		e.Details = &short.Funds
		return e
	}
	if err != nil {
		return err
	}
	if err := tx.writeBalance(ctx, b, after, ""); err != nil {
		return err
	}
	err = tx.Hold.Create().SetID(holdID).SetPayerID(b.PayerID).SetBalanceID(b.ID).
		SetCurrency(amount.Currency).SetAmountUnits(amount.Units).SetExpiresAt(tx.Now.Add(setAsideFor)).
		SetDescription(description).SetCreatedAt(tx.Now).Exec(ctx)
	if err != nil {
		return fmt.Errorf("store hold: %w", err)
	}
	return nil
}

// giveBack ends the hold of a refund, which takes its amount itself or takes
// nothing.
func (tx *Tx) giveBack(ctx context.Context, row *ent.Refund) error {
	if row.HoldID == nil {
		return nil
	}
	h, err := tx.Hold.Query().Where(hold.ID(*row.HoldID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read hold %s: %w", *row.HoldID, err)
	}
	if h.Status != hold.StatusOPEN {
		return nil
	}
	b, err := tx.lockBalance(ctx, h.BalanceID)
	if err != nil {
		return err
	}
	if err := tx.closeHold(ctx, h, hold.StatusRELEASED, 0); err != nil {
		return err
	}
	return tx.writeBalance(ctx, b, freed(b, h.AmountUnits), "")
}
