package billing

import (
	"context"
	"fmt"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/gateway"
	"purser/mail"
	"purser/money"
)

// What payers are told by mail of what happens to their payments.

// mailForPresent is how long a mail is held back about what a payer does in a
// session of its own: whoever is there sees it, and can put it right. What has
// been put right by then is not sent.
const mailForPresent = 10 * time.Minute

func heldBack(ctx context.Context) time.Duration {
	if auth.FromContext(ctx).IsSession() {
		return mailForPresent
	}
	return 0
}

// tellInvoiceTry tells the payer of an invoice that the charge of a saved card
// was declined, or that the bank wants to see the payer first. On the
// invoice's own page the payer sees that.
func (tx *Tx) tellInvoiceTry(ctx context.Context, p *ent.Payment, to payment.Status, r gateway.PaymentResult) error {
	charge := p.PaymentMethodID != nil || p.Recurring // what is charged by itself is told of also where there is no card
	if p.Purpose != payment.PurposeINVOICE || !charge || p.InvoiceID == nil || p.PayerID == nil {
		return nil
	}
	cost := p.Amount()
	f := mailFacts{InvoiceID: *p.InvoiceID, PaymentID: p.ID, Cost: &cost, after: heldBack(ctx)}
	switch {
	case to == payment.StatusFAILED && r.Status == gateway.StatusDeclined,
		// Given up by the gateway, not by us: that has no reason.
		to == payment.StatusCANCELED && p.Recurring && r.Failure != nil:
		// Whether it is tried again is read when the mail is written: dunning
		// decides on that after this, in the same transaction.
		f.Reason = failureMessage(r.Failure)
		return tx.queueMail(ctx, mail.ChargeFailed, *p.PayerID, f)
	case to == payment.StatusREQUIRES_ACTION && p.Status != payment.StatusREQUIRES_ACTION:
		return tx.tellActionRequired(ctx, p, f)
	}
	return nil
}

// tellActionRequired leads the payer to where the payment is confirmed: the
// invoice's own page, or the page of the payment here.
func (tx *Tx) tellActionRequired(ctx context.Context, p *ent.Payment, f mailFacts) error {
	i, err := tx.Invoice.Query().Where(invoice.ID(f.InvoiceID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read invoice %s: %w", f.InvoiceID, err)
	}
	if orEmpty(i.HostedURL) == "" {
		o, err := tx.tenant(ctx)
		if err != nil {
			return err
		}
		f.PayURL = tx.s.publicLink("thanks", o.Slug, p.PublicToken)
	}
	return tx.queueMail(ctx, mail.PaymentActionRequired, *p.PayerID, f)
}

func failureMessage(f *gateway.Failure) string {
	if f == nil {
		return ""
	}
	return cut(f.Message, 500)
}

// tellLowBalance tells that a balance has become low.
func (tx *Tx) tellLowBalance(ctx context.Context, low lowBalance) error {
	level, err := money.Parse(low.Level, low.Currency)
	if err != nil {
		return fmt.Errorf("level of balance %s: %w", low.BalanceID, err)
	}
	left, err := money.Parse(low.Left, low.Currency)
	if err != nil {
		return fmt.Errorf("rest of balance %s: %w", low.BalanceID, err)
	}
	return tx.queueMail(ctx, mail.BalanceLow, low.PayerID, mailFacts{BalanceID: low.BalanceID, Level: &level, Left: &left})
}

// tellReloadFailed tells that a reload was declined and is tried again.
func (tx *Tx) tellReloadFailed(ctx context.Context, b *ent.Balance, p *ent.Payment, r gateway.PaymentResult, again time.Time) error {
	cost := p.Amount()
	return tx.queueMail(ctx, mail.AutoReloadFailed, b.PayerID, mailFacts{
		BalanceID: b.ID, PaymentID: p.ID, Cost: &cost, Reason: failureMessage(r.Failure), NextAt: &again,
	})
}

// tellReloadStopped tells that reloads of a balance are suspended; where the
// payer has only to pay on a page, that, with the page.
func (tx *Tx) tellReloadStopped(ctx context.Context, n reloadSuspended, p *ent.Payment, why string) error {
	f := mailFacts{BalanceID: n.BalanceID, PaymentID: n.PaymentID, Reason: why}
	kind := mail.AutoReloadSuspended
	if p != nil {
		cost := p.Amount()
		f.Cost = &cost
		if n.Reason == SuspendedAuthentication || n.Reason == SuspendedNoCard {
			kind, f.PayURL = mail.AutoReloadAction, n.PayURL
		}
	}
	return tx.queueMail(ctx, kind, n.PayerID, f)
}
