package billing

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/money"
)

// book posts a row of any kind on a balance, as flows do that are not of
// interest here. Positive raises what remains.
func (f *fixture) book(t testing.TB, b *ent.Balance, kind ledgerentry.Kind, other string, u money.Units) *ent.LedgerEntry {
	t.Helper()
	p := posting{
		kind: kind, debit: other, credit: b.Account(), balanceID: b.ID,
		amount: money.Amount{Units: max(u, -u), Currency: b.Currency},
	}
	if u < 0 {
		p.debit, p.credit = p.credit, p.debit
	}
	return f.post(t, p)
}

func (f *fixture) post(t testing.TB, p posting) *ent.LedgerEntry {
	t.Helper()
	var e *ent.LedgerEntry
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) (err error) {
		e, err = tx.post(ctx, p)
		return err
	})
	return e
}

// undo books the mirror of an entry.
func (f *fixture) undo(t testing.TB, e *ent.LedgerEntry) {
	t.Helper()
	f.post(t, posting{
		kind: ledgerentry.KindREVERSAL, reversedKind: e.Kind, debit: e.CreditAccount, credit: e.DebitAccount,
		balanceID: *e.BalanceID, amount: money.Amount{Units: e.AmountUnits, Currency: e.Currency},
		reversesID: e.ID, causeKey: "reversal:" + e.ID,
	})
}

// naiveStatement adds up all entries of a balance, one by one.
func naiveStatement(t testing.TB, entries []*ent.LedgerEntry, m Month, zone *time.Location, rate int64) map[string]string {
	t.Helper()
	sums := map[string]*big.Int{}
	add := func(name string, u money.Units) {
		if sums[name] == nil {
			sums[name] = new(big.Int)
		}
		sums[name].Add(sums[name], big.NewInt(int64(u)))
	}
	for _, name := range []string{"previous", "topUps", "credits", "usage", "total", "balance"} {
		add(name, 0)
	}
	for _, e := range entries {
		u := e.Amount().Units
		switch at := e.BookedAt.In(zone).Format("2006-01"); {
		case at > m.String():
			continue
		case at < m.String():
			add("previous", u)
			add("total", u)
			add("balance", u)
			continue
		}
		kind := e.Kind
		if kind == ledgerentry.KindREVERSAL && (*e.ReversedKind == "USAGE" || *e.ReversedKind == "INVOICE_PAYMENT") {
			kind = ledgerentry.Kind(*e.ReversedKind)
		}
		add("balance", u)
		switch kind {
		case ledgerentry.KindTOP_UP, ledgerentry.KindRELOAD:
			add("topUps", u)
			add("total", u)
		case ledgerentry.KindUSAGE, ledgerentry.KindINVOICE_PAYMENT:
			add("usage", -u)
		default:
			add("credits", u)
			add("total", u)
		}
	}
	// usage × rate / (1 + rate), in cents, halves away from zero.
	cents := new(big.Rat).SetFrac(new(big.Int).Mul(sums["usage"], big.NewInt(rate)), big.NewInt((1_000_000+rate)*int64(money.UnitsPerMinor)))
	half := big.NewRat(int64(cents.Sign()), 2)
	rounded := cents.Add(cents, half)
	sums["tax"] = new(big.Int).Mul(new(big.Int).Quo(rounded.Num(), rounded.Denom()), big.NewInt(int64(money.UnitsPerMinor)))
	out := map[string]string{}
	for name, sum := range sums {
		out[name] = sum.String()
	}
	return out
}

func (st *Statement) figures() map[string]string {
	out := map[string]string{}
	for name, a := range map[string]money.Amount{
		"previous": st.Previous, "topUps": st.TopUps, "credits": st.Credits, "usage": st.Usage,
		"total": st.Total, "balance": st.Balance, "tax": st.Tax,
	} {
		out[name] = fmt.Sprint(int64(a.Units))
	}
	return out
}

