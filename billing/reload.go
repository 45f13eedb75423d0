package billing

import (
	"context"

	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/money"
)

// Reload is money for a balance that was paid elsewhere, or points that were
// given.
type Reload struct {
	PayerID   string
	Amount    money.Amount // whole minor units; a virtual currency's in full precision
	Reference *string      // what the payment is called where it was made
	Key       *string      `json:"-"`
}

// referenceMax bounds the reference of a reload.
const referenceMax = 200

// ReloadBalance adds to a payer's balance by hand: one entry from the bank to
// the balance, with no gateway involved. The balance is made when there is
// none yet. A suspended payer may be reloaded, a closed one not. Called again
// with the same key and input it returns the same entry.
//
// Codes: REQUIRED (key), INVALID, NOT_FOUND, INVALID_STATE,
// CURRENCY_MISMATCH, BELOW_MINIMUM, IDEMPOTENCY_KEY_REUSED, LIMIT_EXCEEDED.
func (s *Service) ReloadBalance(ctx context.Context, r Reload) (Booking, error) {
	if r.Amount.Sign() <= 0 {
		return Booking{}, refuse(CodeInvalid, "amount.amount", "the amount must be more than zero")
	}
	var err error
	if r.Reference, err = optionalLabel(r.Reference, "reference", "the reference", referenceMax); err != nil {
		return Booking{}, err
	}
	op, err := s.newOperation("balanceReload", r.Key, keyRequired, r)
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
		if out, err = tx.reload(ctx, r); err != nil {
			return err
		}
		return tx.remember(ctx, op, out.EntryID, out.BalanceID, "")
	})
	if err != nil {
		return Booking{}, err
	}
	return out, nil
}

func (tx *Tx) reload(ctx context.Context, r Reload) (Booking, error) {
	if _, err := tx.organization(ctx); err != nil {
		return Booking{}, err
	}
	p, err := tx.payer(ctx, r.PayerID, "payerId")
	if err != nil {
		return Booking{}, err
	}
	if p.Status == payer.StatusCLOSED {
		return Booking{}, refuse(CodeInvalidState, "payerId", "the payer is %s", p.Status)
	}
	if err := tx.keepStatus(ctx, p); err != nil {
		return Booking{}, err
	}
	c, err := tx.usableCurrency(ctx, r.Amount.Currency, "amount.currency")
	if err != nil {
		return Booking{}, err
	}
	if !c.Virtual {
		if _, err := r.Amount.Minor(); err != nil {
			return Booking{}, refusedAmount(err, "amount.amount")
		}
	}
	if least := c.MinimumTopUp(); least != nil && r.Amount.Units < least.Units {
		return Booking{}, refuse(CodeBelowMinimum, "amount.amount", "the smallest top-up is %s", least)
	}
	b, err := tx.ensureBalance(ctx, p, r.Amount.Currency, "amount.currency")
	if err != nil {
		return Booking{}, err
	}
	e, err := tx.post(ctx, posting{
		kind:  ledgerentry.KindRELOAD,
		debit: accountBank, credit: b.Account(), balanceID: b.ID,
		amount:      r.Amount,
		description: r.Reference,
	})
	if err != nil {
		return Booking{}, err
	}
	if err := tx.payWaiting(ctx, b.ID); err != nil {
		return Booking{}, err
	}
	return Booking{EntryID: e.ID, BalanceID: b.ID}, nil
}
