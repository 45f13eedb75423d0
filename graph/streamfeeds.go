package graph

import (
	"context"

	"entgo.io/ent/dialect/sql"

	"purser/billing"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/quote"
	"purser/ent/subscription"
)

// after narrows a statement to the rows behind a position, and puts them in
// the order of their last change. All tables call the columns the same.
func after(p position) func(*sql.Selector) {
	return func(s *sql.Selector) {
		at, id := s.C(balance.FieldUpdatedAt), s.C(balance.FieldID)
		s.Where(sql.Or(sql.GT(at, p.at), sql.And(sql.EQ(at, p.at), sql.GT(id, p.id))))
		s.OrderBy(at, id)
	}
}

// found turns a missing row into none: the stream is not about it, or the
// caller may not see it, which is the same.
func found[T any](row *T, err error) (*T, error) {
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return row, err
}

func (r *Resolver) balanceFeed(ctx context.Context, payerID *string) feed[ent.Balance] {
	about := func() *ent.BalanceQuery {
		q := r.client().Balance.Query()
		if payerID != nil {
			q.Where(balance.PayerID(*payerID))
		}
		return q
	}
	return feed[ent.Balance]{
		kind: billing.ChangeBalance, wants: changeOfPayer(ctx, payerID),
		changed: func(ctx context.Context, p position, limit int) ([]position, error) {
			q := about().Where(after(p)).Limit(limit)
			q.Select(balance.FieldID, balance.FieldUpdatedAt)
			rows, err := q.All(ctx)
			return positions(rows, func(b *ent.Balance) position { return position{b.UpdatedAt, b.ID} }), err
		},
		read: func(ctx context.Context, id string) (*ent.Balance, position, error) {
			q, err := about().Where(balance.ID(id)).CollectFields(ctx, "Balance", "Node")
			if err != nil {
				return nil, position{}, err
			}
			b, err := found(q.WithPayerID().WithUpdatedAt().Only(ctx))
			if b == nil {
				return nil, position{}, err
			}
			return b, position{b.UpdatedAt, b.ID}, nil
		},
	}
}

func (r *Resolver) paymentFeed(ctx context.Context, paymentID, payerID *string) feed[ent.Payment] {
	about := func() *ent.PaymentQuery {
		q := r.client().Payment.Query()
		if payerID != nil {
			q.Where(payment.PayerID(*payerID))
		}
		if paymentID != nil {
			q.Where(payment.ID(*paymentID))
		}
		return q
	}
	ofPayer := changeOfPayer(ctx, payerID)
	return feed[ent.Payment]{
		kind:  billing.ChangePayment,
		wants: func(c billing.Change) bool { return (paymentID == nil || c.ID == *paymentID) && ofPayer(c) },
		changed: func(ctx context.Context, p position, limit int) ([]position, error) {
			q := about().Where(after(p)).Limit(limit)
			q.Select(payment.FieldID, payment.FieldUpdatedAt)
			rows, err := q.All(ctx)
			return positions(rows, func(x *ent.Payment) position { return position{x.UpdatedAt, x.ID} }), err
		},
		read: func(ctx context.Context, id string) (*ent.Payment, position, error) {
			q, err := about().Where(payment.ID(id)).CollectFields(ctx, "Payment", "Node")
			if err != nil {
				return nil, position{}, err
			}
			x, err := found(q.WithUpdatedAt().Only(ctx))
			if x == nil {
				return nil, position{}, err
			}
			return x, position{x.UpdatedAt, x.ID}, nil
		},
	}
}

func (r *Resolver) invoiceFeed(ctx context.Context, payerID *string) feed[ent.Invoice] {
	about := func() *ent.InvoiceQuery {
		q := r.client().Invoice.Query()
		if payerID != nil {
			q.Where(invoice.PayerID(*payerID))
		}
		return q
	}
	return feed[ent.Invoice]{
		kind: billing.ChangeInvoice, wants: changeOfPayer(ctx, payerID),
		changed: func(ctx context.Context, p position, limit int) ([]position, error) {
			q := about().Where(after(p)).Limit(limit)
			q.Select(invoice.FieldID, invoice.FieldUpdatedAt)
			rows, err := q.All(ctx)
			return positions(rows, func(i *ent.Invoice) position { return position{i.UpdatedAt, i.ID} }), err
		},
		read: func(ctx context.Context, id string) (*ent.Invoice, position, error) {
			q, err := about().Where(invoice.ID(id)).CollectFields(ctx, "Invoice", "Node")
			if err != nil {
				return nil, position{}, err
			}
			i, err := found(q.WithUpdatedAt().Only(ctx))
			if i == nil {
				return nil, position{}, err
			}
			return i, position{i.UpdatedAt, i.ID}, nil
		},
	}
}

func (r *Resolver) quoteFeed(ctx context.Context, payerID *string) feed[ent.Quote] {
	about := func() *ent.QuoteQuery {
		q := r.client().Quote.Query()
		if payerID != nil {
			q.Where(quote.PayerID(*payerID))
		}
		return q
	}
	return feed[ent.Quote]{
		kind: billing.ChangeQuote, wants: changeOfPayer(ctx, payerID),
		changed: func(ctx context.Context, p position, limit int) ([]position, error) {
			q := about().Where(after(p)).Limit(limit)
			q.Select(quote.FieldID, quote.FieldUpdatedAt)
			rows, err := q.All(ctx)
			return positions(rows, func(x *ent.Quote) position { return position{x.UpdatedAt, x.ID} }), err
		},
		read: func(ctx context.Context, id string) (*ent.Quote, position, error) {
			q, err := about().Where(quote.ID(id)).CollectFields(ctx, "Quote", "Node")
			if err != nil {
				return nil, position{}, err
			}
			x, err := found(q.WithUpdatedAt().Only(ctx))
			if x == nil {
				return nil, position{}, err
			}
			return x, position{x.UpdatedAt, x.ID}, nil
		},
	}
}

func (r *Resolver) subscriptionFeed(ctx context.Context, payerID *string) feed[ent.Subscription] {
	about := func() *ent.SubscriptionQuery {
		q := r.client().Subscription.Query()
		if payerID != nil {
			q.Where(subscription.PayerID(*payerID))
		}
		return q
	}
	return feed[ent.Subscription]{
		kind: billing.ChangeSubscription, wants: changeOfPayer(ctx, payerID),
		changed: func(ctx context.Context, p position, limit int) ([]position, error) {
			q := about().Where(after(p)).Limit(limit)
			q.Select(subscription.FieldID, subscription.FieldUpdatedAt)
			rows, err := q.All(ctx)
			return positions(rows, func(s *ent.Subscription) position { return position{s.UpdatedAt, s.ID} }), err
		},
		read: func(ctx context.Context, id string) (*ent.Subscription, position, error) {
			q, err := about().Where(subscription.ID(id)).CollectFields(ctx, "Subscription", "Node")
			if err != nil {
				return nil, position{}, err
			}
			s, err := found(q.WithUpdatedAt().Only(ctx))
			if s == nil {
				return nil, position{}, err
			}
			return s, position{s.UpdatedAt, s.ID}, nil
		},
	}
}

func positions[T any](rows []*T, of func(*T) position) []position {
	out := make([]position, 0, len(rows))
	for _, row := range rows {
		out = append(out, of(row))
	}
	return out
}