// Whatever is booked, over the ends of months and the changes of clocks, on
// servers whose clocks differ: every month's statement is the sum of its
// entries, and every moment's balance what was booked until then.
func TestStatementsAgreeWithTheEntries(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		const rate = 190_000
		for n, name := range []string{"UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Pacific/Kiritimati", "America/Havana"} {
			random := rand.New(rand.NewPCG(7, uint64(n)))
			zone, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			// Not before what the organization has done in the zone before.
			start := time.Date(2026+n, time.February, 26, 0, 0, 0, 0, zone)
			f.clock.Set(start)
			f.setZone(t, name)
			p := f.newPayer(t, payer.BillingModePREPAID)
			f.setTaxRate(t, p.ID, rate)
			f.reload(t, p.ID, usd(t, "5000"))
			b := f.balanceOf(t, p.ID, "USD")
			bystander := f.newPayer(t, payer.BillingModePREPAID)
			var last *ent.LedgerEntry
			for range 90 {
				f.clock.Advance(time.Duration(random.IntN(40)-2) * time.Hour * time.Duration(1+random.IntN(2)))
				if random.IntN(4) == 0 { // the last moments of a month and the first of the next
					end := monthOf(f.clock.Now(), zone).next().start(zone)
					f.clock.Set(end.Add(time.Duration(random.IntN(5)-2) * time.Microsecond))
				}
				u := money.Units(1 + random.Int64N(40*100*int64(money.UnitsPerMinor)))
				signed := u * money.Units(1-2*random.IntN(2))
				switch random.IntN(14) {
				case 0:
					f.reload(t, p.ID, usd(t, fmt.Sprint(1+random.IntN(900))))
				case 1:
					f.topUp(t, p, usd(t, fmt.Sprint(1+random.IntN(900))), f.newID("pi"))
				case 2:
					f.book(t, b, ledgerentry.KindCREDIT, accountPromotions, signed)
				case 3:
					f.book(t, b, ledgerentry.KindADJUSTMENT, accountAdjustments, signed)
				case 4, 5:
					f.book(t, b, ledgerentry.KindREFUND, accountBank, -u)
				case 6:
					f.book(t, b, ledgerentry.KindCREDIT_NOTE, accountRevenue, u)
				case 7:
					if last != nil {
						f.undo(t, last)
						last = nil
					}
				case 8:
					f.reload(t, bystander.ID, usd(t, "7"))
				default:
					f.useRecorded(t, p.ID, money.Amount{Units: u, Currency: "USD"})
					last = f.newest(t, b.ID)
				}
			}
			entries := f.all(t, b.ID)
			for m := (Month{2026 + n, time.January}); ; m = m.next() {
				got, err := f.Statements(f.ctx, []string{p.ID, bystander.ID, "dev_none"}, "USD", m)
				if err != nil {
					t.Fatal(err)
				}
				if m.start(zone).After(f.clock.Now()) {
					if len(got) != 0 {
						t.Errorf("%s has %d statements and has not begun", m, len(got))
					}
					break
				}
				want := naiveStatement(t, entries, m, zone, rate)
				if figures := got[p.ID].figures(); fmt.Sprint(figures) != fmt.Sprint(want) {
					t.Errorf("%s in %s\ngot  %v\nwant %v", m, name, figures, want)
				}
			}
			f.asOfAgrees(t, b.ID, entries, random)
			f.mustVerify(t)
			now := f.balanceOf(t, p.ID, "USD")
			running, err := f.Statements(f.ctx, []string{p.ID}, "USD", monthOf(f.clock.Now(), zone))
			if err != nil || running[p.ID].Balance != now.Remaining() {
				t.Errorf("the running month ends with %v, %v; remaining %s", running[p.ID], err, now.Remaining())
			}
		}
	})
}

