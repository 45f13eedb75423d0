package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/money"
)

// accountWriteOff holds what payers will not pay any more.
const accountWriteOff = "write-off"

const partWriteOff = "write-off"

// writeOff books that what is due on an invoice is not expected any more, in
// the transaction that makes it UNCOLLECTIBLE.
func (tx *Tx) writeOff(ctx context.Context, inv *ent.Invoice) error {
	_, err := tx.postOnce(ctx, posting{
		kind:  ledgerentry.KindWRITE_OFF,
		debit: accountWriteOff, credit: accountReceivable, amount: inv.AmountDue(),
		invoiceID: inv.ID,
		causeKey:  invoiceCause(inv.ID, partWriteOff),
	})
	if err != nil {
		return fmt.Errorf("write off invoice %s: %w", inv.ID, err)
	}
	return nil
}

// takeBackWriteOff takes back what is left of a write-off before an uncollectible
// invoice is paid after all, or voided.
func (tx *Tx) takeBackWriteOff(ctx context.Context, inv *ent.Invoice) error {
	return tx.lessenWriteOff(ctx, inv, inv.AmountDueUnits)
}

// lessenWriteOff takes back a part of the write-off of an uncollectible invoice:
// it was credited, so it is owed no more than it is expected.
func (tx *Tx) lessenWriteOff(ctx context.Context, inv *ent.Invoice, by money.Units) error {
	if inv.Status != invoice.StatusUNCOLLECTIBLE {
		return nil
	}
	e, err := tx.LedgerEntry.Query().Where(ledgerentry.CauseKey(invoiceCause(inv.ID, partWriteOff))).Only(ctx)
	if err != nil {
		return fmt.Errorf("read write-off of invoice %s: %w", inv.ID, err)
	}
	parts, err := tx.LedgerEntry.Query().Where(ledgerentry.ReversesID(e.ID)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count reversals of %s: %w", e.ID, err)
	}
	p := reversalOf(e, "", parts+1)
	p.amount.Units = by
	_, err = tx.postOnce(ctx, p)
	return wrapped(err, "take back write-off of invoice "+inv.ID)
}
