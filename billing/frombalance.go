package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
)

// Invoices that are paid from a balance (spec.md decision 13). No gateway takes
// part: one that a gateway keeps could be paid a second time on its page.

const partFromBalance = "balance"

// beginFromBalance pays an open invoice from its payer's balance. Where that
// does not cover it, the invoice is left to wait for the balance, and short
// says what is missing: the answer to the caller, although the transaction
// must be committed.
func (tx *Tx) beginFromBalance(ctx context.Context, inv *ent.Invoice) (short *Error, err error) {
	if inv.GatewayInvoiceID != nil {
		return nil, refuse(CodeProviderUnsupported, "fromBalance", "the gateway keeps this invoice, where it could be paid once more: write invoices that are to be paid from a balance with collection BALANCE")
	}
	b, err := tx.settledBalance(ctx, inv.PayerID, inv.Currency)
	if err != nil {
		return nil, err
	}
	if postpaid(b) {
		return nil, refuse(CodeInvalidState, "fromBalance", "the payer is POSTPAID: only prepaid payers pay from a balance")
	}
	missing, err := tx.payFromBalance(ctx, inv, b.ID)
	if missing == nil || err != nil {
		return nil, err
	}
	if inv.Collection != invoice.CollectionBALANCE {
		n, err := tx.Invoice.Update().Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status)).
			SetCollection(invoice.CollectionBALANCE).SetUpdatedAt(tx.Now).Save(ctx)
		if err := cas(n, err); err != nil {
			return nil, fmt.Errorf("let invoice %s wait for the balance: %w", inv.ID, err)
		}
		tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	}
	return missing.refusal("fromBalance"), nil
}

// payFromBalance books what is due on an invoice against the balance and marks
// it paid, or says what the balance lacks and changes nothing.
func (tx *Tx) payFromBalance(ctx context.Context, inv *ent.Invoice, balanceID string) (*shortage, error) {
	b, err := tx.lockBalance(ctx, balanceID)
	if err != nil {
		return nil, err
	}
	if short := shortOf(b, inv.AmountDue()); short != nil {
		return short, nil
	}
	if err := tx.takeBackWriteOff(ctx, inv); err != nil {
		return nil, err
	}
	_, err = tx.postOnce(ctx, posting{
		kind:  ledgerentry.KindINVOICE_PAYMENT,
		debit: b.Account(), credit: accountReceivable, balanceID: b.ID,
		amount: inv.AmountDue(), invoiceID: inv.ID,
		causeKey: invoiceCause(inv.ID, partFromBalance),
	})
	if err != nil {
		return nil, fmt.Errorf("pay invoice %s from the balance: %w", inv.ID, err)
	}
	if err := tx.countUnpaid(ctx, inv, 0); err != nil {
		return nil, err
	}
	return nil, tx.markPaid(ctx, inv, "")
}

// waitingMax bounds the invoices that one movement of a balance pays.
const waitingMax = 100

// payWaiting pays the invoices that wait for a balance, as far as it covers
// them: the oldest first, each that fits. It is called when a balance has
// grown, and refuses nothing.
func (tx *Tx) payWaiting(ctx context.Context, balanceID string) error {
	b, err := tx.Balance.Query().Where(balance.ID(balanceID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read balance %s: %w", balanceID, err)
	}
	if postpaid(b) || b.UnpaidUnits == 0 || b.Available().Units <= 0 {
		return nil
	}
	waiting, err := tx.Invoice.Query().
		Where(invoice.PayerID(b.PayerID), invoice.Currency(b.Currency), invoice.StatusEQ(invoice.StatusOPEN),
			invoice.CollectionEQ(invoice.CollectionBALANCE), invoice.PendingCallIDIsNil(), invoice.GatewayInvoiceIDIsNil()).
		Order(ent.Asc(invoice.FieldID)).Limit(waitingMax).All(ctx)
	if err != nil {
		return fmt.Errorf("list invoices that wait for balance %s: %w", balanceID, err)
	}
	for _, inv := range waiting {
		if _, err := tx.payFromBalance(ctx, inv, balanceID); err != nil {
			return err
		}
	}
	return nil
}
