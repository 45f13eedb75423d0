package billing

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/organization"
	"purser/money"
)

// Snapshot is a balance as it was at a time.
type Snapshot struct {
	BalanceID string
	At        time.Time
	Amount    money.Amount
	Usage     money.Amount
	// EntryID is the last entry booked until then, empty before the first.
	EntryID string
}

// Remaining is amount − usage.
func (s Snapshot) Remaining() money.Amount {
	return money.Amount{Units: s.Amount.Units - s.Usage.Units, Currency: s.Amount.Currency}
}

// BalancesAsOf answers what several balances were at a time, by what was
// booked until then: usage counts from its booking on, whenever it occurred.
// A time that lies ahead is answered with what is now. The billing period is
// that of the time, in the organization's zone.
//
// The answer for a time never changes, but for the moment just gone: what was
// being booked then may come to it. Balances that do not exist have no answer.
func (s *Service) BalancesAsOf(ctx context.Context, balanceIDs []string, at time.Time) (map[string]Snapshot, error) {
	if now := s.now(ctx); at.After(now) {
		at = now
	}
	at = at.UTC().Truncate(time.Microsecond)
	o, err := s.read.Organization.Query().Where(organization.ID(auth.FromContext(ctx).OrganizationID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read organization: %w", err)
	}
	period, err := periodAt(at, o.TimeZone)
	if err != nil {
		return nil, err
	}
	rows, err := s.read.Balance.Query().Where(balance.IDIn(balanceIDs...)).Select(balance.FieldCurrency).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	currencies := make(map[string]string, len(rows))
	for _, b := range rows {
		currencies[b.ID] = b.Currency
	}
	positions, err := s.positions(ctx, currencies, []time.Time{at})
	if err != nil {
		return nil, err
	}
	out := make(map[string]Snapshot, len(rows))
	for id, currency := range currencies {
		p := positions[positionKey{id, 0}]
		b := ent.Balance{AmountUnits: p.amount, UsageUnits: p.usage}
		if p.seq > 0 {
			if b.Period, err = periodAt(p.bookedAt, o.TimeZone); err != nil {
				return nil, err
			}
			rollOver(&b, period)
		}
		out[id] = Snapshot{
			BalanceID: id, At: at, EntryID: p.entryID,
			Amount: money.Amount{Units: b.AmountUnits, Currency: currency},
			Usage:  money.Amount{Units: b.UsageUnits, Currency: currency},
		}
	}
	return out, nil
}

// position is the place of a time in a balance's entries: the last one that
// was booked until then. Seq is 0 before the first.
type position struct {
	entryID       string
	seq           int64
	amount, usage money.Units // after it
	bookedAt      time.Time
}

// positionKey names the place of one of several times in one balance.
type positionKey struct {
	balanceID string
	at        int // which of the times
}

// positions finds the places of several times in several balances, given by
// their ids. Where there is none, nothing was booked until then.
//
// Within a balance, times of booking never go back (see postTo), so each place
// is found by halving the numbers, along the index that the chain needs
// anyway: a score of rows in a million. An index by time would be one more to
// be written with every usage.
//
// The ids must be those of balances that the caller may see.
func (s *Service) positions(ctx context.Context, balances map[string]string, times []time.Time) (map[positionKey]position, error) {
	return s.positionsOn(ctx, s.db.Read, balances, times)
}

// positionsOn is positions on a connection, or in a transaction.
func (s *Service) positionsOn(ctx context.Context, db queryer, balances map[string]string, times []time.Time) (map[positionKey]position, error) {
	out := make(map[positionKey]position, len(balances)*len(times))
	if len(balances) == 0 || len(times) == 0 {
		return out, nil
	}
	org := auth.FromContext(ctx).OrganizationID
	q := &query{dialect: s.db.Dialect}
	q.text(`WITH RECURSIVE search(balance_id, n, at, low, high) AS (
		SELECT b.id, t.column1, t.column2, CASE WHEN b.last_booked_at <= t.column2 THEN b.last_seq ELSE 0 END, b.last_seq
		FROM balances b, (VALUES `)
	for n, at := range times {
		q.comma(n).text("(").integer(int64(n)).text(", ").time(at).text(")")
	}
	q.text(") AS t WHERE b.organization_id = ").value(org).text(" AND b.id IN (")
	n := 0
	for id := range balances {
		q.comma(n).value(id)
		n++
	}
	q.text(`)
		UNION ALL
		SELECT s.balance_id, s.n, s.at, CASE WHEN e.booked_at <= s.at THEN e.seq ELSE s.low END, CASE WHEN e.booked_at <= s.at THEN s.high ELSE e.seq - 1 END
		FROM search s, ledger_entries e
		WHERE s.low < s.high AND e.organization_id = `).value(org).text(` AND e.balance_id = s.balance_id AND e.seq = (s.low + s.high + 1) / 2
	)
	SELECT s.balance_id, s.n, e.id, e.seq, e.amount_after_units, e.usage_after_units, e.booked_at
	FROM search s, ledger_entries e
	WHERE s.low = s.high AND e.organization_id = `).value(org).text(" AND e.balance_id = s.balance_id AND e.seq = s.low")
	err := q.rows(ctx, db, func(rows *sql.Rows) error {
		var k positionKey
		var p position
		if err := rows.Scan(&k.balanceID, &k.at, &p.entryID, &p.seq, &p.amount, &p.usage, &p.bookedAt); err != nil {
			return err
		}
		out[k] = p
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find times in balances: %w", err)
	}
	return out, nil
}
