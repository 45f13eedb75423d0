package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/balance"
)

// lockBalance reads a balance for a change, rolled over into the running
// billing period. Whoever writes the row afterwards writes amount, usage and
// period as they stand in it, and compares the version.
func (tx *Tx) lockBalance(ctx context.Context, id string) (*ent.Balance, error) {
	b, err := tx.Balance.Query().Where(balance.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read balance %s: %w", id, err)
	}
	period, err := tx.period(ctx)
	if err != nil {
		return nil, err
	}
	rollOver(b, period)
	return b, nil
}

// rollOver carries a balance into a billing period that has begun since its
// last change: what remains is brought forward as the amount, and usage
// begins anew. Remaining stays what it was, so no entry is booked for it. A
// period before the balance's own changes nothing (the organization has moved
// to a time zone where the month is not over yet).
func rollOver(b *ent.Balance, period string) {
	if b.Period >= period {
		return
	}
	// Remaining is within ±10¹⁸ after every entry.
	b.AmountUnits -= b.UsageUnits
	b.UsageUnits = 0
	b.Period = period
}

// period is the running billing period of the organization, YYYY-MM in its
// time zone.
func (tx *Tx) period(ctx context.Context) (string, error) {
	o, err := tx.Organization.Query().Only(ctx)
	if err != nil {
		return "", fmt.Errorf("read organization: %w", err)
	}
	return periodAt(tx.Now, o.TimeZone)
}

// periodAt is the calendar month, YYYY-MM, that a time falls into in a zone.
func periodAt(at time.Time, zone string) (string, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return "", fmt.Errorf("time zone %q: %w", zone, err)
	}
	return at.In(loc).Format("2006-01"), nil
}
