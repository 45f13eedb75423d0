package billing

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/ledgerentry"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/money"
)

// Statement is what a calendar month was for a balance (spec.md decision 12).
// It is cut by the time of booking, in the organization's time zone: usage
// that is reported after the end of the month in which it occurred stands in
// the month that was open then.
type Statement struct {
	PayerID   string
	BalanceID string
	Month     Month
	// Previous is what remained at the end of the month before.
	Previous money.Amount
	// TopUps is what was paid in: TOP_UP and RELOAD.
	TopUps money.Amount
	// Credits is everything else that changed the balance, signed: credits,
	// adjustments and credit notes, less refunds and disputes, debt moved to
	// an invoice, and what was reversed of all that and of TopUps.
	Credits money.Amount
	// Usage is what was used, tax included: USAGE and INVOICE_PAYMENT less
	// their reversals.
	Usage money.Amount
	// Tax is the share of Usage at the payer's rate of today, for information.
	Tax     money.Amount
	TaxRate money.Rate
	// Total is Previous + TopUps + Credits.
	Total money.Amount
	// Balance is Total − Usage: what remained at the end of the month, or
	// remains now in the running one.
	Balance money.Amount
}

// Statements answers the statement of one month for each of several payers
// that has a balance in the currency, in as many statements of SQL as for one.
// A month that has not begun has none.
//
// Codes: INVALID (month).
func (s *Service) Statements(ctx context.Context, payerIDs []string, currency string, m Month) (map[string]*Statement, error) {
	all, err := s.statements(ctx, payerIDs, currency, []Month{m})
	if err != nil {
		return nil, err
	}
	out := make(map[string]*Statement, len(all))
	for _, st := range all {
		out[st.PayerID] = st
	}
	return out, nil
}

// StatementsOfYear answers the statements of a payer for every month of a year
// that has begun, of its balance in the currency or, where none is given, of
// each of its balances, ordered by currency and month.
//
// Codes: NOT_FOUND (payer), INVALID (year).
func (s *Service) StatementsOfYear(ctx context.Context, payerID, currency string, year int) ([]*Statement, error) {
	if err := s.payerExists(ctx, payerID); err != nil {
		return nil, err
	}
	months := make([]Month, 0, 12)
	for m := time.January; m <= time.December; m++ {
		months = append(months, Month{year, m})
	}
	return s.statements(ctx, []string{payerID}, currency, months)
}

// Bounds of the year of a statement: what a date of four digits can say.
const (
	yearMin = 1
	yearMax = 9999
)

