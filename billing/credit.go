package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/money"
)

// Credit is usage given for nothing, or with a minus such a gift taken back.
type Credit struct {
	PayerID string
	Amount  money.Amount // the ledger's full precision
	Reason  string
	// Month and Year name the billing period of the usage that it is for; the
	// running one when both are nil.
	Month *int
	Year  *int
	Key   *string `json:"-"`
}

// CreditBalance books a credit: from promotions to the balance, where it
// lowers usage, or with a minus back. The entry is booked in the running
// period, as everything is; that it was meant for an earlier one is told by its
// effective time, the last moment of that period. A credit never changes.
//
// A suspended payer may be credited, a closed one not. What is taken back must
// be available. Called again with the same key and input it returns the same
// entry.
//
// Codes: REQUIRED (key, reason), INVALID, NOT_FOUND, INVALID_STATE,
// CURRENCY_MISMATCH, IDEMPOTENCY_KEY_REUSED, LIMIT_EXCEEDED, and with details
// FUNDS_RESERVED, CREDIT_LIMIT_EXCEEDED, INSUFFICIENT_FUNDS.
func (s *Service) CreditBalance(ctx context.Context, c Credit) (Booking, error) {
	var err error
	if c.Reason, err = reason(c.Reason); err != nil {
		return Booking{}, err
	}
	if err := checkPeriod(c.Month, c.Year); err != nil {
		return Booking{}, err
	}
	return s.bookByHand(ctx, "balanceCredit", c, c.Key, byHand{
		payerID: c.PayerID, amount: c.Amount, reason: c.Reason, month: c.Month, year: c.Year,
		kind: ledgerentry.KindCREDIT, account: accountPromotions,
	})
}

// Adjustment corrects a balance; more than zero raises what remains.
type Adjustment struct {
	PayerID string
	Amount  money.Amount // the ledger's full precision
	Reason  string
	Key     *string `json:"-"`
}

// AdjustBalance books a correction: from adjustments to the balance, or with a
// minus back. Codes and rules as CreditBalance.
func (s *Service) AdjustBalance(ctx context.Context, a Adjustment) (Booking, error) {
	var err error
	if a.Reason, err = reason(a.Reason); err != nil {
		return Booking{}, err
	}
	return s.bookByHand(ctx, "balanceAdjust", a, a.Key, byHand{
		payerID: a.PayerID, amount: a.Amount, reason: a.Reason,
		kind: ledgerentry.KindADJUSTMENT, account: accountAdjustments,
	})
}

// byHand is an entry that a person wants, in either direction.
type byHand struct {
	payerID     string
	amount      money.Amount
	reason      string
	month, year *int
	kind        ledgerentry.Kind
	account     string
}

// reason checks why something is booked by hand.
func reason(text string) (string, error) {
	note, err := optionalNote(&text, "reason", "the reason")
	switch {
	case err != nil:
		return "", err
	case note == nil:
		return "", refuse(CodeRequired, "reason", "say why: it is shown on the entry")
	}
	return *note, nil
}

// checkPeriod checks the form of a billing period.
func checkPeriod(month, year *int) error {
	switch {
	case month == nil && year == nil:
		return nil
	case month == nil:
		return refuse(CodeRequired, "month", "a billing period is a month and a year: name both or none")
	case year == nil:
		return refuse(CodeRequired, "year", "a billing period is a month and a year: name both or none")
	case *month < 1 || *month > 12:
		return refuse(CodeInvalid, "month", "a month is a number from 1 to 12")
	case *year < usageEarliest.Year() || *year > 9999:
		return refuse(CodeInvalid, "year", "a year is a number from %d on", usageEarliest.Year())
	}
	return nil
}

func (s *Service) bookByHand(ctx context.Context, name string, input any, key *string, h byHand) (Booking, error) {
	if h.amount.IsZero() {
		return Booking{}, refuse(CodeInvalid, "amount.amount", "the amount must not be zero")
	}
	op, err := s.newOperation(name, key, keyRequired, input)
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
		if out, err = tx.bookByHand(ctx, h); err != nil {
			return err
		}
		return tx.remember(ctx, op, out.EntryID, out.BalanceID, "")
	})
	if err != nil {
		return Booking{}, err
	}
	return out, nil
}

func (tx *Tx) bookByHand(ctx context.Context, h byHand) (Booking, error) {
	o, err := tx.organization(ctx)
	if err != nil {
		return Booking{}, err
	}
	at, err := tx.effectiveIn(h.month, h.year, o.TimeZone)
	if err != nil {
		return Booking{}, err
	}
	p, err := tx.payer(ctx, h.payerID, "payerId")
	if err != nil {
		return Booking{}, err
	}
	if p.Status == payer.StatusCLOSED {
		return Booking{}, refuse(CodeInvalidState, "payerId", "the payer is %s", p.Status)
	}
	if err := tx.keepStatus(ctx, p); err != nil {
		return Booking{}, err
	}
	b, err := tx.ensureBalance(ctx, p, h.amount.Currency, "amount.currency")
	if err != nil {
		return Booking{}, err
	}
	if b, err = tx.lockBalance(ctx, b.ID); err != nil {
		return Booking{}, err
	}
	row := posting{
		kind: h.kind, debit: h.account, credit: b.Account(), balanceID: b.ID,
		amount: h.amount, description: &h.reason, effectiveAt: at,
	}
	if h.amount.Sign() < 0 {
		row.debit, row.credit, row.amount.Units = row.credit, row.debit, -h.amount.Units
		if short := shortOf(b, row.amount); short != nil {
			return Booking{}, short.refusal("payerId")
		}
	}
	e, err := tx.postTo(ctx, b, tx.newEntry(ctx, row))
	if err != nil {
		return Booking{}, err
	}
	if err := tx.payWaiting(ctx, b.ID); err != nil {
		return Booking{}, err
	}
	return Booking{EntryID: e.ID, BalanceID: b.ID}, nil
}

// effectiveIn is the time at which something counts that is booked now for a
// billing period: now for the running one, the last moment of an earlier one.
func (tx *Tx) effectiveIn(month, year *int, zone string) (time.Time, error) {
	if month == nil {
		return tx.Now, nil
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("time zone %q: %w", zone, err)
	}
	now := tx.Now.In(loc)
	asked, running := *year*12+*month, now.Year()*12+int(now.Month())
	switch {
	case asked > running:
		return time.Time{}, refuse(CodeInvalid, "month", "the running billing period is %d/%d: credits are for it or an earlier one", now.Month(), now.Year())
	case asked == running:
		return tx.Now, nil
	}
	return time.Date(*year, time.Month(*month)+1, 1, 0, 0, 0, 0, loc).Add(-time.Microsecond).UTC(), nil
}
