package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/organization"
	"purser/ent/subscription"
)

// subscriptionInvoiceChanged brings the subscription that an invoice belongs
// to, if there is one, to what has become of the invoice: opened, a try to
// collect it that failed, the last one, paid, given up, taken back. Whoever
// changes an invoice calls it afterwards, any number of times.
func (tx *Tx) subscriptionInvoiceChanged(ctx context.Context, invoiceID string) error {
	inv, err := tx.Invoice.Query().Where(invoice.ID(invoiceID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read invoice %s: %w", invoiceID, err)
	}
	if inv.SubscriptionID == nil {
		return nil
	}
	sub, err := tx.lockSubscription(ctx, *inv.SubscriptionID)
	if err != nil || sub.Status == subscription.StatusCANCELED {
		return err
	}
	switch inv.Status {
	case invoice.StatusPAID:
		return tx.subscriptionPaid(ctx, sub)
	case invoice.StatusVOID:
		if sub.Status == subscription.StatusINCOMPLETE {
			return tx.endSubscription(ctx, sub)
		}
		return tx.subscriptionPaid(ctx, sub)
	case invoice.StatusUNCOLLECTIBLE:
		return tx.subscriptionStands(ctx, sub, subscription.StatusUNPAID)
	case invoice.StatusOPEN:
		return tx.subscriptionUnpaid(ctx, sub, inv)
	default:
		return nil
	}
}

// subscriptionUnpaid: an invoice is open, and perhaps late.
func (tx *Tx) subscriptionUnpaid(ctx context.Context, sub *ent.Subscription, inv *ent.Invoice) error {
	o, err := tx.tenant(ctx)
	if err != nil {
		return err
	}
	waits := inv.Collection == invoice.CollectionBALANCE // what covers it at once is paid by now
	switch {
	case sub.Status == subscription.StatusINCOMPLETE && inv.Collection != invoice.CollectionSEND:
		return nil // it has not begun: unless this is paid in time, it ends together with the invoice
	case inv.Dunning == invoice.DunningEXHAUSTED && o.DunningFinal == organization.DunningFinalCANCEL_SUBSCRIPTION:
		return tx.endSubscription(ctx, sub)
	case inv.Attempts > 0, inv.Dunning != invoice.DunningNONE, waits:
		return tx.subscriptionStands(ctx, sub, subscription.StatusPAST_DUE)
	case inv.Collection == invoice.CollectionSEND && sub.Status == subscription.StatusINCOMPLETE:
		// The payer has been trusted with a date to pay at.
		if err := tx.subscriptionRuns(ctx, sub); err != nil {
			return err
		}
		if sub, err = tx.lockSubscription(ctx, sub.ID); err != nil {
			return err
		}
	}
	if inv.Collection == invoice.CollectionSEND && inv.DueAt != nil && sub.DueAt != nil && inv.DueAt.Before(*sub.DueAt) && inv.DueAt.After(tx.Now) {
		return saveSubscription(ctx, sub, tx.changeSubscription(sub).SetDueAt(*inv.DueAt))
	}
	return nil
}

// subscriptionStands moves a subscription that runs to a worse state; one whose
// first invoice is not paid yet does not run.
func (tx *Tx) subscriptionStands(ctx context.Context, sub *ent.Subscription, to subscription.Status) error {
	worse := sub.Status == subscription.StatusACTIVE ||
		sub.Status == subscription.StatusPAST_DUE && to == subscription.StatusUNPAID
	if !worse {
		return nil
	}
	return saveSubscription(ctx, sub, tx.changeSubscription(sub).SetStatus(to))
}

// subscriptionPaid: one of its invoices is settled. It runs once none of the
// others is late.
func (tx *Tx) subscriptionPaid(ctx context.Context, sub *ent.Subscription) error {
	switch sub.Status {
	case subscription.StatusINCOMPLETE, subscription.StatusPAST_DUE, subscription.StatusUNPAID:
	default:
		return nil
	}
	late, err := tx.Invoice.Query().
		Where(invoice.SubscriptionID(sub.ID), invoice.Or(invoice.StatusEQ(invoice.StatusUNCOLLECTIBLE), invoice.And(
			invoice.StatusEQ(invoice.StatusOPEN), invoice.Or(invoice.AttemptsGT(0), invoice.DunningNEQ(invoice.DunningNONE),
				invoice.CollectionEQ(invoice.CollectionBALANCE), invoice.DueAtLTE(tx.Now))))).
		Exist(ctx)
	if err != nil {
		return fmt.Errorf("look for late invoices of %s: %w", sub.ID, err)
	}
	if late {
		return nil
	}
	// Those that were not to be collected meanwhile are, now.
	_, err = tx.Invoice.Update().
		Where(invoice.SubscriptionID(sub.ID), invoice.StatusEQ(invoice.StatusDRAFT), invoice.FinalizesAtIsNil(), invoice.PendingCallIDIsNil()).
		SetFinalizesAt(tx.Now).SetUpdatedAt(tx.Now).Save(ctx)
	if err != nil {
		return fmt.Errorf("have drafts of %s finalized: %w", sub.ID, err)
	}
	return tx.subscriptionRuns(ctx, sub)
}

func (tx *Tx) subscriptionRuns(ctx context.Context, sub *ent.Subscription) error {
	return saveSubscription(ctx, sub, tx.changeSubscription(sub).SetStatus(subscription.StatusACTIVE).SetDueAt(sub.CurrentPeriodEnd))
}
