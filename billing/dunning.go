package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/organization"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/subscription"
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
	if to == payment.StatusREQUIRES_ACTION && inv.Dunning != invoice.DunningEXHAUSTED {
		return tx.tellAuthentication(ctx, inv, p)
	}
	if inv.Dunning != invoice.DunningEXHAUSTED {
		return tx.tellChargeFailed(ctx, inv, p, f)
	}
	if err := tx.tellChargeGivenUp(ctx, inv, p, f); err != nil {
		return err
	}
	return tx.giveUpInvoice(ctx, inv, o)
}

// giveUpInvoice does what the organization wants done with an invoice after
// the last try. It can be paid all the same.
func (tx *Tx) giveUpInvoice(ctx context.Context, inv *ent.Invoice, o *ent.Organization) error {
	switch o.DunningFinal {
	case organization.DunningFinalMARK_UNCOLLECTIBLE:
		if err := tx.writeOff(ctx, inv); err != nil {
			return err
		}
		n, err := tx.Invoice.Update().Where(invoice.ID(inv.ID), invoice.StatusEQ(invoice.StatusOPEN)).
			SetStatus(invoice.StatusUNCOLLECTIBLE).SetUpdatedAt(tx.Now).Save(ctx)
		if err := cas(n, err); err != nil {
			return fmt.Errorf("give invoice %s up: %w", inv.ID, err)
		}
		return nil
	case organization.DunningFinalCANCEL_SUBSCRIPTION:
		return tx.cancelUnpaidSubscription(ctx, inv)
	default:
		return nil
	}
}

// cancelUnpaidSubscription ends the subscription that an invoice belongs to
// which nobody has paid.
func (tx *Tx) cancelUnpaidSubscription(ctx context.Context, inv *ent.Invoice) error {
	if inv.SubscriptionID == nil {
		return nil
	}
	_, err := tx.Subscription.Update().
		Where(subscription.ID(*inv.SubscriptionID), subscription.StatusNEQ(subscription.StatusCANCELED)).
		SetStatus(subscription.StatusCANCELED).SetCanceledAt(tx.Now).ClearRenewsAt().SetUpdatedAt(tx.Now).Save(ctx)
	return wrapped(err, "cancel subscription "+*inv.SubscriptionID)
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
