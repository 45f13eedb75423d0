package graph

import (
	"context"
	"fmt"
	"slices"
	"strconv"

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
		PayerID: in.PayerID, Amount: amount, Reference: in.Reference,
		ProviderTxID: in.ProviderTxID, TxReference: in.TxReference, GatewayTxReference: in.GatewayTxReference,
		PriceID: text(in.PriceID), Key: key(ctx, in.IdempotencyKey),
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
	u, err := usage(in)
	if err != nil {
		return billing.Booking{}, err
	}
	u.Key = key(ctx, in.IdempotencyKey)
	return r.Billing.RecordUsage(ctx, u)
}

// usage is an event as the domain has it, with the key that stands in it.
func usage(in model.UsageRecordInput) (billing.Usage, error) {
	amount, err := money.Parse(in.Amount.Amount, in.Amount.Currency)
	if err != nil {
		return billing.Usage{}, amountRefused(err, "amount")
	}
	return billing.Usage{
		PayerID: in.PayerID, Amount: amount, Description: in.Description, Metadata: in.Metadata,
		OccurredAt: in.OccurredAt, OnInsufficient: billing.OnInsufficient(in.OnInsufficient), Key: in.IdempotencyKey,
	}, nil
}

// recordBatch takes over the input of usageRecordBatch. An event whose amount
// cannot be read is refused like any other.
func (r *Resolver) recordBatch(ctx context.Context, in model.UsageRecordBatchInput) ([]*model.UsageRecordResult, error) {
	outcomes := make([]billing.UsageOutcome, len(in.Events))
	var events []billing.Usage
	var places []int
	for i, e := range in.Events {
		u, err := usage(*e)
		if outcomes[i].Err = err; err == nil {
			events, places = append(events, u), append(places, i)
		}
	}
	if len(events) > 0 || len(in.Events) == 0 {
		recorded, err := r.Billing.RecordUsageBatch(ctx, events)
		if err != nil {
			return nil, err
		}
		for i, o := range recorded {
			outcomes[places[i]] = o
		}
	}
	entries, err := r.entriesOf(ctx, outcomes)
	if err != nil {
		return nil, err
	}
	results := make([]*model.UsageRecordResult, len(outcomes))
	for i, o := range outcomes {
		u, err := refusedAt(o.Err, "events", strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		results[i] = &model.UsageRecordResult{Entry: entries[o.EntryID], UserErrors: u}
	}
	return results, nil
}

// entriesAtOnce is how many entries are read by one statement.
const entriesAtOnce = 250

// entriesOf reads the entries of a batch in the shape that the document asks
// for, by id.
func (r *Resolver) entriesOf(ctx context.Context, outcomes []billing.UsageOutcome) (map[string]*ent.LedgerEntry, error) {
	asked := payload(ctx, "results", "entry")
	if len(asked) == 0 {
		return nil, nil
	}
	var ids []string
	for _, o := range outcomes {
		if o.Err == nil {
			ids = append(ids, o.EntryID)
		}
	}
	found := make(map[string]*ent.LedgerEntry, len(ids))
	if onlyIDs(asked) {
		for _, id := range ids {
			found[id] = &ent.LedgerEntry{ID: id}
		}
		return found, nil
	}
	for some := range slices.Chunk(ids, entriesAtOnce) {
		q := r.client().LedgerEntry.Query().Where(ledgerentry.IDIn(some...))
		for _, at := range asked {
			var err error
			if q, err = q.CollectFields(at, "LedgerEntry", "Node"); err != nil {
				return nil, fmt.Errorf("shape entry: %w", err)
			}
		}
		rows, err := q.All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read entries: %w", err)
		}
		for _, e := range rows {
			found[e.ID] = e
		}
	}
	return found, nil
}

// reverseUsage takes over the input of usageReverse.
func (r *Resolver) reverseUsage(ctx context.Context, in model.UsageReverseInput) (billing.Booking, error) {
	reversal := billing.UsageReversal{EntryID: in.EntryID, Reason: in.Reason, Key: key(ctx, in.IdempotencyKey)}
	if in.Amount != nil {
		amount, err := money.Parse(in.Amount.Amount, in.Amount.Currency)
		if err != nil {
			return billing.Booking{}, amountRefused(err, "amount")
		}
		reversal.Amount = &amount
	}
	return r.Billing.ReverseUsage(ctx, reversal)
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
	if onlyIDs(payload(ctx, "entry")) {
		return b, &ent.LedgerEntry{ID: made.EntryID}, u, nil
	}
	e, err := show(ctx, r.client().LedgerEntry.Query().Where(ledgerentry.ID(made.EntryID)), "entry", "LedgerEntry")
	return b, e, u, err
}
