package billing

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"purser/ent/invoice"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/paymentmethod"
)

// What was read before a clock was moved is no news afterwards: the work of a
// stop would be looked for at the one before, and the clock go on without it.
func TestClockIsNotPutBack(t *testing.T) {
	t.Parallel()
	var clocks orgClocks
	before, after := time.Unix(1, 0), time.Unix(2, 0)
	began := time.Now()
	clocks.changed("org", orgClock{at: &after})
	clocks.set("org", orgClock{at: &before}, began)
	if got, ok := clocks.get("org"); !ok || !got.at.Equal(after) {
		t.Errorf("the clock stands at %v", got.at)
	}
	clocks.set("org", orgClock{at: &before}, time.Now())
	if got, _ := clocks.get("org"); !got.at.Equal(before) {
		t.Errorf("what another server has made of it is not seen: %v", got.at)
	}
}

// A second server that has not heard of a move looks at the new stop before it
// moves the clock on.
func TestClockOfTwoServers(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		other := New(Config{DB: f.db, Sealer: f.sealer, Logger: f.log, Now: f.clock.Now, PublicURL: "http://purser.test"})
		began := f.clock.Now()
		end := began.Add(48 * time.Hour)
		if err := f.AdvanceClock(f.ctx, ClockAdvance{To: &end}); err != nil {
			t.Fatal(err)
		}
		if at := other.TimeIn(f.ctx); !at.Equal(began) {
			t.Errorf("to the other server it is %s", at)
		}
		step := func(s *Service, want bool, at time.Time) {
			t.Helper()
			moved, err := s.StepClock(f.ctx)
			if err != nil || moved != want || !s.TimeIn(f.ctx).Equal(at) {
				t.Errorf("moved %t to %s, %v; want %t to %s", moved, s.TimeIn(f.ctx), err, want, at)
			}
		}
		step(f.Service, true, end)
		step(other, true, end) // it has only heard of it
		step(other, false, end)
		step(f.Service, false, end)
		f.clock.Advance(time.Hour)
		for _, s := range []*Service{f.Service, other} {
			if at := s.TimeIn(f.ctx); !at.Equal(end.Add(time.Hour)) {
				t.Errorf("an hour later it is %s", at)
			}
		}
		back := end
		wantCode(t, f.AdvanceClock(f.ctx, ClockAdvance{To: &back}), CodeInvalid, "to")
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Organization.Update().Where(organization.ID(f.org)).SetClockUntil(end).Exec(ctx)
		})
		by := time.Hour
		wantCode(t, f.AdvanceClock(f.ctx, ClockAdvance{By: &by}), CodeInvalidState, "")
	})
}

// Organizations with clocks of their own have their turns in the looks for due
// work, however many there are.
func TestClocksTakeTurns(t *testing.T) {
	t.Parallel()
	var c orgClocks
	var all []string
	for n := range 2*clocksEach + 5 {
		all = append(all, fmt.Sprintf("org_%03d", n))
	}
	seen := map[string]int{}
	for range 3 {
		looked := c.turn(slices.Clone(all))
		if len(looked) != clocksEach {
			t.Errorf("%d in one look", len(looked))
		}
		for _, id := range looked {
			seen[id]++
		}
	}
	for _, id := range all {
		if seen[id] == 0 {
			t.Errorf("%s has no turn", id)
		}
	}
	if few := c.turn([]string{"org_b", "org_a"}); len(few) != 2 {
		t.Errorf("of two: %v", few)
	}
	if none := c.turn(nil); len(none) != 0 {
		t.Errorf("of none: %v", none)
	}
}

// A clock that is advanced stops at each thing that falls due on the way, in the
// order of their times.
func TestStopsOfAClock(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		charged, finalized := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1)), s.invoiceOf(t, item(t, "B", "10", "USD", 1))
		s.useRecorded(t, s.newPayer(t, payer.BillingModePOSTPAID).ID, usd(t, "5"))
		at := func(days int) time.Time { return fixtureStart.AddDate(0, 0, days) }
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			if err := tx.Invoice.Update().Where(invoice.ID(charged)).SetNextAttemptAt(at(2)).Exec(ctx); err != nil {
				return err
			}
			if err := tx.Invoice.Update().Where(invoice.ID(finalized)).SetFinalizesAt(at(1)).Exec(ctx); err != nil {
				return err
			}
			return tx.PaymentMethod.Update().Where(paymentmethod.PayerID(s.payer.ID)).SetExpiryNoticeAt(at(3)).Exec(ctx)
		})
		by := 30 * 24 * time.Hour
		if err := s.AdvanceClock(s.ctx, ClockAdvance{By: &by}); err != nil {
			t.Fatal(err)
		}
		month := time.Date(2026, time.April, 1, 0, 0, 0, 0, time.UTC).Add(usageRests)
		for _, want := range []time.Time{at(1), at(2), at(3), month, at(30)} {
			if moved, err := s.StepClock(s.ctx); err != nil || !moved || !s.TimeIn(s.ctx).Equal(want) {
				t.Errorf("moved %t to %s, %v; want %s", moved, s.TimeIn(s.ctx), err, want)
			}
		}
	})
}
