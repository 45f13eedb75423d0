package billing

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/email"
	"purser/ent/price"
	"purser/ent/subscription"
)

func TestUpcomingNotice(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		t.Helper()
		when, err := time.ParseInLocation("2006-01-02 15:04", text, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return when.UTC()
	}
	for name, c := range map[string]struct {
		days            int
		from, end, want string
	}{
		"a month":                      {7, "2026-01-31 23:30", "2026-02-28 23:30", "2026-02-21 23:30"},
		"over the change of the clock": {7, "2026-03-01 02:30", "2026-04-01 02:30", "2026-03-25 02:30"},
		"on the change of the clock":   {7, "2026-03-05 02:30", "2026-04-05 02:30", "2026-03-29 03:30"},
		"twice as long":                {7, "2026-05-01 12:00", "2026-05-15 12:00", "2026-05-08 12:00"},
		"a little less":                {7, "2026-05-01 12:01", "2026-05-15 12:00", ""},
		"a week":                       {7, "2026-05-01 12:00", "2026-05-08 12:00", ""},
		"a week, told late":            {3, "2026-05-01 12:00", "2026-05-08 12:00", "2026-05-05 12:00"},
		"never":                        {0, "2026-05-01 12:00", "2027-05-01 12:00", ""},
	} {
		got := upcomingNotice(&ent.Organization{UpcomingChargeDays: c.days}, berlin, at(c.from), at(c.end))
		switch {
		case got == nil && c.want != "", got != nil && c.want == "":
			t.Errorf("%s: %v, want %q", name, got, c.want)
		case got != nil && !got.Equal(at(c.want)):
			t.Errorf("%s: %s, want %s", name, got, at(c.want))
		}
	}
}

// mailsAbout are the mails about a subscription, each with the time it was written at.
func (s *sale) mailsAbout(t testing.TB, id string) []string {
	t.Helper()
	rows, err := s.Client().Email.Query().Order(ent.Asc(email.FieldCreatedAt, email.FieldID)).All(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range rows {
		var f mailFacts
		if err := json.Unmarshal(e.Facts, &f); err != nil {
			t.Fatal(err)
		}
		if f.SubscriptionID == id {
			out = append(out, e.CreatedAt.UTC().Format(time.DateOnly)+" "+string(e.Kind)+" "+f.Cost.String()+" on "+f.NextAt.UTC().Format(time.DateOnly))
		}
	}
	return out
}

// pass advances the organization's clock and has happen what falls due for its
// subscriptions.
func (s *sale) pass(t testing.TB, to time.Time) {
	t.Helper()
	if err := s.AdvanceClock(s.ctx, ClockAdvance{To: &to}); err != nil {
		t.Fatal(err)
	}
	for moved := true; moved; {
		for _, work := range []struct {
			due func(context.Context, int) ([]string, error)
			do  func(context.Context, string) error
		}{
			{s.DueSubscriptions, func(ctx context.Context, id string) error {
				_, err := s.RenewSubscription(ctx, id)
				return err
			}},
			{s.UpcomingRenewals, s.TellUpcomingRenewal},
		} {
			ids, err := work.due(s.ctx, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range append(ids, ids...) { // the second finds it done
				if err := work.do(s.ctx, id); err != nil {
					t.Fatal(err)
				}
			}
		}
		var err error
		if moved, err = s.StepClock(s.ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// Over three years a payer is told of each charge once, a week before, and of
// none that will not come.
func TestRenewalIsToldOnce(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.clock.Set(time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC))
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(190_000) })
		begin := func(interval price.RecurrenceInterval, trial int, collection subscription.Collection) string {
			t.Helper()
			id, _, err := s.CreateSubscription(s.ctx, SubscriptionDraft{
				PayerID: s.payer.ID, Items: []LineDraft{{PriceID: s.every(t, interval, "100"), Quantity: 1}}, Collection: collection,
				TrialDays: trial, Key: ptr(s.newID("key")),
			})
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		yearly := begin(price.RecurrenceIntervalYEAR, 30, subscription.CollectionAUTOMATIC)
		short := begin(price.RecurrenceIntervalYEAR, 7, subscription.CollectionAUTOMATIC)
		sent := begin(price.RecurrenceIntervalYEAR, 30, subscription.CollectionSEND)
		s.pass(t, time.Date(2028, time.April, 8, 0, 0, 0, 0, time.UTC))
		for id, want := range map[string][]string{
			yearly: {
				"2026-04-02 UPCOMING_RENEWAL 119.00 USD on 2026-04-09", "2026-04-09 TRIAL_ENDED 119.00 USD on 2026-04-09",
				"2027-04-02 UPCOMING_RENEWAL 119.00 USD on 2027-04-09", "2028-04-02 UPCOMING_RENEWAL 119.00 USD on 2028-04-09",
			},
			short: {
				"2026-03-17 TRIAL_ENDED 119.00 USD on 2026-03-17",
				"2027-03-10 UPCOMING_RENEWAL 119.00 USD on 2027-03-17", "2028-03-10 UPCOMING_RENEWAL 119.00 USD on 2028-03-17",
			},
			sent: {"2026-04-09 TRIAL_ENDED 119.00 USD on 2026-04-09"},
		} {
			if got := s.mailsAbout(t, id); !slices.Equal(got, want) {
				t.Errorf("told %q, want %q", got, want)
			}
		}
		// Who ends it is told nothing; who thinks again is told, once.
		if _, err := s.CancelSubscription(s.ctx, short, true); err != nil {
			t.Fatal(err)
		}
		s.pass(t, time.Date(2029, time.March, 12, 0, 0, 0, 0, time.UTC))
		if got := s.mailsAbout(t, short); len(got) != 3 {
			t.Errorf("told although it ends: %q", got)
		}
		if err := s.ResumeSubscription(s.ctx, short); err != nil {
			t.Fatal(err)
		}
		s.pass(t, time.Date(2029, time.March, 13, 0, 0, 0, 0, time.UTC))
		if got := s.mailsAbout(t, short); len(got) != 4 || got[3] != "2029-03-12 UPCOMING_RENEWAL 119.00 USD on 2029-03-17" {
			t.Errorf("told %q", got)
		}
		// Nobody is told where nothing is charged by itself.
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetChargingEnabled(false) })
		s.pass(t, time.Date(2029, time.April, 4, 0, 0, 0, 0, time.UTC))
		if got := s.mailsAbout(t, yearly); len(got) != 4 {
			t.Errorf("told although nothing is charged: %q", got)
		}
		if _, err := s.CancelSubscription(s.ctx, yearly, false); err != nil {
			t.Fatal(err)
		}
		if ended := s.subscription(t, yearly); ended.NoticeAt != nil {
			t.Errorf("one that has ended is looked at again: %+v", ended)
		}
		s.mustVerify(t)
	})
}
