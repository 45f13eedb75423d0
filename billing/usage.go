package billing

import (
	"context"
	"crypto/subtle"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/money"
)

// OnInsufficient says what to do with usage that the balance does not cover.
type OnInsufficient string

// REFUSE books nothing; RECORD books work that is already done, into debt if
// need be. Nothing said means REFUSE.
const (
	OnInsufficientRefuse OnInsufficient = "REFUSE"
	OnInsufficientRecord OnInsufficient = "RECORD"
)

// Usage is something that a payer has used.
type Usage struct {
	PayerID        string
	Amount         money.Amount // the ledger's full precision
	Description    *string
	Metadata       map[string]string
	OccurredAt     *time.Time // the time of booking when nil
	OnInsufficient OnInsufficient
	Key            *string `json:"-"`
}

// Booking is one entry on a balance.
type Booking struct {
	EntryID   string
	BalanceID string
}

// usageOperation is the kind of operation that the keys of usage belong to;
// they live on the entries themselves.
const usageOperation = "usage"

// Bounds of the time at which usage may have occurred: clocks of others may
// be a little ahead of ours.
const usageAheadMax = time.Minute

var usageEarliest = time.Unix(0, 0).UTC()

// RecordUsage charges a payer's balance for usage: one entry from the balance
// to revenue. The balance is made when there is none yet. Called again with
// the same key and input it returns the same entry, whatever has become of the
// payer since; a refusal is not remembered, so the same usage may be tried
// again after a top-up. In a currency that is INACTIVE nothing is booked, with
// REFUSE and RECORD alike: RECORD is about funds, and work that was done for a
// currency that is not sold any more is booked when the currency is ACTIVE
// again.
//
// Codes: REQUIRED (key), INVALID, NOT_FOUND, INVALID_STATE (payer, currency or
// organization not active), CURRENCY_MISMATCH, IDEMPOTENCY_KEY_REUSED, LIMIT_EXCEEDED, and
// with details FUNDS_RESERVED, CREDIT_LIMIT_EXCEEDED, INSUFFICIENT_FUNDS.
func (s *Service) RecordUsage(ctx context.Context, u Usage) (Booking, error) {
	if err := u.check(s.now()); err != nil {
		return Booking{}, err
	}
	op, err := s.newOperation("usageRecord", u.Key, keyRequired, u)
	if err != nil {
		return Booking{}, err
	}
	var e *ent.LedgerEntry
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		if e, err = tx.recordedUsage(ctx, op); e != nil || err != nil {
			return err
		}
		e, err = tx.recordUsage(ctx, u, op)
		return err
	})
	if err != nil {
		return Booking{}, err
	}
	return Booking{EntryID: e.ID, BalanceID: orEmpty(e.BalanceID)}, nil
}

// check holds the draft to its bounds and brings it into the form by which
// it is compared with later runs.
func (u *Usage) check(now time.Time) error {
	if u.Amount.Sign() <= 0 {
		return refuse(CodeInvalid, "amount.amount", "usage must be more than zero; to give something back, post a credit")
	}
	var err error
	if u.Description, err = optionalNote(u.Description, "description", "the description"); err != nil {
		return err
	}
	if err := checkMetadata(u.Metadata, "metadata"); err != nil {
		return err
	}
	switch u.OnInsufficient {
	case "":
		u.OnInsufficient = OnInsufficientRefuse
	case OnInsufficientRefuse, OnInsufficientRecord:
	default:
		return refuse(CodeInvalid, "onInsufficient", "%.20q is neither REFUSE nor RECORD", u.OnInsufficient)
	}
	if u.OccurredAt == nil {
		return nil
	}
	at := storedTime(u.OccurredAt)
	switch {
	case at.After(now.Add(usageAheadMax)):
		return refuse(CodeInvalid, "occurredAt", "usage cannot have occurred in the future: it is %s now", now.Format(time.RFC3339))
	case at.Before(usageEarliest):
		return refuse(CodeInvalid, "occurredAt", "usage cannot have occurred before 1970")
	}
	u.OccurredAt = at
	return nil
}

// recordedUsage returns the entry of an earlier run, or nil.
func (tx *Tx) recordedUsage(ctx context.Context, op operation) (*ent.LedgerEntry, error) {
	e, err := tx.LedgerEntry.Query().
		Where(ledgerentry.Operation(usageOperation), ledgerentry.IdempotencyKey(op.key)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up idempotency key: %w", err)
	case subtle.ConstantTimeCompare(e.Fingerprint, op.fingerprint) != 1:
		return nil, refuse(CodeIdempotencyKeyReused, "idempotencyKey", "this idempotency key was used before for other usage: use a new key for a new event")
	}
	return e, nil
}

// balanceToUse is the payer's balance in the currency of the usage, made when
// there is none yet.
func (tx *Tx) balanceToUse(ctx context.Context, u Usage) (*ent.Balance, error) {
	if _, err := tx.usableCurrency(ctx, u.Amount.Currency, "amount.currency"); err != nil {
		return nil, err
	}
	b, err := tx.balanceOf(ctx, u.PayerID, u.Amount.Currency)
	if b != nil || err != nil {
		return b, err
	}
	p, err := tx.activePayer(ctx, u.PayerID, "payerId")
	if err != nil {
		return nil, err
	}
	return tx.ensureBalance(ctx, p, u.Amount.Currency, "amount.currency")
}

func (tx *Tx) recordUsage(ctx context.Context, u Usage, op operation) (*ent.LedgerEntry, error) {
	if _, err := tx.organization(ctx); err != nil {
		return nil, err
	}
	b, err := tx.balanceToUse(ctx, u)
	if err != nil {
		return nil, err
	}
	if b, err = tx.lockBalance(ctx, b.ID); err != nil {
		return nil, err
	}
	// Who closes the payer holds its balances: looked at before, it could have
	// been closed while the lock was waited for.
	if _, err := tx.activePayer(ctx, u.PayerID, "payerId"); err != nil {
		return nil, err
	}
	if short := shortOf(b, u.Amount); short != nil && u.OnInsufficient == OnInsufficientRefuse {
		// The lock may have been waited for while a run with the same key
		// took the funds: then that run's entry is the answer.
		e, err := tx.recordedUsage(ctx, op)
		if e == nil && err == nil {
			err = short.refusal("payerId")
		}
		return e, err
	}
	row := posting{
		kind:  ledgerentry.KindUSAGE,
		debit: b.Account(), credit: accountRevenue, balanceID: b.ID,
		amount:      u.Amount,
		description: u.Description, metadata: u.Metadata,
		operation: usageOperation, key: op.key, fingerprint: op.fingerprint,
	}
	if u.OccurredAt != nil {
		row.effectiveAt = *u.OccurredAt
	}
	return tx.postTo(ctx, b, tx.newEntry(ctx, row))
}
