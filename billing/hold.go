package billing

import (
	"context"
	"crypto/subtle"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/hold"
	"purser/money"
)

// HoldDraft asks for an amount to be set aside.
type HoldDraft struct {
	PayerID     string
	Amount      money.Amount // the ledger's full precision
	ExpiresIn   time.Duration
	Description *string
	Key         *string `json:"-"`
}

// HoldChange is a hold that was made or closed.
type HoldChange struct {
	HoldID    string
	BalanceID string
	EntryID   string // of a capture
}

// Bounds of a hold's life.
const (
	holdLifeMin = time.Second
	holdLifeMax = 31 * 24 * time.Hour
)

// CreateHold sets an amount aside on a payer's balance, which is made when
// there is none yet. It must be available; a hold is never booked into debt.
// Called again with the same key and input it returns the same hold, whatever
// has become of it since; a refusal is not remembered.
//
// Codes: REQUIRED (key), INVALID, NOT_FOUND, INVALID_STATE (payer, currency or
// organization not active), CURRENCY_MISMATCH, IDEMPOTENCY_KEY_REUSED,
// LIMIT_EXCEEDED, and with details FUNDS_RESERVED, CREDIT_LIMIT_EXCEEDED,
// INSUFFICIENT_FUNDS.
func (s *Service) CreateHold(ctx context.Context, d HoldDraft) (HoldChange, error) {
	switch {
	case d.Amount.Sign() <= 0:
		return HoldChange{}, refuse(CodeInvalid, "amount.amount", "a hold must be of more than zero")
	case d.ExpiresIn < holdLifeMin || d.ExpiresIn > holdLifeMax:
		return HoldChange{}, refuse(CodeInvalid, "expiresIn", "a hold lives %.0f to %.0f seconds", holdLifeMin.Seconds(), holdLifeMax.Seconds())
	}
	var err error
	if d.Description, err = optionalNote(d.Description, "description", "the description"); err != nil {
		return HoldChange{}, err
	}
	op, err := s.newOperation("holdCreate", d.Key, keyRequired, d)
	if err != nil {
		return HoldChange{}, err
	}
	id := s.newID(prefixHold)
	var h *ent.Hold
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		if h, err = tx.madeHold(ctx, op); h != nil || err != nil {
			return err
		}
		h, err = tx.createHold(ctx, id, d, op)
		return err
	})
	if err != nil {
		return HoldChange{}, err
	}
	return HoldChange{HoldID: h.ID, BalanceID: h.BalanceID}, nil
}

// madeHold returns the hold of an earlier run, or nil.
func (tx *Tx) madeHold(ctx context.Context, op operation) (*ent.Hold, error) {
	h, err := tx.Hold.Query().Where(hold.IdempotencyKey(op.key)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up idempotency key: %w", err)
	case subtle.ConstantTimeCompare(h.Fingerprint, op.fingerprint) != 1:
		return nil, refuse(CodeIdempotencyKeyReused, "idempotencyKey", "this idempotency key was used before for another hold: use a new key for a new hold")
	}
	return h, nil
}

func (tx *Tx) createHold(ctx context.Context, id string, d HoldDraft, op operation) (*ent.Hold, error) {
	if _, err := tx.organization(ctx); err != nil {
		return nil, err
	}
	p, err := tx.activePayer(ctx, d.PayerID, "payerId")
	if err != nil {
		return nil, err
	}
	b, err := tx.ensureBalance(ctx, p, d.Amount.Currency, "amount.currency")
	if err != nil {
		return nil, err
	}
	if b, err = tx.lockBalance(ctx, b.ID); err != nil {
		return nil, err
	}
	// Who closes the payer holds its balances: looked at before, it could have
	// been closed while the lock was waited for.
	if _, err := tx.activePayer(ctx, d.PayerID, "payerId"); err != nil {
		return nil, err
	}
	after, err := setAside(b, d.Amount)
	if err != nil {
		// The lock may have been waited for while a run with the same key
		// took the funds: then that run's hold is the answer.
		h, earlier := tx.madeHold(ctx, op)
		if h != nil || earlier != nil {
			err = earlier
		}
		return h, err
	}
	if err := tx.writeBalance(ctx, b, after, ""); err != nil {
		return nil, err
	}
	h, err := tx.Hold.Create().SetID(id).SetPayerID(b.PayerID).SetBalanceID(b.ID).
		SetCurrency(b.Currency).SetAmountUnits(d.Amount.Units).
		SetExpiresAt(tx.Now.Add(d.ExpiresIn)).SetNillableDescription(d.Description).
		SetIdempotencyKey(op.key).SetFingerprint(op.fingerprint).
		SetCreatedAt(tx.Now).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("store hold: %w", err)
	}
	return h, nil
}

// setAside is a balance with an amount on hold, or the refusal to put it there.
func setAside(b *ent.Balance, amount money.Amount) (*ent.Balance, error) {
	if short := shortOf(b, amount); short != nil {
		return nil, short.refusal("payerId")
	}
	after := *b
	var err error
	if after.HeldUnits, err = b.HeldUnits.Plus(amount.Units); err != nil {
		return nil, refuse(CodeLimitExceeded, "amount.amount", "the holds would leave the range that can be counted exactly")
	}
	return &after, nil
}

// freed is a balance without what a hold had set aside.
func freed(b *ent.Balance, held money.Units) *ent.Balance {
	after := *b
	after.HeldUnits -= held
	return &after
}

