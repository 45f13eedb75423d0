package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/dispute"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/payment"
	"purser/ent/refund"
	"purser/gateway"
	"purser/mail"
)

// A gateway may refuse a payment for which it had vouched: the authorisation
// ran out, or the acquirer did not take it. The payment stays SUCCEEDED, which
// it was, and bears the time of the refusal; what it had paid for is booked
// back. A balance may fall below zero by it, and new spending is then refused.

// ApplyRefusal takes back a payment of which the gateway, asked after the
// payment had succeeded, says that it was refused. Whoever asked before knows
// nothing of the success, so that its answer must not come here. It may be
// called any number of times; any other answer changes nothing.
//
// errMismatch is returned, and nothing written, where a person has to look:
// the money could not be captured, or a part of it is back already.
func (s *Service) ApplyRefusal(ctx context.Context, paymentID string, r gateway.PaymentResult) error {
	lost := r.Payment.Failure != nil && r.Payment.Failure.Code == gateway.CodeCaptureFailed
	if r.Status != gateway.StatusDeclined && !lost {
		return nil
	}
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		p, err := tx.lockPayment(ctx, paymentID)
		if err != nil {
			return fmt.Errorf("read payment %s: %w", paymentID, err)
		}
		switch {
		case p.Status != payment.StatusSUCCEEDED || p.RefusedAt != nil:
			return nil
		case r.Payment.GatewayPaymentID != orEmpty(p.GatewayPaymentID):
			return fmt.Errorf("payment %s is the gateway's %s, refused was %q: %w", p.ID, orEmpty(p.GatewayPaymentID), r.Payment.GatewayPaymentID, errMismatch)
		case lost:
			return fmt.Errorf("the money of payment %s was not captured: %w", p.ID, errMismatch)
		}
		return tx.refuseLate(ctx, p, r.Failure)
	})
}

func (tx *Tx) refuseLate(ctx context.Context, p *ent.Payment, failure *gateway.Failure) error {
	given, err := tx.Refund.Query().Where(refund.PaymentID(p.ID), refund.StatusIn(refund.StatusPROCESSING, refund.StatusSUCCEEDED)).All(ctx)
	if err != nil {
		return fmt.Errorf("read refunds of payment %s: %w", p.ID, err)
	}
	for _, r := range given {
		if r.AmountUnits == p.AmountUnits {
			return nil // it was given back before it was captured, which ends it so
		}
	}
	contested, err := tx.Dispute.Query().Where(dispute.PaymentID(p.ID), dispute.StatusIn(tookMoney()...)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("look for disputes of payment %s: %w", p.ID, err)
	}
	if contested || len(given) > 0 {
		return fmt.Errorf("payment %s was refused, and a part of it went back before: %w", p.ID, errMismatch)
	}
	n, err := tx.Payment.Update().Where(payment.ID(p.ID), payment.StatusEQ(p.Status), payment.RefusedAtIsNil()).
		SetRefusedAt(tx.Now).SetUpdatedAt(tx.Now).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("refuse payment %s: %w", p.ID, err)
	}
	tx.changed(ctx, ChangePayment, p.ID, orEmpty(p.PayerID))
	if p.Purpose == payment.PurposeTEST {
		return nil
	}
	e, err := tx.LedgerEntry.Query().Where(ledgerentry.CauseKey(paymentCause(p.ProviderID, orEmpty(p.GatewayPaymentID)))).Only(ctx)
	if err != nil {
		return fmt.Errorf("read entry of payment %s: %w", p.ID, err)
	}
	if _, err := tx.reverse(ctx, e, ""); err != nil {
		return fmt.Errorf("take back payment %s: %w", p.ID, err)
	}
	if e.Kind == ledgerentry.KindINVOICE_PAYMENT {
		return tx.reopenInvoice(ctx, p, failure)
	}
	return tx.suspendReload(ctx, orEmpty(e.BalanceID), SuspendedDeclined)
}

// reopenInvoice makes an invoice due again whose payment was refused late, as if
// a try had failed: the payer is told, and where cards are charged by themselves
// another try follows.
func (tx *Tx) reopenInvoice(ctx context.Context, p *ent.Payment, failure *gateway.Failure) error {
	id, amount := orEmpty(p.InvoiceID), p.AmountUnits
	inv, err := tx.lockInvoice(ctx, id)
	if err != nil {
		return err
	}
	if inv.Status != invoice.StatusPAID || inv.CreditedUnits > inv.WaivedUnits {
		return fmt.Errorf("the payment of invoice %s was refused, which is %s with %s credited: %w", id, inv.Status, inv.Credited(), errMismatch)
	}
	u := tx.Invoice.Update().Where(invoice.ID(id), invoice.StatusEQ(inv.Status)).
		SetStatus(invoice.StatusOPEN).ClearPaidAt().
		SetAmountPaidUnits(inv.AmountPaidUnits - amount).SetAmountDueUnits(amount).SetUpdatedAt(tx.Now)
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("open invoice %s again: %w", id, err)
	}
	tx.changed(ctx, ChangeInvoice, id, inv.PayerID)
	if err := tx.countUnpaid(ctx, inv, amount); err != nil {
		return err
	}
	inv.Status, inv.AmountDueUnits = invoice.StatusOPEN, amount
	if err := tx.chargeAgain(ctx, inv); err != nil {
		return err
	}
	if err := tx.tellChargeFailed(ctx, inv, p, failure); err != nil {
		return err
	}
	cost := p.Amount()
	f := mailFacts{InvoiceID: id, PaymentID: p.ID, Cost: &cost, Reason: failureMessage(failure)}
	if err := tx.queueMail(ctx, mail.ChargeFailed, inv.PayerID, f); err != nil {
		return err
	}
	return tx.subscriptionInvoiceChanged(ctx, id)
}
