package demo

import (
	"context"

	"purser/billing"
	"purser/money"
)

// currencies adds what the demo sells in beside dollars, and what postpaid
// payers may owe.
func (s *seeder) currencies(ctx context.Context) error {
	credit, err := money.ParseMinor("500.00", "USD")
	if err != nil {
		return err
	}
	virtual := true
	for _, c := range []billing.CurrencyChange{
		{Code: "USD", Name: text("US dollar"), DisplayName: text("US dollars"), CreditLimit: &credit},
		{Code: "EUR", Name: text("Euro"), DisplayName: text("Euros")},
		{Code: "PTS", Name: text("Points"), DisplayName: text("Weather points"), Description: text("Bonus points that pay for requests"), Virtual: &virtual},
	} {
		if _, err := s.Billing.SetCurrency(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// payers makes two developers, and a company that both are members of.
func (s *seeder) payers(ctx context.Context) (err error) {
	s.ada, err = s.Billing.CreateDeveloper(ctx, billing.PayerDraft{
		Email: "ada@example.com", Name: "Ada Lovelace", BillingMode: "PREPAID",
	}, key("developer-ada"))
	if err != nil {
		return err
	}
	s.linus, err = s.Billing.CreateDeveloper(ctx, billing.PayerDraft{
		Email: "linus@example.com", Name: "Linus Berg", BillingMode: "POSTPAID",
	}, key("developer-linus"))
	if err != nil {
		return err
	}
	s.acme, err = s.Billing.CreateCompany(ctx, billing.PayerDraft{
		Slug: "acme", Name: "ACME Ltd", BillingMode: "PREPAID", BillingEmail: text("billing@example.com"),
	}, key("company-acme"))
	if err != nil {
		return err
	}
	if _, err := s.Billing.AddMember(ctx, s.acme, s.ada, "ADMIN"); err != nil {
		return err
	}
	_, err = s.Billing.AddMember(ctx, s.acme, s.linus, "MEMBER")
	return err
}

// balances books money in and usage out.
func (s *seeder) balances(ctx context.Context) error {
	for _, r := range []struct{ step, payer, amount, currency, reference string }{
		{"reload-ada", s.ada, "335.50", "USD", "Bank transfer 2041"},
		{"reload-ada-points", s.ada, "1000", "PTS", "Welcome bonus"},
		{"reload-ada-euros", s.ada, "14.99", "EUR", "Bank transfer 2043"},
		{"reload-acme", s.acme, "1200.00", "EUR", "Bank transfer 2042"},
	} {
		amount, err := money.Parse(money.Decimal(r.amount), r.currency)
		if err != nil {
			return err
		}
		if _, err := s.Billing.ReloadBalance(ctx, billing.Reload{PayerID: r.payer, Amount: amount, Reference: &r.reference, Key: key(r.step)}); err != nil {
			return err
		}
	}
	for _, u := range []struct{ step, payer, amount, currency, description string }{
		{"usage-ada-1", s.ada, "12.40", "USD", "1,240 forecasts"},
		{"usage-ada-2", s.ada, "9.10", "USD", "910 forecasts"},
		{"usage-ada-3", s.ada, "12.50", "USD", "50 radar images"},
		{"usage-ada-points", s.ada, "120", "PTS", "120 forecasts"},
		{"usage-linus", s.linus, "42.1572", "USD", "Forecasts by the second"},
		{"usage-acme", s.acme, "128.75", "EUR", "515 radar images"},
	} {
		amount, err := money.Parse(money.Decimal(u.amount), u.currency)
		if err != nil {
			return err
		}
		if _, err := s.Billing.RecordUsage(ctx, billing.Usage{PayerID: u.payer, Amount: amount, Description: &u.description, Key: key(u.step)}); err != nil {
			return err
		}
	}
	return nil
}

func text(s string) *string { return &s }
