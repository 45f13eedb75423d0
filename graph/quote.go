package graph

import (
	"context"

	"purser/billing"
	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/quote"
	"purser/graph/model"
)

// quotePayload shows the quote after a mutation, or its refusal.
func (r *Resolver) quotePayload(ctx context.Context, id string, err error) (*ent.Quote, []*model.UserError, error) {
	refusals, err := refused(err)
	if err != nil || len(refusals) > 0 {
		return nil, refusals, err
	}
	q, err := show(ctx, r.client().Quote.Query().Where(quote.ID(id)), "quote", "Quote")
	return q, refusals, err
}

// invoiceOfQuote shows the invoice that accepting a quote made.
func (r *Resolver) invoiceOfQuote(ctx context.Context, quoteID string) (*ent.Invoice, error) {
	i, err := show(ctx, r.client().Invoice.Query().Where(invoice.QuoteID(quoteID)), "invoice", "Invoice")
	if ent.IsNotFound(err) {
		return nil, nil // the acceptance is still under way
	}
	return i, err
}

// quoteDocument is the address of a quote's document, from finalization on.
func quoteDocument(b *billing.Service, slug string, q *ent.Quote) *string {
	if q.FinalizedAt == nil {
		return nil
	}
	u := b.QuoteDocumentURL(slug, q)
	return &u
}
