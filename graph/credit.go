package graph

import (
	"context"

	"purser/billing"
	"purser/graph/model"
	"purser/money"
)

// creditBalance takes over the input of balanceCredit.
func (r *Resolver) creditBalance(ctx context.Context, in model.BalanceCreditInput) (billing.Booking, error) {
	amount, err := money.Parse(in.Amount.Amount, in.Amount.Currency)
	if err != nil {
		return billing.Booking{}, amountRefused(err, "amount")
	}
	return r.Billing.CreditBalance(ctx, billing.Credit{
		PayerID: in.PayerID, Amount: amount, Reason: in.Reason, Month: in.Month, Year: in.Year, Key: key(ctx, in.IdempotencyKey),
	})
}

// adjustBalance takes over the input of balanceAdjust.
func (r *Resolver) adjustBalance(ctx context.Context, in model.BalanceAdjustInput) (billing.Booking, error) {
	amount, err := money.Parse(in.Amount.Amount, in.Amount.Currency)
	if err != nil {
		return billing.Booking{}, amountRefused(err, "amount")
	}
	return r.Billing.AdjustBalance(ctx, billing.Adjustment{
		PayerID: in.PayerID, Amount: amount, Reason: in.Reason, Key: key(ctx, in.IdempotencyKey),
	})
}
