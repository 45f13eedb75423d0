package billing

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"purser/ent/creditnote"
	"purser/ent/outbox"
	"purser/ent/subscription"
	"purser/gateway"
)

// toldWebhooks are the payloads of a kind that an endpoint is to be told,
// oldest first.
func (s *sale) toldWebhooks(t testing.TB, endpointID, kind string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, d := range s.tries(t, endpointID) {
		if d.EventType != kind {
			continue
		}
		row, err := s.Client().Outbox.Query().Where(outbox.ID(d.OutboxID)).Only(s.ctx)
		if err != nil || row.Kind != kind {
			t.Fatalf("%+v, %v", row, err)
		}
		var data map[string]any
		if err := json.Unmarshal(row.Payload, &data); err != nil {
			t.Fatal(err)
		}
		if data["payerId"] == nil {
			t.Errorf("%s names no payer: %s", kind, row.Payload)
		}
		out = append(out, data)
	}
	return out
}

// TestWebhookEvents lives through a sale, charges in vain, and money that comes
// back: each change is told once, by its transaction, to nobody else, and names
// no person.
func TestWebhookEvents(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		all := WebhookEventTypes()
		id, _ := s.listening(t, all...)
		_, other := s.newOrganization(t, "elsewhere", "UTC")
		if _, _, err := s.CreateWebhookEndpoint(other, WebhookEndpointDraft{URL: "https://else.example/", EventTypes: all}); err != nil {
			t.Fatal(err)
		}
		states := func(kind string) string {
			t.Helper()
			var out []string
			for _, data := range s.toldWebhooks(t, id, kind) {
				out = append(out, data["status"].(string))
			}
			return strings.Join(out, " ")
		}
		want := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: told %q, want %q", what, got, want)
			}
		}

		sub, _, err := s.CreateSubscription(s.ctx, SubscriptionDraft{
			PayerID: s.payer.ID, Items: []LineDraft{{PriceID: s.monthly(t, "9"), Quantity: 1}}, Collection: subscription.CollectionSEND,
			TrialDays: 5, Key: ptr("trial"),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(5 * days)
		if _, err := s.RenewSubscription(s.ctx, sub); err != nil {
			t.Fatal(err)
		}
		for _, atPeriodEnd := range []bool{true, true, false, false} {
			if _, err := s.CancelSubscription(s.ctx, sub, atPeriodEnd); err != nil {
				t.Fatal(err)
			}
		}
		want("subscription", states(EventSubscriptionChanged), "TRIALING ACTIVE ACTIVE CANCELED")
		last := s.toldWebhooks(t, id, EventSubscriptionChanged)[3]
		if last["id"] != sub || last["latestInvoiceId"] == nil || last["canceledAt"] == nil || last["amount"].(map[string]any)["amount"] != "9.00" {
			t.Errorf("told %v", last)
		}

		card := s.card(t)
		p := s.toppedUp(t, "25")
		s.reloading(t, nil)
		refunded := s.beginRefund(t, p, "10")
		for _, state := range []gateway.RefundState{gateway.RefundPending, gateway.RefundSucceeded, gateway.RefundSucceeded, gateway.RefundFailed} {
			if err := s.FinishRefund(s.ctx, refunded.ID, refundAt(state, "re_1", usd(t, "10"))); err != nil {
				t.Fatal(err)
			}
			r := s.back(t, refunded.RefundID)
			if err := s.ApplyRefund(s.ctx, p.ID, r.ID, refundAt(state, "re_1", usd(t, "10"))); err != nil {
				t.Fatal(err)
			}
		}
		want("refund", states(EventRefundChanged), "PROCESSING SUCCEEDED FAILED")
		s.disputed(t, p, gateway.DisputeNeedsResponse, gateway.DisputeUnderReview, gateway.DisputeWon)
		want("dispute", states(EventDisputeChanged), "NEEDS_RESPONSE UNDER_REVIEW WON")
		if d := s.toldWebhooks(t, id, EventDisputeChanged)[0]; d["paymentId"] != p.ID || d["reason"] != "fraudulent" || d["evidenceDueAt"] == nil {
			t.Errorf("told %v", d)
		}

		paid := s.paidInvoiceOf(t, item(t, "API", "10", "USD", 1))
		note := s.noteTo(t, paid, "4", creditnote.SettlementBALANCE)
		if told := s.toldWebhooks(t, id, EventCreditNoteIssued); len(told) != 1 || told[0]["id"] != note.CreditNoteID || told[0]["number"] == "" ||
			told[0]["invoiceId"] != paid || told[0]["settlement"] != "BALANCE" {
			t.Errorf("told %v", told)
		}
		back := s.noteTo(t, paid, "1", creditnote.SettlementREFUND)
		told := s.toldWebhooks(t, id, EventRefundChanged)
		if len(told) != 4 || told[3]["creditNoteId"] != back.CreditNoteID || told[3]["status"] != "PROCESSING" {
			t.Errorf("told %v", told)
		}

		if err := s.UpdateOrganization(s.ctx, OrganizationChange{DueDays: &DueDays{Automatic: 2, Send: 30}}); err != nil {
			t.Fatal(err)
		}
		unpaid := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		for _, end := range []gateway.Status{gateway.StatusDeclined, gateway.StatusDeclined, gateway.StatusDeclined} {
			s.charged(t, unpaid, end)
		}
		s.charged(t, s.openInvoiceOf(t, item(t, "B", "10", "USD", 1)), gateway.StatusActionNeeded)
		due, err := s.CardsThatExpire(s.ctx, 10)
		if err != nil || len(due) != 0 {
			t.Fatalf("%v, %v", due, err)
		}
		s.clock.Set(s.clock.Now().AddDate(10, 0, 0))
		if err := s.TellCardExpires(s.ctx, card); err != nil {
			t.Fatal(err)
		}
		for kind, n := range map[string]int{
			EventUpcomingCharge: 2, EventChargeFailed: 2, EventChargeGivenUp: 1, EventAuthentication: 1, EventInvoicePaid: 1,
			EventCardExpires: 1, EventAutoReloadSuspended: 1, EventTrialEnded: 1,
		} {
			if told := s.toldWebhooks(t, id, kind); len(told) != n {
				t.Errorf("%s: told %v, want %d", kind, told, n)
			}
		}

		// What does not come to pass is not told.
		before := len(s.tries(t, id))
		gone := errors.New("given up")
		err = s.inTx(s.ctx, func(ctx context.Context, tx *Tx) error {
			tx.changed(ctx, ChangeRefund, refunded.RefundID, s.payer.ID)
			if err := tx.announce(ctx); err != nil {
				return err
			}
			return gone
		})
		if !errors.Is(err, gone) || len(s.tries(t, id)) != before {
			t.Errorf("%v, and %d are told instead of %d", err, len(s.tries(t, id)), before)
		}
		// Nor is it told elsewhere, and nobody is named.
		if n, err := s.Client().WebhookDelivery.Query().Count(other); err != nil || n != 0 {
			t.Errorf("%d are told elsewhere, %v", n, err)
		}
		rows, err := s.Client().Outbox.Query().All(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			for _, text := range []string{s.payer.Name, *s.payer.Email, "4242", "down for a day"} {
				if strings.Contains(string(row.Payload), text) {
					t.Errorf("%s says %s: %s", row.Kind, text, row.Payload)
				}
			}
			if !slices.Contains(all, row.Kind) {
				t.Errorf("%s cannot be listened to", row.Kind)
			}
		}
	})
}
