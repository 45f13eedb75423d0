package jobs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/billing"
	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/price"
	"purser/ent/subscription"
	"purser/gateway"
	"purser/money"
)

// plan is an organization with subscriptions that are paid from a balance.
func (o *office) plan(t *testing.T, slug string) (ctx context.Context, ids []string) {
	t.Helper()
	ctx, _ = o.organization(t, slug, 0)
	payer, err := o.CreateDeveloper(ctx, billing.PayerDraft{Email: slug + "@example.com", Name: "Ada", BillingMode: "PREPAID"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := func(text string) *string { return &text }
	funds, err := money.Parse("500", "USD")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.ReloadBalance(ctx, billing.Reload{PayerID: payer, Amount: funds, Key: key("funds")}); err != nil {
		t.Fatal(err)
	}
	product, err := o.CreateProduct(ctx, billing.ProductDraft{Name: "Plan"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n, interval := range []price.RecurrenceInterval{"WEEK", "MONTH", "DAY"} {
		amount, err := money.Parse(money.Decimal(fmt.Sprint(n+1)), "USD")
		if err != nil {
			t.Fatal(err)
		}
		d := billing.PriceDraft{ProductID: product, UnitAmount: amount, Recurrence: &billing.Recurrence{Count: 1}}
		d.Recurrence.Interval = interval
		priceID, err := o.CreatePrice(ctx, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		id, _, err := o.CreateSubscription(ctx, billing.SubscriptionDraft{
			PayerID: payer, Items: []billing.LineDraft{{PriceID: priceID, Quantity: 1}}, Collection: subscription.CollectionBALANCE,
			TrialDays: n, Key: key(string(interval)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ctx, ids
}

// troubles are what falls due beside renewals: a quote that nobody accepts, a
// hold that nobody captures, and after a trial a plan for which there is no
// card, of which the tries fail and the payer is mailed.
func (o *office) troubles(t *testing.T, ctx context.Context) {
	t.Helper()
	key := func(text string) *string { return &text }
	account, err := o.CreateProvider(ctx, billing.ProviderDraft{Name: "WorldPay", Credentials: billing.Credentials{
		Kind: gateway.KindWorldpay, MerchantCode: "SHOP", InstallationID: "1", SecretKey: "SHOP:xml-password-of-shop", MACSecret: "a-secret-of-the-shop",
	}}, anyKeys{})
	if err != nil {
		t.Fatal(err)
	}
	payer, err := o.CreateDeveloper(ctx, billing.PayerDraft{Email: "cardless@example.com", Name: "Grace", BillingMode: "PREPAID"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	amount, err := money.Parse("7", "USD")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.ReloadBalance(ctx, billing.Reload{PayerID: payer, Amount: amount, Key: key("of the cardless")}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.CreateHold(ctx, billing.HoldDraft{PayerID: payer, Amount: amount, ExpiresIn: 36 * time.Hour, Key: key("hold")}); err != nil {
		t.Fatal(err)
	}
	product, err := o.CreateProduct(ctx, billing.ProductDraft{Name: "Gold"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	price, err := o.CreatePrice(ctx, billing.PriceDraft{ProductID: product, UnitAmount: amount, Recurrence: &billing.Recurrence{Interval: "MONTH", Count: 1}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = o.CreateSubscription(ctx, billing.SubscriptionDraft{
		PayerID: payer, ProviderID: account, Items: []billing.LineDraft{{PriceID: price, Quantity: 1}},
		Collection: subscription.CollectionAUTOMATIC, TrialDays: 3, Key: key("gold"),
	})
	if err != nil {
		t.Fatal(err)
	}
	soon := o.TimeIn(ctx).Add(10 * 24 * time.Hour)
	quote, err := o.CreateQuote(ctx, billing.QuoteDraft{PayerID: payer, Lines: []billing.LineDraft{{PriceID: price, Quantity: 2}}, ExpiresAt: &soon})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.BeginQuoteFinalization(ctx, billing.QuoteFinalizeDraft{ID: quote}); err != nil {
		t.Fatal(err)
	}
}

// history is what has become of an organization, without what differs from run
// to run: ids and secrets. Times are told from its beginning.
func (o *office) history(t *testing.T, ctx context.Context, began time.Time) string {
	t.Helper()
	var b strings.Builder
	subs, err := o.Client().Subscription.Query().Order(ent.Asc(subscription.FieldID)).All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	at := func(when *time.Time) string {
		if when == nil {
			return "-"
		}
		return when.Sub(began).String()
	}
	for _, s := range subs {
		fmt.Fprintln(&b, s.Status, s.Period, at(&s.CurrentPeriodStart), at(s.DueAt))
		invoices, err := o.Client().Invoice.Query().Where(invoice.SubscriptionID(s.ID)).Order(ent.Asc(invoice.FieldPeriodStart)).All(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range invoices {
			number := "-"
			if i.Number != nil {
				number = *i.Number
			}
			fmt.Fprintln(&b, " ", number, i.Status, i.Total(), at(i.PeriodStart), at(i.PeriodEnd), at(i.FinalizedAt), at(i.PaidAt))
		}
	}
	quotes, err := o.Client().Quote.Query().All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range quotes {
		fmt.Fprintln(&b, "quote", q.Status, at(&q.UpdatedAt))
	}
	holds, err := o.Client().Hold.Query().All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range holds {
		fmt.Fprintln(&b, "hold", h.Status, at(h.ClosedAt))
	}
	payments, err := o.Client().Payment.Query().Order(ent.Asc("created_at", "id")).All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range payments {
		fmt.Fprintln(&b, "payment", p.Status, p.Amount(), at(&p.CreatedAt))
	}
	mails, err := o.Client().Email.Query().Order(ent.Asc("created_at", "kind")).All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mails {
		fmt.Fprintln(&b, "mail", m.Kind, m.Status, at(&m.CreatedAt))
	}
	events, err := o.Client().Outbox.Query().Order(ent.Asc("created_at", "kind")).All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		fmt.Fprintln(&b, "event", e.Kind, at(&e.CreatedAt))
	}
	entries, err := o.Client().LedgerEntry.Query().Order(ent.Asc("booked_at", "id")).All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		fmt.Fprintln(&b, e.Kind, e.AmountUnits, at(&e.BookedAt))
	}
	return b.String()
}

// standing is a clock that stands still.
func (o *office) standing(t *testing.T) time.Time {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stands = time.Date(2027, time.January, 31, 10, 0, 0, 0, time.UTC)
	return o.stands
}

// advance advances an organization's clock and waits until that is done.
func (o *office) advance(t *testing.T, ctx context.Context, by time.Duration) {
	t.Helper()
	if err := o.AdvanceClock(ctx, billing.ClockAdvance{By: &by}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := o.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		row, err := o.Client().Organization.Query().Only(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if row.ClockUntil == nil {
			return
		}
	}
	t.Fatal("the clock does not arrive")
}

// Two months in one step and in many small ones come to the same, as do two
// runs, byte for byte: renewals, retries, expiries, mails and events; another
// organization's time stands still meanwhile.
func TestClockIsDeterministic(t *testing.T) {
	t.Parallel()
	var histories []string
	for _, steps := range []int{1, 1, 30} {
		o := newOffice(t)
		began := o.standing(t)
		ctx, _ := o.plan(t, "one")
		o.troubles(t, ctx)
		other, _ := o.plan(t, "two")
		before := o.history(t, other, began)
		for range steps {
			o.advance(t, ctx, 60*24*time.Hour/time.Duration(steps))
		}
		histories = append(histories, o.history(t, ctx, began))
		if now := o.TimeIn(ctx); !now.Equal(began.Add(60 * 24 * time.Hour)) {
			t.Errorf("it is %s, %s after the beginning", now, now.Sub(began))
		}
		if after := o.history(t, other, began); after != before || !o.TimeIn(other).Equal(began) {
			t.Errorf("the other organization was moved:\n%s", after)
		}
		if _, err := o.VerifyAll(auth.AllTenants(t.Context(), "verify"), billing.VerifyOptions{}); err != nil {
			t.Error(err)
		}
	}
	if histories[0] != histories[1] || histories[0] != histories[2] {
		t.Errorf("histories differ:\n%s\n\n%s\n\n%s", histories[0], histories[1], histories[2])
	}
	for what, want := range map[string]int{
		" PAID ": 9 + 3 + 59, "quote EXPIRED 240h0m0s": 1, "hold EXPIRED 36h0m0s": 1, "payment FAILED": 6,
		"mail CHARGE_FAILED ": 6,
		// Of the first half of the time, the events are gone.
		"event invoice.charge_failed ": 2, "event invoice.charge_given_up ": 1,
	} {
		if n := strings.Count(histories[0], what); n != want {
			t.Errorf("%d times %q, want %d:\n%s", n, what, want, histories[0])
		}
	}
	if n := strings.Count(histories[0], "mail TRIAL_ENDED "); n != 3 {
		t.Errorf("%d were told that a trial is over:\n%s", n, histories[0])
	}
}

// Two servers at one renewal boundary, one of which dies again and again
// wherever it is: each period is billed once.
func TestTwoRunnersBillEachPeriodOnce(t *testing.T) {
	t.Parallel()
	for _, name := range []string{dialect.SQLite, dialect.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			billOnce(t, newOfficeOn(t, name))
		})
	}
}

func billOnce(t *testing.T, o *office) {
	t.Helper()
	ctx, ids := o.plan(t, "one")
	o.later(time.Minute)
	if err := o.Round(t.Context()); err != nil { // the first payment
		t.Fatal(err)
	}
	mortal := New(o.Runner.Config)
	for range 12 {
		o.later(5 * 24 * time.Hour)
		var both sync.WaitGroup
		both.Go(func() {
			for range 4 {
				life, end := context.WithTimeout(t.Context(), rand.N(20*time.Millisecond))
				_ = mortal.Round(life) // whatever it was at is left as it is
				end()
			}
		})
		both.Go(func() {
			for range 6 {
				if err := o.Round(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		both.Wait()
	}
	for n, id := range ids {
		s, err := o.Client().Subscription.Query().Where(subscription.ID(id)).Only(ctx)
		if err != nil {
			t.Fatal(err)
		}
		invoices, err := o.Client().Invoice.Query().Where(invoice.SubscriptionID(id)).Count(ctx)
		if err != nil || invoices != s.Period+1 || s.CurrentPeriodEnd.Before(o.now()) && n < 2 {
			t.Errorf("%s: %d invoices, period %d up to %s, %v", id, invoices, s.Period, s.CurrentPeriodEnd, err)
		}
	}
	if _, err := o.VerifyAll(auth.AllTenants(t.Context(), "verify"), billing.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}
