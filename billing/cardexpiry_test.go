package billing

import (
	"testing"
	"time"

	"purser/ent/outbox"
	"purser/ent/paymentmethod"
	"purser/gateway"
)

func TestExpiryNoticeIsTenDaysBefore(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		year, month int
		want        string // empty: none
	}{
		{2026, 3, "2026-03-22"}, {2026, 12, "2026-12-22"}, {2028, 2, "2028-02-20"}, {2026, 2, ""}, {0, 0, ""},
	} {
		got := expiryNotice(c.year, c.month, now)
		if got == nil && c.want == "" {
			continue
		}
		if got == nil || got.Format(time.DateOnly) != c.want {
			t.Errorf("of a card until %d/%d is told at %v, not at %q", c.month, c.year, got, c.want)
		}
	}
	if got := expiryNotice(2026, 3, now.AddDate(0, 0, 15)); got == nil || !got.Equal(now.AddDate(0, 0, 15)) {
		t.Errorf("of a card that ends within ten days is told at %v", got)
	}
}

// A payer is told once that a card ends; a bank's new card takes its place and
// is told of anew; one taken away at the gateway is gone here.
func TestSavedCardOverTime(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.card(t) // until December 2030
		read := func() (c gateway.Card, status paymentmethod.Status) {
			t.Helper()
			m, err := s.Client().PaymentMethod.Query().Where(paymentmethod.ID(id)).Only(s.ctx)
			if err != nil || m.ConsentedAt == nil || orEmpty(m.ConsentedBy) != "tok_test" {
				t.Fatalf("%+v, %v", m, err)
			}
			return gateway.Card{Brand: m.Brand, Last4: m.Last4, ExpMonth: m.ExpMonth, ExpYear: m.ExpYear}, m.Status
		}
		told := func(want int) {
			t.Helper()
			due, err := s.CardsThatExpire(s.ctx, 10)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				for _, id := range due {
					if err := s.TellCardExpires(s.ctx, id); err != nil {
						t.Fatal(err)
					}
				}
			}
			if n, err := s.Client().Outbox.Query().Where(outbox.Kind(noticeCardExpires), outbox.Subject(id)).Count(s.ctx); err != nil || n != want {
				t.Errorf("told %d times, want %d, %v", n, want, err)
			}
		}
		told(0)
		s.clock.Set(time.Date(2030, time.December, 22, 1, 0, 0, 0, time.UTC))
		told(1)
		told(1)
		// The bank replaces it.
		r := s.cardAt("pm_1")
		m, _ := s.Client().PaymentMethod.Query().Where(paymentmethod.ID(id)).Only(s.ctx)
		r.PaymentMethodID = *m.GatewayID
		r.Card.Last4, r.Card.ExpYear = "1111", 2034
		for range 2 {
			if err := s.ApplyCardUpdate(s.ctx, id, r); err != nil {
				t.Fatal(err)
			}
		}
		if c, _ := read(); c != r.Card {
			t.Errorf("the card is %+v", c)
		}
		told(1)
		s.clock.Set(time.Date(2034, time.December, 22, 1, 0, 0, 0, time.UTC))
		told(2)
		// What is of somebody else's, or could not be read, changes nothing.
		other := r
		other.CustomerID, other.Card.Last4 = "cus_other", "9999"
		if err := s.ApplyCardUpdate(s.ctx, id, other); err != nil {
			t.Fatal(err)
		}
		other = r
		other.PaymentMethodID, other.Card.Last4 = "pm_other", "9999"
		if err := s.ApplyCardUpdate(s.ctx, id, other); err != nil {
			t.Fatal(err)
		}
		if err := s.ApplyCardUpdate(s.ctx, id, gateway.CardResult{Outcome: ended(gateway.StatusUnknown)}); err != nil {
			t.Fatal(err)
		}
		if c, status := read(); c != r.Card || status != paymentmethod.StatusACTIVE {
			t.Errorf("the card is %+v, %s", c, status)
		}
		r.CustomerID = ""
		if err := s.ApplyCardUpdate(s.ctx, id, r); err != nil {
			t.Fatal(err)
		}
		if _, status := read(); status != paymentmethod.StatusDETACHED {
			t.Errorf("the card is %s", status)
		}
	})
}
