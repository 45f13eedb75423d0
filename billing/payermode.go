package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/currency"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/gateway"
	"purser/money"
)

// changeBillingMode moves a payer and all its balances to another billing
// mode, in one transaction and under the locks that usage takes, so that no
// usage is decided by half of it.
//
// To POSTPAID nothing is booked: what remains of a balance stands against what
// is used from then on. The currency's credit limit applies, and automatic
// reloads end, because only prepaid balances have them.
//
// To PREPAID the limit ends at once. What it had covered is invoiced in the
// same transaction; where a gateway keeps the invoice, the balance is in debt
// until the gateway has it. What is held must be covered: else the balance
// would be in debt from its first moment. Invoices that are open stay due.
func (tx *Tx) changeBillingMode(ctx context.Context, p *ent.Payer, mode payer.BillingMode) error {
	o, err := tx.organization(ctx)
	if err != nil {
		return err
	}
	if o.BillingType != organization.BillingTypeBOTH && string(o.BillingType) != string(mode) {
		return refuse(CodeInvalid, "billingMode", "the organization's payers are %s", o.BillingType)
	}
	// Who makes a balance at this moment meets this update at the payer's row
	// (keepStatus), and then makes it in the new mode.
	n, err := tx.Payer.Update().Where(payer.ID(p.ID), payer.StatusEQ(p.Status), payer.BillingModeEQ(p.BillingMode)).
		SetBillingMode(mode).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("change billing mode of %s: %w", p.ID, err)
	}
	balances, err := tx.Balance.Query().Where(balance.PayerID(p.ID)).Order(ent.Asc(balance.FieldID)).
		Unique(false).Modify(tx.forUpdate).All(ctx)
	if err != nil {
		return fmt.Errorf("read balances of %s: %w", p.ID, err)
	}
	period, err := tx.period(ctx)
	if err != nil {
		return err
	}
	limits, err := tx.creditLimits(ctx)
	if err != nil {
		return err
	}
	monthEnds, err := tx.usageInvoiceAt(ctx)
	if err != nil {
		return err
	}
	for _, b := range balances {
		rollOver(b, period)
		after := *b
		after.BillingMode, after.CreditLimitUnits, after.CreditLimitOwn, after.UsageInvoiceAt = balance.BillingMode(mode), nil, false, nil
		if mode == payer.BillingModePOSTPAID {
			after.CreditLimitUnits, after.UsageInvoiceAt = limits[b.Currency], &monthEnds
			after.AutoReloadEnabled, after.AutoReloadDueAt = false, nil
		} else if err := coversItself(b); err != nil {
			return err
		}
		if err := tx.writeBalance(ctx, b, &after, ""); err != nil {
			return err
		}
		if mode == payer.BillingModePREPAID && b.Remaining().Sign() < 0 {
			if err := tx.invoiceDebt(ctx, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// invoiceDebt invoices what is owed on a balance: at once where no gateway
// keeps the invoice, else by a draft that finalizes itself.
func (tx *Tx) invoiceDebt(ctx context.Context, b *ent.Balance) error {
	inv, err := tx.draftOfDebt(ctx, tx.s.newID(prefixInvoice), b.ID)
	if inv == nil || err != nil {
		return err
	}
	kept, err := tx.keptAtGateway(ctx, inv)
	if kept || err != nil {
		return err
	}
	if err := tx.freezeTax(ctx, inv); err != nil {
		return err
	}
	return tx.openInvoice(ctx, inv, gateway.InvoiceResult{})
}

// coversItself refuses a balance of which more is held than is there, debt not
// counted: that is invoiced.
func coversItself(b *ent.Balance) error {
	remaining := b.Remaining()
	if max(remaining.Units, 0) < b.HeldUnits {
		return refuse(CodeInvalidState, "billingMode", "%s are held and %s remain on the balance in %s: capture or release holds, or top it up first", b.Held(), remaining, b.Currency)
	}
	return nil
}

// creditLimits are the credit limits of the organization's currencies, for
// payers without one of their own.
func (tx *Tx) creditLimits(ctx context.Context) (map[string]*money.Units, error) {
	rows, err := tx.Currency.Query().Select(currency.FieldCode, currency.FieldCreditLimitUnits).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read currencies: %w", err)
	}
	limits := make(map[string]*money.Units, len(rows))
	for _, c := range rows {
		limits[c.Code] = c.CreditLimitUnits
	}
	return limits, nil
}
