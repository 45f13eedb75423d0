package graph

import (
	"context"
	"fmt"

	"purser/billing"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/ledgerentry"
	"purser/ent/paymentmethod"
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

// setAutoReload takes over the input of autoReloadSet.
func (r *Resolver) setAutoReload(ctx context.Context, in model.AutoReloadSetInput) (string, error) {
	d := billing.AutoReloadDraft{
		PayerID: in.PayerID, Currency: in.Currency, Enabled: in.Enabled,
		ProviderID: in.ProviderID, PaymentMethodID: in.PaymentMethodID,
	}
	for _, a := range []struct {
		given *model.MoneyInput
		into  **money.Amount
		field string
	}{
		{in.Threshold, &d.Threshold, "threshold"},
		{in.Amount, &d.Amount, "amount"},
		{in.DailyCap, &d.DailyCap, "dailyCap"},
		{in.MonthlyCap, &d.MonthlyCap, "monthlyCap"},
	} {
		if a.given == nil {
			continue
		}
		// A threshold is compared, not charged: it may have all digits.
		amount, err := money.Parse(a.given.Amount, a.given.Currency)
		if err != nil {
			return "", amountRefused(err, a.field)
		}
		*a.into = &amount
	}
	return r.Billing.SetAutoReload(ctx, d)
}

// reloadCard reads the card that a balance is reloaded from, for all balances
// of the operation at once; nil where none was chosen.
func (r *Resolver) reloadCard(ctx context.Context, a *ent.AutoReload) (*ent.PaymentMethod, error) {
	if a.PaymentMethodID == nil {
		return nil, nil
	}
	return forCard(ctx, *a.PaymentMethodID, func(ids []string) (map[string]*ent.PaymentMethod, error) {
		q, err := r.client().PaymentMethod.Query().Where(paymentmethod.IDIn(ids...)).CollectFields(ctx, "PaymentMethod", "Node")
		if err != nil {
			return nil, err
		}
		rows, err := q.All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read cards of reloads: %w", err)
		}
		found := make(map[string]*ent.PaymentMethod, len(rows))
		for _, m := range rows {
			found[m.ID] = m
		}
		return found, nil
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
