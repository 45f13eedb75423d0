package demo

import (
	"context"

	"purser/billing"
	"purser/ent"
)

// priceStarter is what Ada's plan costs by the month.
const priceStarter = "Starter, monthly"

// subscriptions sells Ada a monthly plan by a quote: a subscription whose first
// invoice is a draft for an hour.
func (s *seeder) subscriptions(ctx context.Context) error {
	id, err := s.Billing.CreateQuote(ctx, billing.QuoteDraft{
		PayerID: s.ada, Description: text("Weather by the month"),
		Lines: []billing.LineDraft{{PriceID: s.prices[priceStarter], Quantity: 1}},
		Key:   key("quote-plan"),
	})
	if err != nil {
		return err
	}
	is := func(wanted ...string) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			q, err := find(ctx, s.Billing.Client().Quote.Query().All, func(q *ent.Quote) bool { return q.ID == id })
			if err != nil {
				return false, err
			}
			for _, status := range wanted {
				if string(q.Status) == status {
					return true, nil
				}
			}
			return false, nil
		}
	}
	// A recurring position keeps it from being mirrored: there is nothing to
	// ask of a gateway.
	err = settle(ctx, func(ctx context.Context) error {
		_, err := s.Billing.BeginQuoteFinalization(ctx, billing.QuoteFinalizeDraft{ID: id, Key: key("quote-plan-finalize")})
		return err
	}, is("OPEN", "ACCEPTED"))
	if err != nil {
		return err
	}
	return settle(ctx, func(ctx context.Context) error {
		_, err := s.Billing.BeginQuoteAcceptance(ctx, billing.QuoteAcceptDraft{ID: id, Key: key("quote-plan-accept")})
		return err
	}, is("ACCEPTED"))
}
