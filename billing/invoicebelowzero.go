package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/money"
)

// bookBelowZero books an invoice that takes back more than it sells: the payer
// is credited with the difference on its balance, and nothing is due.
func (tx *Tx) bookBelowZero(ctx context.Context, inv *ent.Invoice) error {
	b, err := tx.settledBalance(ctx, inv.PayerID, inv.Currency)
	if err != nil {
		return err
	}
	transactionID := tx.s.newID(prefixTransaction)
	for _, part := range []struct {
		kind    ledgerentry.Kind
		account string
		back    money.Units // to the payer
		cause   string
	}{
		{ledgerentry.KindCREDIT, accountRevenue, -inv.SubtotalUnits, partRevenue},
		{ledgerentry.KindTAX, accountTax, -inv.TaxUnits, partTax},
		// Two sums of amounts within ±10¹⁸ cannot overflow an int64.
		{ledgerentry.KindROUNDING, accountRounding, inv.SubtotalUnits + inv.TaxUnits - inv.TotalUnits, partRounding},
	} {
		if part.back == 0 {
			continue
		}
		row := posting{
			transactionID: transactionID, kind: part.kind,
			debit: part.account, credit: b.Account(), balanceID: b.ID,
			amount:    money.Amount{Units: part.back, Currency: inv.Currency},
			invoiceID: inv.ID, causeKey: invoiceCause(inv.ID, part.cause),
		}
		if part.back < 0 {
			row.debit, row.credit, row.amount.Units = row.credit, row.debit, -part.back
		}
		if _, err := tx.postOnce(ctx, row); err != nil {
			return fmt.Errorf("book invoice %s: %w", inv.ID, err)
		}
	}
	return tx.payWaiting(ctx, b.ID)
}
