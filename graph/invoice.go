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

// finalizeInvoice asks the gateway for the finalization of an invoice that was
// begun.
func (r *Resolver) finalizeInvoice(ctx context.Context, begun *billing.InvoiceFinalization) error {
	if begun.Call == nil {
		return nil
	}
	ctx, cancel := r.calling(ctx)
	defer cancel()
	result := gateway.InvoiceResult{Outcome: gateway.Unsupported(begun.Kind, "keep invoices")}
	if invoices, ok := gateway.Capability[gateway.Invoices](r.Gateways, begun.Kind); ok {
		result = invoices.FinalizeInvoice(ctx, begun.Account, begun.Call.Call, begun.Request)
	}
	return r.Billing.FinishInvoiceFinalization(ctx, begun.ID, result)
}

// voidInvoice takes an invoice back, at its gateway as well.
func (r *Resolver) voidInvoice(ctx context.Context, id string) error {
	begun, err := r.Billing.BeginInvoiceVoid(ctx, id)
	if err != nil || begun.Call == nil {
		return err
	}
	ctx, cancel := r.calling(ctx)
	defer cancel()
	result := gateway.InvoiceResult{Outcome: gateway.Unsupported(begun.Kind, "keep invoices")}
	invoices, ok := gateway.Capability[gateway.Invoices](r.Gateways, begun.Kind)
	switch {
	case ok && begun.Draft:
		result = invoices.DeleteDraftInvoice(ctx, begun.Account, begun.Call.Call, begun.GatewayInvoiceID)
	case ok:
		result = invoices.VoidInvoice(ctx, begun.Account, begun.Call.Call, begun.GatewayInvoiceID)
	}
	return r.Billing.FinishInvoiceVoid(ctx, begun.ID, result)
}

// payInvoice asks the gateway for the payment of an invoice that was begun.
func (r *Resolver) payInvoice(ctx context.Context, begun *billing.InvoicePayment) error {
	switch {
	case begun.Form != nil:
		form := begun.Form
		ctx, cancel := r.calling(ctx)
		defer cancel()
		result := r.Gateways.FetchInvoice(ctx, form.Account, form.GatewayInvoiceID)
		return r.Billing.OfferInvoiceForm(ctx, form.InvoiceID, begun.PaymentID, result)
	case begun.Call == nil:
		return nil
	case begun.Page != nil:
		return r.payOnPage(ctx, begun.Call, *begun.Page)
	case begun.Direct != nil:
		return r.chargeCard(ctx, begun.Call, *begun.Direct)
	}
	ctx, cancel := r.calling(ctx)
	defer cancel()
	result := gateway.InvoiceResult{Outcome: gateway.Unsupported(begun.Kind, "keep invoices")}
	invoices, ok := gateway.Capability[gateway.Invoices](r.Gateways, begun.Kind)
	switch {
	case ok && begun.OutOfBand:
		result = invoices.SettleInvoice(ctx, begun.Account, begun.Call.Call, begun.Request.InvoiceID)
	case ok:
		result = invoices.PayInvoice(ctx, begun.Account, begun.Call.Call, begun.Request)
	}
	return r.Billing.FinishInvoicePayment(ctx, begun.ID, result)
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

// chargeCard asks the gateway for a charge of a saved card.
func (r *Resolver) chargeCard(ctx context.Context, c *billing.Call, request gateway.ChargeRequest) error {
	ctx, cancel := r.calling(ctx)
	defer cancel()
	result := gateway.PaymentResult{Outcome: gateway.Unsupported(c.Kind, "charge a saved card")}
	if charges, ok := gateway.Capability[gateway.Charges](r.Gateways, c.Kind); ok {
		result = charges.ChargeCard(ctx, c.Account, c.Call, request)
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
