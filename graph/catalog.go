package graph

import (
	"context"

	"purser/billing"
	"purser/ent"
	"purser/ent/price"
	"purser/ent/product"
	"purser/graph/model"
	"purser/money"
)

// product is what a mutation answers about a product.
func (r *Resolver) product(ctx context.Context, id string, err error) (*ent.Product, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	p, err := show(ctx, r.client().Product.Query().Where(product.ID(id)), "product", "Product")
	return p, u, err
}

// price is what a mutation answers about a price.
func (r *Resolver) price(ctx context.Context, id string, err error) (*ent.Price, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	p, err := show(ctx, r.client().Price.Query().Where(price.ID(id)), "price", "Price")
	return p, u, err
}

// createPrice takes over the input of priceCreate.
func (r *Resolver) createPrice(ctx context.Context, in model.PriceCreateInput) (string, error) {
	amount, err := money.ParseLine(in.UnitAmount.Amount, in.UnitAmount.Currency)
	if err != nil {
		return "", amountRefused(err, "unitAmount")
	}
	d := billing.PriceDraft{ProductID: in.ProductID, UnitAmount: amount, Nickname: in.Nickname}
	if in.Recurrence != nil {
		d.Recurrence = &billing.Recurrence{Interval: in.Recurrence.Interval, Count: in.Recurrence.IntervalCount}
	}
	return r.Billing.CreatePrice(ctx, d, key(ctx, in.IdempotencyKey))
}
