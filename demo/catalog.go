package demo

import (
	"context"
	"fmt"

	"purser/billing"
	"purser/money"
)

// The prices that quotes and invoices of the demo sell, by nickname.
const (
	pricePro         = "Pro, monthly"
	priceArchive     = "Archive, once"
	priceIntegration = "Integration, once"
)

// catalog makes products with prices that are paid once and by the month. A
// price that is paid once, in dollars, comes last: lists show the newest first.
func (s *seeder) catalog(ctx context.Context) error {
	s.prices = map[string]string{}
	type sale struct{ step, nickname, amount, currency, interval string }
	for _, p := range []struct {
		step, name, description string
		prices                  []sale
	}{
		{"weather", "Weather API", "Forecasts for every place on earth", []sale{
			{"weather-starter", priceStarter, "29.00", "USD", "MONTH"},
			{"weather-pro", pricePro, "99.00", "USD", "MONTH"},
			{"weather-pro-eur", "Pro, monthly, euros", "92.00", "EUR", "MONTH"},
		}},
		{"radar", "Radar images", "Rain radar, every five minutes", []sale{
			{"radar-monthly", "Radar, monthly", "49.00", "USD", "MONTH"},
		}},
		{"archive", "Historical archive", "Thirty years of measurements as one download", []sale{
			{"archive-once", priceArchive, "120.00", "USD", ""},
		}},
		{"integration", "Integration package", "We connect your systems", []sale{
			{"integration-once", priceIntegration, "250.00", "USD", ""},
		}},
	} {
		id, err := s.Billing.CreateProduct(ctx, billing.ProductDraft{Name: p.name, Description: &p.description}, key("product-"+p.step))
		if err != nil {
			return fmt.Errorf("product %s: %w", p.name, err)
		}
		for _, sold := range p.prices {
			amount, err := money.ParseMinor(money.Decimal(sold.amount), sold.currency)
			if err != nil {
				return err
			}
			d := billing.PriceDraft{ProductID: id, UnitAmount: amount, Nickname: &sold.nickname}
			if sold.interval == "MONTH" {
				d.Recurrence = &billing.Recurrence{Interval: "MONTH", Count: 1}
			}
			if s.prices[sold.nickname], err = s.Billing.CreatePrice(ctx, d, key("price-"+sold.step)); err != nil {
				return fmt.Errorf("price %s: %w", sold.nickname, err)
			}
		}
	}
	return nil
}
