package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/billing"
	"purser/crash"
	"purser/database"
	"purser/ent/invoice"
	"purser/ent/payment"
)

// TestBillingRun lets the server die at the moments of a billing run, one life
// after the other; then two servers, where the database can, share what is
// left. Nobody is charged twice, and nobody is skipped.
func TestBillingRun(t *testing.T) {
	eachArena(t, func(t *testing.T, a *arena) {
		server := a.launch(t, "")
		if !a.ready(server) {
			t.Fatalf("the server ended: %v\n%s", server.err, server.Output())
		}
		ids := a.invoicesToCharge(t, 4, 3)
		server.Kill()
		a.later(2 * time.Hour)
		for _, moment := range []string{
			crash.BeginCommitted, crash.ResumeClaimed, crash.FinishStarted, crash.ResumeAsked,
			crash.BeginCommitted + ":2", crash.Committing + ":3", crash.Committed + ":3", crash.EventStored,
		} {
			server := a.launch(t, moment)
			a.ready(server) // or dead already: what is due begins at once
			select {
			case <-server.ended:
			case <-time.After(20 * time.Second):
				t.Fatalf("the server never came to %s\n%s", moment, server.Output())
			}
			a.later(50 * time.Second)
		}
		servers := []*testServer{a.launch(t, "")}
		if a.dialect == dialect.Postgres {
			servers = append(servers, a.launchAt(t, freeAddress(t), "", 0))
		}
		a.within(t, func(s *billing.Service, ctx context.Context, _ *database.DB) {
			open := 0
			if !holdsWithin(time.Minute, func() bool {
				var err error
				open, err = s.Client().Invoice.Query().Where(invoice.StatusNEQ(invoice.StatusPAID)).Count(ctx)
				if err != nil {
					t.Fatal(err)
				}
				return open == 0
			}) {
				t.Errorf("%d of %d invoices were not charged\n%s", open, len(ids), servers[0].Output())
			}
			for _, id := range ids {
				all, err := s.Client().Payment.Query().Where(payment.InvoiceID(id)).All(ctx)
				if err != nil || len(all) != 1 || all[0].Status != payment.StatusSUCCEEDED || !all[0].Recurring {
					t.Errorf("invoice %s has the payments %v, %v", id, all, err)
				}
			}
		})
		for _, s := range servers {
			s.Stop()
		}
		if err := a.control.expect(t.Context(), []string{fmt.Sprint(len(ids)), "succeeded"}); err != nil {
			t.Error(err)
		}
		a.settle(t)
	})
}

// invoicesToCharge makes payers with a card and as many open invoices each.
func (a *arena) invoicesToCharge(t *testing.T, payers, each int) []string {
	t.Helper()
	var ids []string
	for _, c := range a.customers(t, payers, 1) {
		for n := range each {
			_, amount := c.amount()
			made, err := c.until(t.Context(), "invoiceCreate", "invoice { id }", map[string]any{
				"payerId": c.payer, "lineItems": []any{map[string]any{"description": "Month", "quantity": 1, "unitAmount": amount}},
				"idempotencyKey": fmt.Sprintf("%s-run-%d", c.name, n),
			}, anyAnswer)
			if err != nil {
				t.Fatal(err)
			}
			id := made.text("invoice.id")
			if _, err := c.until(t.Context(), "invoiceFinalize", "invoice { status }", map[string]any{"id": id}, settled("invoice.status", "OPEN")); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
	}
	return ids
}
