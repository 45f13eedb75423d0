package billing

import (
	"context"
	"fmt"
	"slices"

	"purser/ent"
	"purser/ent/price"
	"purser/ent/product"
	"purser/ent/quoteline"
	"purser/gateway"
	"purser/money"
)

// Bounds of a quote's or an invoice's positions.
const (
	linesMax    = 250
	quantityMax = 1_000_000
)

// LineDraft is a position to be written: a price of the catalog, or a
// description with a unit amount.
type LineDraft struct {
	PriceID     string
	Description string
	UnitAmount  *money.Amount
	Quantity    int
	TaxRate     *money.Rate `json:",omitempty"` // in place of the payer's; of invoices alone
	// ofInvoice allows what only an invoice's positions may have.
	ofInvoice bool `json:"-"`
}

// line is a position with everything filled in.
type line struct {
	description string
	priceID     *string
	productID   string
	providerID  *string // the product's own
	quantity    int
	unitAmount  money.Amount
	amount      money.Amount
	interval    *price.RecurrenceInterval
	count       int
	taxRate     *money.Rate // in place of the payer's
}

// lines fills positions in from the catalog and adds them up: one currency,
// exact.
func (tx *Tx) lines(ctx context.Context, drafts []LineDraft, field string) ([]line, money.Amount, error) {
	var total money.Amount
	if len(drafts) > linesMax {
		return nil, total, refuse(CodeLimitExceeded, field, "there are %d positions, at most %d are allowed", len(drafts), linesMax)
	}
	out := make([]line, 0, len(drafts))
	for i, d := range drafts {
		at := fmt.Sprintf("%s.%d", field, i)
		l, err := tx.line(ctx, d, at)
		if err != nil {
			return nil, total, err
		}
		if i == 0 {
			if _, err := tx.usableCurrency(ctx, l.amount.Currency, at); err != nil {
				return nil, total, err
			}
			total.Currency = l.amount.Currency
		}
		if l.amount.Currency != total.Currency {
			return nil, total, refuse(CodeCurrencyMismatch, at, "this position is in %s, the first in %s: one document has one currency", l.amount.Currency, total.Currency)
		}
		if total, err = total.Add(l.amount); err != nil {
			return nil, total, refusedAmount(err, at)
		}
		out = append(out, l)
	}
	return out, total, nil
}

// invoiceLines are lines of an invoice: bought once, perhaps with a tax rate of
// their own, or taking something back.
func (tx *Tx) invoiceLines(ctx context.Context, drafts []LineDraft, field string) ([]line, error) {
	if len(drafts) == 0 {
		return nil, refuse(CodeRequired, field, "an invoice needs at least one position")
	}
	drafts = slices.Clone(drafts)
	for i := range drafts {
		drafts[i].ofInvoice = true
	}
	lines, _, err := tx.lines(ctx, drafts, field)
	if err != nil {
		return nil, err
	}
	for i, l := range lines {
		if l.interval != nil {
			return nil, refuse(CodeInvalid, fmt.Sprintf("%s.%d.priceId", field, i), "the price of %q is paid again and again: an invoice takes one-off prices", l.description)
		}
	}
	return lines, nil
}

func (tx *Tx) line(ctx context.Context, d LineDraft, field string) (line, error) {
	l := line{quantity: d.Quantity, count: 1, taxRate: d.TaxRate}
	if d.Quantity < 1 || d.Quantity > quantityMax {
		return l, refuse(CodeInvalid, field+".quantity", "the quantity must be between 1 and %d", quantityMax)
	}
	if d.TaxRate != nil && !d.ofInvoice {
		return l, refuse(CodeInvalid, field+".taxRate", "what is offered is taxed at its payer's rate: give a position its own rate on the invoice")
	}
	description, err := optionalLabel(&d.Description, field+".description", "the description", descriptionMax)
	if err != nil {
		return l, err
	}
	l.description = orEmpty(description)
	switch {
	case d.PriceID != "" && d.UnitAmount != nil:
		return l, refuse(CodeInvalid, field+".unitAmount", "give either priceId or unitAmount")
	case d.PriceID != "":
		if err := tx.fillFromPrice(ctx, &l, d.PriceID, field+".priceId"); err != nil {
			return l, err
		}
	case d.UnitAmount == nil:
		return l, refuse(CodeRequired, field+".unitAmount", "a position needs priceId, or description and unitAmount")
	case l.description == "":
		return l, refuse(CodeRequired, field+".description", "a position without priceId needs a description")
	case d.UnitAmount.Sign() < 0 && !d.ofInvoice:
		return l, refuse(CodeInvalid, field+".unitAmount.amount", "a unit amount must not be negative")
	default:
		l.unitAmount = *d.UnitAmount
	}
	l.amount, err = l.unitAmount.Mul(int64(l.quantity))
	return l, refusedAmount(err, field+".quantity")
}

