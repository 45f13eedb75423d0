package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/payer"
	"purser/money"
)

// CreditLimitChange agrees on a credit limit with one payer, or with only a
// currency goes back to the currency's.
type CreditLimitChange struct {
	PayerID  string
	Amount   *money.Amount // the ledger's full precision
	Currency string
}

// SetCreditLimit sets how much a postpaid payer may owe, and returns the id of
// its balance, which is made when there is none yet. A limit below what is
// owed already stops new spending and does nothing else. It may be called any
// number of times.
//
// Codes: REQUIRED, INVALID, NOT_FOUND, INVALID_STATE (not POSTPAID, CLOSED),
// CURRENCY_MISMATCH.
func (s *Service) SetCreditLimit(ctx context.Context, c CreditLimitChange) (string, error) {
	field := "currency"
	switch {
	case c.Amount == nil && c.Currency == "":
		return "", refuse(CodeRequired, "amount", "name an amount, or the currency whose limit is to count again")
	case c.Amount == nil:
	case c.Currency != "" && c.Currency != c.Amount.Currency:
		return "", refuse(CodeCurrencyMismatch, "currency", "the amount is in %s", c.Amount.Currency)
	case c.Amount.Sign() < 0:
		return "", refuse(CodeInvalid, "amount.amount", "a limit must not be less than zero")
	default:
		c.Currency, field = c.Amount.Currency, "amount.currency"
	}
	return s.setOnBalance(ctx, c.PayerID, c.Currency, field, "creditLimit.set", func(ctx context.Context, tx *Tx, _, after *ent.Balance) error {
		if !postpaid(after) {
			return refuse(CodeInvalidState, "payerId", "only postpaid payers have a credit limit")
		}
		after.CreditLimitOwn = c.Amount != nil
		if c.Amount != nil {
			after.CreditLimitUnits = &c.Amount.Units
			return nil
		}
		row, err := tx.usableCurrency(ctx, c.Currency, field)
		if err != nil {
			return err
		}
		after.CreditLimitUnits = row.CreditLimitUnits
		return nil
	})
}

// LowBalanceChange says from when on a balance is low; with neither level nor
// percentage it never is.
type LowBalanceChange struct {
	PayerID  string
	Currency string
	Level    *money.Amount // the ledger's full precision
	Percent  *int
}

// SetLowBalanceNotice sets the level at which a balance is noticed to be low,
// and returns the id of the balance, which is made when there is none yet. One
// that is at a new level already is noticed at once. Setting the same again
// changes nothing.
//
// Codes: INVALID, NOT_FOUND, INVALID_STATE (CLOSED), CURRENCY_MISMATCH.
func (s *Service) SetLowBalanceNotice(ctx context.Context, c LowBalanceChange) (string, error) {
	switch {
	case c.Level != nil && c.Percent != nil:
		return "", refuse(CodeInvalid, "percent", "the level is either an amount or a percentage: leave one of them out")
	case c.Percent != nil && (*c.Percent < 1 || *c.Percent > 100):
		return "", refuse(CodeInvalid, "percent", "a percentage is a number from 1 to 100")
	case c.Level == nil:
	case c.Level.Currency != c.Currency:
		return "", refuse(CodeCurrencyMismatch, "level.currency", "the level is in %s, the balance in %s", c.Level.Currency, c.Currency)
	case c.Level.Sign() < 0:
		return "", refuse(CodeInvalid, "level.amount", "the level must not be less than zero")
	}
	return s.setOnBalance(ctx, c.PayerID, c.Currency, "currency", "lowBalanceNotice.set", func(_ context.Context, _ *Tx, before, after *ent.Balance) error {
		after.LowBalanceLevelUnits, after.LowBalancePercent = nil, c.Percent
		if c.Level != nil {
			after.LowBalanceLevelUnits = &c.Level.Units
		}
		before.LowBalanceNoticedAt = nil // another level is reached anew
		return nil
	})
}

// setOnBalance changes what is agreed about a payer's balance. set gets the
// balance as it is and as it shall be.
func (s *Service) setOnBalance(ctx context.Context, payerID, code, field, action string,
	set func(ctx context.Context, tx *Tx, before, after *ent.Balance) error,
) (string, error) {
	var id string
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.organization(ctx); err != nil {
			return err
		}
		p, err := tx.payer(ctx, payerID, "payerId")
		if err != nil {
			return err
		}
		if p.Status == payer.StatusCLOSED {
			return refuse(CodeInvalidState, "payerId", "the payer is %s", p.Status)
		}
		if err := tx.keepStatus(ctx, p); err != nil {
			return err
		}
		b, err := tx.ensureBalance(ctx, p, code, field)
		if err != nil {
			return err
		}
		if b, err = tx.lockBalance(ctx, b.ID); err != nil {
			return err
		}
		id = b.ID
		after := *b
		if err := set(ctx, tx, b, &after); err != nil {
			return err
		}
		if sameAgreement(b, &after) {
			return nil
		}
		if err := tx.writeBalance(ctx, b, &after, ""); err != nil {
			return err
		}
		return tx.audit(ctx, action, b.ID, nil)
	})
	return id, err
}

// sameAgreement compares what is agreed about two states of a balance.
func sameAgreement(a, b *ent.Balance) bool {
	return same(a.CreditLimitUnits, b.CreditLimitUnits) && a.CreditLimitOwn == b.CreditLimitOwn &&
		same(a.LowBalanceLevelUnits, b.LowBalanceLevelUnits) && same(a.LowBalancePercent, b.LowBalancePercent)
}

// limitsChunk bounds the balances that one statement gives a new limit.
const limitsChunk = 500

// followLimit gives a currency's new limit to the balances that follow it:
// those of postpaid payers without a limit of their own. Whether one of them is
// low by a percentage of it is seen when it is next booked on.
func (tx *Tx) followLimit(ctx context.Context, code string, limit money.Units) error {
	rows, err := tx.Balance.Query().
		Where(balance.Currency(code), balance.BillingModeEQ(balance.BillingModePOSTPAID), balance.CreditLimitOwn(false)).
		Select(balance.FieldID, balance.FieldPayerID).All(ctx)
	if err != nil {
		return fmt.Errorf("list balances in %s: %w", code, err)
	}
	for ; len(rows) > 0; rows = rows[min(len(rows), limitsChunk):] {
		chunk := rows[:min(len(rows), limitsChunk)]
		ids := make([]string, len(chunk))
		for i, b := range chunk {
			ids[i] = b.ID
			tx.changed(ctx, ChangeBalance, b.ID, b.PayerID)
		}
		err := tx.Balance.Update().Where(balance.IDIn(ids...)).
			SetCreditLimitUnits(limit).AddVersion(1).SetUpdatedAt(tx.Now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("set limits in %s: %w", code, err)
		}
	}
	return nil
}

// same compares two optional values.
func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
