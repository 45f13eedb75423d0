package billing

import (
	"context"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/organization"
	"purser/ent/payer"
)

func TestPeriodIsTheMonthInTheZone(t *testing.T) {
	for _, c := range []struct{ at, zone, want string }{
		{"2026-01-31T23:59:59.999999Z", "UTC", "2026-01"},
		{"2026-02-01T00:00:00Z", "UTC", "2026-02"},
		{"2026-01-31T14:59:59Z", "Asia/Tokyo", "2026-01"},
		{"2026-01-31T15:00:00Z", "Asia/Tokyo", "2026-02"},
		{"2026-02-01T04:59:59Z", "America/New_York", "2026-01"},
		{"2026-02-01T05:00:00Z", "America/New_York", "2026-02"},
		{"2026-07-01T03:59:59Z", "America/New_York", "2026-06"}, // summer time
		{"2026-07-01T04:00:00Z", "America/New_York", "2026-07"},
		{"2028-02-29T23:00:00Z", "UTC", "2028-02"},
		{"2028-02-29T23:00:00Z", "Europe/Berlin", "2028-03"},
		{"2026-12-31T10:00:00Z", "Pacific/Kiritimati", "2027-01"},
		{"2027-01-01T11:00:00Z", "Pacific/Pago_Pago", "2027-01"},
		{"2027-01-01T10:59:59Z", "Pacific/Pago_Pago", "2026-12"},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := periodAt(at, c.zone)
		if err != nil || got != c.want {
			t.Errorf("%s in %s: got %s, %v; want %s", c.at, c.zone, got, err, c.want)
		}
		if earliest, latest := periodsAround(at); got < earliest || got > latest {
			t.Errorf("%s in %s: %s is not within %s and %s", c.at, c.zone, got, earliest, latest)
		}
	}
	if _, err := periodAt(fixtureStart, "Middle/Earth"); err == nil {
		t.Error("an unknown time zone has a period")
	}
}

// Months follow each other without a gap, whatever clocks do at midnight.
func TestMonthsFollowEachOther(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Nuuk",
		// Places that put or have put their clocks forward or back around
		// midnight, or have moved over the date line.
		"America/Havana", "Africa/Cairo", "Asia/Beirut", "Asia/Amman", "Asia/Gaza", "America/Asuncion", "America/Santiago",
		"America/Sao_Paulo", "America/St_Johns", "Atlantic/Azores", "Asia/Tehran", "America/Scoresbysund",
		"Pacific/Apia", "Pacific/Kiritimati", "Pacific/Kwajalein", "Asia/Manila", "Africa/Monrovia", "Asia/Pyongyang",
	} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for m := (Month{1970, time.January}); m.Year < 2050; m = m.next() {
			start := m.start(zone)
			if got := monthOf(start, zone); got != m {
				t.Errorf("%s begins at %s in %s, which is in %s", m, start.In(zone), name, got)
			}
			if year, month, day := start.In(zone).Date(); (Month{year, month}) != m || day > 2 {
				t.Errorf("%s begins at %s in %s", m, start.In(zone), name)
			}
			before := start.Add(-time.Microsecond)
			if got := monthOf(before, zone); got.next() != m {
				t.Errorf("%s in %s is in %s, and %s is in %s", before.In(zone), name, got, start.In(zone), m)
			}
			for _, hours := range []int{-47, -25, -3, -2, -1, 0, 1, 2, 3, 25} {
				at := start.Add(time.Duration(hours) * time.Hour)
				if got := monthOf(at, zone); (got == m) != (hours >= 0) {
					t.Errorf("%s in %s is in %s, which is to begin at %s", at.In(zone), name, got, start.In(zone))
				}
			}
		}
	}
}

func TestRollOver(t *testing.T) {
	for _, c := range []struct {
		name          string
		amount, usage string
		period, into  string
		wantAmount    string
		wantUsage     string
		wantPeriod    string
	}{
		{"the same month", "10", "4", "2026-03", "2026-03", "10", "4", "2026-03"},
		{"the next month", "10", "4", "2026-03", "2026-04", "6", "0", "2026-04"},
		{"the next year", "10", "4", "2026-12", "2027-01", "6", "0", "2027-01"},
		{"years later", "10", "4", "2026-03", "2036-03", "6", "0", "2036-03"},
		{"debt", "10", "14", "2026-03", "2026-04", "-4", "0", "2026-04"},
		{"credit beyond usage", "10", "-4", "2026-03", "2026-04", "14", "0", "2026-04"},
		{"back to an earlier month", "10", "4", "2026-04", "2026-03", "10", "4", "2026-04"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &ent.Balance{Currency: "USD", AmountUnits: usd(t, c.amount).Units, UsageUnits: usd(t, c.usage).Units, Period: c.period}
			before := b.Remaining()
			rollOver(b, c.into)
			if b.Amount() != usd(t, c.wantAmount) || b.Usage() != usd(t, c.wantUsage) || b.Period != c.wantPeriod {
				t.Errorf("got amount %s, usage %s in %s", b.Amount(), b.Usage(), b.Period)
			}
			if b.Remaining() != before {
				t.Errorf("remaining went from %s to %s", before, b.Remaining())
			}
		})
	}
}

