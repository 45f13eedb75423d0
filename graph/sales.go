package graph

import (
	"context"
	"fmt"

	"purser/billing"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/quote"
	"purser/ent/refund"
	"purser/ent/schema"
	"purser/gateway"
	"purser/graph/model"
	"purser/money"
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

// invoicePayload shows the invoice after a mutation, or its refusal.
func (r *Resolver) invoicePayload(ctx context.Context, id string, err error) (*ent.Invoice, []*model.UserError, error) {
	refusals, err := refused(err)
	if err != nil || len(refusals) > 0 {
		return nil, refusals, err
	}
	i, err := show(ctx, r.client().Invoice.Query().Where(invoice.ID(id)), "invoice", "Invoice")
	return i, refusals, err
}

// invoiceOfQuote shows the invoice that accepting a quote made.
func (r *Resolver) invoiceOfQuote(ctx context.Context, quoteID string) (*ent.Invoice, error) {
	i, err := show(ctx, r.client().Invoice.Query().Where(invoice.QuoteID(quoteID)), "invoice", "Invoice")
	if ent.IsNotFound(err) {
		return nil, nil // the acceptance is still under way
	}
	return i, err
}

// payment shows a payment after a mutation.
func (r *Resolver) payment(ctx context.Context, id string) (*ent.Payment, error) {
	return show(ctx, r.client().Payment.Query().Where(payment.ID(id)), "payment", "Payment")
}

// paymentAndBalance shows a top-up with the balance it was for.
func (r *Resolver) paymentAndBalance(ctx context.Context, id string) (*ent.Payment, *ent.Balance, error) {
	p, err := r.payment(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	row, err := r.client().Payment.Query().Where(payment.ID(id)).Only(ctx)
	if err != nil || row.BalanceID == nil {
		return p, nil, err
	}
	b, err := show(ctx, r.client().Balance.Query().Where(balance.ID(*row.BalanceID)), "balance", "Balance")
	return p, b, err
}

// beginRefund takes over the input of paymentRefund.
func (r *Resolver) beginRefund(ctx context.Context, in model.PaymentRefundInput) (*billing.BegunRefund, error) {
	d := billing.RefundDraft{PaymentID: in.ID, Reason: in.Reason, Key: key(ctx, in.IdempotencyKey)}
	if in.Amount != nil {
		amount, err := minorAmount(in.Amount, "amount")
		if err != nil {
			return nil, err
		}
		d.Amount = &amount
	}
	return r.Billing.BeginRefund(ctx, d)
}

// refundAndPayment shows a refund with the payment that it was taken from.
func (r *Resolver) refundAndPayment(ctx context.Context, refundID, paymentID string) (*ent.Refund, *ent.Payment, error) {
	back, err := show(ctx, r.client().Refund.Query().Where(refund.ID(refundID)), "refund", "Refund")
	if err != nil {
		return nil, nil, err
	}
	p, err := r.payment(ctx, paymentID)
	return back, p, err
}

// paymentMethod shows a saved card after a mutation.
func (r *Resolver) paymentMethod(ctx context.Context, id string) (*ent.PaymentMethod, error) {
	return show(ctx, r.client().PaymentMethod.Query().Where(paymentmethod.ID(id)), "paymentMethod", "PaymentMethod")
}

// paymentMethodAndAction shows a card that is being saved with what its payer
// must still do.
func (r *Resolver) paymentMethodAndAction(ctx context.Context, id string) (*ent.PaymentMethod, model.NextAction, error) {
	shown, err := r.paymentMethod(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	m, err := r.client().PaymentMethod.Query().Where(paymentmethod.ID(id)).Only(ctx)
	if err != nil {
		return nil, nil, err
	}
	if m.ActionURL != "" {
		return shown, &model.RedirectAction{URL: m.ActionURL}, nil
	}
	secret, err := r.Billing.CardClientSecret(m)
	if err != nil || secret == "" {
		return shown, nil, err
	}
	key, err := r.Billing.PublishableKey(ctx, m.ProviderID)
	if err != nil {
		return nil, nil, err
	}
	return shown, &model.ClientSecretAction{ClientSecret: secret, PublishableKey: key}, nil
}

// lineDrafts reads positions with their amounts.
func lineDrafts(inputs []*model.LineItemInput) ([]billing.LineDraft, error) {
	drafts := make([]billing.LineDraft, len(inputs))
	for i, in := range inputs {
		var err error
		if drafts[i], err = lineDraft(in, fmt.Sprintf("lineItems.%d", i)); err != nil {
			return nil, err
		}
	}
	return drafts, nil
}

// lineDraft reads a position with its amount and rate.
func lineDraft(in *model.LineItemInput, field string) (billing.LineDraft, error) {
	d := billing.LineDraft{PriceID: text(in.PriceID), Description: text(in.Description), Quantity: in.Quantity}
	if in.UnitAmount != nil {
		a, err := money.ParseLine(in.UnitAmount.Amount, in.UnitAmount.Currency)
		if err != nil {
			return d, amountRefused(err, field+".unitAmount")
		}
		d.UnitAmount = &a
	}
	if in.TaxRate != nil {
		r, err := money.ParseRate(*in.TaxRate)
		if err != nil {
			return d, rateRefused(err, field+".taxRate")
		}
		d.TaxRate = &r
	}
	return d, nil
}

// minorAmount reads an amount that a gateway is to move: whole minor units.
func minorAmount(in *model.MoneyInput, field string) (money.Amount, error) {
	a, err := money.ParseMinor(in.Amount, in.Currency)
	return a, amountRefused(err, field)
}

// returnURLs are where the browser goes after a hosted page.
func returnURLs(in *model.ReturnUrlsInput) schema.ReturnURLs {
	if in == nil {
		return schema.ReturnURLs{}
	}
	return schema.ReturnURLs{
		Success: text(in.Success), Failure: text(in.Failure), Pending: text(in.Pending), Cancel: text(in.Cancel), Error: text(in.Error),
	}
}
