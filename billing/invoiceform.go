package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/payment"
	"purser/gateway"
)

// An invoice that a gateway keeps can be paid in a form of the seller's own, by
// the gateway's library in the payer's browser or app. The form needs the client
// secret of the payment that waits behind the invoice. That is read from the
// gateway when it is asked for, and sealed; until then, and where the gateway
// cannot be asked, the payment leads to the invoice's page.

// formWanted is the invoice whose gateway is to be asked for the secret; nil
// where it is known already, or nothing waits any more.
func (s *Service) formWanted(ctx context.Context, invoiceID, paymentID string) (*DueInvoice, error) {
	p, err := s.read.Payment.Query().Where(payment.ID(paymentID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read payment %s: %w", paymentID, err)
	}
	if p.Status != payment.StatusREQUIRES_ACTION || p.ActionSecretSealed != nil {
		return nil, nil
	}
	return s.InvoiceToCheck(ctx, invoiceID)
}

// OfferInvoiceForm lets a payment that waits be made in a form of the seller's,
// by what the gateway said of its invoice, which is brought up to date as well.
// It may be called any number of times; a gateway that said nothing changes
// nothing.
func (s *Service) OfferInvoiceForm(ctx context.Context, invoiceID, paymentID string, r gateway.InvoiceResult) error {
	if !r.Known() {
		return nil
	}
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		if err := tx.applyInvoice(ctx, invoiceID, r); err != nil {
			return err
		}
		p, err := tx.lockPayment(ctx, paymentID)
		if err != nil {
			return fmt.Errorf("read payment %s: %w", paymentID, err)
		}
		if p.Status != payment.StatusREQUIRES_ACTION || r.ClientSecret == "" {
			return nil
		}
		return tx.waitElsewhere(ctx, p, gateway.NextAction{ClientSecret: r.ClientSecret})
	})
}

// leaveForm leads the payer of a payment that waited in a form to a page.
func (tx *Tx) leaveForm(ctx context.Context, p *ent.Payment, page string) error {
	return tx.waitElsewhere(ctx, p, gateway.NextAction{RedirectURL: page})
}

// waitElsewhere says anew what the payer of a payment that waits must do.
func (tx *Tx) waitElsewhere(ctx context.Context, p *ent.Payment, a gateway.NextAction) error {
	u := tx.Payment.Update().Where(payment.ID(p.ID), payment.StatusEQ(p.Status)).SetUpdatedAt(tx.Now)
	if err := tx.setAction(ctx, u, p, p.Status, a); err != nil {
		return err
	}
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("lead the payer of payment %s elsewhere: %w", p.ID, err)
	}
	tx.changed(ctx, ChangePayment, p.ID, orEmpty(p.PayerID))
	return nil
}
