package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/crash"
	"purser/database"
	"purser/ent/invoice"
	"purser/ent/subscription"
	"purser/money"
)

// TestKillAtRenewals kills the server before and after commits while it renews
// a daily subscription, up to where its clock is advanced to; each next life
// goes on. Every day is billed and collected once, at its own time.
func TestKillAtRenewals(t *testing.T) {
	eachArena(t, func(t *testing.T, a *arena) {
		const days = 40
		a.within(t, func(s *billing.Service, ctx context.Context, _ *database.DB) {
			key := func(text string) *string { return &text }
			funds, err := money.Parse("1000", "USD")
			if err != nil {
				t.Fatal(err)
			}
			daily, err := money.Parse("2", "USD")
			if err != nil {
				t.Fatal(err)
			}
			payer, err := s.CreateDeveloper(ctx, billing.PayerDraft{Email: "daily@example.com", Name: "Daily", BillingMode: "PREPAID"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.ReloadBalance(ctx, billing.Reload{PayerID: payer, Amount: funds, Key: key("funds")}); err != nil {
				t.Fatal(err)
			}
			product, err := s.CreateProduct(ctx, billing.ProductDraft{Name: "Daily"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			price, err := s.CreatePrice(ctx, billing.PriceDraft{ProductID: product, UnitAmount: daily, Recurrence: &billing.Recurrence{Interval: "DAY", Count: 1}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			tomorrow := s.TimeIn(ctx).Add(24 * time.Hour)
			_, _, err = s.CreateSubscription(ctx, billing.SubscriptionDraft{
				PayerID: payer, Items: []billing.LineDraft{{PriceID: price, Quantity: 1}}, Collection: subscription.CollectionBALANCE,
				StartsAt: &tomorrow, Key: key("daily"),
			})
			if err != nil {
				t.Fatal(err)
			}
			by := days * 24 * time.Hour
			if err := s.AdvanceClock(ctx, billing.ClockAdvance{By: &by}); err != nil {
				t.Fatal(err)
			}
		})
		for n, moment := range []string{crash.Committing, crash.Committed, crash.Committing, crash.Committed, crash.Committing} {
			server := a.launch(t, fmt.Sprintf("%s:%d", moment, 4+3*n))
			select {
			case <-server.ended:
			case <-time.After(startMax):
				t.Fatalf("it did not come to %s: %s", moment, server.Output())
			}
		}
		server := a.launch(t, "")
		if !a.ready(server) {
			t.Fatalf("the server ended: %v\n%s", server.err, server.Output())
		}
		a.within(t, func(s *billing.Service, ctx context.Context, _ *database.DB) {
			if !holdsWithin(time.Minute, func() bool {
				o, err := s.Client().Organization.Query().Only(ctx)
				return err == nil && o.ClockUntil == nil
			}) {
				t.Fatal("the clock does not arrive")
			}
			server.Stop()
			bills, err := s.Client().Invoice.Query().Where(invoice.SubscriptionIDNotNil()).All(ctx)
			if err != nil || len(bills) != days {
				t.Errorf("%d days were billed, want %d, %v", len(bills), days, err)
			}
			for _, b := range bills {
				if b.Status != invoice.StatusPAID || !b.PaidAt.Equal(*b.PeriodStart) {
					t.Errorf("the day from %s is %s, paid at %v", b.PeriodStart, b.Status, b.PaidAt)
				}
			}
			if _, err := s.VerifyAll(auth.AllTenants(t.Context(), "verify"), billing.VerifyOptions{}); err != nil {
				t.Error(err)
			}
		})
	})
}
