package billing

import (
	"context"
	"time"

	"purser/ent"
	"purser/money"
)

// notice is a row of the outbox: something that a transaction has found out
// and that others have to be told.
type notice struct {
	kind    string
	subject string
	payload any
}

// noticeLowBalance tells that a balance has become low.
const noticeLowBalance = "balance.low"

// lowBalance is the payload of noticeLowBalance.
type lowBalance struct {
	BalanceID string        `json:"balanceId"`
	PayerID   string        `json:"payerId"`
	Currency  string        `json:"currency"`
	Level     money.Decimal `json:"level"`
	Left      money.Decimal `json:"left"`
	At        time.Time     `json:"at"`
}

// watched is what follows from a change of a balance beside the change.
type watched struct {
	// lowBalanceNoticedAt is the balance's column after the change.
	lowBalanceNoticedAt *time.Time
	// notices are the rows that the outbox gets in the same transaction.
	notices []notice
}

// watch says what follows from a change of a balance. Whoever writes a balance
// calls it with the row before and after the change, and writes what it
// answers in the same transaction; it reads and writes nothing itself.
//
// A balance is low when what is left of it has reached the level that was set
// for it. That is noticed once, and again only after more was left meanwhile.
func watch(before, after *ent.Balance, now time.Time) watched {
	w := watched{lowBalanceNoticedAt: before.LowBalanceNoticedAt}
	level, ok := lowLevel(after)
	left := after.Left()
	switch {
	case !ok || left.Units > level.Units:
		w.lowBalanceNoticedAt = nil
	case w.lowBalanceNoticedAt == nil:
		w.lowBalanceNoticedAt = &now
		w.notices = append(w.notices, notice{kind: noticeLowBalance, subject: after.ID, payload: lowBalance{
			BalanceID: after.ID, PayerID: after.PayerID, Currency: after.Currency,
			Level: level.Decimal(), Left: left.Decimal(), At: now,
		}})
	}
	return w
}

// lowLevel is the level that was set for a balance; false where none was. A
// percentage is one of what the payer had to spend: the amount of the period,
// or the credit limit.
func lowLevel(b *ent.Balance) (level money.Amount, ok bool) {
	level.Currency = b.Currency
	if b.LowBalanceLevelUnits != nil {
		level.Units = *b.LowBalanceLevelUnits
		return level, true
	}
	if b.LowBalancePercent == nil {
		return level, false
	}
	whole := b.AmountUnits
	if postpaid(b) {
		whole = 0
		if b.CreditLimitUnits != nil {
			whole = *b.CreditLimitUnits
		}
	}
	percent := money.Units(*b.LowBalancePercent)
	level.Units = whole/100*percent + whole%100*percent/100 // in this order it cannot overflow
	return level, true
}

// tell puts notices into the outbox, from which they are sent after the commit.
func (tx *Tx) tell(ctx context.Context, notices []notice) error {
	for _, n := range notices {
		if err := tx.notice(ctx, n.kind, n.subject, n.payload); err != nil {
			return err
		}
		if low, ok := n.payload.(lowBalance); ok {
			if err := tx.tellLowBalance(ctx, low); err != nil {
				return err
			}
		}
	}
	return nil
}
