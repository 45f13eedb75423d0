package graph

import (
	"context"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/payment"
	"purser/ent/schema"
	"purser/graph/model"
	"purser/money"
)

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
