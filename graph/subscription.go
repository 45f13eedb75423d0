package graph

import (
	"context"
	"errors"
	"fmt"

	"purser/billing"
	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/subscription"
	"purser/graph/model"
)

// subscriptionPayload shows the subscription after a mutation, or its refusal.
func (r *Resolver) subscriptionPayload(ctx context.Context, id string, err error) (*ent.Subscription, []*model.UserError, error) {
	refusals, err := refused(err)
	if err != nil || len(refusals) > 0 {
		return nil, refusals, err
	}
	sub, err := show(ctx, r.client().Subscription.Query().Where(subscription.ID(id)), "subscription", "Subscription")
	return sub, refusals, err
}

// subscriptionOfQuote shows the subscription that accepting a quote made.
func (r *Resolver) subscriptionOfQuote(ctx context.Context, quoteID string) (*ent.Subscription, error) {
	sub, err := show(ctx, r.client().Subscription.Query().Where(subscription.QuoteID(quoteID)), "subscription", "Subscription")
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return sub, err
}

// itemDrafts reads the positions of a subscription.
func itemDrafts(inputs []*model.SubscriptionItemInput) []billing.LineDraft {
	if inputs == nil {
		return nil
	}
	drafts := make([]billing.LineDraft, len(inputs))
	for i, in := range inputs {
		drafts[i] = billing.LineDraft{PriceID: in.PriceID, Quantity: in.Quantity}
	}
	return drafts
}

// firstCharge finalizes the first invoice of a subscription and charges its
// card. Where it is interrupted, the draft finalizes itself and the invoice is
// charged as any other. It returns the refusal that leaves the subscription
// INCOMPLETE.
func (r *Resolver) firstCharge(ctx context.Context, invoiceID, returnURL string) error {
	if err := r.finalizeDraft(ctx, invoiceID); err != nil {
		return err
	}
	card, err := r.Billing.SubscriptionCard(ctx, invoiceID)
	if err != nil {
		return err
	}
	if card == "" {
		return r.Billing.FirstInvoiceShortage(ctx, invoiceID)
	}
	key := "first charge of " + invoiceID
	begun, err := r.Billing.BeginInvoicePayment(ctx, billing.InvoicePayDraft{InvoiceID: invoiceID, PaymentMethodID: card, ReturnURL: returnURL, Key: &key})
	if refusal, _ := onlyRefusal(err); refusal != nil && refusal.Code == billing.CodeInvalidState {
		return nil // somebody else is charging it, or has: its payment tells
	}
	if err != nil {
		return err
	}
	return r.payInvoice(ctx, begun)
}

// finalizeDraft finalizes a draft that is to be finalized now, unless somebody
// has been quicker.
func (r *Resolver) finalizeDraft(ctx context.Context, invoiceID string) error {
	begun, err := r.Billing.BeginDraftFinalization(ctx, invoiceID)
	if err != nil || begun == nil {
		return err
	}
	return r.finalizeInvoice(ctx, begun)
}

// invoiceShown shows an invoice, or nothing for no id.
func (r *Resolver) invoiceShown(ctx context.Context, id string) (*ent.Invoice, error) {
	if id == "" {
		return nil, nil
	}
	return show(ctx, r.client().Invoice.Query().Where(invoice.ID(id)), "invoice", "Invoice")
}

// newestPayment shows the newest payment towards an invoice, or none.
func (r *Resolver) newestPayment(ctx context.Context, invoiceID string) (*ent.Payment, error) {
	id, err := r.client().Payment.Query().Where(payment.InvoiceID(invoiceID)).Order(ent.Desc(payment.FieldID)).FirstID(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read payments of invoice %s: %w", invoiceID, err)
	}
	return r.payment(ctx, id)
}

// shownPreview shows an invoice that would be; nil for none.
func shownPreview(p *billing.SubscriptionPreview) *model.SubscriptionPreview {
	if p == nil {
		return nil
	}
	out := &model.SubscriptionPreview{Subtotal: &p.Subtotal, Tax: &p.Tax, Total: &p.Total, BilledAt: p.BilledAt}
	for _, l := range p.LineItems {
		out.LineItems = append(out.LineItems, &model.SubscriptionPreviewLine{
			Description: l.Description, Quantity: l.Quantity, UnitAmount: &l.UnitAmount, Amount: &l.Amount,
		})
	}
	return out
}

// onlyRefusal keeps an error that is one for the caller to act on, beside what
// was made all the same.
func onlyRefusal(err error) (*billing.Error, error) {
	var refusal *billing.Error
	if errors.As(err, &refusal) {
		return refusal, nil
	}
	return nil, err
}
