package stripe

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
	"purser/money"
)

// FinalizeQuote makes the customer where there is none, one product per
// distinct description, and a quote with the lines, and finalizes it when
// Stripe's total is ours. A quote that cannot be finalized is canceled and
// Rejected. Unit amounts must be whole minor units.
func (a *Adapter) FinalizeQuote(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.QuoteRequest) (res gateway.QuoteResult) {
	o := a.begin(ctx, acc, c, "quote_finalize")
	defer o.end(&res.Outcome)
	total, err := quoteTotal(r)
	if err != nil {
		res.Outcome = refusal(codeBadRequest, err.Error()).Outcome
		return res
	}
	customer, p := o.ensureCustomer(r.Customer)
	res.CustomerID = customer
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	made, p := o.createQuote(r, customer)
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	res.QuoteID = made.ID
	o.acted = true
	if o.replayed {
		if made, p = o.getQuote(res.QuoteID); p != nil {
			res.Outcome = p.unsettled().Outcome
			return res
		}
	}
	switch {
	case made.AmountTotal != total:
		return o.dropQuote(res, refusal(codeTotalMismatch,
			fmt.Sprintf("the gateway's total is %d in its minor units, ours %d", made.AmountTotal, total)))
	case made.Status == sdk.QuoteStatusCanceled:
		res.Outcome = refusal(codeCanceled, "the quote was canceled at the gateway").Outcome
		res.State = gateway.QuoteCanceled
		return res
	case made.Status != sdk.QuoteStatusDraft:
		return o.quoteResult(made)
	}
	o.replayed = false
	made, p = change(o, "finalize", func(p sdk.Params) (*sdk.Quote, error) {
		return o.c.quotes.FinalizeQuote(res.QuoteID, &sdk.QuoteFinalizeQuoteParams{Params: p})
	})
	made, p = o.settleQuote(res.QuoteID, made, p, sdk.QuoteStatusOpen, sdk.QuoteStatusAccepted)
	switch {
	case p != nil && p.Status == gateway.StatusRejected:
		return o.dropQuote(res, p)
	case p != nil:
		res.Outcome = p.Outcome
		return res
	}
	return o.quoteResult(made)
}

// quoteTotal checks the lines and returns their sum in Stripe's minor units.
func quoteTotal(r gateway.QuoteRequest) (int64, error) {
	if len(r.Lines) == 0 {
		return 0, errors.New("a quote needs a line")
	}
	sum := money.Amount{Currency: r.Currency}
	for _, line := range r.Lines {
		if line.Quantity < 1 {
			return 0, fmt.Errorf("the quantity of %q is below one", line.Description)
		}
		unit, err := line.UnitAmount.Mul(line.Quantity)
		if err != nil {
			return 0, err
		}
		if same, err := unit.Cmp(line.Total); err != nil || same != 0 {
			return 0, fmt.Errorf("the total of %q is not its quantity times its unit amount", line.Description)
		}
		if _, err := toWire(line.UnitAmount); err != nil {
			return 0, err
		}
		if sum, err = sum.Add(line.Total); err != nil {
			return 0, err
		}
	}
	return toWire(sum)
}

