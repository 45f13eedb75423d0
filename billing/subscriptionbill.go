package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/quote"
	"purser/ent/schema"
	"purser/ent/subscription"
	"purser/ent/subscriptionitem"
	"purser/money"
)

// periodBill is how a period is billed: under which id, and when the draft
// finalizes itself, or never.
type periodBill struct {
	invoiceID   string
	finalizesAt *time.Time
}

// bill moves a subscription into the period with the number n and writes the
// draft of its invoice. An invoice's subscription and period are unique: who
// bills a period a second time fails on it.
func (tx *Tx) bill(ctx context.Context, sub *ent.Subscription, n int, b periodBill) error {
	every, err := recurrenceOf(sub)
	if err != nil {
		return err
	}
	lines, err := tx.linesOfPeriod(ctx, sub, n)
	if err != nil {
		return err
	}
	lines, rest, err := settlePending(lines, sub)
	if err != nil {
		return err
	}
	begin, end := every.begin(n), every.begin(n+1)
	notice, err := tx.noticeOf(ctx, sub.Collection, every.zone, begin, end)
	if err != nil {
		return err
	}
	c, err := tx.subscriptionInvoice(ctx, sub, b, lines)
	if err != nil {
		return err
	}
	c.SetPeriodStart(begin).SetPeriodEnd(end)
	ofSale := n == 0 && sub.QuoteID != nil
	if ofSale {
		c.SetQuoteID(*sub.QuoteID)
	}
	if err := tx.saveInvoice(ctx, c, lines); err != nil {
		return err
	}
	status, due := sub.Status, end
	switch status {
	case subscription.StatusINCOMPLETE:
		due = tx.Now.Add(firstPaymentLife)
	case subscription.StatusSCHEDULED, subscription.StatusTRIALING:
		status = subscription.StatusACTIVE
	default:
	}
	if ofSale {
		// It was sold: the payer has it, and pays as any later period.
		status, due = subscription.StatusACTIVE, end
	}
	u := tx.changeSubscription(sub).
		SetPeriod(n).SetCurrentPeriodStart(begin).SetCurrentPeriodEnd(end).SetLatestInvoiceID(b.invoiceID).
		SetStatus(status).SetDueAt(due).SetPendingLines(rest)
	setOrClear(notice, u.SetNoticeAt, u.ClearNoticeAt)
	if err := saveSubscription(ctx, sub, u); err != nil {
		return err
	}
	if !ofSale {
		return nil
	}
	_, err = tx.Quote.Update().Where(quote.ID(*sub.QuoteID), quote.StatusEQ(quote.StatusACCEPTED), quote.InvoiceIDIsNil()).
		SetInvoiceID(b.invoiceID).SetUpdatedAt(tx.Now).Save(ctx)
	return wrapped(err, "name the invoice of the quote")
}

// subscriptionInvoice begins the draft of an invoice of a subscription.
func (tx *Tx) subscriptionInvoice(ctx context.Context, sub *ent.Subscription, b periodBill, lines []line) (*ent.InvoiceCreate, error) {
	p, err := tx.payer(ctx, sub.PayerID, "id")
	if err != nil {
		return nil, err
	}
	t, err := taxLines(lines, p, false)
	if err != nil {
		return nil, err
	}
	return tx.newInvoice(b.invoiceID, p.ID, t.invoiceSums, nil).
		SetSubscriptionID(sub.ID).SetNillableProviderID(sub.ProviderID).
		SetCollection(invoice.Collection(sub.Collection)).SetNillableFinalizesAt(b.finalizesAt), nil
}

// linesOfPeriod are the positions of a period: the subscription's items, and in
// the first period of one that was sold by a quote, all that was sold.
func (tx *Tx) linesOfPeriod(ctx context.Context, sub *ent.Subscription, n int) ([]line, error) {
	if n == 0 && sub.QuoteID != nil {
		return tx.quoteLines(ctx, *sub.QuoteID)
	}
	return tx.itemsOf(ctx, sub.ID)
}

// itemsOf reads a subscription's items.
func (tx *Tx) itemsOf(ctx context.Context, id string) ([]line, error) {
	items, err := tx.SubscriptionItem.Query().Where(subscriptionitem.SubscriptionID(id)).Order(ent.Asc(subscriptionitem.FieldPosition)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read items of subscription %s: %w", id, err)
	}
	lines := make([]line, len(items))
	for i, item := range items {
		lines[i] = line{description: item.Description, priceID: item.PriceID, quantity: item.Quantity, unitAmount: item.UnitAmount(), amount: item.Amount()}
	}
	return lines, nil
}

