package billing

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"purser/ent/price"
)

// TestPeriods holds the arithmetic of periods to the calendar, for any anchor
// in places with and without daylight saving.
func TestPeriods(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Chatham", "Africa/Cairo"}
	intervals := []price.RecurrenceInterval{"DAY", "WEEK", "MONTH", "YEAR"}
	rapid.Check(t, func(t *rapid.T) {
		zone, err := zoneOf(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		r := recurrence{
			anchor:   time.Unix(rapid.Int64Range(1_767_225_600, 1_956_528_000).Draw(t, "anchor"), 0).UTC(), // 2026 to 2031
			interval: rapid.SampledFrom(intervals).Draw(t, "interval"),
			count:    rapid.IntRange(1, 12).Draw(t, "count"),
			zone:     zone,
		}
		n := rapid.IntRange(1, 60).Draw(t, "n")
		before, at := r.begin(n-1), r.begin(n)
		if !at.After(before) {
			t.Fatalf("period %d begins %s, the one before it %s", n, at, before)
		}
		anchor, local := r.anchor.In(zone), at.In(zone)
		// The time of day is kept but where a clock skips it, and then it is
		// within the hour.
		clock := func(x time.Time) int { return x.Hour()*3600 + x.Minute()*60 + x.Second() }
		if off := (clock(local) - clock(anchor) + 24*3600) % (24 * 3600); off > 3600 && off < 23*3600 {
			t.Fatalf("period %d begins at %s, the first at %s", n, local, anchor)
		}
		if clock(local) != clock(anchor) {
			return // the day may be the next then
		}
		days := func(x time.Time) int64 {
			return time.Date(x.Year(), x.Month(), x.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400
		}
		months := func(x time.Time) int { return 12*x.Year() + int(x.Month()) - 1 }
		last := time.Date(local.Year(), local.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
		wantDay := min(anchor.Day(), last)
		switch r.interval {
		case "DAY":
			if d := days(local) - days(anchor); d != int64(n*r.count) {
				t.Fatalf("period %d begins after %d days", n, d)
			}
		case "WEEK":
			if d := days(local) - days(anchor); d != int64(7*n*r.count) || local.Weekday() != anchor.Weekday() {
				t.Fatalf("period %d begins after %d days, on %s", n, d, local.Weekday())
			}
		case "MONTH":
			if m := months(local) - months(anchor); m != n*r.count || local.Day() != wantDay {
				t.Fatalf("period %d begins on %s, %d months after %s", n, local, m, anchor)
			}
		default:
			if local.Year() != anchor.Year()+n*r.count || local.Month() != anchor.Month() || local.Day() != wantDay {
				t.Fatalf("period %d begins on %s, the first on %s", n, local, anchor)
			}
		}
	})
}

func TestPeriodsByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		anchor, zone string
		interval     price.RecurrenceInterval
		n            int
		want         string
	}{
		{"2027-01-31T10:00:00Z", "UTC", "MONTH", 1, "2027-02-28T10:00:00Z"},
		{"2027-01-31T10:00:00Z", "UTC", "MONTH", 2, "2027-03-31T10:00:00Z"},
		{"2027-01-31T10:00:00Z", "UTC", "MONTH", 13, "2028-02-29T10:00:00Z"},
		{"2028-02-29T10:00:00Z", "UTC", "YEAR", 1, "2029-02-28T10:00:00Z"},
		{"2028-02-29T10:00:00Z", "UTC", "YEAR", 4, "2032-02-29T10:00:00Z"},
		{"2027-03-01T09:00:00Z", "Europe/Berlin", "MONTH", 1, "2027-04-01T08:00:00Z"}, // summer has begun
		{"2027-03-27T01:30:00Z", "Europe/Berlin", "DAY", 1, "2027-03-28T01:30:00Z"},   // 02:30 is skipped there
		{"2027-03-27T01:30:00Z", "Europe/Berlin", "DAY", 2, "2027-03-29T00:30:00Z"},
		{"2027-10-31T00:30:00Z", "Europe/Berlin", "MONTH", 0, "2027-10-31T00:30:00Z"}, // the first of two 02:30
		{"2027-10-31T01:30:00Z", "Europe/Berlin", "MONTH", 0, "2027-10-31T01:30:00Z"}, // the second
	} {
		zone, err := zoneOf(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		anchor, err := time.Parse(time.RFC3339, c.anchor)
		if err != nil {
			t.Fatal(err)
		}
		got := recurrence{anchor: anchor, interval: c.interval, count: 1, zone: zone}.begin(c.n).Format(time.RFC3339)
		if got != c.want {
			t.Errorf("from %s in %s, %d %s: %s, want %s", c.anchor, c.zone, c.n, c.interval, got, c.want)
		}
	}
}
