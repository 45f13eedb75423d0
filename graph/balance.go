package graph

import (
	"context"
	"fmt"

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
// as it is now, and the entry. What the document does not ask for is not read.
func (r *Resolver) booked(ctx context.Context, made billing.Booking, err error) (*ent.Balance, *ent.LedgerEntry, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, nil, u, err
	}
	var b *ent.Balance
	if asked := payload(ctx, "balance"); asked != ctx {
		q, err := r.client().Balance.Query().Where(balance.ID(made.BalanceID)).CollectFields(asked, "Balance", "Node")
		if err == nil {
			b, err = q.Only(ctx)
		}
		if err != nil {
			return nil, nil, u, fmt.Errorf("read balance %s: %w", made.BalanceID, err)
		}
	}
	var e *ent.LedgerEntry
	if asked := payload(ctx, "entry"); asked != ctx {
		q, err := r.client().LedgerEntry.Query().Where(ledgerentry.ID(made.EntryID)).CollectFields(asked, "LedgerEntry", "Node")
		if err == nil {
			e, err = q.Only(ctx)
		}
		if err != nil {
			return nil, nil, u, fmt.Errorf("read entry %s: %w", made.EntryID, err)
		}
	}
	return b, e, u, nil
}