// settlePending adds to an invoice's positions what waits for it. What would
// bring it below nothing waits for the one after.
func settlePending(lines []line, sub *ent.Subscription) (all []line, rest []schema.PendingLine, err error) {
	lines = append(lines, pendingLinesOf(sub.PendingLines, sub.Currency)...)
	rest = []schema.PendingLine{}
	sum, err := sumOfLines(lines)
	if err != nil || sum.Sign() >= 0 {
		return lines, rest, err
	}
	rest = append(rest, schema.PendingLine{Description: "Credit brought forward", AmountUnits: sum.Units})
	return append(lines, pendingLine(schema.PendingLine{Description: "Credit carried forward to the next invoice", AmountUnits: -sum.Units}, sub.Currency)), rest, nil
}

func pendingLinesOf(pending []schema.PendingLine, currency string) []line {
	lines := make([]line, len(pending))
	for i, p := range pending {
		lines[i] = pendingLine(p, currency)
	}
	return lines
}

func pendingLine(p schema.PendingLine, currency string) line {
	a := money.Amount{Units: p.AmountUnits, Currency: currency}
	l := line{description: p.Description, quantity: 1, unitAmount: a, amount: a}
	if p.PriceID != "" {
		l.priceID = &p.PriceID
	}
	return l
}

// DueSubscriptions lists subscriptions of the viewer's organization about which
// something is to be done, the longest waiting first.
func (s *Service) DueSubscriptions(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Subscription.Query().Where(subscriptionDue(s.now(ctx))).
		Order(ent.Asc(subscription.FieldDueAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list due subscriptions: %w", err)
	}
	return ids, nil
}

// RenewSubscription does what is due about a subscription: has it begin, bills
// its next period, ends it. One period at a time: where several have passed it
// is due again at once. It returns the invoice that is to be voided of one
// whose first payment has taken too long; with that it ends.
func (s *Service) RenewSubscription(ctx context.Context, id string) (voidID string, err error) {
	invoiceID := s.newID(prefixInvoice)
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		voidID = ""
		sub, err := tx.lockSubscription(ctx, id)
		if err != nil {
			return err
		}
		if sub.DueAt == nil || sub.DueAt.After(tx.Now) {
			return nil
		}
		o, err := tx.tenant(ctx)
		if err != nil {
			return err
		}
		if o.Status != "ACTIVE" {
			return tx.putSubscriptionOff(ctx, sub)
		}
		if sub.Status == subscription.StatusINCOMPLETE {
			voidID = orEmpty(sub.LatestInvoiceID)
			if tx.Now.After(sub.CreatedAt.Add(firstPaymentLife + dueLater)) {
				return tx.putSubscriptionOff(ctx, sub) // a person has to look at its invoice
			}
			return saveSubscription(ctx, sub, tx.changeSubscription(sub).SetDueAt(tx.Now.Add(firstPaymentAgain)))
		}
		err = tx.renew(ctx, sub, invoiceID)
		if isRefusal(err) {
			tx.s.log.WarnContext(ctx, "subscription cannot be renewed", "subscription_id", id, "error", err)
		}
		return err
	})
	if !isRefusal(err) {
		return voidID, err
	}
	return "", s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		sub, err := tx.lockSubscription(ctx, id)
		if err != nil {
			return err
		}
		return tx.putSubscriptionOff(ctx, sub)
	})
}

func (tx *Tx) putSubscriptionOff(ctx context.Context, sub *ent.Subscription) error {
	return saveSubscription(ctx, sub, tx.changeSubscription(sub).SetDueAt(tx.Now.Add(dueLater)))
}

// renew moves a subscription on that runs or is to begin.
func (tx *Tx) renew(ctx context.Context, sub *ent.Subscription, invoiceID string) error {
	next := periodBill{invoiceID: invoiceID, finalizesAt: &tx.Now}
	switch {
	case sub.Status == subscription.StatusSCHEDULED && sub.TrialEndsAt != nil:
		return saveSubscription(ctx, sub, tx.changeSubscription(sub).SetStatus(subscription.StatusTRIALING).SetDueAt(*sub.TrialEndsAt))
	case sub.Status == subscription.StatusSCHEDULED && sub.QuoteID != nil:
		return tx.bill(ctx, sub, 0, tx.draftOfSale(invoiceID))
	case sub.Status == subscription.StatusSCHEDULED:
		return tx.bill(ctx, sub, 0, next)
	case sub.CurrentPeriodEnd.After(tx.Now):
		return tx.overdue(ctx, sub)
	case sub.CancelAtPeriodEnd:
		return tx.endSubscription(ctx, sub)
	case sub.Status == subscription.StatusUNPAID:
		next.finalizesAt = nil
	}
	if late, err := tx.sentIsLate(ctx, sub); err != nil {
		return err
	} else if late {
		sub.Status = subscription.StatusPAST_DUE
	}
	if sub.Status == subscription.StatusTRIALING {
		if err := tx.tellTrialEnded(ctx, sub); err != nil {
			return err
		}
	}
	return tx.bill(ctx, sub, sub.Period+1, next)
}

