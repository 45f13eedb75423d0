package graph

import (
	"context"

	"purser/billing"
	"purser/ent"
	"purser/ent/invoice"
	"purser/gateway"
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

// payOnPage asks the gateway for a page on which a payment is made.
func (r *Resolver) payOnPage(ctx context.Context, c *billing.Call, page gateway.HostedPaymentRequest) error {
	ctx, cancel := r.calling(ctx)
	defer cancel()
	result := gateway.PaymentResult{Outcome: gateway.Unsupported(c.Kind, "show a payment page")}
	if pages, ok := gateway.Capability[gateway.HostedPayments](r.Gateways, c.Kind); ok {
		result = pages.StartHostedPayment(ctx, c.Account, c.Call, page)
	}
	return r.Billing.FinishPayment(ctx, c.ID, result)
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
