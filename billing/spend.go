package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/currency"
	"purser/ent/invoice"
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
	all, err := s.CanSpendEach(ctx, []string{payerID}, amount)
	if err != nil {
		return SpendCheck{}, err
	}
	a, ok := all[payerID]
	if !ok {
		return SpendCheck{}, notFound("payerId", "payer", payerID)
	}
	return a.SpendCheck, a.Err
}

// SpendAnswer is the answer about one of several payers.
type SpendAnswer struct {
	SpendCheck
	Err error // a refusal as CanSpend returns it
}

// CanSpendEach answers CanSpend for several payers in as many statements as
// for one. Payers that do not exist have no answer.
//
// Codes: INVALID.
func (s *Service) CanSpendEach(ctx context.Context, payerIDs []string, amount money.Amount) (map[string]SpendAnswer, error) {
	if amount.Sign() < 0 {
		return nil, refuse(CodeInvalid, "amount.amount", "the amount must not be less than zero")
	}
	payers, err := s.read.Payer.Query().Where(payer.IDIn(payerIDs...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read payers: %w", err)
	}
	out := make(map[string]SpendAnswer, len(payers))
	c, err := s.sold(ctx, amount.Currency)
	var refusal *Error
	if err != nil && !errors.As(err, &refusal) {
		return nil, err
	}
	var ids []string
	for _, p := range payers {
		switch {
		case p.Status != payer.StatusACTIVE:
			out[p.ID] = SpendAnswer{SpendCheck: SpendCheck{Reason: CodeInvalidState}}
		case refusal != nil:
			out[p.ID] = SpendAnswer{Err: refusal}
		default:
			ids = append(ids, p.ID)
		}
	}
	if len(ids) == 0 {
		return out, nil
	}
	balances, err := s.balancesOf(ctx, ids, amount.Currency)
	if err != nil {
		return nil, err
	}
	var without []string
	for _, id := range ids {
		if balances[id] == nil {
			without = append(without, id)
		}
	}
	due := map[string]money.Units{}
	if len(without) > 0 {
		if due, err = s.unpaidOf(ctx, without, amount.Currency); err != nil {
			return nil, err
		}
	}
	for _, p := range payers {
		if _, answered := out[p.ID]; answered {
			continue
		}
		b := balances[p.ID]
		if b == nil { // the one that the payer would get
			b = &ent.Balance{PayerID: p.ID, Currency: c.Code, BillingMode: balance.BillingMode(p.BillingMode), UnpaidUnits: due[p.ID]}
			if p.BillingMode == payer.BillingModePOSTPAID {
				b.CreditLimitUnits = c.CreditLimitUnits
			}
		}
		out[p.ID] = SpendAnswer{SpendCheck: spendCheck(b, amount)}
	}
	return out, nil
}

// spendCheck holds an amount against a balance.
func spendCheck(b *ent.Balance, amount money.Amount) SpendCheck {
	short := shortOf(b, amount)
	if short == nil {
		return SpendCheck{Allowed: true}
	}
	return SpendCheck{Reason: short.code, Details: &short.Funds}
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

// balancesOf reads the balances of several payers in one currency, by payer.
func (s *Service) balancesOf(ctx context.Context, payerIDs []string, code string) (map[string]*ent.Balance, error) {
	rows, err := s.read.Balance.Query().Where(balance.PayerIDIn(payerIDs...), balance.Currency(code)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	out := make(map[string]*ent.Balance, len(rows))
	for _, b := range rows {
		out[b.PayerID] = b
	}
	return out, nil
}

// unpaidOf is what the unpaid invoices of several payers come to.
func (s *Service) unpaidOf(ctx context.Context, payerIDs []string, code string) (map[string]money.Units, error) {
	var sums []struct {
		PayerID string        `json:"payer_id"`
		Sum     sql.NullInt64 `json:"sum"`
	}
	err := s.read.Invoice.Query().
		Where(invoice.PayerIDIn(payerIDs...), invoice.Currency(code), invoice.StatusIn(invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE)).
		GroupBy(invoice.FieldPayerID).
		Aggregate(ent.As(ent.Sum(invoice.FieldAmountDueUnits), "sum")).
		Scan(ctx, &sums)
	if err != nil {
		return nil, fmt.Errorf("sum unpaid invoices in %s: %w", code, err)
	}
	out := make(map[string]money.Units, len(sums))
	for _, s := range sums {
		out[s.PayerID] = money.Units(s.Sum.Int64)
	}
	return out, nil
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
