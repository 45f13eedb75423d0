package graph

import (
	"context"

	"purser/billing"
	"purser/ent"
	"purser/ent/balance"
	"purser/graph/model"
	"purser/money"
)

// setCreditLimit takes over the input of creditLimitSet.
func (r *Resolver) setCreditLimit(ctx context.Context, in model.CreditLimitSetInput) (string, error) {
	amount, err := optionalExact(in.Amount, "amount")
	if err != nil {
		return "", err
	}
	return r.Billing.SetCreditLimit(ctx, billing.CreditLimitChange{PayerID: in.PayerID, Amount: amount, Currency: text(in.Currency)})
}

// setLowBalanceNotice takes over the input of lowBalanceNoticeSet.
func (r *Resolver) setLowBalanceNotice(ctx context.Context, in model.LowBalanceNoticeSetInput) (string, error) {
	level, err := optionalExact(in.Level, "level")
	if err != nil {
		return "", err
	}
	return r.Billing.SetLowBalanceNotice(ctx, billing.LowBalanceChange{
		PayerID: in.PayerID, Currency: in.Currency, Level: level, Percent: in.Percent,
	})
}

// optionalExact reads an amount in the ledger's full precision that may be
// left out.
func optionalExact(in *model.MoneyInput, field string) (*money.Amount, error) {
	if in == nil {
		return nil, nil
	}
	a, err := money.Parse(in.Amount, in.Currency)
	return &a, amountRefused(err, field)
}

// balanceSet is what a mutation answers about what is agreed for a balance.
func (r *Resolver) balanceSet(ctx context.Context, id string, err error) (*ent.Balance, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	b, err := show(ctx, r.client().Balance.Query().Where(balance.ID(id)), "balance", "Balance")
	return b, u, err
}
