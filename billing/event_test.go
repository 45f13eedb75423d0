package billing

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"purser/ent/gatewayevent"
	"purser/gateway"
)

func (s *sale) event(t testing.TB, id string) string {
	t.Helper()
	e, err := s.Client().GatewayEvent.Query().Where(gatewayevent.ID(id)).Only(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Status)
}

func TestEventIsStoredAndAppliedOnce(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		inv := s.invoiced(t, s.openInvoiceOf(t, item(t, "A", "10", "USD", 1)))
		e := gateway.Event{ID: "evt_1", Type: "invoice.paid", Object: gateway.Object{Kind: gateway.ObjectInvoice, ID: *inv.GatewayInvoiceID}}
		var wg sync.WaitGroup
		var mu sync.Mutex
		stored, claimed := map[string]bool{}, 0
		for range 6 {
			wg.Go(func() {
				id, err := s.StoreEvent(s.ctx, s.provider, e)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := s.ClaimEvent(s.ctx, id)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				stored[id] = true
				if got != nil {
					claimed++
					if got.Subject != inv.ID || got.Unclaimed() != nil || got.Kind != gateway.KindStripe {
						t.Errorf("claimed %+v", got)
					}
				}
			})
		}
		wg.Wait()
		if len(stored) != 1 || claimed != 1 {
			t.Fatalf("%d events, claimed by %d", len(stored), claimed)
		}
		var id string
		for id = range stored {
		}
		if err := s.FinishEvent(s.ctx, id, nil); err != nil {
			t.Fatal(err)
		}
		if got := s.event(t, id); got != "APPLIED" {
			t.Errorf("the event is %s", got)
		}
		if again, err := s.StoreEvent(s.ctx, s.provider, e); err != nil || again != "" {
			t.Errorf("a duplicate is work again: %q, %v", again, err)
		}
		if got, err := s.ClaimEvent(s.ctx, id); err != nil || got != nil {
			t.Errorf("applied twice: %+v, %v", got, err)
		}
	})
}

// What an event is about is found by the gateway's id or by our metadata, and
// nothing else's is touched.
func TestEventsFindTheirObject(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		quote := s.quoted(t, s.openQuoteOf(t, item(t, "A", "10", "USD", 1)))
		draft := s.quoteOf(t, item(t, "A", "10", "USD", 1))
		inv := s.invoiced(t, s.openInvoiceOf(t, item(t, "A", "10", "USD", 1)))
		hosted, err := s.BeginHostedPayment(s.ctx, HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "5"), Key: ptr("k")})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishPayment(s.ctx, hosted.ID, gateway.PaymentResult{
			Outcome: ended(gateway.StatusActionNeeded), ReferenceID: "cs_1", NextAction: gateway.NextAction{RedirectURL: "https://pay.example/cs_1"},
		}); err != nil {
			t.Fatal(err)
		}
		setup, err := s.BeginCardSetup(s.ctx, CardDraft{PayerID: s.payer.ID})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishCard(s.ctx, setup.ID, gateway.CardResult{
			Outcome: ended(gateway.StatusActionNeeded), ReferenceID: "seti_1", NextAction: gateway.NextAction{ClientSecret: "seti_secret"},
		}); err != nil {
			t.Fatal(err)
		}
		s.card(t)
		charge, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "5"), Key: ptr("charge")})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishPayment(s.ctx, charge.ID, paymentAt(gateway.StatusProcessing, "pi_1", usd(t, "5"))); err != nil {
			t.Fatal(err)
		}
		elsewhere := s.newKind(t, "STRIPE")
		for n, c := range []struct {
			object gateway.Object
			want   string
			cause  error
		}{
			{gateway.Object{Kind: gateway.ObjectQuote, ID: *quote.GatewayQuoteID}, quote.ID, nil},
			{gateway.Object{Kind: gateway.ObjectQuote, ID: "qt_new", Subject: draft}, draft, nil},
			{gateway.Object{Kind: gateway.ObjectInvoice, ID: *inv.GatewayInvoiceID}, inv.ID, nil},
			{gateway.Object{Kind: gateway.ObjectInvoice, ID: "in_new", Subject: inv.ID}, inv.ID, nil},
			{gateway.Object{Kind: gateway.ObjectHosted, ID: "cs_1"}, hosted.PaymentID, nil},
			{gateway.Object{Kind: gateway.ObjectHosted, ID: "cs_new", Subject: hosted.PaymentID}, hosted.PaymentID, nil},
			{gateway.Object{Kind: gateway.ObjectPayment, ID: "pi_1"}, charge.PaymentID, nil},
			{gateway.Object{Kind: gateway.ObjectPayment, ID: "pi_new", Subject: hosted.PaymentID}, hosted.PaymentID, nil},
			{gateway.Object{Kind: gateway.ObjectSetup, ID: "seti_1"}, setup.PaymentMethodID, nil},
			{gateway.Object{Kind: gateway.ObjectSetup, ID: "seti_new", Subject: setup.PaymentMethodID}, setup.PaymentMethodID, nil},
			{gateway.Object{Kind: gateway.ObjectCustomer, ID: "cus_" + s.payer.ID}, s.payer.ID, nil},
			{gateway.Object{Kind: gateway.ObjectCustomer, ID: "cus_new", Subject: s.payer.ID}, s.payer.ID, nil},
			{gateway.Object{Kind: gateway.ObjectCustomer, ID: "cus_x", Subject: "dev_none"}, "", ErrForeign},
			{gateway.Object{Kind: gateway.ObjectCustomer, ID: "cus_x"}, "", ErrForeign},
			{gateway.Object{Kind: gateway.ObjectInvoice, ID: "in_x", Subject: hosted.PaymentID}, "", errWaiting},
			{gateway.Object{Kind: gateway.ObjectPayment, ID: "pi_x", Subject: "pmt_later"}, "", errWaiting},
			{gateway.Object{Kind: gateway.ObjectInvoice, ID: "in_foreign"}, "", ErrForeign},
			{gateway.Object{Kind: gateway.ObjectOther, ID: "cus_1", Subject: s.payer.ID}, "", ErrForeign},
		} {
			id, err := s.StoreEvent(s.ctx, s.provider, gateway.Event{ID: fmt.Sprint("evt_", n), Type: "x", Object: c.object})
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.ClaimEvent(s.ctx, id)
			if err != nil || got == nil || got.Subject != c.want {
				t.Errorf("%+v: %+v, %v", c.object, got, err)
				continue
			}
			if err := got.Unclaimed(); !errors.Is(err, c.cause) {
				t.Errorf("%+v: %v, want %v", c.object, err, c.cause)
			}
			// Another provider's events reach none of this one's objects; a
			// draft is no provider's yet, a payer is none's.
			if id, err = s.StoreEvent(s.ctx, elsewhere, gateway.Event{ID: fmt.Sprint("evt_", n), Type: "x", Object: c.object}); err != nil {
				t.Fatal(err)
			}
			if got, err := s.ClaimEvent(s.ctx, id); err != nil || got == nil || got.Subject != "" && got.Subject != draft && c.object.Subject != s.payer.ID {
				t.Errorf("%+v of another provider: %+v, %v", c.object, got, err)
			}
		}
	})
}

