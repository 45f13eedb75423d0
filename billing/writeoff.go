package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
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

// takeBackWriteOff takes a write-off back before an uncollectible invoice is
// paid after all, or voided.
func (tx *Tx) takeBackWriteOff(ctx context.Context, inv *ent.Invoice) error {
	if inv.Status != invoice.StatusUNCOLLECTIBLE {
		return nil
	}
	e, err := tx.LedgerEntry.Query().Where(ledgerentry.CauseKey(invoiceCause(inv.ID, partWriteOff))).Only(ctx)
	if err != nil {
		return fmt.Errorf("read write-off of invoice %s: %w", inv.ID, err)
	}
	if _, err := tx.reverse(ctx, e, ""); err != nil {
		return fmt.Errorf("take back write-off of invoice %s: %w", inv.ID, err)
	}
	return nil
}
