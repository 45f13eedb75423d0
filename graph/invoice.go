package graph

import (
	"context"

	"purser/billing"
	"purser/ent"
	"purser/ent/invoice"
	"purser/graph/model"
)

// invoicePayload shows the invoice after a mutation, or its refusal.
func (r *Resolver) invoicePayload(ctx context.Context, id string, err error) (*ent.Invoice, []*model.UserError, error) {
	refusals, err := refused(err)
	if err != nil || len(refusals) > 0 {
		return nil, refusals, err
	}
	i, err := show(ctx, r.client().Invoice.Query().Where(invoice.ID(id)), "invoice", "Invoice")
	return i, refusals, err
}

// invoiceDocument is the address of an invoice's document, from finalization
// on.
func invoiceDocument(b *billing.Service, slug string, i *ent.Invoice) *string {
	if i.FinalizedAt == nil {
		return nil
	}
	u := b.InvoiceDocumentURL(slug, i)
	return &u
}