// createQuote makes the draft. The lines were checked by quoteTotal.
func (o *operation) createQuote(r gateway.QuoteRequest, customer string) (*sdk.Quote, *problem) {
	products := make(map[string]string, len(r.Lines))
	lines := make([]*sdk.QuoteLineItemParams, 0, len(r.Lines))
	for _, line := range r.Lines {
		id, ok := products[line.Description]
		if !ok {
			var p *problem
			if id, p = o.createProduct(line.Description, len(products)); p != nil {
				return nil, p
			}
			products[line.Description] = id
		}
		unit, err := toWire(line.UnitAmount)
		if err != nil {
			return nil, refusal(codeBadRequest, err.Error())
		}
		lines = append(lines, &sdk.QuoteLineItemParams{
			PriceData: &sdk.QuoteLineItemPriceDataParams{
				Currency:   wireCurrency(r.Currency),
				Product:    sdk.String(id),
				UnitAmount: sdk.Int64(unit),
			},
			Quantity: sdk.Int64(line.Quantity),
		})
	}
	const step = "quote"
	return remake(o, step, func() (*sdk.Quote, *problem) {
		return newest[sdk.Quote](o, step, func(l sdk.ListParams) *sdk.Iter {
			return o.c.quotes.List(&sdk.QuoteListParams{ListParams: l, Customer: sdk.String(customer)}).Iter
		})
	}, func(p sdk.Params) (*sdk.Quote, error) {
		params := &sdk.QuoteParams{
			Params:           p,
			Customer:         sdk.String(customer),
			CollectionMethod: sdk.String(string(sdk.QuoteCollectionMethodChargeAutomatically)),
			Description:      optional(clip(r.Description, descriptionMax)),
			LineItems:        lines,
			Metadata:         o.metadata(step),
		}
		if !r.ExpiresAt.IsZero() {
			params.ExpiresAt = sdk.Int64(r.ExpiresAt.Unix())
		}
		return o.c.quotes.New(params)
	})
}

// createProduct makes the product that a quote's line names.
func (o *operation) createProduct(name string, n int) (string, *problem) {
	step := "product-" + strconv.Itoa(n) + "-" + digest(name)
	made, p := remake(o, step, func() (*sdk.Product, *problem) {
		return newest[sdk.Product](o, step, func(l sdk.ListParams) *sdk.Iter {
			return o.c.products.List(&sdk.ProductListParams{ListParams: l}).Iter
		})
	}, func(p sdk.Params) (*sdk.Product, error) {
		if name == "" {
			name = "Position"
		}
		return o.c.products.New(&sdk.ProductParams{
			Params:   p,
			Name:     sdk.String(clip(name, 250)),
			Metadata: o.metadata(step),
		})
	})
	if p != nil {
		return "", p
	}
	o.replayed = false // only its id matters
	return made.ID, nil
}

// dropQuote gives up a quote made here that must not stand, and reports why.
func (o *operation) dropQuote(res gateway.QuoteResult, why *problem) gateway.QuoteResult {
	q, p := change(o, "drop", func(p sdk.Params) (*sdk.Quote, error) {
		return o.c.quotes.Cancel(res.QuoteID, &sdk.QuoteCancelParams{Params: p})
	})
	_, p = o.settleQuote(res.QuoteID, q, p, sdk.QuoteStatusCanceled)
	res.Outcome, res.State = why.Outcome, gateway.QuoteCanceled
	if p != nil && p.Status != gateway.StatusRejected {
		// It may still stand: asking again drops it.
		res.Outcome, res.State = why.unsettled().Outcome, ""
	}
	return res
}

// AcceptQuote accepts the quote and takes the invoice that Stripe makes of it
// in hand: it does not advance by itself, and carries our metadata.
func (a *Adapter) AcceptQuote(ctx context.Context, acc gateway.Account, c gateway.Call, quoteID string) (res gateway.QuoteResult) {
	o := a.begin(ctx, acc, c, "quote_accept")
	defer o.end(&res.Outcome)
	q, p := change(o, "accept", func(p sdk.Params) (*sdk.Quote, error) {
		return o.c.quotes.Accept(quoteID, &sdk.QuoteAcceptParams{Params: p})
	})
	if q, p = o.settleQuote(quoteID, q, p, sdk.QuoteStatusAccepted); p != nil {
		res.Outcome, res.QuoteID = p.Outcome, quoteID
		return res
	}
	o.acted = true
	res = o.quoteResult(q)
	if res.Status != gateway.StatusSucceeded || res.InvoiceID == "" {
		return res
	}
	if p := o.adoptInvoice(res.InvoiceID); p != nil {
		res.Outcome = p.Outcome
	}
	return res
}