// statements answers the statements of payers for months that follow each
// other.
func (s *Service) statements(ctx context.Context, payerIDs []string, currency string, months []Month) ([]*Statement, error) {
	for _, m := range months {
		if m.Month < time.January || m.Month > time.December {
			return nil, refuse(CodeInvalid, "month", "a month is 1 to 12")
		}
		if m.Year < yearMin || m.Year > yearMax {
			return nil, refuse(CodeInvalid, "year", "a year is %d to %d", yearMin, yearMax)
		}
	}
	o, err := s.read.Organization.Query().Where(organization.ID(auth.FromContext(ctx).OrganizationID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read organization: %w", err)
	}
	zone, err := time.LoadLocation(o.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w", o.TimeZone, err)
	}
	now := s.now(ctx)
	months = slices.DeleteFunc(slices.Clone(months), func(m Month) bool { return m.start(zone).After(now) })
	if len(months) == 0 {
		return nil, nil
	}
	balances, err := s.balancesOfPayers(ctx, payerIDs, currency)
	if err != nil {
		return nil, err
	}
	rates, err := s.taxRates(ctx, payerIDs)
	if err != nil {
		return nil, err
	}
	// The end of a month is the last moment before the next one begins. It is
	// found also where it lies ahead: that is what is now.
	ends := []time.Time{months[0].start(zone).Add(-time.Microsecond)}
	for _, m := range months {
		ends = append(ends, m.next().start(zone).Add(-time.Microsecond))
	}
	positions, err := s.positions(ctx, currenciesOf(balances), ends)
	if err != nil {
		return nil, err
	}
	moved, err := s.movements(ctx, balances, positions, len(months))
	if err != nil {
		return nil, err
	}
	var out []*Statement
	for _, b := range balances {
		for n, m := range months {
			st := &Statement{PayerID: b.PayerID, BalanceID: b.ID, Month: m, TaxRate: rates[b.PayerID]}
			start, end := positions[positionKey{b.ID, n}], positions[positionKey{b.ID, n + 1}]
			if err := st.fill(b.Currency, start, end, moved[positionKey{b.ID, n}]); err != nil {
				return nil, fmt.Errorf("statement of balance %s for %s: %w", b.ID, m, err)
			}
			out = append(out, st)
		}
	}
	return out, nil
}

// movement is what a month's entries other than usage come to.
type movement struct{ topUps, credits money.Units }

// fill makes the statement of the two ends of a month and what lies between.
func (st *Statement) fill(currency string, start, end position, moved movement) error {
	amount := func(u money.Units) money.Amount { return money.Amount{Units: u, Currency: currency} }
	st.Previous, st.Balance = amount(start.amount-start.usage), amount(end.amount-end.usage)
	st.TopUps, st.Credits = amount(moved.topUps), amount(moved.credits)
	var err error
	if st.Total, err = st.Previous.Add(st.TopUps); err != nil {
		return err
	}
	if st.Total, err = st.Total.Add(st.Credits); err != nil {
		return err
	}
	// Each entry holds what remains after it, so that usage, of which there
	// may be millions of entries, is what the others leave.
	if st.Usage, err = st.Total.Sub(st.Balance); err != nil {
		return err
	}
	st.Tax, err = st.Usage.IncludedToMinor(st.TaxRate)
	return err
}

// movements sums the entries other than usage of each balance for each of n
// months, whose ends stand in positions.
func (s *Service) movements(ctx context.Context, balances []*ent.Balance, positions map[positionKey]position, n int) (map[positionKey]movement, error) {
	out := map[positionKey]movement{}
	q := &query{dialect: s.db.Dialect}
	q.text(`SELECT r.column1, r.column2, e.kind, coalesce(e.reversed_kind, ''),
		CAST(sum(CASE WHEN e.debit_account = 'balance:' || e.balance_id THEN -e.amount_units ELSE e.amount_units END) AS bigint)
		FROM (VALUES `)
	ranges := 0
	for _, b := range balances {
		for month := range n {
			from, to := positions[positionKey{b.ID, month}].seq, positions[positionKey{b.ID, month + 1}].seq
			if from == to {
				continue
			}
			q.comma(ranges).text("(").value(b.ID).typed("text").text(", ").integer(int64(month)).text(", ").integer(from).text(", ").integer(to).text(")")
			ranges++
		}
	}
	if ranges == 0 {
		return out, nil
	}
	q.text(") AS r, ledger_entries e WHERE e.organization_id = ").value(auth.FromContext(ctx).OrganizationID).
		text(` AND e.balance_id = r.column1 AND e.seq > r.column3 AND e.seq <= r.column4 AND e.kind <> 'USAGE'
		GROUP BY r.column1, r.column2, e.kind, coalesce(e.reversed_kind, '')`)
	err := q.rows(ctx, s.db.Read, func(rows *sql.Rows) error {
		var k positionKey
		var kind, reversed string
		var sum money.Units
		if err := rows.Scan(&k.balanceID, &k.at, &kind, &reversed, &sum); err != nil {
			return err
		}
		m, err := out[k].with(ledgerentry.Kind(kind), ledgerentry.Kind(reversed), sum)
		out[k] = m
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sum months of balances: %w", err)
	}
	return out, nil
}

// with adds entries of a kind, signed as they change what remains.
func (m movement) with(kind, reversed ledgerentry.Kind, u money.Units) (movement, error) {
	var err error
	switch {
	case isUsage(kind), kind == ledgerentry.KindREVERSAL && isUsage(reversed):
		// The rest.
	case kind == ledgerentry.KindTOP_UP, kind == ledgerentry.KindRELOAD:
		m.topUps, err = m.topUps.Plus(u)
	default:
		m.credits, err = m.credits.Plus(u)
	}
	return m, err
}

// isUsage reports whether a statement counts entries of this kind as usage.
func isUsage(kind ledgerentry.Kind) bool {
	return kind == ledgerentry.KindUSAGE || kind == ledgerentry.KindINVOICE_PAYMENT
}

// balancesOfPayers reads the balances of payers, by payer and currency; all of
// them where no currency is given.
func (s *Service) balancesOfPayers(ctx context.Context, payerIDs []string, currency string) ([]*ent.Balance, error) {
	q := s.read.Balance.Query().Where(balance.PayerIDIn(payerIDs...))
	if currency != "" {
		q.Where(balance.Currency(currency))
	}
	rows, err := q.Select(balance.FieldPayerID, balance.FieldCurrency).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	slices.SortFunc(rows, func(a, b *ent.Balance) int {
		if c := strings.Compare(a.PayerID, b.PayerID); c != 0 {
			return c
		}
		return strings.Compare(a.Currency, b.Currency)
	})
	return rows, nil
}

func currenciesOf(balances []*ent.Balance) map[string]string {
	out := make(map[string]string, len(balances))
	for _, b := range balances {
		out[b.ID] = b.Currency
	}
	return out
}

// taxRates reads the tax rates of payers that have one.
func (s *Service) taxRates(ctx context.Context, payerIDs []string) (map[string]money.Rate, error) {
	rows, err := s.read.Payer.Query().Where(payer.IDIn(payerIDs...), payer.TaxRatePpmNotNil()).Select(payer.FieldTaxRatePpm).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read tax rates: %w", err)
	}
	out := make(map[string]money.Rate, len(rows))
	for _, p := range rows {
		out[p.ID] = *p.TaxRatePpm
	}
	return out, nil
}
