package billing

import (
	"context"
	"fmt"
	"strconv"

	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/ent/payment"
	"purser/money"
)

// What payments and invoices book. Every one of these postings has a cause
// key, so each is booked once, whoever reports the fact and however often.

// paymentCause names a payment by what the gateway calls it: two reports of
// one payment are the same fact.
func paymentCause(providerID, gatewayPaymentID string) string {
	return "payment:" + providerID + ":" + gatewayPaymentID
}

// The parts of an invoice that are booked when it is finalized.
const (
	partRevenue   = "revenue"
	partTax       = "tax"
	partRounding  = "rounding"
	partOutOfBand = "out-of-band"
	partDebt      = "debt"
)

func invoiceCause(invoiceID, part string) string { return "invoice:" + invoiceID + ":" + part }

// postOnce books a posting with a cause key, or returns the entry that was
// booked for the cause before.
func (tx *Tx) postOnce(ctx context.Context, p posting) (*ent.LedgerEntry, error) {
	e, err := tx.LedgerEntry.Query().Where(ledgerentry.CauseKey(p.causeKey)).Only(ctx)
	switch {
	case err == nil:
		return e, nil
	case !ent.IsNotFound(err):
		return nil, fmt.Errorf("look up %s: %w", p.causeKey, err)
	}
	return tx.post(ctx, p)
}

// creditTopUp adds a payment that has succeeded at the gateway to the balance
// that was named when the payment was made, once. It never refuses: the money
// is there, whatever became of the payer or the currency since.
func (tx *Tx) creditTopUp(ctx context.Context, p *ent.Payment, gatewayPaymentID string) (*ent.LedgerEntry, error) {
	if gatewayPaymentID == "" {
		return nil, fmt.Errorf("credit payment %s: the gateway's id is missing", p.ID)
	}
	balanceID := orEmpty(p.BalanceID)
	if balanceID == "" {
		if p.PayerID == nil {
			return nil, fmt.Errorf("credit payment %s: it has neither balance nor payer", p.ID)
		}
		b, err := tx.settledBalance(ctx, *p.PayerID, p.Currency)
		if err != nil {
			return nil, fmt.Errorf("credit payment %s: %w", p.ID, err)
		}
		balanceID = b.ID
	}
	e, err := tx.postOnce(ctx, posting{
		kind:  ledgerentry.KindTOP_UP,
		debit: clearingAccount(p.ProviderID), credit: ent.BalanceAccount(balanceID), balanceID: balanceID,
		amount:    p.Amount(),
		paymentID: p.ID, providerID: p.ProviderID,
		causeKey: paymentCause(p.ProviderID, gatewayPaymentID),
	})
	if err != nil {
		return nil, err
	}
	return e, tx.payWaiting(ctx, balanceID)
}

// wentToBalance says whether a payment that has succeeded was credited to its
// payer's balance: a top-up was, and what came for an invoice that needed
// nothing any more (settleDirect).
func (tx *Tx) wentToBalance(ctx context.Context, p *ent.Payment) (bool, error) {
	switch p.Purpose {
	case payment.PurposeTOP_UP, payment.PurposeAUTO_RELOAD:
		return true, nil
	case payment.PurposeINVOICE:
		credited, err := tx.LedgerEntry.Query().
			Where(ledgerentry.CauseKey(paymentCause(p.ProviderID, orEmpty(p.GatewayPaymentID))), ledgerentry.KindEQ(ledgerentry.KindTOP_UP)).Exist(ctx)
		return credited, wrapped(err, "look where payment "+p.ID+" went")
	default:
		return false, nil
	}
}

// bookInvoice books a finalized invoice: what the payer owes from now on, by
// revenue and tax, and the difference to whole minor units. It is called in the
// transaction that makes the invoice OPEN (or PAID, when there is nothing to
// pay).
func (tx *Tx) bookInvoice(ctx context.Context, inv *ent.Invoice) error {
	if inv.DebtUnits != nil {
		return tx.bookDebt(ctx, inv)
	}
	if inv.TotalUnits < 0 {
		return tx.bookBelowZero(ctx, inv)
	}
	if inv.SubtotalUnits < 0 || inv.TaxUnits < 0 || inv.TotalUnits < 0 {
		return refuse(CodeInvalid, "", "the invoice's positions or their tax come to less than nothing, and its total does not: write two invoices")
	}
	rows := []posting{
		{kind: ledgerentry.KindINVOICE, debit: accountReceivable, credit: accountRevenue, amount: inv.Subtotal(), causeKey: invoiceCause(inv.ID, partRevenue)},
		{kind: ledgerentry.KindTAX, debit: accountReceivable, credit: accountTax, amount: inv.Tax(), causeKey: invoiceCause(inv.ID, partTax)},
	}
	rounding := posting{kind: ledgerentry.KindROUNDING, causeKey: invoiceCause(inv.ID, partRounding)}
	// Two sums of amounts within ±10¹⁸ cannot overflow an int64.
	switch difference := inv.TotalUnits - inv.SubtotalUnits - inv.TaxUnits; {
	case difference > 0:
		rounding.debit, rounding.credit = accountReceivable, accountRounding
		rounding.amount = money.Amount{Units: difference, Currency: inv.Currency}
	case difference < 0:
		rounding.debit, rounding.credit = accountRounding, accountReceivable
		rounding.amount = money.Amount{Units: -difference, Currency: inv.Currency}
	}
	transactionID := tx.s.newID(prefixTransaction)
	for _, row := range append(rows, rounding) {
		if row.amount.IsZero() {
			continue
		}
		row.transactionID, row.invoiceID = transactionID, inv.ID
		if _, err := tx.postOnce(ctx, row); err != nil {
			return fmt.Errorf("book invoice %s: %w", inv.ID, err)
		}
	}
	if inv.TotalUnits == 0 {
		return nil
	}
	return tx.countUnpaid(ctx, inv, inv.TotalUnits)
}

