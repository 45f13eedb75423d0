package billing

import (
	"context"
	"fmt"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/provider"
	"purser/ent/schema"
	"purser/ent/subscription"
	"purser/ent/subscriptionitem"
	"purser/money"
)

// Proration says what becomes of the running period when items change.
type Proration string

// What is left of the period is settled with the next invoice, or billed at
// once where that comes to something that can be charged, or left as it is.
const (
	ProrationNextInvoice Proration = "NEXT_INVOICE"
	ProrationInvoiceNow  Proration = "INVOICE_NOW"
	ProrationNone        Proration = "NONE"
)

// SubscriptionChange is what a subscription is to be from now on.
type SubscriptionChange struct {
	ID        string
	Items     []LineDraft
	Proration Proration
	Key       *string `json:"-"`
}

// pendingMax bounds the positions that wait for one invoice.
const pendingMax = 100

// UpdateSubscription changes the items of a subscription. It returns the draft
// of the invoice that bills the change at once, or "".
//
// Codes: REQUIRED, NOT_FOUND, INVALID, INVALID_STATE, CURRENCY_MISMATCH,
// LIMIT_EXCEEDED, IDEMPOTENCY_KEY_REUSED.
func (s *Service) UpdateSubscription(ctx context.Context, d SubscriptionChange) (string, error) {
	op, err := s.newOperation("subscriptionUpdate", d.Key, keyRequired, d)
	if err != nil {
		return "", err
	}
	newInvoice := s.newID(prefixInvoice)
	var invoiceID string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			invoiceID = earlier.SecondSubject
			return nil
		}
		invoiceID = ""
		plan, err := tx.planChange(ctx, d)
		if err != nil {
			return err
		}
		sub := plan.sub
		if _, err := tx.SubscriptionItem.Delete().Where(subscriptionitem.SubscriptionID(sub.ID)).Exec(ctx); err != nil {
			return fmt.Errorf("remove items: %w", err)
		}
		if err := tx.writeItems(ctx, sub.ID, plan.items); err != nil {
			return err
		}
		u := tx.changeSubscription(sub).SetAmountUnits(plan.amount.Units).SetPendingLines(plan.pending)
		if plan.now != nil {
			invoiceID = newInvoice
			c, err := tx.subscriptionInvoice(ctx, sub, tx.draftAskedFor(invoiceID), plan.now)
			if err != nil {
				return err
			}
			if err := tx.saveInvoice(ctx, c, plan.now); err != nil {
				return err
			}
			u.SetLatestInvoiceID(invoiceID)
		}
		if err := saveSubscription(ctx, sub, u); err != nil {
			return err
		}
		return tx.remember(ctx, op, sub.ID, invoiceID, "")
	})
	return invoiceID, err
}

// changePlan is what a change of items comes to.
type changePlan struct {
	sub     *ent.Subscription
	items   []line
	amount  money.Amount
	pending []schema.PendingLine // what waits for the next invoice
	now     []line               // what is billed at once; nil for nothing
}

// planChange works a change out and writes nothing.
func (tx *Tx) planChange(ctx context.Context, d SubscriptionChange) (changePlan, error) {
	var plan changePlan
	if _, err := tx.organization(ctx); err != nil {
		return plan, err
	}
	sub, err := tx.lockSubscription(ctx, d.ID)
	if err != nil {
		return plan, err
	}
	plan.sub = sub
	old, err := tx.itemsOf(ctx, sub.ID)
	if err != nil {
		return plan, err
	}
	if plan.items = old; d.Items != nil {
		if err := changeable(sub); err != nil {
			return plan, err
		}
		if _, err := tx.payerToSell(ctx, sub.PayerID, "id"); err != nil {
			return plan, err
		}
		if plan.items, err = tx.itemLines(ctx, d.Items); err != nil {
			return plan, err
		}
		if err := fitsSubscription(sub, plan.items); err != nil {
			return plan, err
		}
	}
	if plan.amount, err = sumOfLines(plan.items); err != nil {
		return plan, err
	}
	plan.pending = sub.PendingLines
	if d.Items == nil {
		return plan, nil
	}
	if d.Proration != ProrationNone {
		settled, err := prorate(sub, old, plan.items, tx.Now)
		if err != nil {
			return plan, err
		}
		plan.pending = append(plan.pending, settled...)
	}
	if len(plan.pending) > pendingMax {
		return plan, refuse(CodeLimitExceeded, "id", "%d positions wait for the next invoice: bill them with proration INVOICE_NOW", len(plan.pending))
	}
	if d.Proration != ProrationInvoiceNow || len(plan.pending) == 0 {
		return plan, nil
	}
	now := pendingLinesOf(plan.pending, sub.Currency)
	sum, err := sumOfLines(now)
	if err != nil || sum.Sign() <= 0 {
		return plan, err // in the payer's favour: with the next invoice
	}
	if small, err := tx.belowCharge(ctx, sub, sum); err != nil || small {
		return plan, err // nobody could charge it
	}
	plan.now, plan.pending = now, []schema.PendingLine{}
	return plan, nil
}

