package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/quote"
	"purser/ent/subscription"
	"purser/ent/subscriptionitem"
	"purser/money"
)

// subscriptions checks every subscription against its items, its quote, and
// the invoices of its periods: each period up to the running one has one, and
// it is for the time that counting from the anchor gives.
func (v *verifier) subscriptions(ctx context.Context) error {
	last := ""
	for {
		page, err := v.Subscription.Query().Where(subscription.IDGT(last)).Order(ent.Asc(subscription.FieldID)).Limit(v.options.PageRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read subscriptions: %w", err)
		}
		for _, sub := range page {
			if err := v.subscription(ctx, sub); err != nil {
				return err
			}
		}
		v.report.Subscriptions += len(page)
		v.progress(subscription.Table, v.report.Subscriptions)
		if len(page) < v.options.PageRows {
			return nil
		}
		last = page[len(page)-1].ID
	}
}

func (v *verifier) subscription(ctx context.Context, sub *ent.Subscription) error {
	for _, check := range []func(context.Context, *ent.Subscription) error{
		v.subscriptionItems, v.subscriptionQuote, v.subscriptionPeriods, v.subscriptionState,
	} {
		if err := check(ctx, sub); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) subscriptionItems(ctx context.Context, sub *ent.Subscription) error {
	items, err := v.SubscriptionItem.Query().Where(subscriptionitem.SubscriptionID(sub.ID)).Order(ent.Asc(subscriptionitem.FieldID)).All(ctx)
	if err != nil {
		return fmt.Errorf("read items: %w", err)
	}
	var sum money.Units
	for _, item := range items {
		want, err := item.UnitAmount().Mul(int64(item.Quantity))
		if err != nil || want != item.Amount() {
			return v.fault(subscriptionitem.Table, item.ID, "amount_units as quantity × unit amount", want, item.Amount())
		}
		if item.Currency != sub.Currency {
			return v.fault(subscription.Table, sub.ID, "currency of its item "+item.ID, item.Currency, sub.Currency)
		}
		sum += item.AmountUnits
	}
	if sum != sub.AmountUnits {
		return v.fault(subscription.Table, sub.ID, "amount_units against its items", sum, sub.AmountUnits)
	}
	return nil
}

func (v *verifier) subscriptionQuote(ctx context.Context, sub *ent.Subscription) error {
	if sub.QuoteID == nil {
		return nil
	}
	q, err := v.Quote.Query().Where(quote.ID(*sub.QuoteID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read quote %s: %w", *sub.QuoteID, err)
	}
	type facts struct{ subscription, payer, provider, currency string }
	want := facts{sub.ID, sub.PayerID, orEmpty(sub.ProviderID), sub.Currency}
	found := facts{orEmpty(q.SubscriptionID), orEmpty(q.PayerID), orEmpty(q.ProviderID), orEmpty(q.Currency)}
	if want != found {
		return v.fault(subscription.Table, sub.ID, "quote "+q.ID, fmt.Sprintf("%+v", found), fmt.Sprintf("%+v", want))
	}
	return nil
}

func (v *verifier) subscriptionPeriods(ctx context.Context, sub *ent.Subscription) error {
	every, err := recurrenceOf(sub)
	if err != nil {
		return err
	}
	n, after := 0, time.Time{}
	for {
		page, err := v.Invoice.Query().
			Where(invoice.SubscriptionID(sub.ID), invoice.PeriodStartNotNil(), invoice.PeriodStartGT(after)).
			Order(ent.Asc(invoice.FieldPeriodStart)).Limit(v.options.PageRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read invoices of subscription %s: %w", sub.ID, err)
		}
		for _, i := range page {
			if n > sub.Period {
				return v.fault(invoice.Table, i.ID, "subscription_id of an invoice of a period", fmt.Sprintf("the last is %d", sub.Period), n)
			}
			want, found := [2]time.Time{every.begin(n), every.begin(n + 1)}, [2]time.Time{i.PeriodStart.UTC(), orZero(i.PeriodEnd).UTC()}
			if want != found {
				return v.fault(invoice.Table, i.ID, fmt.Sprintf("period %d of subscription %s", n, sub.ID), want, found)
			}
			if i.PayerID != sub.PayerID || i.Currency != sub.Currency {
				return v.fault(invoice.Table, i.ID, "payer and currency of subscription "+sub.ID, sub.PayerID+" "+sub.Currency, i.PayerID+" "+i.Currency)
			}
			n++
		}
		if len(page) < v.options.PageRows {
			break
		}
		after = *page[len(page)-1].PeriodStart
	}
	if n != sub.Period+1 {
		return v.fault(subscription.Table, sub.ID, "period against its invoices", n-1, sub.Period)
	}
	return nil
}

// subscriptionState checks the running period and the times of its state.
func (v *verifier) subscriptionState(_ context.Context, sub *ent.Subscription) error {
	every, err := recurrenceOf(sub)
	if err != nil {
		return err
	}
	begin, end := every.begin(max(0, sub.Period)), every.begin(max(0, sub.Period)+1)
	if sub.Period < 0 {
		begin = sub.StartsAt.UTC()
		if sub.TrialEndsAt != nil {
			end = sub.TrialEndsAt.UTC()
		}
	}
	if !sub.CurrentPeriodStart.Equal(begin) || !sub.CurrentPeriodEnd.Equal(end) {
		return v.fault(subscription.Table, sub.ID, fmt.Sprintf("current period, being the %d.", sub.Period), [2]time.Time{begin, end},
			[2]time.Time{sub.CurrentPeriodStart.UTC(), sub.CurrentPeriodEnd.UTC()})
	}
	anchor := sub.StartsAt
	if sub.TrialEndsAt != nil {
		anchor = *sub.TrialEndsAt
	}
	if !sub.AnchorAt.Equal(anchor) {
		return v.fault(subscription.Table, sub.ID, "anchor_at", anchor, sub.AnchorAt)
	}
	ended := sub.Status == subscription.StatusCANCELED
	billed := sub.Status != subscription.StatusSCHEDULED && sub.Status != subscription.StatusTRIALING
	switch {
	case ended != (sub.CanceledAt != nil):
		return v.fault(subscription.Table, sub.ID, fmt.Sprintf("canceled_at, being %s", sub.Status), presence(ended), presence(sub.CanceledAt != nil))
	case ended == (sub.DueAt != nil):
		return v.fault(subscription.Table, sub.ID, fmt.Sprintf("due_at, being %s", sub.Status), presence(!ended), presence(sub.DueAt != nil))
	case !ended && billed != (sub.Period >= 0):
		return v.fault(subscription.Table, sub.ID, fmt.Sprintf("period, being %s", sub.Status), billed, sub.Period)
	}
	return nil
}
