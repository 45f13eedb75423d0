package billing

import (
	"context"
	"database/sql"
	"fmt"

	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/money"
)

// UsageReversal gives recorded usage back, in whole or in part.
type UsageReversal struct {
	EntryID string
	Amount  *money.Amount // what is left of the usage when nil
	Reason  *string
	Key     *string `json:"-"`
}

// ReverseUsage books the mirror of usage, from revenue to the balance. Usage
// may be given back in several parts; together they never come to more than
// what was used. Where the payer is suspended or the currency is not sold in
// any more, usage is given back all the same. Called again with the same key
// and input it returns the same entry.
//
// Codes: REQUIRED (key), INVALID, NOT_FOUND, INVALID_STATE (the entry is no
// usage, nothing is left of it, payer closed, organization not active),
// CURRENCY_MISMATCH, IDEMPOTENCY_KEY_REUSED, LIMIT_EXCEEDED.
func (s *Service) ReverseUsage(ctx context.Context, r UsageReversal) (Booking, error) {
	if !storable(r.EntryID) {
		return Booking{}, notFound("entryId", "entry", r.EntryID)
	}
	if r.Amount != nil && r.Amount.Sign() <= 0 {
		return Booking{}, refuse(CodeInvalid, "amount.amount", "the amount must be more than zero")
	}
	var err error
	if r.Reason, err = optionalNote(r.Reason, "reason", "the reason"); err != nil {
		return Booking{}, err
	}
	op, err := s.newOperation("usageReverse", r.Key, keyRequired, r)
	if err != nil {
		return Booking{}, err
	}
	var out Booking
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			out = Booking{EntryID: earlier.Subject, BalanceID: earlier.SecondSubject}
			return nil
		}
		e, err := tx.reverseUsage(ctx, r)
		if err != nil {
			return err
		}
		out = Booking{EntryID: e.ID, BalanceID: orEmpty(e.BalanceID)}
		if err := tx.payWaiting(ctx, out.BalanceID); err != nil {
			return err
		}
		return tx.remember(ctx, op, out.EntryID, out.BalanceID, "")
	})
	if err != nil {
		return Booking{}, err
	}
	return out, nil
}

func (tx *Tx) reverseUsage(ctx context.Context, r UsageReversal) (*ent.LedgerEntry, error) {
	if _, err := tx.organization(ctx); err != nil {
		return nil, err
	}
	e, err := tx.LedgerEntry.Query().Where(ledgerentry.ID(r.EntryID)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "entryId", "entry", r.EntryID)
	}
	if e.Kind != ledgerentry.KindUSAGE {
		return nil, refuse(CodeInvalidState, "entryId", "the entry is a %s: only usage is given back", e.Kind)
	}
	if r.Amount != nil && r.Amount.Currency != e.Currency {
		return nil, refuse(CodeCurrencyMismatch, "amount.currency", "the usage is in %s", e.Currency)
	}
	// Whoever reverses the same entry at the same time waits here, or fails on
	// the balance's version.
	b, err := tx.lockBalance(ctx, orEmpty(e.BalanceID))
	if err != nil {
		return nil, err
	}
	p, err := tx.payer(ctx, b.PayerID, "entryId")
	if err != nil {
		return nil, err
	}
	if p.Status == payer.StatusCLOSED {
		return nil, refuse(CodeInvalidState, "entryId", "the payer is %s", p.Status)
	}
	parts, given, err := tx.reversals(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	left := money.Amount{Units: e.AmountUnits - given, Currency: e.Currency}
	amount := left
	if r.Amount != nil {
		amount = *r.Amount
	}
	switch {
	case left.IsZero():
		return nil, refuse(CodeInvalidState, "entryId", "all of the usage has been given back")
	case amount.Units > left.Units:
		return nil, refuse(CodeInvalid, "amount.amount", "%s are left of the usage, %s cannot be given back", left, amount)
	}
	return tx.postTo(ctx, b, tx.newEntry(ctx, posting{
		kind: ledgerentry.KindREVERSAL, reversedKind: e.Kind, reversesID: e.ID,
		debit: e.CreditAccount, credit: e.DebitAccount, balanceID: b.ID,
		amount:      amount,
		description: r.Reason,
		holdID:      orEmpty(e.HoldID),
		causeKey:    reversalPart(e.ID, parts+1),
	}))
}

// reversals counts and sums what was given back of an entry so far.
func (tx *Tx) reversals(ctx context.Context, entryID string) (parts int, given money.Units, err error) {
	var sums []struct {
		Parts int
		Sum   sql.NullInt64
	}
	err = tx.LedgerEntry.Query().Where(ledgerentry.ReversesID(entryID)).
		Aggregate(ent.As(ent.Count(), "parts"), ent.As(ent.Sum(ledgerentry.FieldAmountUnits), "sum")).
		Scan(ctx, &sums)
	if err != nil {
		return 0, 0, fmt.Errorf("sum what was given back of %s: %w", entryID, err)
	}
	if len(sums) == 0 {
		return 0, 0, nil
	}
	return sums[0].Parts, money.Units(sums[0].Sum.Int64), nil
}