// ReleaseHold gives back what a hold has set aside. Releasing again changes
// nothing. It may be done whatever has become of the payer.
//
// Codes: NOT_FOUND, INVALID_STATE (it was captured), EXPIRED.
func (s *Service) ReleaseHold(ctx context.Context, id string) (HoldChange, error) {
	var out HoldChange
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		h, b, err := tx.lockHold(ctx, id)
		if err != nil {
			return err
		}
		out = HoldChange{HoldID: h.ID, BalanceID: h.BalanceID}
		if h.Status == hold.StatusRELEASED {
			return nil
		}
		if err := holdIsOpen(h, tx.Now); err != nil {
			return err
		}
		if err := tx.closeHold(ctx, h, hold.StatusRELEASED, 0); err != nil {
			return err
		}
		if err := tx.writeBalance(ctx, b, freed(b, h.AmountUnits), ""); err != nil {
			return err
		}
		return tx.payWaiting(ctx, b.ID)
	})
	if err != nil {
		return HoldChange{}, err
	}
	return out, nil
}

// lockHold reads a hold and its balance for a change. Whoever changes a hold
// has its balance first, so that the hold stays as it is read here.
func (tx *Tx) lockHold(ctx context.Context, id string) (*ent.Hold, *ent.Balance, error) {
	h, err := tx.Hold.Query().Where(hold.ID(id)).Only(ctx)
	if err != nil {
		return nil, nil, orNotFound(err, "id", "hold", id)
	}
	b, err := tx.lockBalance(ctx, h.BalanceID)
	if err != nil {
		return nil, nil, err
	}
	if h, err = tx.Hold.Query().Where(hold.ID(id)).Only(ctx); err != nil {
		return nil, nil, fmt.Errorf("read hold %s: %w", id, err)
	}
	return h, b, nil
}

// holdIsOpen refuses a hold that is closed, or whose time is over although
// nobody has expired it yet.
func holdIsOpen(h *ent.Hold, now time.Time) error {
	switch {
	case h.IdempotencyKey == nil:
		return refuse(CodeInvalidState, "id", "the hold is of a refund, which ends it")
	case h.Status == hold.StatusEXPIRED, h.Status == hold.StatusOPEN && !h.ExpiresAt.After(now):
		return refuse(CodeExpired, "id", "the hold has expired at %s", h.ExpiresAt.UTC().Format(time.RFC3339))
	case h.Status != hold.StatusOPEN:
		return refuse(CodeInvalidState, "id", "the hold is %s", h.Status)
	}
	return nil
}

// closeHold moves an open hold to its last state.
func (tx *Tx) closeHold(ctx context.Context, h *ent.Hold, to hold.Status, captured money.Units) error {
	n, err := tx.Hold.Update().Where(hold.ID(h.ID), hold.StatusEQ(hold.StatusOPEN)).
		SetStatus(to).SetCapturedUnits(captured).SetClosedAt(tx.Now).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("close hold %s: %w", h.ID, err)
	}
	return nil
}

// expireBite is how many holds of one balance one transaction expires.
const expireBite = 500

// BalancesWithOldHolds lists balances of the viewer's organization with holds
// whose time is over, the oldest first.
func (s *Service) BalancesWithOldHolds(ctx context.Context, limit int) ([]string, error) {
	var rows []struct {
		BalanceID string `json:"balance_id"`
	}
	// A balance may have many.
	err := s.read.Hold.Query().Where(holdDue(s.now(ctx))).Order(ent.Asc(hold.FieldExpiresAt)).Limit(expireBite).
		Select(hold.FieldBalanceID).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("list old holds: %w", err)
	}
	var ids []string
	seen := map[string]bool{}
	for _, r := range rows {
		if !seen[r.BalanceID] && len(ids) < limit {
			ids = append(ids, r.BalanceID)
		}
		seen[r.BalanceID] = true
	}
	return ids, nil
}

// ExpireHolds gives back what those holds of a balance have set aside whose
// time is over. It may be called at any time, also by several at once.
func (s *Service) ExpireHolds(ctx context.Context, balanceID string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		b, err := tx.lockBalance(ctx, balanceID)
		if err != nil {
			return err
		}
		old, err := tx.Hold.Query().Where(hold.BalanceID(balanceID), holdDue(tx.Now)).
			Order(ent.Asc(hold.FieldExpiresAt)).Limit(expireBite).All(ctx)
		if err != nil || len(old) == 0 {
			return err
		}
		ids := make([]string, len(old))
		var held money.Units
		for i, h := range old {
			ids[i] = h.ID
			held += h.AmountUnits
		}
		n, err := tx.Hold.Update().Where(hold.IDIn(ids...), hold.StatusEQ(hold.StatusOPEN)).
			SetStatus(hold.StatusEXPIRED).SetClosedAt(tx.Now).Save(ctx)
		if err != nil {
			return fmt.Errorf("expire holds of balance %s: %w", balanceID, err)
		}
		if n != len(ids) {
			return errRetry // somebody else has closed one of them
		}
		if err := tx.writeBalance(ctx, b, freed(b, held), ""); err != nil {
			return err
		}
		return tx.payWaiting(ctx, b.ID)
	})
}

// postpaid reports whether a balance is one that is paid afterwards.
func postpaid(b *ent.Balance) bool { return b.BillingMode == balance.BillingModePOSTPAID }
