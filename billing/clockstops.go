package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/hold"
	"purser/ent/invoice"
	"purser/ent/paymentmethod"
	"purser/ent/quote"
	"purser/ent/subscription"
)

// nextStop is the first instant after a time at which something falls due in
// the organization, or the end where nothing does before it. What is asked of a
// gateway again and again, only because no event might come, is no stop: it is
// done at the stops of everything else.
func (tx *Tx) nextStop(ctx context.Context, after, end time.Time) (time.Time, error) {
	next := end
	for _, stop := range []struct {
		what string
		find func() (*time.Time, error)
	}{
		{"subscriptions", func() (*time.Time, error) {
			row, err := tx.Subscription.Query().Where(subscription.DueAtGT(after), subscription.DueAtLT(end)).
				Order(ent.Asc(subscription.FieldDueAt)).First(ctx)
			return timeOf(row, err, func(s *ent.Subscription) *time.Time { return s.DueAt })
		}},
		{"upcoming renewals", func() (*time.Time, error) {
			row, err := tx.Subscription.Query().
				Where(subscription.NoticeAtGT(after), subscription.NoticeAtLT(end), subscription.CancelAtPeriodEnd(false)).
				Order(ent.Asc(subscription.FieldNoticeAt)).First(ctx)
			return timeOf(row, err, func(s *ent.Subscription) *time.Time { return s.NoticeAt })
		}},
		{"drafts", func() (*time.Time, error) {
			row, err := tx.Invoice.Query().Where(invoice.FinalizesAtGT(after), invoice.FinalizesAtLT(end)).
				Order(ent.Asc(invoice.FieldFinalizesAt)).First(ctx)
			return timeOf(row, err, func(i *ent.Invoice) *time.Time { return i.FinalizesAt })
		}},
		{"charges", func() (*time.Time, error) {
			row, err := tx.Invoice.Query().Where(invoice.NextAttemptAtGT(after), invoice.NextAttemptAtLT(end)).
				Order(ent.Asc(invoice.FieldNextAttemptAt)).First(ctx)
			return timeOf(row, err, func(i *ent.Invoice) *time.Time { return i.NextAttemptAt })
		}},
		{"cards that end", func() (*time.Time, error) {
			row, err := tx.PaymentMethod.Query().Where(paymentmethod.ExpiryNoticeAtGT(after), paymentmethod.ExpiryNoticeAtLT(end)).
				Order(ent.Asc(paymentmethod.FieldExpiryNoticeAt)).First(ctx)
			return timeOf(row, err, func(m *ent.PaymentMethod) *time.Time { return m.ExpiryNoticeAt })
		}},
		{"months", func() (*time.Time, error) {
			row, err := tx.Balance.Query().Where(balance.UsageInvoiceAtGT(after.Add(-usageRests)), balance.UsageInvoiceAtLT(end.Add(-usageRests))).
				Order(ent.Asc(balance.FieldUsageInvoiceAt)).First(ctx)
			return timeOf(row, err, func(b *ent.Balance) *time.Time {
				rested := b.UsageInvoiceAt.Add(usageRests)
				return &rested
			})
		}},
		{"quotes", func() (*time.Time, error) {
			row, err := tx.Quote.Query().Where(quoteIsOpen, quote.ExpiresAtGT(after), quote.ExpiresAtLT(end)).
				Order(ent.Asc(quote.FieldExpiresAt)).First(ctx)
			return timeOf(row, err, func(q *ent.Quote) *time.Time { return q.ExpiresAt })
		}},
		{"holds", func() (*time.Time, error) {
			row, err := tx.Hold.Query().Where(holdIsOpenRow, hold.ExpiresAtGT(after), hold.ExpiresAtLT(end)).
				Order(ent.Asc(hold.FieldExpiresAt)).First(ctx)
			return timeOf(row, err, func(h *ent.Hold) *time.Time { return &h.ExpiresAt })
		}},
		{"reloads", func() (*time.Time, error) {
			row, err := tx.Balance.Query().Where(balance.AutoReloadDueAtGT(after), balance.AutoReloadDueAtLT(end)).
				Order(ent.Asc(balance.FieldAutoReloadDueAt)).First(ctx)
			return timeOf(row, err, func(b *ent.Balance) *time.Time { return b.AutoReloadDueAt })
		}},
	} {
		at, err := stop.find()
		if err != nil {
			return next, fmt.Errorf("look for the next of the %s: %w", stop.what, err)
		}
		if at != nil && at.Before(next) {
			next = at.UTC()
		}
	}
	return next, nil
}

// timeOf is the time that a row has, nil where there is no row.
func timeOf[R any](row *R, err error, of func(*R) *time.Time) (*time.Time, error) {
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return of(row), nil
}