// sentIsLate says whether an invoice that was sent to the payer of a
// subscription which runs has not been paid in time.
func (tx *Tx) sentIsLate(ctx context.Context, sub *ent.Subscription) (bool, error) {
	if sub.Status != subscription.StatusACTIVE || sub.Collection != subscription.CollectionSEND {
		return false, nil
	}
	late, err := tx.Invoice.Query().Where(invoice.SubscriptionID(sub.ID), invoice.StatusEQ(invoice.StatusOPEN), invoice.DueAtLTE(tx.Now)).Exist(ctx)
	return late, wrapped(err, "look for late invoices of "+sub.ID)
}

// overdue looks at a subscription in the midst of its period.
func (tx *Tx) overdue(ctx context.Context, sub *ent.Subscription) error {
	late, err := tx.sentIsLate(ctx, sub)
	if err != nil {
		return err
	}
	u := tx.changeSubscription(sub).SetDueAt(sub.CurrentPeriodEnd)
	if late {
		u.SetStatus(subscription.StatusPAST_DUE)
	}
	return saveSubscription(ctx, sub, u)
}

// endSubscription ends a subscription for good. Drafts of its invoices that no
// gateway has are taken back; what was issued stays due, and what waited for the
// next invoice is settled.
func (tx *Tx) endSubscription(ctx context.Context, sub *ent.Subscription) error {
	drafts, err := tx.Invoice.Query().
		Where(invoice.SubscriptionID(sub.ID), invoice.StatusEQ(invoice.StatusDRAFT), invoice.PendingCallIDIsNil(), invoice.GatewayInvoiceIDIsNil()).
		Order(ent.Asc(invoice.FieldID)).All(ctx)
	if err != nil {
		return fmt.Errorf("list drafts of subscription %s: %w", sub.ID, err)
	}
	u := tx.changeSubscription(sub).SetStatus(subscription.StatusCANCELED).SetCanceledAt(tx.Now).ClearDueAt().ClearNoticeAt()
	if err := tx.billRest(ctx, sub, u); err != nil {
		return err
	}
	if err := saveSubscription(ctx, sub, u); err != nil {
		return err
	}
	for _, d := range drafts {
		if err := tx.voidInvoice(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// billRest settles what waited for the next invoice of a subscription that has
// none any more, with one of its own: what comes out in the payer's favour goes
// to the balance with it. The update is the one by which it ends.
func (tx *Tx) billRest(ctx context.Context, sub *ent.Subscription, u *ent.SubscriptionUpdate) error {
	lines := pendingLinesOf(sub.PendingLines, sub.Currency)
	if len(lines) == 0 {
		return nil
	}
	if sum, err := sumOfLines(lines); err != nil || sum.IsZero() {
		return err
	}
	b := periodBill{invoiceID: tx.s.newID(prefixInvoice), finalizesAt: &tx.Now}
	c, err := tx.subscriptionInvoice(ctx, sub, b, lines)
	if err != nil {
		return err
	}
	u.SetPendingLines([]schema.PendingLine{}).SetLatestInvoiceID(b.invoiceID)
	return tx.saveInvoice(ctx, c, lines)
}

// BeginDraftFinalization is BeginInvoiceFinalization for whoever has just had a
// draft made; nil where somebody was quicker.
func (s *Service) BeginDraftFinalization(ctx context.Context, id string) (*InvoiceFinalization, error) {
	waits, err := s.read.Invoice.Query().Where(invoice.ID(id), invoice.StatusEQ(invoice.StatusDRAFT), invoice.PendingCallIDIsNil()).Exist(ctx)
	if err != nil || !waits {
		return nil, wrapped(err, "look for the draft")
	}
	return s.BeginInvoiceFinalization(ctx, InvoiceFinalizeDraft{ID: id})
}
