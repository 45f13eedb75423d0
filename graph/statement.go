package graph

import (
	"context"
	"errors"
	"fmt"
	"time"

	"purser/billing"
	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/graph/model"
)

// statement is a payer's statement, of each payer of the operation at once.
func (r *Resolver) statement(ctx context.Context, p *ent.Payer, month, year int, currency string) (*model.Statement, error) {
	st, err := forPayer(ctx, p.ID, func(ids []string) (map[string]*billing.Statement, error) {
		return r.Billing.Statements(ctx, ids, currency, billing.Month{Year: year, Month: time.Month(month)})
	})
	var refusal *billing.Error
	switch {
	case errors.As(err, &refusal):
		return nil, badInputf("%s", refusal.Message)
	case err != nil || st == nil:
		return nil, err
	}
	c, err := r.currency(ctx, currency)
	if err != nil {
		return nil, err
	}
	return &model.Statement{
		Month: month, Year: year, Currency: c,
		PreviousBalance: &st.Previous, TopUps: &st.TopUps, Credits: &st.Credits,
		Usage: &st.Usage, Tax: &st.Tax, CurrentUsage: &st.Usage,
		CurrentTotalBalance: &st.Total, CurrentBalance: &st.Balance,
		ApproxTaxRate: st.TaxRate.Decimal(),
	}, nil
}

// asOf is what a balance was at a time, of each balance of the operation at
// once.
func (r *Resolver) asOf(ctx context.Context, b *ent.Balance, at time.Time) (*model.BalanceSnapshot, error) {
	s, err := forBalance(ctx, b.ID, func(ids []string) (map[string]*model.BalanceSnapshot, error) {
		return r.snapshots(ctx, ids, at)
	})
	if err == nil && s == nil {
		err = fmt.Errorf("read balance %s as of %s: it is gone", b.ID, at)
	}
	return s, err
}

func (r *Resolver) snapshots(ctx context.Context, balanceIDs []string, at time.Time) (map[string]*model.BalanceSnapshot, error) {
	found, err := r.Billing.BalancesAsOf(ctx, balanceIDs, at)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*model.BalanceSnapshot, len(found))
	var entries []string
	for id, s := range found {
		remaining := s.Remaining()
		out[id] = &model.BalanceSnapshot{At: s.At, Amount: &s.Amount, Usage: &s.Usage, Remaining: &remaining}
		if s.EntryID != "" {
			entries = append(entries, s.EntryID)
		}
	}
	asked := payload(ctx, "lastEntry")
	if len(asked) == 0 || len(entries) == 0 {
		return out, nil
	}
	q := r.client().LedgerEntry.Query().Where(ledgerentry.IDIn(entries...))
	for _, at := range asked {
		if q, err = q.CollectFields(at, "LedgerEntry", "Node"); err != nil {
			return nil, fmt.Errorf("shape last entries: %w", err)
		}
	}
	rows, err := q.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read last entries: %w", err)
	}
	byID := make(map[string]*ent.LedgerEntry, len(rows))
	for _, e := range rows {
		byID[e.ID] = e
	}
	for id, s := range found {
		out[id].LastEntry = byID[s.EntryID]
	}
	return out, nil
}
