package ent

import "purser/money"

// The public schema shows an amount as an object of number and currency, the
// tables hold a number of ledger units beside a currency column. The methods
// here join the two; gqlgen.yml binds the schema's fields to them.

func amount(u money.Units, currency string) money.Amount {
	return money.Amount{Units: u, Currency: currency}
}

func optionalAmount(u *money.Units, currency string) *money.Amount {
	if u == nil {
		return nil
	}
	return &money.Amount{Units: *u, Currency: currency}
}

// MinimumTopUp is the smallest top-up, or nil.
func (c *Currency) MinimumTopUp() *money.Amount {
	return optionalAmount(c.MinimumTopUpUnits, c.Code)
}

// CreditLimit is the limit of payers without one of their own, or nil.
func (c *Currency) CreditLimit() *money.Amount { return optionalAmount(c.CreditLimitUnits, c.Code) }

// Exponent is the number of digits of the currency's minor unit.
func (c *Currency) Exponent() int { return money.Exponent(c.Code) }

// UnitAmount is the price of one.
func (p *Price) UnitAmount() money.Amount { return amount(p.UnitAmountUnits, p.Currency) }

// UnitAmount is the price of one.
func (l *QuoteLine) UnitAmount() money.Amount { return amount(l.UnitAmountUnits, l.Currency) }

// Amount is quantity × unit amount.
func (l *QuoteLine) Amount() money.Amount { return amount(l.AmountUnits, l.Currency) }

// UnitAmount is the price of one.
func (l *InvoiceLine) UnitAmount() money.Amount { return amount(l.UnitAmountUnits, l.Currency) }

// Amount is quantity × unit amount.
func (l *InvoiceLine) Amount() money.Amount { return amount(l.AmountUnits, l.Currency) }

// UnitAmount is the price of one, each period.
func (i *SubscriptionItem) UnitAmount() money.Amount { return amount(i.UnitAmountUnits, i.Currency) }

// Amount is quantity × unit amount.
func (i *SubscriptionItem) Amount() money.Amount { return amount(i.AmountUnits, i.Currency) }

// Amount is what a period costs, without tax.
func (s *Subscription) Amount() money.Amount { return amount(s.AmountUnits, s.Currency) }

// Total is the sum of the lines, or nil while there are none.
func (q *Quote) Total() *money.Amount {
	if q.Currency == nil {
		return nil
	}
	return &money.Amount{Units: q.TotalUnits, Currency: *q.Currency}
}

// Subtotal is the sum of the lines.
func (i *Invoice) Subtotal() money.Amount { return amount(i.SubtotalUnits, i.Currency) }

// Tax is what comes on top of the subtotal.
func (i *Invoice) Tax() money.Amount { return amount(i.TaxUnits, i.Currency) }

// Total is subtotal and tax in whole minor units.
func (i *Invoice) Total() money.Amount { return amount(i.TotalUnits, i.Currency) }

// AmountDue is what is still to be paid.
func (i *Invoice) AmountDue() money.Amount { return amount(i.AmountDueUnits, i.Currency) }

// AmountPaid is what was paid.
func (i *Invoice) AmountPaid() money.Amount { return amount(i.AmountPaidUnits, i.Currency) }

// Amount is what was asked for when the payment was made.
func (p *Payment) Amount() money.Amount { return amount(p.AmountUnits, p.Currency) }

// Credited is how much of it credit notes have taken back.
func (i *Invoice) Credited() money.Amount { return amount(i.CreditedUnits, i.Currency) }

// Subtotal is what the note takes back before tax.
func (n *CreditNote) Subtotal() money.Amount { return amount(n.SubtotalUnits, n.Currency) }

// Tax is what it takes back of the tax.
func (n *CreditNote) Tax() money.Amount { return amount(n.TaxUnits, n.Currency) }

// Total is what it takes back, in whole minor units.
func (n *CreditNote) Total() money.Amount { return amount(n.TotalUnits, n.Currency) }

// Refunded is how much of it went back.
func (p *Payment) Refunded() money.Amount { return amount(p.RefundedUnits, p.Currency) }

// Amount is what went back.
func (r *Refund) Amount() money.Amount { return amount(r.AmountUnits, r.Currency) }

// Amount is what is contested.
func (d *Dispute) Amount() money.Amount { return amount(d.AmountUnits, d.Currency) }

// Account is the balance's name as a side of a ledger entry.
func (b *Balance) Account() string { return BalanceAccount(b.ID) }

// BalanceAccount names a balance as a side of a ledger entry.
func BalanceAccount(balanceID string) string { return "balance:" + balanceID }

// Amount is what was added in the billing period or brought forward.
func (b *Balance) Amount() money.Amount { return amount(b.AmountUnits, b.Currency) }

// Usage is what was used of it, less credits.
func (b *Balance) Usage() money.Amount { return amount(b.UsageUnits, b.Currency) }

// Remaining is amount − usage.
func (b *Balance) Remaining() money.Amount {
	return amount(b.AmountUnits-b.UsageUnits, b.Currency)
}

// Held is what open holds have set aside.
func (b *Balance) Held() money.Amount { return amount(b.HeldUnits, b.Currency) }

// Unpaid is what unpaid invoices come to.
func (b *Balance) Unpaid() money.Amount { return amount(b.UnpaidUnits, b.Currency) }

// CreditLimit is the limit of a postpaid payer, or nil.
func (b *Balance) CreditLimit() *money.Amount {
	return optionalAmount(b.CreditLimitUnits, b.Currency)
}

// Available is what may be spent: remaining − held, and for postpaid payers
// + credit limit − unpaid invoices. Each of its four terms is at most 10¹⁸
// units, so that the sum always fits.
func (b *Balance) Available() money.Amount {
	u := b.AmountUnits - b.UsageUnits - b.HeldUnits
	if b.BillingMode == "POSTPAID" {
		if b.CreditLimitUnits != nil {
			u += *b.CreditLimitUnits
		}
		u -= b.UnpaidUnits
	}
	return amount(u, b.Currency)
}

// InDebt is whether the balance fell below what may be owed.
func (b *Balance) InDebt() bool {
	if b.BillingMode == "POSTPAID" {
		return b.Available().Units < 0
	}
	return b.AmountUnits < b.UsageUnits
}

// Left is what the balance's notice looks at: remaining, and of postpaid
// payers what is left of the credit limit. Holds do not count: what they set
// aside may come back.
func (b *Balance) Left() money.Amount {
	return amount(b.Available().Units+b.HeldUnits, b.Currency)
}

// Amount is what was set aside.
func (h *Hold) Amount() money.Amount { return amount(h.AmountUnits, h.Currency) }

// Captured is what was charged of it.
func (h *Hold) Captured() money.Amount { return amount(h.CapturedUnits, h.Currency) }

// Amount is the entry's amount, signed as it changes the balance's remaining;
// positive where there is no balance.
func (e *LedgerEntry) Amount() money.Amount {
	u := e.AmountUnits
	if e.BalanceID != nil && e.DebitAccount == BalanceAccount(*e.BalanceID) {
		u = -u
	}
	return amount(u, e.Currency)
}

// RemainingAfter is the balance's remaining after the entry, or nil.
func (e *LedgerEntry) RemainingAfter() *money.Amount {
	if e.AmountAfterUnits == nil || e.UsageAfterUnits == nil {
		return nil
	}
	return &money.Amount{Units: money.Units(*e.AmountAfterUnits - *e.UsageAfterUnits), Currency: e.Currency}
}
