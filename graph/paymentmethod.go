package graph

import (
	"context"
	"time"

	"purser/ent"
	"purser/ent/paymentmethod"
	"purser/graph/model"
)

// paymentMethod shows a saved card after a mutation.
func (r *Resolver) paymentMethod(ctx context.Context, id string) (*ent.PaymentMethod, error) {
	return show(ctx, r.client().PaymentMethod.Query().Where(paymentmethod.ID(id)), "paymentMethod", "PaymentMethod")
}

// paymentMethodAndAction shows a card that is being saved with what its payer
// must still do.
func (r *Resolver) paymentMethodAndAction(ctx context.Context, id string) (*ent.PaymentMethod, model.NextAction, error) {
	shown, err := r.paymentMethod(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	m, err := r.client().PaymentMethod.Query().Where(paymentmethod.ID(id)).Only(ctx)
	if err != nil {
		return nil, nil, err
	}
	if m.ActionURL != "" {
		return shown, &model.RedirectAction{URL: m.ActionURL}, nil
	}
	secret, err := r.Billing.CardClientSecret(m)
	if err != nil || secret == "" {
		return shown, nil, err
	}
	key, err := r.Billing.PublishableKey(ctx, m.ProviderID)
	if err != nil {
		return nil, nil, err
	}
	return shown, &model.ClientSecretAction{ClientSecret: secret, PublishableKey: key}, nil
}

// cardExpired reports whether a saved card is past its last month, by UTC.
func cardExpired(m *ent.PaymentMethod, now time.Time) bool {
	if m.Status != paymentmethod.StatusACTIVE && m.Status != paymentmethod.StatusDETACHED || m.ExpYear == 0 {
		return false
	}
	return !now.Before(time.Date(m.ExpYear, time.Month(m.ExpMonth)+1, 1, 0, 0, 0, 0, time.UTC))
}
