package graph

import (
	"context"
	"time"

	"purser/billing"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/hold"
	"purser/ent/ledgerentry"
	"purser/graph/model"
	"purser/money"
)

// createHold takes over the input of holdCreate.
func (r *Resolver) createHold(ctx context.Context, in model.HoldCreateInput) (billing.HoldChange, error) {
	amount, err := money.Parse(in.Amount.Amount, in.Amount.Currency)
	if err != nil {
		return billing.HoldChange{}, amountRefused(err, "amount")
	}
	return r.Billing.CreateHold(ctx, billing.HoldDraft{
		PayerID: in.PayerID, Amount: amount, ExpiresIn: time.Duration(in.ExpiresIn) * time.Second,
		Description: in.Description, Key: key(ctx, in.IdempotencyKey),
	})
}

// captureHold takes over the input of holdCapture.
func (r *Resolver) captureHold(ctx context.Context, in model.HoldCaptureInput) (billing.HoldChange, error) {
	c := billing.HoldCapture{
		HoldID: in.ID, OnInsufficient: billing.OnInsufficient(in.OnInsufficient),
		Description: in.Description, Key: key(ctx, in.IdempotencyKey),
	}
	if in.Amount != nil {
		amount, err := money.Parse(in.Amount.Amount, in.Amount.Currency)
		if err != nil {
			return billing.HoldChange{}, amountRefused(err, "amount")
		}
		c.Amount = &amount
	}
	return r.Billing.CaptureHold(ctx, c)
}

// heldOn is what a mutation answers about a hold: the hold and its balance as
// they are now, and the entry of a capture.
func (r *Resolver) heldOn(ctx context.Context, made billing.HoldChange, err error) (*ent.Hold, *ent.Balance, *ent.LedgerEntry, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, nil, nil, u, err
	}
	h, err := show(ctx, r.client().Hold.Query().Where(hold.ID(made.HoldID)), "hold", "Hold")
	if err != nil {
		return nil, nil, nil, u, err
	}
	b, err := show(ctx, r.client().Balance.Query().Where(balance.ID(made.BalanceID)), "balance", "Balance")
	if err != nil || made.EntryID == "" {
		return h, b, nil, u, err
	}
	e, err := show(ctx, r.client().LedgerEntry.Query().Where(ledgerentry.ID(made.EntryID)), "entry", "LedgerEntry")
	return h, b, e, u, err
}