// belowCharge says whether an amount is less than the gateway of a subscription
// charges a card for: an invoice of it would stay open for ever.
func (tx *Tx) belowCharge(ctx context.Context, sub *ent.Subscription, a money.Amount) (bool, error) {
	if sub.Collection != subscription.CollectionAUTOMATIC || sub.ProviderID == nil || !money.IsISO(a.Currency) {
		return false, nil
	}
	account, err := tx.Provider.Query().Where(provider.ID(*sub.ProviderID)).Only(ctx)
	if err != nil {
		return false, fmt.Errorf("read provider %s: %w", *sub.ProviderID, err)
	}
	return tooSmall(a, account.Kind), nil
}

// changeable refuses to change the items of a subscription that does not run,
// or whose first invoice is what was sold.
func changeable(sub *ent.Subscription) error {
	switch sub.Status {
	case subscription.StatusACTIVE, subscription.StatusPAST_DUE, subscription.StatusTRIALING:
		return nil
	case subscription.StatusSCHEDULED:
		if sub.QuoteID == nil {
			return nil
		}
		return refuse(CodeInvalidState, "id", "the subscription begins on %s with what was sold by its quote: change it then", sub.StartsAt.Format(time.DateOnly))
	default:
		return refuse(CodeInvalidState, "id", "the subscription is %s", sub.Status)
	}
}

// fitsSubscription refuses positions that a subscription's period cannot bill.
// Those with another interval are: periods are counted from the anchor, so that
// month ends are kept and none is billed twice, and a period of another length
// would need another anchor, with what was paid for until then settled against
// a time that does not end with any period. Whoever moves from months to years
// ends the subscription (at once, or with its period) and begins another; what
// is left of a period that was paid is given back by a credit note.
func fitsSubscription(sub *ent.Subscription, items []line) error {
	every, err := recurrenceOfLines(items, "items")
	if err != nil {
		return err
	}
	if string(every.interval) != string(sub.RecurrenceInterval) || every.count != sub.RecurrenceCount {
		return refuse(CodeInvalid, "items.0.priceId", "the subscription is paid every %d %s, the price every %d %s: end it and begin another one",
			sub.RecurrenceCount, sub.RecurrenceInterval, every.count, every.interval)
	}
	if items[0].amount.Currency != sub.Currency {
		return refuse(CodeCurrencyMismatch, "items.0", "the subscription is in %s", sub.Currency)
	}
	return nil
}