// asOfAgrees compares times at and around entries with what was booked until
// then.
func (f *fixture) asOfAgrees(t *testing.T, balanceID string, entries []*ent.LedgerEntry, random *rand.Rand) {
	t.Helper()
	for range 30 {
		at := entries[random.IntN(len(entries))].BookedAt.Add(time.Duration(random.IntN(5)-2) * time.Microsecond)
		var remaining money.Units
		last := ""
		for _, e := range entries {
			if !e.BookedAt.After(at) {
				remaining += e.Amount().Units
				last = e.ID
			}
		}
		got, err := f.BalancesAsOf(f.ctx, []string{balanceID}, at)
		s := got[balanceID]
		if err != nil || s.Remaining().Units != remaining || s.EntryID != last || !s.At.Equal(at) {
			t.Errorf("as of %s: %+v, %v; want %d after %s", at, s, err, remaining, last)
		}
	}
}

func (f *fixture) setTaxRate(t testing.TB, payerID string, ppm money.Rate) {
	t.Helper()
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		return tx.Payer.Update().Where(payer.ID(payerID)).SetTaxRatePpm(ppm).Exec(ctx)
	})
}

func (f *fixture) all(t testing.TB, balanceID string) []*ent.LedgerEntry {
	t.Helper()
	rows, err := f.Client().LedgerEntry.Query().Where(ledgerentry.BalanceID(balanceID)).Order(ent.Asc(ledgerentry.FieldSeq)).All(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func (f *fixture) newest(t testing.TB, balanceID string) *ent.LedgerEntry {
	t.Helper()
	rows := f.all(t, balanceID)
	return rows[len(rows)-1]
}

// In the running month the balance's own columns and the statement say the
// same, each in its way.
func TestStatementAndBalance(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.setTaxRate(t, p.ID, 200_000)
		f.reload(t, p.ID, usd(t, "2005"))
		f.use(t, p.ID, usd(t, "100"))
		f.clock.Set(time.Date(2026, time.April, 2, 0, 0, 0, 0, time.UTC))
		f.use(t, p.ID, usd(t, "2.1572"))
		f.reload(t, p.ID, usd(t, "34"))
		b := f.balanceOf(t, p.ID, "USD")
		f.book(t, b, ledgerentry.KindCREDIT, accountPromotions, usd(t, "1.5").Units)
		b = f.balanceOf(t, p.ID, "USD")
		all, err := f.Statements(f.ctx, []string{p.ID}, "USD", Month{2026, time.April})
		if err != nil {
			t.Fatal(err)
		}
		st := all[p.ID]
		for _, c := range []struct {
			what string
			got  money.Amount
			want string
		}{
			{"previous", st.Previous, "1905"},
			{"top-ups", st.TopUps, "34"},
			{"credits", st.Credits, "1.5"},
			{"usage", st.Usage, "2.1572"},
			{"tax", st.Tax, "0.36"},
			{"total", st.Total, "1940.5"},
			{"balance", st.Balance, "1938.3428"},
			{"the balance's remaining", b.Remaining(), "1938.3428"},
			{"the balance's amount", b.Amount(), "1939"},
			{"the balance's usage", b.Usage(), "0.6572"},
		} {
			if c.got != usd(t, c.want) {
				t.Errorf("%s: %s, want %s", c.what, c.got, c.want)
			}
		}
		// The month that is over does not change any more.
		for range 2 {
			all, err = f.Statements(f.ctx, []string{p.ID}, "USD", Month{2026, time.March})
			if st := all[p.ID]; err != nil || st.Previous.Units != 0 || st.TopUps != usd(t, "2005") || st.Usage != usd(t, "100") || st.Balance != usd(t, "1905") {
				t.Errorf("March: %+v, %v", st, err)
			}
			f.use(t, p.ID, usd(t, "1"))
		}
		for _, m := range []Month{{2026, 0}, {2026, 13}, {0, 1}, {10_000, 1}} {
			_, err := f.Statements(f.ctx, []string{p.ID}, "USD", m)
			wantCode(t, err, CodeInvalid, map[bool]string{true: "year", false: "month"}[m.Year != 2026])
		}
		if none, err := f.Statements(f.ctx, []string{p.ID}, "JPY", Month{2026, time.April}); err != nil || len(none) > 0 {
			t.Errorf("without a balance: %v, %v", none, err)
		}
	})
}