// creditInvoicePayment books a card payment that has succeeded at the gateway
// and pays all that was due on the invoice, once.
func (tx *Tx) creditInvoicePayment(ctx context.Context, inv *ent.Invoice, p *ent.Payment, gatewayPaymentID string) error {
	switch {
	case gatewayPaymentID == "":
		return fmt.Errorf("credit payment %s: the gateway's id is missing", p.ID)
	case p.Currency != inv.Currency:
		return fmt.Errorf("credit payment %s in %s to invoice %s in %s", p.ID, p.Currency, inv.ID, inv.Currency)
	}
	_, err := tx.postOnce(ctx, posting{
		kind:  ledgerentry.KindINVOICE_PAYMENT,
		debit: clearingAccount(p.ProviderID), credit: accountReceivable,
		amount:    p.Amount(),
		paymentID: p.ID, invoiceID: inv.ID, providerID: p.ProviderID,
		causeKey: paymentCause(p.ProviderID, gatewayPaymentID),
	})
	if err != nil {
		return fmt.Errorf("credit payment %s: %w", p.ID, err)
	}
	return tx.countUnpaid(ctx, inv, 0)
}

// bookInvoiceOutOfBand books that what payments had left of an invoice was
// paid elsewhere. What of them went to the balance has left all of it.
func (tx *Tx) bookInvoiceOutOfBand(ctx context.Context, inv *ent.Invoice) error {
	booked, err := tx.LedgerEntry.Query().Where(ledgerentry.InvoiceID(inv.ID), ledgerentry.Or(
		ledgerentry.KindEQ(ledgerentry.KindINVOICE_PAYMENT),
		ledgerentry.ReversedKindEQ(string(ledgerentry.KindINVOICE_PAYMENT)))).All(ctx)
	if err != nil {
		return fmt.Errorf("read what was paid of invoice %s: %w", inv.ID, err)
	}
	rest := money.Amount{Units: inv.TotalUnits - inv.WaivedUnits, Currency: inv.Currency}
	for _, e := range booked {
		part := money.Amount{Units: e.AmountUnits, Currency: e.Currency}
		if e.Kind == ledgerentry.KindREVERSAL {
			part.Units = -part.Units
		}
		if rest, err = rest.Sub(part); err != nil {
			return fmt.Errorf("book invoice %s as paid: %w", inv.ID, err)
		}
	}
	if rest.Sign() > 0 {
		_, err := tx.postOnce(ctx, posting{
			kind:  ledgerentry.KindINVOICE_PAYMENT,
			debit: accountBank, credit: accountReceivable, amount: rest,
			invoiceID: inv.ID,
			causeKey:  invoiceCause(inv.ID, partOutOfBand),
		})
		if err != nil {
			return fmt.Errorf("book invoice %s as paid: %w", inv.ID, err)
		}
	}
	return tx.countUnpaid(ctx, inv, 0)
}

// reverseInvoice takes back what finalizing an invoice booked: it was voided.
func (tx *Tx) reverseInvoice(ctx context.Context, inv *ent.Invoice) error {
	booked, err := tx.LedgerEntry.Query().
		Where(ledgerentry.CauseKeyIn(invoiceCause(inv.ID, partRevenue), invoiceCause(inv.ID, partDebt),
			invoiceCause(inv.ID, partTax), invoiceCause(inv.ID, partRounding))).
		Order(ent.Asc(ledgerentry.FieldID)).All(ctx)
	if err != nil {
		return fmt.Errorf("read bookings of invoice %s: %w", inv.ID, err)
	}
	transactionID := tx.s.newID(prefixTransaction)
	for _, e := range booked {
		if _, err := tx.reverse(ctx, e, transactionID); err != nil {
			return fmt.Errorf("void invoice %s: %w", inv.ID, err)
		}
	}
	return tx.countUnpaid(ctx, inv, 0)
}

// reversalPart is the cause of the n-th entry that takes back some of another
// one. Most are taken back in one part; of two that would be the same part
// only one is booked.
func reversalPart(entryID string, n int) string { return "reversal:" + entryID + ":" + strconv.Itoa(n) }

// reverse books the mirror of an entry, once.
func (tx *Tx) reverse(ctx context.Context, e *ent.LedgerEntry, transactionID string) (*ent.LedgerEntry, error) {
	if e.Kind == ledgerentry.KindREVERSAL {
		return nil, fmt.Errorf("reverse %s: it is a reversal itself", e.ID)
	}
	return tx.postOnce(ctx, reversalOf(e, transactionID, 1))
}

// reversalOf is the mirror of an entry, as the n-th part that is taken back of
// it.
func reversalOf(e *ent.LedgerEntry, transactionID string, n int) posting {
	return posting{
		transactionID: transactionID,
		kind:          ledgerentry.KindREVERSAL, reversedKind: e.Kind, reversesID: e.ID,
		debit: e.CreditAccount, credit: e.DebitAccount, balanceID: orEmpty(e.BalanceID),
		amount:    money.Amount{Units: e.AmountUnits, Currency: e.Currency},
		paymentID: orEmpty(e.PaymentID), invoiceID: orEmpty(e.InvoiceID), providerID: orEmpty(e.ProviderID),
		refundID: orEmpty(e.RefundID), disputeID: orEmpty(e.DisputeID), creditNoteID: orEmpty(e.CreditNoteID),
		causeKey: reversalPart(e.ID, n),
	}
}
