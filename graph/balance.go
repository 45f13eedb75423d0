package graph

import (
	"context"

	"purser/billing"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/ledgerentry"
	"purser/graph/model"
	"purser/money"
)

// reload takes over the input of balanceReload. How many digits the amount
// may have depends on whether the currency is a virtual one, which the domain
// knows.
func (r *Resolver) reload(ctx context.Context, in model.BalanceReloadInput) (billing.Booking, error) {
	amount, err := money.Parse(in.Amount.Amount, in.Amount.Currency)
	if err != nil {
		return billing.Booking{}, amountRefused(err, "amount")
	}
	return r.Billing.ReloadBalance(ctx, billing.Reload{
		PayerID: in.PayerID, Amount: amount, Reference: in.Reference, Key: key(ctx, in.IdempotencyKey),
	})
}

// recordUsage takes over the input of usageRecord.
func (r *Resolver) recordUsage(ctx context.Context, in model.UsageRecordInput) (billing.Booking, error) {
	amount, err := money.Parse(in.Amount.Amount, in.Amount.Currency)
	if err != nil {
		return billing.Booking{}, amountRefused(err, "amount")
	}
	return r.Billing.RecordUsage(ctx, billing.Usage{
		PayerID: in.PayerID, Amount: amount, Description: in.Description, Metadata: in.Metadata,
		OccurredAt: in.OccurredAt, OnInsufficient: billing.OnInsufficient(in.OnInsufficient), Key: key(ctx, in.IdempotencyKey),
	})
}

// booked is what a mutation answers about an entry it has booked: the balance
// as it is now, and the entry.
func (r *Resolver) booked(ctx context.Context, made billing.Booking, err error) (*ent.Balance, *ent.LedgerEntry, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, nil, u, err
	}
	b, err := show(ctx, r.client().Balance.Query().Where(balance.ID(made.BalanceID)), "balance", "Balance")
	if err != nil {
		return nil, nil, u, err
	}
	e, err := show(ctx, r.client().LedgerEntry.Query().Where(ledgerentry.ID(made.EntryID)), "entry", "LedgerEntry")
	return b, e, u, err
}
