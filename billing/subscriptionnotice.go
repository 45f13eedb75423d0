package billing

import (
	"context"
	"fmt"
	"strings"
	"time"

	"purser/ent"
	"purser/ent/email"
	"purser/ent/schema"
	"purser/ent/subscription"
	"purser/mail"
	"purser/money"
)

// Whoever is charged by itself for a subscription is told some days before:
// once for each period, for the first one after a trial, and for one that
// begins later. When that is stands in notice_at, which is moved on with the
// period; nobody is told while the subscription is to end.

// The kinds of these notices.
const (
	noticeUpcomingRenewal = "subscription.upcoming_charge"
	noticeTrialEnded      = "subscription.trial_ended"
)

// upcomingNotice is when a payer is told of a charge that comes by itself at the
// end of a time: as many days before as the organization wants, by the
// subscription's calendar. It is nil where that would be before the first half
// of the time is over: whoever pays every few days knows.
func upcomingNotice(o *ent.Organization, zone *time.Location, from, end time.Time) *time.Time {
	days := o.UpcomingChargeDays
	before := func(days int) time.Time { return end.In(zone).AddDate(0, 0, -days).UTC() }
	if days == 0 || before(2*days).Before(from) {
		return nil
	}
	at := before(days)
	return &at
}

// noticeOf is upcomingNotice of a subscription whose invoices are collected so;
// nil where no card is charged.
func (tx *Tx) noticeOf(ctx context.Context, collection subscription.Collection, zone *time.Location, from, end time.Time) (*time.Time, error) {
	if collection != subscription.CollectionAUTOMATIC {
		return nil, nil
	}
	o, err := tx.tenant(ctx)
	if err != nil {
		return nil, err
	}
	return upcomingNotice(o, zone, from, end), nil
}

// toldBefore says whether the payer of a subscription's invoice was to be told
// of the charge before the period began.
func (tx *Tx) toldBefore(ctx context.Context, inv *ent.Invoice, o *ent.Organization) (bool, error) {
	if inv.SubscriptionID == nil || inv.PeriodStart == nil {
		return false, nil
	}
	sub, err := tx.Subscription.Query().Where(subscription.ID(*inv.SubscriptionID)).Only(ctx)
	if err != nil {
		return false, fmt.Errorf("read subscription %s: %w", *inv.SubscriptionID, err)
	}
	every, err := recurrenceOf(sub)
	if err != nil {
		return false, err
	}
	from := every.begin(sub.Period - 1)
	if sub.Period == 0 {
		from = sub.StartsAt
	}
	return upcomingNotice(o, every.zone, from, *inv.PeriodStart) != nil, nil
}

// UpcomingRenewals lists subscriptions of the viewer's organization whose
// payers are to be told of the next charge, the longest waiting first.
func (s *Service) UpcomingRenewals(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Subscription.Query().Where(renewalIsUpcoming(s.now(ctx))).
		Order(ent.Asc(subscription.FieldNoticeAt)).Limit(limit).IDs(ctx)
	return ids, wrapped(err, "list upcoming renewals")
}

// TellUpcomingRenewal tells the payer of a subscription of the next charge,
// once. Where there is nothing to be charged then, nobody is told.
func (s *Service) TellUpcomingRenewal(ctx context.Context, id string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		sub, err := tx.lockSubscription(ctx, id)
		if err != nil {
			return err
		}
		if sub.NoticeAt == nil || sub.NoticeAt.After(tx.Now) || sub.CancelAtPeriodEnd {
			return nil
		}
		if err := saveSubscription(ctx, sub, tx.changeSubscription(sub).ClearNoticeAt()); err != nil {
			return err
		}
		return tx.tellUpcomingRenewal(ctx, sub)
	})
}

// renewalNotice is what is told of a subscription.
type renewalNotice struct {
	SubscriptionID string `json:"subscriptionId"`
	PayerID        string `json:"payerId"`
	// Amount is what the next invoice comes to, at the latest at At.
	Amount sum       `json:"amount"`
	At     time.Time `json:"at"`
}

func (tx *Tx) tellUpcomingRenewal(ctx context.Context, sub *ent.Subscription) error {
	switch sub.Status {
	case subscription.StatusSCHEDULED, subscription.StatusTRIALING, subscription.StatusACTIVE, subscription.StatusPAST_DUE:
	default:
		return nil // nothing is charged before the last one is paid
	}
	o, err := tx.tenant(ctx)
	if err != nil {
		return err
	}
	p, err := tx.payer(ctx, sub.PayerID, "id")
	if err != nil {
		return err
	}
	at := nextBilling(sub)
	if !charges(o) || !p.ChargingEnabled || sub.ProviderID == nil || !money.IsISO(sub.Currency) || !at.After(tx.Now) {
		return nil
	}
	return tx.tellOfSubscription(ctx, sub, p, noticeUpcomingRenewal, mail.UpcomingRenewal, at.AddDate(0, 0, o.AutomaticNetDays))
}