// A balance as of now is the balance; before its first entry it is nothing;
// what lies ahead is now; and a month that has begun since the last entry is
// open.
func TestAsOf(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		first := f.reload(t, p.ID, usd(t, "100"))
		f.clock.Advance(time.Hour)
		f.use(t, p.ID, usd(t, "30"))
		f.clock.Set(time.Date(2026, time.April, 2, 0, 0, 0, 0, time.UTC))
		for _, c := range []struct {
			at            time.Time
			amount, usage string
			entries       bool
			answered      time.Time
		}{
			{fixtureStart.Add(-time.Microsecond), "0", "0", false, fixtureStart.Add(-time.Microsecond)},
			{fixtureStart, "100", "0", true, fixtureStart},
			{fixtureStart.Add(999 * time.Nanosecond), "100", "0", true, fixtureStart},
			{fixtureStart.Add(time.Hour - time.Microsecond), "100", "0", true, fixtureStart.Add(time.Hour - time.Microsecond)},
			{fixtureStart.Add(time.Hour), "100", "30", true, fixtureStart.Add(time.Hour)},
			{time.Date(2026, time.March, 31, 23, 59, 59, 0, time.UTC), "100", "30", true, time.Date(2026, time.March, 31, 23, 59, 59, 0, time.UTC)},
			{time.Date(2026, time.April, 1, 0, 0, 0, 0, time.UTC), "70", "0", true, time.Date(2026, time.April, 1, 0, 0, 0, 0, time.UTC)},
			{time.Date(2030, time.April, 1, 0, 0, 0, 0, time.UTC), "70", "0", true, f.clock.Now()},
		} {
			all, err := f.BalancesAsOf(f.ctx, []string{first.BalanceID, "bal_none"}, c.at)
			s := all[first.BalanceID]
			if err != nil || len(all) != 1 || s.Amount != usd(t, c.amount) || s.Usage != usd(t, c.usage) || (s.EntryID != "") != c.entries || !s.At.Equal(c.answered) {
				t.Errorf("as of %s: %+v, %v; want amount %s, usage %s", c.at, all, err, c.amount, c.usage)
			}
		}
		b := f.balanceOf(t, p.ID, "USD")
		all, err := f.BalancesAsOf(f.ctx, []string{b.ID}, f.clock.Now())
		if s := all[b.ID]; err != nil || s.Amount != b.Amount() || s.Usage != b.Usage() {
			t.Errorf("now: %+v, %v; the balance has amount %s, usage %s", s, err, b.Amount(), b.Usage())
		}
		// Nobody else's.
		other, ctx := f.newOrganization(t, "second", "UTC")
		if all, err := f.BalancesAsOf(ctx, []string{b.ID}, f.clock.Now()); err != nil || len(all) > 0 {
			t.Errorf("%s sees %v, %v", other, all, err)
		}
		session := auth.NewContext(t.Context(), &auth.Viewer{OrganizationID: f.org, SessionID: "ses_x", PayerID: f.newPayer(t, payer.BillingModePREPAID).ID})
		if all, err := f.BalancesAsOf(session, []string{b.ID}, f.clock.Now()); err != nil || len(all) > 0 {
			t.Errorf("another payer's session sees %v, %v", all, err)
		}
		if all, err := f.Statements(session, []string{p.ID}, "USD", Month{2026, time.March}); err != nil || len(all) > 0 {
			t.Errorf("another payer's session sees %v, %v", all, err)
		}
		_, err = f.Entries(session, EntryRange{PayerID: p.ID, Currency: "USD"})
		wantCode(t, err, CodeNotFound, "payerId")
		_, err = f.StatementsOfYear(session, p.ID, "", 2026)
		wantCode(t, err, CodeNotFound, "payerId")
	})
}

