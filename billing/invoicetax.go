package billing

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/invoiceline"
	"purser/ent/organization"
	"purser/ent/schema"
	"purser/money"
)

// taxed is what positions come to with tax: by rate, and in all.
type taxed struct {
	invoiceSums
	shares        []schema.TaxShare // highest rate first, none of nothing
	reverseCharge bool
}

// taxLines adds tax to positions of one currency, or takes out the tax that
// they include: once for each rate, on the exact sum of its positions, in whole
// minor units. A position has its own rate or the payer's. Who owes the tax
// itself is charged none.
func taxLines(lines []line, p *ent.Payer, included bool) (taxed, error) {
	out := taxed{reverseCharge: p.ReverseCharge}
	if len(lines) == 0 {
		return out, nil
	}
	currency := lines[0].amount.Currency
	zero := money.Amount{Currency: currency}
	sum, byRate := zero, map[money.Rate]money.Amount{}
	var err error
	for _, l := range lines {
		if sum, err = sum.Add(l.amount); err != nil {
			return out, refusedAmount(err, "lineItems")
		}
		rate := l.taxRate
		if rate == nil {
			rate = p.TaxRatePpm
		}
		if rate == nil || *rate == 0 || p.ReverseCharge {
			continue
		}
		of, ok := byRate[*rate]
		if !ok {
			of = zero
		}
		if byRate[*rate], err = of.Add(l.amount); err != nil {
			return out, refusedAmount(err, "lineItems")
		}
	}
	out.subtotal, out.tax = sum, zero
	for rate, of := range byRate {
		share, err := shareOf(of, rate, included)
		if err == nil {
			out.tax, err = out.tax.Add(money.Amount{Units: share.TaxUnits, Currency: currency})
		}
		if err != nil {
			return out, refusedAmount(err, "lineItems")
		}
		if !of.IsZero() {
			out.shares = append(out.shares, share)
		}
	}
	slices.SortFunc(out.shares, func(a, b schema.TaxShare) int { return cmp.Compare(b.RatePpm, a.RatePpm) })
	if included {
		out.subtotal, err = sum.Sub(out.tax)
	}
	if err == nil {
		out.total, err = out.subtotal.Add(out.tax)
	}
	if err == nil {
		out.total, err = out.total.RoundToMinor()
	}
	if err == nil && out.tax.Sign() < 0 && out.total.Sign() > 0 {
		return out, refuse(CodeInvalid, "lineItems", "what is taken back has more tax on it than what is sold: write two invoices")
	}
	return out, refusedAmount(err, "lineItems")
}

// shareOf is the tax at one rate on a sum, or the tax that it includes.
func shareOf(of money.Amount, rate money.Rate, included bool) (schema.TaxShare, error) {
	var tax money.Amount
	var err error
	if included {
		if tax, err = of.IncludedToMinor(rate); err == nil {
			of, err = of.Sub(tax)
		}
	} else {
		tax, err = of.RateToMinor(rate)
	}
	return schema.TaxShare{RatePpm: rate, TaxableUnits: of.Units, TaxUnits: tax.Units}, err
}

// taxOfInvoice is taxLines of the positions that an invoice has.
func (tx *Tx) taxOfInvoice(ctx context.Context, inv *ent.Invoice, p *ent.Payer) (taxed, error) {
	rows, err := tx.InvoiceLine.Query().Where(invoiceline.InvoiceID(inv.ID)).Order(ent.Asc(invoiceline.FieldPosition)).All(ctx)
	if err != nil {
		return taxed{}, fmt.Errorf("read positions: %w", err)
	}
	lines := make([]line, len(rows))
	for i, l := range rows {
		lines[i] = line{amount: l.Amount(), taxRate: l.TaxRatePpm}
	}
	return taxLines(lines, p, inv.DebtUnits != nil)
}

// freezeTax takes the payer's tax as it is now, for good, when a draft that is
// only ours is issued. The sums of inv are brought up to date.
func (tx *Tx) freezeTax(ctx context.Context, inv *ent.Invoice) error {
	if inv.GatewayInvoiceID != nil {
		return nil
	}
	p, err := tx.payer(ctx, inv.PayerID, "id")
	if err != nil {
		return err
	}
	t, err := tx.taxOfInvoice(ctx, inv, p)
	if err != nil {
		return err
	}
	u := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(invoice.StatusDRAFT), invoice.PendingCallIDIsNil()).
		SetReverseCharge(t.reverseCharge).SetUpdatedAt(tx.Now)
	setSums(u, t.invoiceSums)
	if t.shares != nil {
		u.SetTaxes(t.shares)
	} else {
		u.ClearTaxes()
	}
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("write tax of invoice %s: %w", inv.ID, err)
	}
	inv.SubtotalUnits, inv.TaxUnits, inv.TotalUnits = t.subtotal.Units, t.tax.Units, t.total.Units
	inv.AmountDueUnits, inv.Taxes, inv.ReverseCharge = dueOf(t.total), t.shares, t.reverseCharge
	return nil
}

// setSums writes a draft's amounts.
func setSums(u *ent.InvoiceUpdate, s invoiceSums) {
	u.SetSubtotalUnits(s.subtotal.Units).SetTaxUnits(s.tax.Units).SetTotalUnits(s.total.Units).SetAmountDueUnits(dueOf(s.total))
}

// dueOf is what is to be paid of a total: nothing of one below zero.
func dueOf(total money.Amount) money.Units { return max(total.Units, 0) }

// sellerOf is the organization as it stands on an invoice from its issue on.
func sellerOf(o *ent.Organization) *schema.Seller {
	s := &schema.Seller{Name: o.Name, Email: orEmpty(o.FinanceSupportEmail), Address: primaryAddress(o.Addresses), TaxID: orEmpty(o.TaxID)}
	if s.Email == "" {
		s.Email = orEmpty(o.SupportEmail)
	}
	return s
}

// testOf reports whether an organization's documents mean no money.
func testOf(o *ent.Organization) bool { return o.Environment != organization.EnvironmentLIVE }
