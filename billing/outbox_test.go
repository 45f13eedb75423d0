package billing

import (
	"context"
	"testing"
	"time"

	"purser/ent/outbox"
)

// TestOldEventsGo: an event goes after its time once it is delivered or given
// up; one that still waits for its endpoint stays, with its delivery, and so
// does what another organization has.
func TestOldEventsGo(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		_, other := s.newOrganization(t, "elsewhere", "UTC")
		if _, _, err := s.CreateWebhookEndpoint(other, WebhookEndpointDraft{URL: "https://else.example/", EventTypes: []string{EventQuoteChanged}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.CreateQuote(other, QuoteDraft{}); err != nil {
			t.Fatal(err)
		}
		id, _ := s.listening(t, EventQuoteChanged)
		for range 2 {
			if _, err := s.CreateQuote(s.ctx, QuoteDraft{}); err != nil {
				t.Fatal(err)
			}
		}
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error { // nobody listens to it
			return tx.notice(ctx, EventBalanceLow, "bal_1", struct{}{})
		})
		rows := s.tries(t, id)
		sent, waits := rows[0], rows[1]
		if send, err := s.ClaimDelivery(s.ctx, sent.ID); err != nil || send == nil {
			t.Fatal(err)
		}
		if err := s.FinishDelivery(s.ctx, sent.ID, WebhookAnswer{Status: 200}); err != nil {
			t.Fatal(err)
		}
		events := func() (ids []string) {
			t.Helper()
			ids, err := s.Client().Outbox.Query().Order(outbox.ByID()).IDs(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			return ids
		}
		remove := func(deliveries, events int) {
			t.Helper()
			if n, err := s.RemoveOldDeliveries(s.ctx); err != nil || n != deliveries {
				t.Errorf("%d deliveries go, want %d, %v", n, deliveries, err)
			}
			if n, err := s.RemoveOldEvents(s.ctx); err != nil || n != events {
				t.Errorf("%d events go, want %d, %v", n, events, err)
			}
		}
		s.clock.Advance(deliveryLife)
		remove(0, 0)
		s.clock.Advance(time.Second)
		remove(1, 0)
		s.clock.Advance(eventLife - deliveryLife)
		remove(0, 2) // the one that was sent, and the one for nobody
		remove(0, 0)
		if left := events(); len(left) != 1 || left[0] != waits.OutboxID {
			t.Errorf("%v are left, not %s", left, waits.OutboxID)
		}
		// It is sent after all, and goes in its turn.
		if sends := s.sent(t, WebhookAnswer{Status: 200}); len(sends) != 1 || sends[0].DeliveryID != waits.ID {
			t.Errorf("%d are sent", len(sends))
		}
		remove(1, 1)
		if left := events(); len(left) != 0 {
			t.Errorf("%v are left", left)
		}
		if n, err := s.Client().Outbox.Query().Count(other); err != nil || n != 1 {
			t.Errorf("%d are left elsewhere, %v", n, err)
		}
	})
}
