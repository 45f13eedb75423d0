package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/currency"
	"purser/ent/payer"
	"purser/money"
)

// SpendCheck says whether an amount could be spent now. Nothing is set aside
// by asking.
type SpendCheck struct {
	Allowed bool
	Reason  Code   // why not: a code for lack of funds, or INVALID_STATE of the payer
	Details *Funds // with a code for lack of funds
}

// CanSpend answers whether usage of the amount would be accepted if it were
// recorded now.
//
// Codes: INVALID, NOT_FOUND, CURRENCY_MISMATCH, INVALID_STATE (the currency is
// not active).
func (s *Service) CanSpend(ctx context.Context, payerID string, amount money.Amount) (SpendCheck, error) {
	if amount.Sign() < 0 {
		return SpendCheck{}, refuse(CodeInvalid, "amount.amount", "the amount must not be less than zero")
	}
	p, err := s.read.Payer.Query().Where(payer.ID(payerID)).Only(ctx)
	if err != nil {
		return SpendCheck{}, orNotFound(err, "payerId", "payer", payerID)
	}
	if p.Status != payer.StatusACTIVE {
		return SpendCheck{Reason: CodeInvalidState}, nil
	}
	c, err := s.sold(ctx, amount.Currency)
	if err != nil {
		return SpendCheck{}, err
	}
	b, err := s.read.Balance.Query().Where(balance.PayerID(p.ID), balance.Currency(amount.Currency)).Only(ctx)
	if ent.IsNotFound(err) {
		b, err = s.balanceToBe(ctx, p, c)
	}
	if err != nil {
		return SpendCheck{}, err
	}
	short := shortOf(b, amount)
	if short == nil {
		return SpendCheck{Allowed: true}, nil
	}
	return SpendCheck{Reason: short.code, Details: &short.Funds}, nil
}

// sold reads a currency that the organization sells in now.
func (s *Service) sold(ctx context.Context, code string) (*ent.Currency, error) {
	c, err := s.read.Currency.Query().Where(currency.Code(code)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, refuse(CodeCurrencyMismatch, "amount.currency", "the organization does not sell in %.12q", code)
	case err != nil:
		return nil, fmt.Errorf("read currency %s: %w", code, err)
	case c.Status != currency.StatusACTIVE:
		return nil, refuse(CodeInvalidState, "amount.currency", "the currency %s is not active", code)
	}
	return c, nil
}

// balanceToBe is the balance that the payer would get in a currency in which
// it has none.
func (s *Service) balanceToBe(ctx context.Context, p *ent.Payer, c *ent.Currency) (*ent.Balance, error) {
	due, err := unpaid(ctx, s.read, p.ID, c.Code)
	if err != nil {
		return nil, err
	}
	b := &ent.Balance{PayerID: p.ID, Currency: c.Code, BillingMode: balance.BillingMode(p.BillingMode), UnpaidUnits: due}
	if p.BillingMode == payer.BillingModePOSTPAID {
		b.CreditLimitUnits = c.CreditLimitUnits
	}
	return b, nil
}

// shortage is why an amount does not fit a balance.
type shortage struct {
	code Code
	Funds
}

// shortOf compares an amount with what is available (spec.md decision 14) and
// returns nil when it fits.
func shortOf(b *ent.Balance, required money.Amount) *shortage {
	available := b.Available()
	if required.Units <= available.Units {
		return nil
	}
	code := CodeInsufficientFunds
	switch {
	case required.Units <= available.Units+b.HeldUnits:
		code = CodeFundsReserved
	case b.BillingMode == balance.BillingModePOSTPAID:
		code = CodeCreditLimitExceeded
	}
	return &shortage{code: code, Funds: Funds{
		Required:  required,
		Available: available,
		Held:      b.Held(),
		Shortfall: money.Amount{Units: required.Units - available.Units, Currency: required.Currency},
	}}
}

// refusal is the shortage as the answer to an operation.
func (s *shortage) refusal(field string) *Error {
	var e *Error
	switch s.code {
	case CodeFundsReserved:
		e = refuse(s.code, field, "%s are needed and %s are available, because %s are on hold: capture or release a hold, or top up the balance", s.Required, s.Available, s.Held)
	case CodeCreditLimitExceeded:
		e = refuse(s.code, field, "%s are needed and %s are left of the credit limit: pay open invoices, top up the balance or raise the limit", s.Required, s.Available)
	default:
		e = refuse(s.code, field, "%s are needed and %s are available: top up the balance by %s or more", s.Required, s.Available, s.Shortfall)
	}
	e.Details = &s.Funds
	return e
}
