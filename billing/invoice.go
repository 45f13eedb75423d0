package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/payer"
	"purser/money"
)

// InvoiceDraft is an invoice to be written without a quote.
type InvoiceDraft struct {
	PayerID     string
	ProviderID  string
	Lines       []LineDraft
	Description *string
	Collection  invoice.Collection
	Key         *string `json:"-"`
}

// CreateInvoice writes a draft and returns its id. Called again with the same
// key it returns the same invoice.
//
// Codes: INVALID, REQUIRED, NOT_FOUND, INVALID_STATE, CURRENCY_MISMATCH,
// LIMIT_EXCEEDED, IDEMPOTENCY_KEY_REUSED.
func (s *Service) CreateInvoice(ctx context.Context, d InvoiceDraft) (string, error) {
	op, err := s.newOperation("invoiceCreate", d.Key, keyOptional, d)
	if err != nil {
		return "", err
	}
	id := s.newID(prefixInvoice)
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			id = earlier.Subject
			return nil
		}
		p, err := tx.payerToSell(ctx, d.PayerID, "payerId")
		if err != nil {
			return err
		}
		if d.Collection == invoice.CollectionBALANCE && p.BillingMode != payer.BillingModePREPAID {
			return refuse(CodeInvalid, "collection", "the payer is POSTPAID: only the invoices of prepaid payers are paid from a balance")
		}
		lines, err := tx.invoiceLines(ctx, d.Lines, "lineItems")
		if err != nil {
			return err
		}
		description, err := optionalNote(d.Description, "description", "the description")
		if err != nil {
			return err
		}
		provider, err := tx.providerFor(ctx, d.ProviderID, commonProvider(lines))
		if err != nil {
			return err
		}
		t, err := taxLines(lines, p, false)
		if err != nil {
			return err
		}
		c := tx.newInvoice(id, p.ID, t.invoiceSums, description).SetCollection(d.Collection)
		if provider != nil {
			c.SetProviderID(provider.ID)
		}
		if err := tx.saveInvoice(ctx, c, lines); err != nil {
			return err
		}
		return tx.remember(ctx, op, id, "", "")
	})
	return id, err
}

// providerFor is the provider asked for, else the one that the products of all
// positions name, else the organization's default, else nil: what is sold then
// stays here.
func (tx *Tx) providerFor(ctx context.Context, asked, products string) (*ent.Provider, error) {
	o, err := tx.organization(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range []string{asked, products, orEmpty(o.DefaultProviderID)} {
		if id != "" {
			return tx.usableProvider(ctx, id, "providerId")
		}
	}
	return nil, nil
}

// invoiceSums are the amounts at an invoice's foot.
type invoiceSums struct{ subtotal, tax, total money.Amount }

// sumUp adds tax once on the exact sum of the lines, in whole minor units, and
// brings the total to whole minor units. Without a rate there is no tax.
func sumUp(subtotal money.Amount, rate *money.Rate) (invoiceSums, error) {
	s := invoiceSums{subtotal: subtotal, tax: money.Amount{Currency: subtotal.Currency}}
	var err error
	if rate != nil {
		s.tax, err = subtotal.RateToMinor(*rate)
	}
	if err == nil {
		s.total, err = subtotal.Add(s.tax)
	}
	if err == nil {
		s.total, err = s.total.RoundToMinor()
	}
	return s, refusedAmount(err, "lineItems")
}

func (tx *Tx) newInvoice(id, payerID string, s invoiceSums, description *string) *ent.InvoiceCreate {
	return tx.Invoice.Create().
		SetID(id).SetPayerID(payerID).SetCurrency(s.subtotal.Currency).SetNillableDescription(description).
		SetSubtotalUnits(s.subtotal.Units).SetTaxUnits(s.tax.Units).
		SetTotalUnits(s.total.Units).SetAmountDueUnits(dueOf(s.total)).
		SetPublicToken(tx.s.newSecret(24)).SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now)
}

// saveInvoice writes a new invoice with its positions.
func (tx *Tx) saveInvoice(ctx context.Context, c *ent.InvoiceCreate, lines []line) error {
	row, err := c.Save(ctx)
	if err != nil {
		return fmt.Errorf("store invoice: %w", err)
	}
	tx.changed(ctx, ChangeInvoice, row.ID, row.PayerID)
	return tx.writeInvoiceLines(ctx, row.ID, lines)
}

// invoiceOfQuote makes the draft that accepting a quote leaves behind. One that
// the gateway has made of its copy carries no tax: the copy had none, and what
// was accepted stands, whatever the payer's rate has become since.
func (tx *Tx) invoiceOfQuote(ctx context.Context, q *ent.Quote, id, gatewayInvoiceID string) error {
	p, err := tx.payer(ctx, orEmpty(q.PayerID), "id")
	if err != nil {
		return err
	}
	lines, err := tx.quoteLines(ctx, q.ID)
	if err != nil {
		return err
	}
	rate := p.TaxRatePpm
	if gatewayInvoiceID != "" || p.ReverseCharge {
		rate = nil
	}
	sums, err := sumUp(*q.Total(), rate)
	if err != nil {
		return err
	}
	c := tx.newInvoice(id, p.ID, sums, q.Description).SetQuoteID(q.ID)
	if q.ProviderID != nil {
		c.SetProviderID(*q.ProviderID)
	}
	if gatewayInvoiceID != "" {
		// The gateway's draft is not taxed anew when it is issued (freezeTax).
		c.SetReverseCharge(p.ReverseCharge).SetGatewayInvoiceID(gatewayInvoiceID).SetNextCheckAt(tx.Now.Add(checkIn(0)))
	}
	return tx.saveInvoice(ctx, c, lines)
}
