package billing

import (
	"context"
	"fmt"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/predicate"
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
	if p.Purpose != payment.PurposeINVOICE || p.PaymentMethodID == nil || p.InvoiceID == nil || p.PayerID == nil {
		return nil
	}
	cost := p.Amount()
	f := mailFacts{InvoiceID: *p.InvoiceID, PaymentID: p.ID, Cost: &cost, after: heldBack(ctx)}
	switch {
	case to == payment.StatusFAILED && r.Status == gateway.StatusDeclined:
		// Whether it is tried again is read when the mail is written: dunning
		// decides on that after this, in the same transaction.
		f.Reason = failureMessage(r)
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

func failureMessage(r gateway.PaymentResult) string {
	if r.Failure == nil {
		return ""
	}
	return cut(r.Failure.Message, 500)
}

// tellPaid thanks for an invoice that was paid; one that cost nothing is not
// worth a mail.
func (tx *Tx) tellPaid(ctx context.Context, i *ent.Invoice) error {
	total := i.Total()
	if total.Sign() <= 0 {
		return nil
	}
	return tx.queueMail(ctx, mail.InvoicePaid, i.PayerID, mailFacts{InvoiceID: i.ID})
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
		BalanceID: b.ID, PaymentID: p.ID, Cost: &cost, Reason: failureMessage(r), NextAt: &again,
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

// expiryNotice is how long before a card ends its payer is told.
const expiryNotice = 10 * 24 * time.Hour

// expiryNoticeAt is when the payer of a card is told that it ends, which is
// with the month that is printed on it; nil where that is over, or not known.
func expiryNoticeAt(year, month int, now time.Time) *time.Time {
	at := time.Date(year, time.Month(month)+1, 1, 0, 0, 0, 0, time.UTC).Add(-expiryNotice)
	if year == 0 || !at.After(now) {
		return nil
	}
	return &at
}

func cardNoticeDue(now time.Time) predicate.PaymentMethod {
	return paymentmethod.ExpiryNoticeAtLTE(now)
}

// DueCardNotices lists cards of the viewer's organization that end soon and
// whose payers have not been told.
func (s *Service) DueCardNotices(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.PaymentMethod.Query().Where(cardNoticeDue(s.now())).
		Order(ent.Asc(paymentmethod.FieldExpiryNoticeAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list cards that end: %w", err)
	}
	return ids, nil
}

// TellCardExpiring tells the payer of a card that it ends, once.
func (s *Service) TellCardExpiring(ctx context.Context, id string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		c, err := tx.PaymentMethod.Query().Where(paymentmethod.ID(id), cardNoticeDue(tx.Now)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read card %s: %w", id, err)
		}
		err = cas(tx.PaymentMethod.Update().Where(paymentmethod.ID(id), cardNoticeDue(tx.Now)).ClearExpiryNoticeAt().Save(ctx))
		if err != nil {
			return fmt.Errorf("note that card %s was told of: %w", id, err)
		}
		if c.Status != paymentmethod.StatusACTIVE {
			return nil
		}
		return tx.queueMail(ctx, mail.CardExpiring, c.PayerID, mailFacts{CardID: id})
	})
}