// A server whose clock is behind books after what another one has booked.
func TestEntriesDoNotGoBackInTime(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.clock.Set(time.Date(2026, time.April, 1, 0, 0, 1, 0, time.UTC))
		f.reload(t, p.ID, usd(t, "100"))
		f.clock.Set(time.Date(2026, time.March, 31, 23, 59, 59, 0, time.UTC))
		late := f.use(t, p.ID, usd(t, "1"))
		e := f.entry(t, late.EntryID)
		if want := time.Date(2026, time.April, 1, 0, 0, 1, 0, time.UTC); !e.BookedAt.Equal(want) || !e.EffectiveAt.Equal(f.clock.Now()) {
			t.Errorf("booked at %s for %s, want %s", e.BookedAt, e.EffectiveAt, want)
		}
		f.clock.Set(time.Date(2026, time.April, 3, 0, 0, 0, 0, time.UTC))
		all, err := f.Statements(f.ctx, []string{p.ID}, "USD", Month{2026, time.April})
		if st := all[p.ID]; err != nil || st.TopUps != usd(t, "100") || st.Usage != usd(t, "1") || st.Usage != f.balanceOf(t, p.ID, "USD").Usage() {
			t.Errorf("April: %+v, %v", st, err)
		}
	})
}

// Entries come oldest first, page by page, as they were when they were asked
// for, between two times.
func TestEntriesOfARange(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		for n := range 6 {
			f.clock.Set(fixtureStart.Add(time.Duration(n) * time.Hour))
			f.reload(t, p.ID, usd(t, fmt.Sprint(n+1)))
		}
		f.reload(t, p.ID, usd(t, "7")) // at the same moment as the one before
		at := func(hours int) *time.Time { return ptr(fixtureStart.Add(time.Duration(hours) * time.Hour)) }
		for _, c := range []struct {
			from, to *time.Time
			want     string
		}{
			{nil, nil, "[1 2 3 4 5 6 7]"},
			{at(2), nil, "[3 4 5 6 7]"},
			{nil, at(2), "[1 2]"},
			{at(2), at(5), "[3 4 5]"},
			{at(5), at(6), "[6 7]"},
			{at(6), nil, "[]"},
			{at(-9), at(0), "[]"},
			{at(4), at(2), "[]"},
		} {
			found, err := f.Entries(f.ctx, EntryRange{PayerID: p.ID, Currency: "USD", From: c.from, To: c.to})
			if err != nil {
				t.Fatal(err)
			}
			got := []int64{}
			for {
				page, err := found.Next(f.ctx)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				for _, e := range page {
					got = append(got, *e.Seq)
				}
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("from %v to %v: %v, want %s", c.from, c.to, got, c.want)
			}
		}
		if found, err := f.Entries(f.ctx, EntryRange{PayerID: p.ID, Currency: "JPY"}); err != nil {
			t.Error(err)
		} else if page, err := found.Next(f.ctx); err != nil || len(page) > 0 {
			t.Errorf("without a balance: %v, %v", page, err)
		}
		_, err := f.Entries(f.ctx, EntryRange{PayerID: "dev_none", Currency: "USD"})
		wantCode(t, err, CodeNotFound, "payerId")
	})
}

// Each kind of entry stands in one column of a statement.
func TestColumnsOfAStatement(t *testing.T) {
	t.Parallel()
	for kind, want := range map[ledgerentry.Kind]movement{
		ledgerentry.KindTOP_UP: {topUps: 7}, ledgerentry.KindRELOAD: {topUps: 7},
		ledgerentry.KindUSAGE: {}, ledgerentry.KindINVOICE_PAYMENT: {},
		ledgerentry.KindCREDIT: {credits: 7}, ledgerentry.KindADJUSTMENT: {credits: 7}, ledgerentry.KindCREDIT_NOTE: {credits: 7},
		ledgerentry.KindREFUND: {credits: 7}, ledgerentry.KindDISPUTE: {credits: 7}, ledgerentry.KindINVOICE: {credits: 7},
	} {
		if got, err := (movement{}).with(kind, "", 7); err != nil || got != want {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
		if want.topUps > 0 {
			want = movement{credits: 7} // what came in came in, and went out again
		}
		if got, err := (movement{}).with(ledgerentry.KindREVERSAL, kind, 7); err != nil || got != want {
			t.Errorf("reversal of %s: %+v, %v", kind, got, err)
		}
	}
}
