package billing

import (
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/price"
)

// recurrence counts periods from an anchor, in a time zone. A period begins at
// the anchor's time of day; those of months and years on the anchor's day, or
// where a month is shorter on its last: 31 January, 28 February, 31 March.
// Each is counted from the anchor and not from the one before, so that nothing
// is lost on the way.
type recurrence struct {
	anchor   time.Time
	interval price.RecurrenceInterval
	count    int
	zone     *time.Location
}

func recurrenceOf(sub *ent.Subscription) (recurrence, error) {
	zone, err := zoneOf(sub.TimeZone)
	if err != nil {
		return recurrence{}, err
	}
	return recurrence{sub.AnchorAt, price.RecurrenceInterval(sub.RecurrenceInterval), sub.RecurrenceCount, zone}, nil
}

// begin is when the period with the number n begins, in UTC; the one before it
// ends then.
func (r recurrence) begin(n int) time.Time {
	if n == 0 {
		return r.anchor.UTC() // also where a clock shows that time twice
	}
	year, month, day := r.anchor.In(r.zone).Date()
	steps := n * r.count
	switch r.interval {
	case price.RecurrenceIntervalDAY:
		return r.at(year, month, day+steps)
	case price.RecurrenceIntervalWEEK:
		return r.at(year, month, day+7*steps)
	case price.RecurrenceIntervalMONTH:
		return r.inMonth(year, month+time.Month(steps), day)
	default:
		return r.inMonth(year+steps, month, day)
	}
}

// inMonth is the day of the month, or its last.
func (r recurrence) inMonth(year int, month time.Month, day int) time.Time {
	last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return r.at(year, month, min(day, last))
}

// at is the anchor's time of day on a day. Where the clock skips that time it
// is as much later, or earlier, as time.Date makes it.
func (r recurrence) at(year int, month time.Month, day int) time.Time {
	a := r.anchor.In(r.zone)
	return time.Date(year, month, day, a.Hour(), a.Minute(), a.Second(), a.Nanosecond(), r.zone).UTC()
}

// afterDays is the same time of day so many days later, in the zone.
func (r recurrence) afterDays(days int) time.Time {
	r.interval, r.count = price.RecurrenceIntervalDAY, 1
	return r.begin(days)
}

// recurrenceOfLines is how often the positions of a subscription are paid,
// which must be the same for all that are paid again; nil where none is.
func recurrenceOfLines(lines []line, field string) (*recurrence, error) {
	var out *recurrence
	for i, l := range lines {
		switch {
		case l.interval == nil:
		case out == nil:
			out = &recurrence{interval: *l.interval, count: l.count}
		case out.interval != *l.interval || out.count != l.count:
			return nil, refuse(CodeInvalid, fmt.Sprintf("%s.%d", field, i), "this position is paid every %d %s, an earlier one every %d %s: a subscription has one period, write another one for the rest",
				l.count, l.interval, out.count, out.interval)
		}
	}
	return out, nil
}
