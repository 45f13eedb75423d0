package billing

import (
	"context"
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // months must not hang on the machine's files

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/organization"
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
	loc, err := zoneOf(zone)
	if err != nil {
		return "", err
	}
	return periodIn(at, loc), nil
}

// Month is a calendar month, which is a billing period.
type Month struct {
	Year  int
	Month time.Month
}

// String returns YYYY-MM, which sorts as the months do.
func (m Month) String() string { return fmt.Sprintf("%04d-%02d", m.Year, m.Month) }

// next is the month after.
func (m Month) next() Month {
	if m.Month == time.December {
		return Month{m.Year + 1, time.January}
	}
	return Month{m.Year, m.Month + 1}
}

// before is the month before.
func (m Month) before() Month {
	if m.Month == time.January {
		return Month{m.Year - 1, time.December}
	}
	return Month{m.Year, m.Month - 1}
}

// monthOf is the month that a time falls into. It is told by the month's
// start, so that a clock that is put back over midnight opens no month twice.
func monthOf(at time.Time, loc *time.Location) Month {
	year, month, _ := at.In(loc).Date()
	m := Month{year, month}
	if at.Before(m.start(loc)) {
		last := time.Date(year, month, 0, 0, 0, 0, 0, time.UTC)
		m = Month{last.Year(), last.Month()}
	}
	return m
}

// start is the first moment of the month in a zone; the one before it belongs
// to the month before. There are places that put their clocks forward or back
// over the midnight on which a month begins: the month then begins with the
// first moment that shows it, or, where the clock shows the old month once
// more, when that has passed for good.
func (m Month) start(loc *time.Location) time.Time {
	shows := func(at time.Time) bool {
		year, month, _ := at.In(loc).Date()
		return Month{year, month} == m
	}
	at := time.Date(m.Year, m.Month, 1, 0, 0, 0, 0, loc)
	since, until := at.ZoneBounds()
	switch {
	case !shows(at):
		// Midnight was skipped, and the clock is about to be put forward.
		at = until
	case !since.IsZero() && at.Sub(since) < 24*time.Hour && shows(since) && !shows(since.Add(-time.Microsecond)):
		// Midnight was skipped a while ago.
		at = since
	case !until.IsZero() && until.Sub(at) < 24*time.Hour && !shows(until):
		// Midnight comes twice.
		_, offset := until.In(loc).Zone()
		at = time.Date(m.Year, m.Month, 1, 0, 0, 0, 0, time.FixedZone("", offset))
	}
	return at.UTC()
}

func zoneOf(name string) (*time.Location, error) {
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w", name, err)
	}
	return loc, nil
}

func periodIn(at time.Time, zone *time.Location) string { return monthOf(at, zone).String() }

// periodsAround returns the earliest and the latest period that a time falls
// into anywhere on earth.
func periodsAround(at time.Time) (earliest, latest string) {
	return at.Add(-12 * time.Hour).UTC().Format("2006-01"), at.Add(14 * time.Hour).UTC().Format("2006-01")
}

// RollOverReads makes queries of the client show balances in the running
// billing period: one that was not changed since the period began is shown as
// its next change will leave it. Nothing is written. One more statement reads
// the time zones, and only where a balance of an earlier period is among the
// rows.
func RollOverReads(c *ent.Client, now func(ctx context.Context, organizationID string) time.Time) {
	c.Balance.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			v, err := next.Query(ctx, q)
			if rows, ok := v.([]*ent.Balance); ok && err == nil {
				err = rollOverRows(ctx, c, rows, now)
			}
			return v, err
		})
	}))
}

func rollOverRows(ctx context.Context, c *ent.Client, rows []*ent.Balance, now func(ctx context.Context, organizationID string) time.Time) error {
	var old []*ent.Balance
	var organizations []string
	for _, b := range rows {
		// A query may have left the columns out.
		if b.Period == "" || b.OrganizationID == "" {
			continue
		}
		if _, latest := periodsAround(now(ctx, b.OrganizationID)); b.Period < latest {
			old = append(old, b)
			organizations = append(organizations, b.OrganizationID)
		}
	}
	if len(old) == 0 {
		return nil
	}
	slices.Sort(organizations)
	found, err := c.Organization.Query().Where(organization.IDIn(slices.Compact(organizations)...)).All(ctx)
	if err != nil {
		return fmt.Errorf("read time zones: %w", err)
	}
	periods := make(map[string]string, len(found))
	for _, o := range found {
		if periods[o.ID], err = periodAt(now(ctx, o.ID), o.TimeZone); err != nil {
			return err
		}
	}
	for _, b := range old {
		rollOver(b, periods[b.OrganizationID])
	}
	return nil
}
