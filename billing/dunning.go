package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/organization"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/gateway"
)

// What follows from tries to charge an invoice that came to nothing: a next
// one, after the organization's days, or with the last one its policy.

// countTry counts a try that has failed, or that waits for the payer, and
// decides what is next.
func (tx *Tx) countTry(ctx context.Context, inv *ent.Invoice, p *ent.Payment, to payment.Status, f *gateway.Failure) error {
	o, err := tx.tenant(ctx)
	if err != nil {
		return err
	}
	u := tx.Invoice.Update().Where(invoice.ID(inv.ID), invoice.StatusEQ(invoice.StatusOPEN), invoice.Attempts(inv.Attempts)).
		SetAttempts(inv.Attempts + 1).SetUpdatedAt(tx.Now)
	inv.Attempts++
	if inv.Attempts < o.DunningAttemptsMax {
		next := tx.Now.AddDate(0, 0, o.DunningRetryDays)
		inv.Dunning, inv.NextAttemptAt = invoice.DunningRUNNING, &next
		u.SetNextAttemptAt(next)
	} else {
		inv.Dunning, inv.NextAttemptAt = invoice.DunningEXHAUSTED, nil
		u.ClearNextAttemptAt()
	}
	if err := cas(u.SetDunning(inv.Dunning).Save(ctx)); err != nil {
		return fmt.Errorf("count a try of invoice %s: %w", inv.ID, err)
	}
	tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	switch {
	case inv.Dunning == invoice.DunningEXHAUSTED:
		if err := tx.tellChargeGivenUp(ctx, inv, p, f); err != nil {
			return err
		}
		err = tx.giveUpInvoice(ctx, inv, o)
	case to == payment.StatusREQUIRES_ACTION:
		err = tx.tellAuthentication(ctx, inv, p)
	default:
		err = tx.tellChargeFailed(ctx, inv, p, f)
	}
	if err != nil {
		return err
	}
	return tx.subscriptionInvoiceChanged(ctx, inv.ID)
}

// giveUpInvoice does what the organization wants done with an invoice after
// the last try. It can be paid all the same. What becomes of its subscription
// is for subscriptionInvoiceChanged to say.
func (tx *Tx) giveUpInvoice(ctx context.Context, inv *ent.Invoice, o *ent.Organization) error {
	if o.DunningFinal != organization.DunningFinalMARK_UNCOLLECTIBLE {
		return nil
	}
	if err := tx.writeOff(ctx, inv); err != nil {
		return err
	}
	n, err := tx.Invoice.Update().Where(invoice.ID(inv.ID), invoice.StatusEQ(invoice.StatusOPEN)).
		SetStatus(invoice.StatusUNCOLLECTIBLE).SetUpdatedAt(tx.Now).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("give invoice %s up: %w", inv.ID, err)
	}
	return nil
}

// chargeAgain schedules the next try of an invoice of which one has failed after
// all: its payment was refused late.
func (tx *Tx) chargeAgain(ctx context.Context, inv *ent.Invoice) error {
	if ok, err := chargedByItself(ctx, tx.Client, inv); err != nil || !ok || inv.GatewayInvoiceID != nil {
		return err
	}
	o, err := tx.tenant(ctx)
	if err != nil {
		return err
	}
	next := tx.Now.AddDate(0, 0, o.DunningRetryDays)
	inv.Dunning, inv.NextAttemptAt = invoice.DunningRUNNING, &next
	n, err := tx.Invoice.Update().Where(invoice.ID(inv.ID), invoice.StatusEQ(invoice.StatusOPEN)).
		SetDunning(inv.Dunning).SetNextAttemptAt(next).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("charge invoice %s again: %w", inv.ID, err)
	}
	return nil
}

// chargeOn has the invoices of a payer charged whose charges were stopped and
// put off until then.
func (tx *Tx) chargeOn(ctx context.Context, payerID string) error {
	_, err := tx.Invoice.Update().
		Where(invoice.PayerID(payerID), invoice.StatusEQ(invoice.StatusOPEN), invoice.DueAtLTE(tx.Now),
			invoice.NextAttemptAtGT(tx.Now), invoice.NextAttemptAtLTE(tx.Now.Add(chargeStopped))).
		SetNextAttemptAt(tx.Now).Save(ctx)
	return wrapped(err, "charge the invoices of payer "+payerID)
}

// retryCharges has the invoices of a payer charged at once that a new card may
// pay: those of which a try has failed, and more are to follow.
func (tx *Tx) retryCharges(ctx context.Context, payerID, cardID string) error {
	card, err := tx.PaymentMethod.Query().Where(paymentmethod.ID(cardID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read card %s: %w", cardID, err)
	}
	_, err = tx.Invoice.Update().
		Where(invoice.PayerID(payerID), invoice.ProviderID(card.ProviderID), invoice.StatusEQ(invoice.StatusOPEN),
			invoice.DunningEQ(invoice.DunningRUNNING), invoice.NextAttemptAtGT(tx.Now)).
		SetNextAttemptAt(tx.Now).Save(ctx)
	return wrapped(err, "charge the invoices of payer "+payerID+" again")
}