// adoptInvoice stops the clock that would finalize and charge the invoice
// without us. It matters for drafts only.
func (o *operation) adoptInvoice(id string) *problem {
	_, p := change(o, "adopt", func(p sdk.Params) (*sdk.Invoice, error) {
		return o.c.invoices.Update(id, &sdk.InvoiceParams{
			Params:      p,
			AutoAdvance: sdk.Bool(false),
			Metadata:    o.metadata("adopt"),
		})
	})
	if p == nil {
		return nil
	}
	if inv, rp := o.getInvoice(id); rp == nil && (inv.Status != sdk.InvoiceStatusDraft || !inv.AutoAdvance) {
		return nil
	}
	// The quote is accepted: only asking again can end this well.
	p.Status = gateway.StatusUnknown
	return p
}

// CancelQuote cancels it.
func (a *Adapter) CancelQuote(ctx context.Context, acc gateway.Account, c gateway.Call, quoteID string) (res gateway.QuoteResult) {
	o := a.begin(ctx, acc, c, "quote_cancel")
	defer o.end(&res.Outcome)
	q, p := change(o, "cancel", func(p sdk.Params) (*sdk.Quote, error) {
		return o.c.quotes.Cancel(quoteID, &sdk.QuoteCancelParams{Params: p})
	})
	if q, p = o.settleQuote(quoteID, q, p, sdk.QuoteStatusCanceled); p != nil {
		res.Outcome, res.QuoteID = p.Outcome, quoteID
		return res
	}
	return o.quoteResult(q)
}

// FetchQuote reads it.
func (a *Adapter) FetchQuote(ctx context.Context, acc gateway.Account, quoteID string) (res gateway.QuoteResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "quote_fetch")
	defer o.end(&res.Outcome)
	q, p := o.getQuote(quoteID)
	if p != nil {
		res.Outcome, res.QuoteID = p.Outcome, quoteID
		return res
	}
	return o.quoteResult(q)
}

func (o *operation) getQuote(id string) (*sdk.Quote, *problem) {
	return read(o, func(p sdk.Params) (*sdk.Quote, error) {
		return o.c.quotes.Get(id, &sdk.QuoteParams{Params: p})
	})
}

// settleQuote looks again where the answer to a change is old, lost for good
// or a refusal: the quote may already be in the state that was asked for.
func (o *operation) settleQuote(id string, q *sdk.Quote, p *problem, wanted ...sdk.QuoteStatus) (*sdk.Quote, *problem) {
	if p == nil && !o.replayed {
		return q, nil
	}
	if p != nil && !p.worthLooking() {
		return nil, p
	}
	now, rp := o.getQuote(id)
	if rp != nil {
		return nil, p.afterLooking(rp)
	}
	for _, status := range wanted {
		if now.Status == status {
			return now, nil
		}
	}
	if p == nil {
		return now, nil // the change was made, others followed
	}
	return nil, p
}

// quoteResult reports the quote.
func (o *operation) quoteResult(q *sdk.Quote) gateway.QuoteResult {
	state := gateway.QuoteState(q.Status)
	switch state {
	case gateway.QuoteDraft, gateway.QuoteOpen, gateway.QuoteAccepted, gateway.QuoteCanceled:
	default:
		return gateway.QuoteResult{QuoteID: q.ID, Outcome: unreadable(o.requestID, fmt.Errorf("quote %s is in the unknown state %q", q.ID, q.Status)).Outcome}
	}
	res := gateway.QuoteResult{
		Outcome: o.succeeded(),
		QuoteID: q.ID,
		State:   state,
	}
	if q.Customer != nil {
		res.CustomerID = q.Customer.ID
	}
	if q.Invoice != nil {
		res.InvoiceID = q.Invoice.ID
	}
	if q.Currency == "" {
		return res // a draft without lines
	}
	total, err := fromWire(q.AmountTotal, q.Currency)
	if err != nil {
		res.Outcome = unreadable(o.requestID, err).Outcome
		return res
	}
	res.Total = total
	return res
}
