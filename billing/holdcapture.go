package billing

import (
	"context"
	"crypto/subtle"
	"fmt"

	"purser/ent"
	"purser/ent/hold"
	"purser/ent/ledgerentry"
	"purser/money"
)

// HoldCapture charges for the work that a hold was for.
type HoldCapture struct {
	HoldID         string
	Amount         *money.Amount // all of the hold when nil
	OnInsufficient OnInsufficient
	Description    *string // the hold's when nil
	Key            *string `json:"-"`
}

// captureOperation is the kind of operation that the keys of captures belong
// to; they live on the entries themselves.
const captureOperation = "hold_capture"

// CaptureHold charges a payer's balance for the work that a hold was for, in
// one entry, and closes the hold. What it leaves of the hold is free again;
// what it takes above the hold must be available, unless OnInsufficient says
// RECORD. A capture of nothing would leave no entry to keep its key: such a
// hold is released instead.
//
// What was promised by the hold is charged also where payer or currency have
// been made inactive since; what is above it is new spending. Called again
// with the same key and input it returns the same entry.
//
// Codes: REQUIRED (key), INVALID, NOT_FOUND, INVALID_STATE (captured or
// released before; above the hold also payer or currency not active), EXPIRED,
// CURRENCY_MISMATCH, IDEMPOTENCY_KEY_REUSED, LIMIT_EXCEEDED, and with details
// FUNDS_RESERVED, CREDIT_LIMIT_EXCEEDED, INSUFFICIENT_FUNDS.
func (s *Service) CaptureHold(ctx context.Context, c HoldCapture) (HoldChange, error) {
	if err := c.check(); err != nil {
		return HoldChange{}, err
	}
	op, err := s.newOperation("holdCapture", c.Key, keyRequired, c)
	if err != nil {
		return HoldChange{}, err
	}
	var e *ent.LedgerEntry
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		if e, err = tx.capturedBefore(ctx, op); e != nil || err != nil {
			return err
		}
		e, err = tx.captureHold(ctx, c, op)
		return err
	})
	if err != nil {
		return HoldChange{}, err
	}
	return HoldChange{HoldID: orEmpty(e.HoldID), BalanceID: orEmpty(e.BalanceID), EntryID: e.ID}, nil
}

// check holds the draft to its bounds and brings it into the form by which it
// is compared with later runs.
func (c *HoldCapture) check() error {
	if c.Amount != nil && c.Amount.Sign() <= 0 {
		return refuse(CodeInvalid, "amount.amount", "a capture must be of more than zero: to charge nothing, release the hold")
	}
	switch c.OnInsufficient {
	case "":
		c.OnInsufficient = OnInsufficientRefuse
	case OnInsufficientRefuse, OnInsufficientRecord:
	default:
		return refuse(CodeInvalid, "onInsufficient", "%.20q is neither REFUSE nor RECORD", c.OnInsufficient)
	}
	var err error
	c.Description, err = optionalNote(c.Description, "description", "the description")
	return err
}

// capturedBefore returns the entry of an earlier run, or nil.
func (tx *Tx) capturedBefore(ctx context.Context, op operation) (*ent.LedgerEntry, error) {
	e, err := tx.LedgerEntry.Query().
		Where(ledgerentry.Operation(captureOperation), ledgerentry.IdempotencyKey(op.key)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up idempotency key: %w", err)
	case subtle.ConstantTimeCompare(e.Fingerprint, op.fingerprint) != 1:
		return nil, refuse(CodeIdempotencyKeyReused, "idempotencyKey", "this idempotency key was used before for another capture: use a new key for a new capture")
	}
	return e, nil
}

func (tx *Tx) captureHold(ctx context.Context, c HoldCapture, op operation) (*ent.LedgerEntry, error) {
	if _, err := tx.organization(ctx); err != nil {
		return nil, err
	}
	h, b, err := tx.lockHold(ctx, c.HoldID)
	if err != nil {
		return nil, err
	}
	amount, err := tx.mayCapture(ctx, c, h, b)
	if err != nil {
		// The lock may have been waited for while a run with the same key
		// closed the hold: then that run's entry is the answer.
		e, earlier := tx.capturedBefore(ctx, op)
		if e != nil || earlier != nil {
			err = earlier
		}
		return e, err
	}
	if err := tx.closeHold(ctx, h, hold.StatusCAPTURED, amount.Units); err != nil {
		return nil, err
	}
	description := c.Description
	if description == nil {
		description = h.Description
	}
	e, err := tx.postWith(ctx, b, freed(b, h.AmountUnits), tx.newEntry(ctx, posting{
		kind:  ledgerentry.KindUSAGE,
		debit: b.Account(), credit: accountRevenue, balanceID: b.ID,
		amount: amount, description: description, holdID: h.ID,
		operation: captureOperation, key: op.key, fingerprint: op.fingerprint,
	}))
	if err != nil || amount.Units >= h.AmountUnits {
		return e, err
	}
	return e, tx.payWaiting(ctx, b.ID)
}

// mayCapture returns how much a capture charges, or the refusal.
func (tx *Tx) mayCapture(ctx context.Context, c HoldCapture, h *ent.Hold, b *ent.Balance) (money.Amount, error) {
	amount := h.Amount()
	if err := holdIsOpen(h, tx.Now); err != nil {
		return amount, err
	}
	if c.Amount == nil {
		return amount, nil
	}
	if c.Amount.Currency != amount.Currency {
		return amount, refuse(CodeCurrencyMismatch, "amount.currency", "the hold is in %s", amount.Currency)
	}
	amount = *c.Amount
	if amount.Units <= h.AmountUnits {
		return amount, nil
	}
	if _, err := tx.activePayer(ctx, h.PayerID, "id"); err != nil {
		return amount, err
	}
	if _, err := tx.usableCurrency(ctx, h.Currency, "id"); err != nil {
		return amount, err
	}
	if short := shortAbove(b, h.AmountUnits, amount); short != nil && c.OnInsufficient == OnInsufficientRefuse {
		return amount, short.refusal("amount.amount")
	}
	return amount, nil
}

// shortAbove holds what a capture takes above its hold against what would be
// available if the hold alone had been charged: its own amount stands in
// nobody's way.
func shortAbove(b *ent.Balance, held money.Units, amount money.Amount) *shortage {
	charged := freed(b, held)
	charged.UsageUnits += held
	return shortOf(charged, money.Amount{Units: amount.Units - held, Currency: amount.Currency})
}