// prorate settles what is left of a period that was billed: the old items are
// given back for that time, the new ones taken, each in whole minor units, by
// the second.
func prorate(sub *ent.Subscription, old, items []line, now time.Time) ([]schema.PendingLine, error) {
	if sub.Period < 0 || !now.Before(sub.CurrentPeriodEnd) {
		return nil, nil
	}
	left := int64(sub.CurrentPeriodEnd.Sub(now) / time.Second)
	whole := int64(sub.CurrentPeriodEnd.Sub(sub.CurrentPeriodStart) / time.Second)
	var out []schema.PendingLine
	add := func(text string, l line, sign money.Units) error {
		part, err := l.amount.ShareToMinor(money.Units(left), money.Units(whole))
		if err != nil {
			return refusedAmount(err, "items")
		}
		if part.IsZero() {
			return nil
		}
		out = append(out, schema.PendingLine{
			Description: cut(fmt.Sprintf("%s %d × %s until %s", text, l.quantity, l.description, sub.CurrentPeriodEnd.Format(time.DateOnly)), descriptionMax),
			PriceID:     orEmpty(l.priceID), AmountUnits: sign * part.Units,
		})
		return nil
	}
	for _, l := range old {
		if err := add("Unused time of", l, -1); err != nil {
			return nil, err
		}
	}
	for _, l := range items {
		if err := add("Remaining time of", l, 1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// SubscriptionPreview is an invoice that would be.
type SubscriptionPreview struct {
	LineItems            []PreviewLine
	Subtotal, Tax, Total money.Amount
	BilledAt             time.Time
}

// PreviewLine is a position of it.
type PreviewLine struct {
	Description string
	Quantity    int
	UnitAmount  money.Amount
	Amount      money.Amount
}

// PreviewSubscription says what the next invoice of a subscription would be
// with other items, or without any with those it has; it writes nothing.
//
// Codes: as UpdateSubscription.
func (s *Service) PreviewSubscription(ctx context.Context, d SubscriptionChange) (*SubscriptionPreview, error) {
	var out *SubscriptionPreview
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		plan, err := tx.planChange(ctx, d)
		if err != nil {
			return err
		}
		sub := plan.sub
		ends := plan.now == nil && sub.CancelAtPeriodEnd
		if sub.Status == subscription.StatusCANCELED || ends && len(plan.pending) == 0 {
			return refuse(CodeInvalidState, "id", "the subscription is billed no more")
		}
		out = &SubscriptionPreview{BilledAt: tx.Now}
		p, err := tx.payer(ctx, sub.PayerID, "id")
		if err != nil {
			return err
		}
		lines := plan.now
		var sums invoiceSums
		if lines == nil && !ends {
			out.BilledAt = nextBilling(sub)
			lines, sums, err = tx.nextInvoice(ctx, sub, p, plan.items, plan.pending)
		} else {
			if ends {
				out.BilledAt, lines = sub.CurrentPeriodEnd, pendingLinesOf(plan.pending, sub.Currency)
			}
			var t taxed
			t, err = taxLines(lines, p, false)
			sums = t.invoiceSums
		}
		if err != nil {
			return err
		}
		out.Subtotal, out.Tax, out.Total = sums.subtotal, sums.tax, sums.total
		for _, l := range lines {
			out.LineItems = append(out.LineItems, PreviewLine{l.description, l.quantity, l.unitAmount, l.amount})
		}
		return nil
	})
	return out, err
}

// CancelSubscription ends a subscription: at once, or with its running period.
// It returns the invoice to void where the first one was not paid yet: with
// that it ends. Ending it again changes nothing.
//
// Codes: NOT_FOUND, INVALID_STATE.
func (s *Service) CancelSubscription(ctx context.Context, id string, atPeriodEnd bool) (voidID string, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		voidID = ""
		o, err := tx.organization(ctx)
		if err != nil {
			return err
		}
		if auth.FromContext(ctx).IsSession() && !o.PayersMayCancel {
			return refuse(CodeInvalidState, "id", "payers do not end their subscriptions here: ask %s", o.Name)
		}
		sub, err := tx.lockSubscription(ctx, id)
		if err != nil {
			return err
		}
		switch sub.Status {
		case subscription.StatusCANCELED:
			return nil
		case subscription.StatusINCOMPLETE:
			voidID = orEmpty(sub.LatestInvoiceID)
			return nil
		case subscription.StatusSCHEDULED:
			return tx.endSubscription(ctx, sub)
		default:
		}
		if !atPeriodEnd {
			return tx.endSubscription(ctx, sub)
		}
		if sub.CancelAtPeriodEnd {
			return nil
		}
		return saveSubscription(ctx, sub, tx.changeSubscription(sub).SetCancelAtPeriodEnd(true))
	})
	return voidID, err
}

// ResumeSubscription has a subscription go on that was to end with its running
// period. It may be called twice.
//
// Codes: NOT_FOUND, INVALID_STATE.
func (s *Service) ResumeSubscription(ctx context.Context, id string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.organization(ctx); err != nil {
			return err
		}
		sub, err := tx.lockSubscription(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case sub.Status == subscription.StatusCANCELED:
			return refuse(CodeInvalidState, "id", "the subscription has ended: begin a new one")
		case !sub.CancelAtPeriodEnd:
			return nil
		}
		if _, err := tx.payerToSell(ctx, sub.PayerID, "id"); err != nil {
			return err
		}
		return saveSubscription(ctx, sub, tx.changeSubscription(sub).SetCancelAtPeriodEnd(false))
	})
}

// SubscriptionAction is something that may be done with a subscription.
type SubscriptionAction string

// The actions of subscriptions, in the words of the API.
const (
	SubscriptionActionUpdate SubscriptionAction = "UPDATE"
	SubscriptionActionCancel SubscriptionAction = "CANCEL"
	SubscriptionActionResume SubscriptionAction = "RESUME"
)

// SubscriptionActions says what may be done with a subscription now.
func SubscriptionActions(sub *ent.Subscription) []SubscriptionAction {
	var out []SubscriptionAction
	if changeable(sub) == nil {
		out = append(out, SubscriptionActionUpdate)
	}
	if sub.Status != subscription.StatusCANCELED {
		out = append(out, SubscriptionActionCancel)
		if sub.CancelAtPeriodEnd {
			out = append(out, SubscriptionActionResume)
		}
	}
	return out
}
