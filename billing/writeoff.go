package billing

import (
	"context"
	"fmt"
	"strconv"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/money"
)

// accountWriteOff holds what payers will not pay any more.
const accountWriteOff = "write-off"

const partWriteOff = "write-off"

// writeOff books that what is due on an invoice is not expected any more, in
// the transaction that makes it UNCOLLECTIBLE. That may happen again: to one
// that was paid after all by a payment which was refused late.
func (tx *Tx) writeOff(ctx context.Context, inv *ent.Invoice) error {
	earlier, err := tx.writeOffs(ctx, inv)
	if err != nil {
		return err
	}
	cause := invoiceCause(inv.ID, partWriteOff)
	if n := len(earlier); n > 0 {
		cause += ":" + strconv.Itoa(n+1)
	}
	_, err = tx.postOnce(ctx, posting{
		kind:  ledgerentry.KindWRITE_OFF,
		debit: accountWriteOff, credit: accountReceivable, amount: inv.AmountDue(),
		invoiceID: inv.ID,
		causeKey:  cause,
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
	booked, err := tx.writeOffs(ctx, inv)
	if err != nil {
		return err
	}
	if len(booked) == 0 {
		return fmt.Errorf("take back write-off of invoice %s: there is none", inv.ID)
	}
	e := booked[len(booked)-1]
	parts, err := tx.LedgerEntry.Query().Where(ledgerentry.ReversesID(e.ID)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count reversals of %s: %w", e.ID, err)
	}
	p := reversalOf(e, "", parts+1)
	p.amount.Units = by
	_, err = tx.postOnce(ctx, p)
	return wrapped(err, "take back write-off of invoice "+inv.ID)
}

// writeOffs are the write-offs of an invoice, the last one at the end.
func (tx *Tx) writeOffs(ctx context.Context, inv *ent.Invoice) ([]*ent.LedgerEntry, error) {
	rows, err := tx.LedgerEntry.Query().Where(ledgerentry.InvoiceID(inv.ID), ledgerentry.KindEQ(ledgerentry.KindWRITE_OFF)).
		Order(ent.Asc(ledgerentry.FieldID)).All(ctx)
	return rows, wrapped(err, "read write-offs of invoice "+inv.ID)
}