// What becomes of an event, by what applying it has said.
func TestEventOutcomes(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for n, c := range []struct {
			cause error
			want  string
			due   bool
		}{
			{nil, "APPLIED", false},
			{ErrForeign, "IGNORED", false},
			{fmt.Errorf("amounts differ: %w", errMismatch), "MISMATCHED", false},
			{errWaiting, "WAITING", true},
			{fmt.Errorf("the gateway does not answer"), "RECEIVED", true},
		} {
			id, err := s.StoreEvent(s.ctx, s.provider, gateway.Event{ID: fmt.Sprint("evt_", n), Type: "x", Object: gateway.Object{Kind: gateway.ObjectOther, ID: "x"}})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.ClaimEvent(s.ctx, id); err != nil || got == nil {
				t.Fatalf("%+v, %v", got, err)
			}
			if err := s.FinishEvent(s.ctx, id, c.cause); err != nil {
				t.Fatal(err)
			}
			if got := s.event(t, id); got != c.want {
				t.Errorf("%v: the event is %s, want %s", c.cause, got, c.want)
			}
			s.clock.Advance(checkIn(0))
			due, err := s.DueEvents(s.ctx, 100)
			if err != nil || (len(due) > 0 && due[len(due)-1] == id) != c.due {
				t.Errorf("%v: due %v, %v", c.cause, due, err)
			}
			for _, id := range due {
				if _, err := s.ClaimEvent(s.ctx, id); err != nil {
					t.Fatal(err)
				}
				if err := s.FinishEvent(s.ctx, id, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Run("given up at last", func(t *testing.T) {
			id, err := s.StoreEvent(s.ctx, s.provider, gateway.Event{ID: "evt_never", Type: "x", Object: gateway.Object{Kind: gateway.ObjectInvoice, ID: "in", Subject: "inv_never"}})
			if err != nil {
				t.Fatal(err)
			}
			for range eventTriesMax {
				if got := s.event(t, id); got != "RECEIVED" && got != "WAITING" {
					t.Fatalf("given up early: %s", got)
				}
				got, err := s.ClaimEvent(s.ctx, id)
				if err != nil || got == nil {
					t.Fatalf("%+v, %v", got, err)
				}
				if err := s.FinishEvent(s.ctx, id, got.Unclaimed()); err != nil {
					t.Fatal(err)
				}
				s.clock.Advance(checkIn(100))
			}
			if got := s.event(t, id); got != "FAILED" {
				t.Errorf("the event is %s", got)
			}
		})
	})
}
