package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/dispute"
	"purser/ent/ledgerentry"
	"purser/money"
)

// What has paid an invoice is told by the ledger alone. Several payments of one
// invoice may have succeeded: one that came when nothing was due any more is on
// the payer's balance, and one that was refused late is booked back.

// lastPaid is the entry by which an invoice was paid last, or nil.
func lastPaid(ctx context.Context, db *ent.Client, invoiceID string) (*ent.LedgerEntry, error) {
	e, err := db.LedgerEntry.Query().
		Where(ledgerentry.InvoiceID(invoiceID), ledgerentry.KindEQ(ledgerentry.KindINVOICE_PAYMENT)).
		Order(ent.Desc(ledgerentry.FieldID)).First(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return e, wrapped(err, "read what has paid invoice "+invoiceID)
}

// paidThrough is the gateway's payment that has paid an invoice, locked; nil
// where it was paid otherwise, or nothing of it is.
func (tx *Tx) paidThrough(ctx context.Context, inv *ent.Invoice) (*ent.Payment, error) {
	e, err := lastPaid(ctx, tx.Client, inv.ID)
	if e == nil || e.PaymentID == nil || err != nil {
		return nil, err
	}
	p, err := tx.lockPayment(ctx, *e.PaymentID)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the payment of invoice %s: %w", inv.ID, err)
	case p.RefusedAt != nil:
		return nil, nil
	}
	return p, nil
}

// notTakenBack refuses to give a payment back that the payer's bank has taken.
func (tx *Tx) notTakenBack(ctx context.Context, p *ent.Payment, field string) error {
	taken, err := tx.Dispute.Query().Where(dispute.PaymentID(p.ID), dispute.StatusIn(tookMoney()...)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("look for disputes of payment %s: %w", p.ID, err)
	}
	if taken {
		return refuse(CodeInvalidState, field, "the payer's bank has taken the payment back: it cannot be given back as well")
	}
	return nil
}

// paidStill is notTakenBack of what has paid an invoice.
func (tx *Tx) paidStill(ctx context.Context, inv *ent.Invoice, field string) error {
	p, err := tx.paidThrough(ctx, inv)
	if p == nil || err != nil {
		return err
	}
	return tx.notTakenBack(ctx, p, field)
}

// paymentLost says whether the payer's bank has taken all that was paid of an
// invoice, for good.
func (tx *Tx) paymentLost(ctx context.Context, inv *ent.Invoice) (bool, error) {
	p, err := tx.paidThrough(ctx, inv)
	if p == nil || err != nil {
		return false, err
	}
	lost, err := tx.Dispute.Query().Where(dispute.PaymentID(p.ID), dispute.StatusEQ(dispute.StatusLOST)).All(ctx)
	if err != nil {
		return false, fmt.Errorf("read disputes of payment %s: %w", p.ID, err)
	}
	var sum money.Units
	for _, d := range lost {
		sum += d.AmountUnits
	}
	return sum >= p.AmountUnits, nil
}
