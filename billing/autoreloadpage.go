package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/payment"
	"purser/gateway"
)

// A reload that needs its payer, because there is no card or because the bank
// wants to see who pays, is offered on the gateway's page: the payment behind
// the card that was not let through is given up first, so that only one can be
// paid.

// needsPayer reports whether a reload is suspended until the payer has paid.
func needsPayer(b *ent.Balance) bool {
	return b.AutoReloadSuspendedReason == SuspendedAuthentication || b.AutoReloadSuspendedReason == SuspendedNoCard
}

// beginReloadPage stores that the payer is to pay a reload on a page.
func (tx *Tx) beginReloadPage(ctx context.Context, callID string, p *ent.Payer, row *ent.Payment) (*BegunReload, error) {
	customer, err := tx.customer(ctx, p, row.ProviderID)
	if err != nil {
		return nil, err
	}
	o, err := tx.tenant(ctx)
	if err != nil {
		return nil, err
	}
	page := tx.pageRequest(o, row, customer, "Reload "+row.Amount().String())
	out := &BegunReload{PaymentID: row.ID, Page: &page}
	return out, tx.openCall(ctx, callID, row.ProviderID, gatewaycall.OperationHOSTED_PAYMENT, row.ID, out.Page)
}

// reloadNeedsPayer notes that a reload waits for its payer: with a page to go
// to, of which the payer is told, or else for a page to be made.
func (tx *Tx) reloadNeedsPayer(ctx context.Context, b *ent.Balance, p *ent.Payment, r gateway.PaymentResult) error {
	after := *b
	if after.AutoReloadSuspendedReason == "" {
		after.AutoReloadSuspendedReason = SuspendedAuthentication
	}
	switch {
	case r.NextAction.RedirectURL == "":
		after.AutoReloadDueAt = &tx.Now
	case p.ActionURL == "": // it was not told before
		if err := tx.tellSuspended(ctx, b, after.AutoReloadSuspendedReason, p, ""); err != nil {
			return err
		}
	}
	return tx.writeBalance(ctx, b, &after, "")
}

// beginReloadCancel stores that the payment which is in flight for a balance is
// to be given up; nil where it does not wait for its payer any more.
func (tx *Tx) beginReloadCancel(ctx context.Context, callID string, b *ent.Balance) (*BegunReload, error) {
	p, err := tx.Payment.Query().Where(payment.ID(*b.AutoReloadPaymentID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read payment %s: %w", *b.AutoReloadPaymentID, err)
	}
	after := *b
	after.AutoReloadDueAt = nil
	if err := tx.writeBalance(ctx, b, &after, ""); err != nil {
		return nil, err
	}
	if p.Status != payment.StatusREQUIRES_ACTION {
		return nil, nil // what is next is decided when it ends
	}
	out := &BegunReload{PaymentID: p.ID, Cancel: &gateway.CancelRequest{
		ReferenceID: orEmpty(p.ReferenceID), GatewayPaymentID: orEmpty(p.GatewayPaymentID),
	}}
	return out, tx.openCall(ctx, callID, p.ProviderID, gatewaycall.OperationPAYMENT_CANCEL, p.ID, out.Cancel)
}

// cancelLater has a payment given up later that is still in flight.
func (tx *Tx) cancelLater(ctx context.Context, id string) error {
	p, err := tx.Payment.Query().Where(payment.ID(id)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read payment %s: %w", id, err)
	}
	b, err := tx.lockBalance(ctx, orEmpty(p.BalanceID))
	if err != nil || orEmpty(b.AutoReloadPaymentID) != id {
		return err
	}
	due := tx.Now.Add(reloadUnreached)
	after := *b
	after.AutoReloadDueAt = &due
	return tx.writeBalance(ctx, b, &after, "")
}

// FinishReloadCancel applies what became of giving up a reload. It may be
// called any number of times. One that could not be given up is tried again.
func (s *Service) FinishReloadCancel(ctx context.Context, callID string, r gateway.PaymentResult) error {
	err := s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		c, v, err := tx.settleCall(ctx, callID, r.Outcome)
		if err != nil {
			return err
		}
		switch v {
		case verdictDone:
			return tx.applyPayment(ctx, c.Subject, r)
		case verdictFreed:
			return tx.cancelLater(ctx, c.Subject)
		case verdictAgain, verdictKnown: // somebody asks, or has asked
		}
		return nil
	})
	if err != nil {
		return s.finishFailed(ctx, callID, err)
	}
	return nil
}