func TestFirstWriteOfAMonthRollsOver(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		zone, err := time.LoadLocation("America/New_York")
		if err != nil {
			t.Fatal(err)
		}
		f.setZone(t, zone.String())
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.clock.Set(time.Date(2026, time.March, 31, 23, 59, 59, 0, zone))
		f.reload(t, p.ID, usd(t, "100"))
		f.use(t, p.ID, usd(t, "30"))
		want := func(amount, usage, period string) {
			t.Helper()
			b := f.balanceOf(t, p.ID, "USD")
			if b.Amount() != usd(t, amount) || b.Usage() != usd(t, usage) || b.Period != period {
				t.Errorf("got amount %s, usage %s in %s; want %s, %s in %s", b.Amount(), b.Usage(), b.Period, amount, usage, period)
			}
			f.mustVerify(t)
		}
		want("100", "30", "2026-03")

		// Midnight in New York: usage of last month is booked into the open
		// period and keeps its time.
		f.clock.Advance(time.Second)
		occurred := f.clock.Now().Add(-time.Hour)
		late, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "5"), OccurredAt: &occurred, Key: ptr("late")})
		if err != nil {
			t.Fatal(err)
		}
		want("70", "5", "2026-04")
		e := f.entry(t, late.EntryID)
		if !e.EffectiveAt.Equal(occurred) || *e.AmountAfterUnits != int64(usd(t, "70").Units) || *e.UsageAfterUnits != int64(usd(t, "5").Units) {
			t.Errorf("effective %s, after it amount %d, usage %d", e.EffectiveAt, *e.AmountAfterUnits, *e.UsageAfterUnits)
		}

		// No entry of its own is booked for it, and months without any write
		// are passed over.
		f.clock.Set(time.Date(2027, time.February, 28, 12, 0, 0, 0, zone))
		f.reload(t, p.ID, usd(t, "1"))
		want("66", "0", "2027-02")
		if n := f.entries(t); n != 4 {
			t.Errorf("%d entries, want 4", n)
		}
	})
}

// setZone moves the organization to a time zone.
func (f *fixture) setZone(t testing.TB, zone string) {
	t.Helper()
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		return tx.Organization.Update().Where(organization.ID(f.org)).SetTimeZone(zone).Exec(ctx)
	})
}

func TestOrganizationsMoveBetweenZones(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.setZone(t, "Pacific/Kiritimati") // 14 hours ahead: April has begun
		f.clock.Set(time.Date(2026, time.March, 31, 12, 0, 0, 0, time.UTC))
		f.reload(t, p.ID, usd(t, "10"))
		f.use(t, p.ID, usd(t, "1"))
		f.setZone(t, "America/New_York") // March again: what is open stays open
		f.use(t, p.ID, usd(t, "1"))
		b := f.balanceOf(t, p.ID, "USD")
		if b.Amount() != usd(t, "10") || b.Usage() != usd(t, "2") || b.Period != "2026-04" {
			t.Errorf("got amount %s, usage %s in %s", b.Amount(), b.Usage(), b.Period)
		}
		f.mustVerify(t)
		f.clock.Set(time.Date(2026, time.May, 1, 3, 0, 0, 0, time.UTC)) // April in New York
		f.use(t, p.ID, usd(t, "1"))
		f.setZone(t, "UTC")
		f.use(t, p.ID, usd(t, "1"))
		if b := f.balanceOf(t, p.ID, "USD"); b.Amount() != usd(t, "7") || b.Usage() != usd(t, "1") || b.Period != "2026-05" {
			t.Errorf("got amount %s, usage %s in %s", b.Amount(), b.Usage(), b.Period)
		}
	})
}

// Where nothing was used yet, the entries do not tell whether the month had
// begun where the organization was then.
func TestOrganizationMovesBeforeAnythingIsUsed(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		f.setZone(t, "Pacific/Kiritimati") // 14 hours ahead: April has begun
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		f.clock.Set(time.Date(2026, time.March, 31, 12, 0, 0, 0, time.UTC))
		f.use(t, p.ID, usd(t, "1"))
		f.clock.Set(time.Date(2026, time.April, 9, 12, 0, 0, 0, time.UTC))
		f.use(t, p.ID, usd(t, "2"))
		f.setZone(t, "America/Havana")
		f.mustVerify(t)
		f.use(t, p.ID, usd(t, "4"))
		if b := f.balanceOf(t, p.ID, "USD"); b.Amount() != usd(t, "10") || b.Usage() != usd(t, "7") {
			t.Errorf("got amount %s, usage %s", b.Amount(), b.Usage())
		}
	})
}

// A read of a new month shows the balance as its first write would leave it.
func TestReadsShowTheOpenPeriod(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "100"))
		f.use(t, p.ID, usd(t, "30"))
		f.clock.Set(time.Date(2026, time.April, 2, 0, 0, 0, 0, time.UTC))
		client := f.Client()
		RollOverReads(client, func(context.Context, string) time.Time { return f.clock.Now() })
		b, err := client.Balance.Query().Where(balance.PayerID(p.ID)).Only(f.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if b.Amount() != usd(t, "70") || b.Usage() != usd(t, "0") || b.Remaining() != usd(t, "70") {
			t.Errorf("got amount %s, usage %s", b.Amount(), b.Usage())
		}
	})
}
