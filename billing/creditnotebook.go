package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/ledgerentry"
	"purser/ent/refund"
	"purser/money"
)

func creditNoteCause(noteID, part string) string { return "credit-note:" + noteID + ":" + part }

// bookNote books what a note takes back, by the parts of its invoice, to where
// it goes. What a gateway has to give back stays a claim of the payer until it
// has.
func (tx *Tx) bookNote(ctx context.Context, inv *ent.Invoice, note *ent.CreditNote) error {
	to, balanceID, err := tx.noteAccount(ctx, inv, note)
	if err != nil {
		return err
	}
	transactionID := tx.s.newID(prefixTransaction)
	for _, part := range noteParts(note) {
		p := posting{
			transactionID: transactionID, kind: ledgerentry.KindCREDIT_NOTE,
			debit: part.account, credit: to, balanceID: balanceID,
			amount: money.Amount{Units: part.units, Currency: note.Currency}, description: &note.Reason,
			invoiceID: inv.ID, creditNoteID: note.ID, causeKey: creditNoteCause(note.ID, part.name),
		}
		if part.units < 0 {
			p.debit, p.credit, p.amount.Units = to, part.account, -part.units
		}
		if part.units == 0 {
			continue
		}
		if _, err := tx.postOnce(ctx, p); err != nil {
			return fmt.Errorf("book credit note %s: %w", note.ID, err)
		}
	}
	if balanceID == "" {
		return tx.lessenWriteOff(ctx, inv, note.TotalUnits)
	}
	return tx.payWaiting(ctx, balanceID)
}

// notePart is what a note takes back of one account.
type notePart struct {
	name, account string
	units         money.Units
}

func noteParts(note *ent.CreditNote) []notePart {
	return []notePart{
		{partRevenue, accountRevenue, note.SubtotalUnits},
		{partTax, accountTax, note.TaxUnits},
		{partRounding, accountRounding, note.TotalUnits - note.SubtotalUnits - note.TaxUnits},
	}
}

// noteAccount is where the amount of a note goes.
func (tx *Tx) noteAccount(ctx context.Context, inv *ent.Invoice, note *ent.CreditNote) (account, balanceID string, err error) {
	switch note.Settlement {
	case creditnote.SettlementBALANCE:
		b, err := tx.settledBalance(ctx, inv.PayerID, inv.Currency)
		if err != nil {
			return "", "", fmt.Errorf("read balance of %s in %s: %w", inv.PayerID, inv.Currency, err)
		}
		return b.Account(), b.ID, nil
	case creditnote.SettlementOUT_OF_BAND:
		// What the payer's bank has taken for good was written off; what is not
		// owed is no loss.
		lost, err := tx.paymentLost(ctx, inv)
		if lost || err != nil {
			return accountWriteOff, "", err
		}
		return accountBank, "", nil
	default:
		return accountReceivable, "", nil
	}
}

// bookNoteRefund books that a gateway has given a note back.
func (tx *Tx) bookNoteRefund(ctx context.Context, p *ent.Payment, row *ent.Refund, gatewayRefundID string) error {
	twice, err := tx.Refund.Query().Where(refund.CreditNoteID(*row.CreditNoteID), refund.IDNEQ(row.ID), refund.StatusEQ(refund.StatusSUCCEEDED)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("read refunds of credit note %s: %w", *row.CreditNoteID, err)
	}
	if twice {
		return fmt.Errorf("credit note %s was given back twice, by refund %s as well: %w", *row.CreditNoteID, row.ID, errMismatch)
	}
	_, err = tx.postOnce(ctx, posting{
		kind:  ledgerentry.KindREFUND,
		debit: accountReceivable, credit: clearingAccount(p.ProviderID),
		amount: row.Amount(), description: row.Reason,
		paymentID: p.ID, invoiceID: orEmpty(p.InvoiceID), refundID: row.ID, creditNoteID: *row.CreditNoteID, providerID: p.ProviderID,
		causeKey: refundCause(p.ProviderID, gatewayRefundID),
	})
	return wrapped(err, "book refund "+row.ID)
}