func (tx *Tx) fillFromPrice(ctx context.Context, l *line, id, field string) error {
	p, err := tx.Price.Query().Where(price.ID(id)).Only(ctx)
	if err != nil {
		return orNotFound(err, field, "price", id)
	}
	owner, err := tx.Product.Query().Where(product.ID(p.ProductID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read product of price %s: %w", id, err)
	}
	if !p.Active || !owner.Active {
		return refuse(CodeInvalidState, field, "the price is archived: take an active one of the product %q", owner.Name)
	}
	l.priceID, l.productID, l.providerID = &p.ID, owner.ID, owner.ProviderID
	l.unitAmount, l.interval, l.count = p.UnitAmount(), p.RecurrenceInterval, p.RecurrenceCount
	if l.description == "" {
		l.description = owner.Name
	}
	return nil
}

// commonProvider is the provider that all products of the positions name, or
// "".
func commonProvider(lines []line) string {
	named := make([]*string, len(lines))
	for i, l := range lines {
		named[i] = l.providerID
	}
	return common(named)
}

// common is the one id that all of them are, or "".
func common(ids []*string) string {
	for _, id := range ids {
		if id == nil || *id != *ids[0] {
			return ""
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return *ids[0]
}

// writeQuoteLines replaces a quote's positions.
func (tx *Tx) writeQuoteLines(ctx context.Context, quoteID string, lines []line) error {
	if _, err := tx.QuoteLine.Delete().Where(quoteline.QuoteID(quoteID)).Exec(ctx); err != nil {
		return fmt.Errorf("remove positions: %w", err)
	}
	rows := make([]*ent.QuoteLineCreate, len(lines))
	for i, l := range lines {
		rows[i] = tx.QuoteLine.Create().
			SetID(tx.s.newID(prefixQuoteLine)).SetQuoteID(quoteID).SetPosition(i).
			SetDescription(l.description).SetNillablePriceID(l.priceID).SetQuantity(l.quantity).
			SetCurrency(l.amount.Currency).SetUnitAmountUnits(l.unitAmount.Units).SetAmountUnits(l.amount.Units).
			SetNillableRecurrenceInterval((*quoteline.RecurrenceInterval)(l.interval)).SetRecurrenceCount(l.count)
	}
	if err := tx.QuoteLine.CreateBulk(rows...).Exec(ctx); err != nil {
		return fmt.Errorf("write positions: %w", err)
	}
	return nil
}

// linesOfQuote are a quote's positions as they were written.
func linesOfQuote(rows []*ent.QuoteLine) []line {
	lines := make([]line, len(rows))
	for i, l := range rows {
		lines[i] = line{
			description: l.Description, priceID: l.PriceID, quantity: l.Quantity, unitAmount: l.UnitAmount(), amount: l.Amount(),
			interval: (*price.RecurrenceInterval)(l.RecurrenceInterval), count: l.RecurrenceCount,
		}
	}
	return lines
}

// writeInvoiceLines writes an invoice's positions.
func (tx *Tx) writeInvoiceLines(ctx context.Context, invoiceID string, lines []line) error {
	rows := make([]*ent.InvoiceLineCreate, len(lines))
	for i, l := range lines {
		rows[i] = tx.newInvoiceLine(tx.s.newID(prefixInvoiceLine), invoiceID, i, l)
	}
	if err := tx.InvoiceLine.CreateBulk(rows...).Exec(ctx); err != nil {
		return fmt.Errorf("write positions: %w", err)
	}
	return nil
}

// writeInvoiceLine writes one position of an invoice.
func (tx *Tx) writeInvoiceLine(ctx context.Context, id, invoiceID string, position int, l line) error {
	if err := tx.newInvoiceLine(id, invoiceID, position, l).Exec(ctx); err != nil {
		return fmt.Errorf("write position: %w", err)
	}
	return nil
}

func (tx *Tx) newInvoiceLine(id, invoiceID string, position int, l line) *ent.InvoiceLineCreate {
	return tx.InvoiceLine.Create().
		SetID(id).SetInvoiceID(invoiceID).SetPosition(position).
		SetDescription(l.description).SetNillablePriceID(l.priceID).SetQuantity(l.quantity).
		SetCurrency(l.amount.Currency).SetUnitAmountUnits(l.unitAmount.Units).SetAmountUnits(l.amount.Units).
		SetNillableTaxRatePpm(l.taxRate)
}

// gatewayLine is a position as a gateway is told of it.
func gatewayLine(description string, quantity int, unit, total money.Amount) gateway.Line {
	return gateway.Line{Description: description, Quantity: int64(quantity), UnitAmount: unit, Total: total}
}