// tellTrialEnded tells that a trial is over and the subscription goes on.
func (tx *Tx) tellTrialEnded(ctx context.Context, sub *ent.Subscription) error {
	p, err := tx.payer(ctx, sub.PayerID, "id")
	if err != nil {
		return err
	}
	return tx.tellOfSubscription(ctx, sub, p, noticeTrialEnded, mail.TrialEnded, tx.Now)
}

// tellOfSubscription tells what a subscription is billed next; nothing where
// that is nothing.
func (tx *Tx) tellOfSubscription(ctx context.Context, sub *ent.Subscription, p *ent.Payer, kind string, m mail.Kind, at time.Time) error {
	items, err := tx.itemsOf(ctx, sub.ID)
	if err != nil {
		return err
	}
	_, sums, err := tx.nextInvoice(ctx, sub, p, items, sub.PendingLines)
	if err != nil {
		return err
	}
	if sums.total.Sign() <= 0 {
		return nil
	}
	err = tx.notice(ctx, kind, sub.ID, renewalNotice{SubscriptionID: sub.ID, PayerID: p.ID, Amount: sumOf(sums.total), At: at})
	if err != nil {
		return err
	}
	return tx.queueMail(ctx, m, p.ID, mailFacts{SubscriptionID: sub.ID, Cost: &sums.total, NextAt: &at})
}

// nextInvoice is what a subscription is billed next with these items and what
// waits for the invoice. The first one of a subscription that was sold by a
// quote is what was sold.
func (tx *Tx) nextInvoice(ctx context.Context, sub *ent.Subscription, p *ent.Payer, items []line, pending []schema.PendingLine) ([]line, invoiceSums, error) {
	if sub.Period < 0 && sub.QuoteID != nil {
		var err error
		if items, err = tx.quoteLines(ctx, *sub.QuoteID); err != nil {
			return nil, invoiceSums{}, err
		}
	}
	after := *sub
	after.PendingLines = pending
	lines, _, err := settlePending(items, &after)
	if err != nil {
		return nil, invoiceSums{}, err
	}
	t, err := taxLines(lines, p, false)
	return lines, t.invoiceSums, err
}

// nextBilling is when a subscription is billed next by itself.
func nextBilling(sub *ent.Subscription) time.Time {
	if sub.Period < 0 {
		return sub.AnchorAt
	}
	return sub.CurrentPeriodEnd
}

// mailSubscription adds the subscription that a mail is about, and the card
// that is charged for it. One that is to end renews no more.
func (s *Service) mailSubscription(ctx context.Context, m *mailSubject) error {
	if m.facts.SubscriptionID == "" {
		return nil
	}
	sub, err := s.read.Subscription.Query().Where(subscription.ID(m.facts.SubscriptionID)).WithItems().Only(ctx)
	if err != nil {
		return fmt.Errorf("read subscription %s: %w", m.facts.SubscriptionID, err)
	}
	if sub.Status == subscription.StatusCANCELED || sub.CancelAtPeriodEnd && m.kind == mail.UpcomingRenewal {
		return &mailNotSent{email.StatusCANCELED, "the subscription ends"}
	}
	items, err := sub.Edges.ItemsOrErr()
	if err != nil {
		return fmt.Errorf("read items of subscription %s: %w", sub.ID, err)
	}
	var names []string
	lines := make([]mail.Values, len(items))
	for n, i := range items {
		names = append(names, i.Description)
		lines[n] = lineValues(i.Description, i.Quantity, i.Amount())
	}
	m.values["subscription"] = mail.Values{"id": sub.ID, "name": cut(strings.Join(names, ", "), 200), "currency": sub.Currency, "line_items": lines}
	m.values["charge_on"] = m.date(m.facts.NextAt)
	if sub.Collection != subscription.CollectionAUTOMATIC {
		return nil
	}
	card, err := cardOfInvoice(ctx, s.read, &ent.Invoice{PayerID: sub.PayerID, ProviderID: sub.ProviderID, SubscriptionID: &sub.ID})
	if err == nil && card != nil {
		m.card(card)
	}
	return err
}
