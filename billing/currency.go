package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/currency"
	"purser/money"
)

// CurrencyChange adds a currency or changes it. What is nil stays.
type CurrencyChange struct {
	Code        string
	Name        *string // the code where it is left out at first
	DisplayName *string // the name where it is left out at first
	Description *string // empty clears
	Status      *currency.Status
	// Virtual says whether the currency exists only here; it can be told from
	// the code and never changes.
	Virtual      *bool
	MinimumTopUp *money.Amount
	CreditLimit  *money.Amount
}

// SetCurrency adds a currency to the caller's organization, or changes it,
// and returns its row's id. Refusals: INVALID, CURRENCY_MISMATCH, IN_USE.
func (s *Service) SetCurrency(ctx context.Context, c CurrencyChange) (string, error) {
	if err := money.ValidCode(c.Code); err != nil {
		return "", refusedAmount(err, "code")
	}
	virtual := !money.IsISO(c.Code)
	switch {
	case c.Virtual == nil || *c.Virtual == virtual:
	case virtual:
		return "", refuse(CodeInvalid, "virtual", "%s is no currency of ISO 4217: it can only be virtual", c.Code)
	default:
		return "", refuse(CodeInvalid, "virtual", "%s is a real currency and cannot be virtual: choose another code", c.Code)
	}
	if len(c.Code) == 3 && virtual && c.Virtual == nil {
		return "", refuse(CodeInvalid, "code", "%s is no currency of ISO 4217: say virtual: true when it is one of your own", c.Code)
	}
	var err error
	for _, n := range []struct {
		value **string
		field string
		what  string
	}{{&c.Name, "name", "the name"}, {&c.DisplayName, "displayName", "the name shown"}} {
		if *n.value, err = optionalLabel(*n.value, n.field, n.what, nameMax); err != nil {
			return "", err
		}
	}
	description, err := optionalNote(c.Description, "description", "the description")
	if err != nil {
		return "", err
	}
	for _, limit := range []struct {
		amount *money.Amount
		field  string
	}{{c.MinimumTopUp, "minimumTopUp"}, {c.CreditLimit, "creditLimit"}} {
		switch {
		case limit.amount == nil:
		case limit.amount.Currency != c.Code:
			return "", refuse(CodeCurrencyMismatch, limit.field, "the amount is in %s, the currency is %s", limit.amount.Currency, c.Code)
		case limit.amount.Sign() < 0:
			return "", refuse(CodeInvalid, limit.field, "the amount must not be negative")
		}
	}
	id := s.newID(prefixCurrency)
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		o, err := tx.organization(ctx)
		if err != nil {
			return err
		}
		if c.Status != nil && *c.Status == currency.StatusINACTIVE && o.DefaultCurrency == c.Code {
			return refuse(CodeInUse, "status", "%s is the organization's default currency: choose another one first", c.Code)
		}
		row, err := tx.Currency.Query().Where(currency.Code(c.Code)).Only(ctx)
		switch {
		case ent.IsNotFound(err):
			return tx.addCurrency(ctx, id, c, description, virtual)
		case err != nil:
			return fmt.Errorf("read currency %s: %w", c.Code, err)
		}
		id = row.ID
		u := tx.Currency.Update().Where(currency.ID(row.ID)).
			SetNillableName(c.Name).SetNillableDisplayName(c.DisplayName).SetNillableStatus(c.Status)
		if c.Description != nil {
			setOrClear(description, u.SetDescription, u.ClearDescription)
		}
		if c.MinimumTopUp != nil {
			u.SetMinimumTopUpUnits(c.MinimumTopUp.Units)
		}
		if c.CreditLimit != nil {
			u.SetCreditLimitUnits(c.CreditLimit.Units)
		}
		if len(u.Mutation().Fields())+len(u.Mutation().ClearedFields()) == 0 {
			return nil
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("change currency %s: %w", c.Code, err)
		}
		if c.CreditLimit != nil {
			if err := tx.followLimit(ctx, c.Code, c.CreditLimit.Units); err != nil {
				return err
			}
		}
		return tx.audit(ctx, "currency.update", row.ID, map[string]string{"code": c.Code})
	})
	return id, err
}

func (tx *Tx) addCurrency(ctx context.Context, id string, c CurrencyChange, description *string, virtual bool) error {
	name := c.Code
	if c.Name != nil {
		name = *c.Name
	}
	shown := name
	if c.DisplayName != nil {
		shown = *c.DisplayName
	}
	create := tx.Currency.Create().
		SetID(id).SetCode(c.Code).SetName(name).SetDisplayName(shown).
		SetNillableDescription(description).SetNillableStatus(c.Status).SetVirtual(virtual).
		SetCreatedAt(tx.Now)
	if c.MinimumTopUp != nil {
		create.SetMinimumTopUpUnits(c.MinimumTopUp.Units)
	}
	if c.CreditLimit != nil {
		create.SetCreditLimitUnits(c.CreditLimit.Units)
	}
	if err := create.Exec(ctx); err != nil {
		return fmt.Errorf("add currency %s: %w", c.Code, err)
	}
	return tx.audit(ctx, "currency.add", id, map[string]string{"code": c.Code})
}

// DeleteCurrency removes a currency that nothing is counted in. Refusals:
// NOT_FOUND, IN_USE.
func (s *Service) DeleteCurrency(ctx context.Context, code string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		o, err := tx.organization(ctx)
		if err != nil {
			return err
		}
		row, err := tx.Currency.Query().Where(currency.Code(code)).Only(ctx)
		if err != nil {
			return orNotFound(err, "code", "currency", code)
		}
		if o.DefaultCurrency == code {
			return refuse(CodeInUse, "code", "%s is the organization's default currency: choose another one first", code)
		}
		used, err := tx.currencyInUse(ctx, code)
		if err != nil {
			return err
		}
		if used {
			return refuse(CodeInUse, "code", "%s is in use: set its status to INACTIVE instead", code)
		}
		if err := cas(tx.Currency.Delete().Where(currency.ID(row.ID)).Exec(ctx)); err != nil {
			return fmt.Errorf("delete currency %s: %w", code, err)
		}
		return tx.audit(ctx, "currency.delete", row.ID, map[string]string{"code": code})
	})
}
