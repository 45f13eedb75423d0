package billing

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/paymentattempt"
	"purser/ent/paymentmethod"
	"purser/ent/provider"
	"purser/gateway"
)

// hosted begins a top-up on the gateway's page.
func (s *sale) hosted(t *testing.T, key string) *HostedPayment {
	t.Helper()
	begun, err := s.BeginHostedPayment(s.ctx, HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "25"), Key: ptr(key)})
	if err != nil {
		t.Fatal(err)
	}
	return begun
}

// A payment that the gateway has no name for belongs to its call: there is
// nothing to ask about it, and so it must not stand before those that wait.
func TestUnknownPaymentsStandInNobodysWay(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for i := range 3 {
			unknown := s.hosted(t, fmt.Sprint("k", i))
			for range 2 {
				if err := s.FinishPayment(s.ctx, unknown.ID, gateway.PaymentResult{Outcome: ended(gateway.StatusUnknown)}); err != nil {
					t.Fatal(err)
				}
			}
			if p := s.paid(t, unknown.PaymentID); p.NextCheckAt != nil {
				t.Errorf("a payment without a name is to be asked for at %s", p.NextCheckAt)
			}
		}
		waiting := s.hosted(t, "page")
		page := gateway.PaymentResult{
			Outcome: ended(gateway.StatusActionNeeded), ReferenceID: "cs_1",
			NextAction: gateway.NextAction{RedirectURL: "https://pay.example/cs_1"},
		}
		if err := s.FinishPayment(s.ctx, waiting.ID, page); err != nil {
			t.Fatal(err)
		}
		for i, pause := range []time.Duration{30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour} {
			s.clock.Advance(pause - time.Second)
			if ids, err := s.DuePayments(s.ctx, 10); err != nil || len(ids) != 0 {
				t.Fatalf("before look %d: %v, %v", i, ids, err)
			}
			s.clock.Advance(time.Second)
			if ids, err := s.DuePayments(s.ctx, 10); err != nil || !slices.Equal(ids, []string{waiting.PaymentID}) {
				t.Fatalf("look %d: %v, %v", i, ids, err)
			}
			due, err := s.ClaimPayment(s.ctx, waiting.PaymentID)
			if err != nil || due == nil || due.ReferenceID != "cs_1" {
				t.Fatalf("look %d: %+v, %v", i, due, err)
			}
			if due, err := s.ClaimPayment(s.ctx, waiting.PaymentID); err != nil || due != nil {
				t.Fatalf("look %d: two look at once: %+v, %v", i, due, err)
			}
			// Whatever becomes of it, the next look has its time: nothing can
			// be read, or nothing is new.
			if i%2 == 0 {
				page.Outcome = ended(gateway.StatusUnknown)
			} else {
				page.Outcome = ended(gateway.StatusActionNeeded)
			}
			if err := s.ApplyPayment(s.ctx, waiting.PaymentID, page); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A provider whose secret cannot be opened stops the cards of no other one.
func TestOneProviderStopsNoOthersCards(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		bad := s.newKind(t, provider.KindSTRIPE)
		var ids []string
		for i, at := range []string{bad, s.provider} {
			begun, err := s.BeginCardSetup(s.ctx, CardDraft{PayerID: s.payer.ID, ProviderID: at})
			if err != nil {
				t.Fatal(err)
			}
			err = s.FinishCard(s.ctx, begun.ID, gateway.CardResult{
				Outcome: ended(gateway.StatusActionNeeded), ReferenceID: fmt.Sprint("seti_", i),
				NextAction: gateway.NextAction{ClientSecret: "seti_secret"},
			})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, begun.PaymentMethodID)
		}
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Provider.Update().Where(provider.ID(bad)).SetSecretSealed([]byte("garbage")).Exec(ctx)
		})
		s.clock.Advance(checkIn(0))
		due, err := s.DueCards(s.ctx, 10)
		if err != nil || !slices.Contains(due, ids[0]) || !slices.Contains(due, ids[1]) {
			t.Fatalf("due %v, %v", due, err)
		}
		if card, err := s.ClaimCard(s.ctx, ids[0]); err == nil {
			t.Errorf("opened %+v", card)
		}
		if card, err := s.ClaimCard(s.ctx, ids[1]); err != nil || card == nil || card.Reference != "seti_1" || card.Account.ProviderID != s.provider {
			t.Errorf("%+v, %v", card, err)
		}
		if due, err := s.DueCards(s.ctx, 10); err != nil || len(due) != 0 {
			t.Errorf("still due: %v, %v", due, err)
		}
		if m, err := s.Client().PaymentMethod.Query().Where(paymentmethod.ID(ids[0])).Only(s.ctx); err != nil || m.Checks != 1 {
			t.Errorf("%+v, %v", m, err)
		}
	})
}

// A call whose outcome can never be written is asked again ever more seldom,
// and in the end it is left to a person.
func TestCallThatIsNeverFinished(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		begun := s.hosted(t, "k")
		tries := 0
		for s.called(t, begun.ID).State == gatewaycall.StateOPEN {
			if tries++; tries > 100 {
				t.Fatal("asked again for ever")
			}
			s.clock.Set(*s.called(t, begun.ID).NextCheckAt)
			d, err := s.ClaimCall(s.ctx, begun.ID)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := s.ClaimCall(s.ctx, begun.ID); err != nil || again != nil {
				t.Fatalf("claimed twice: %+v, %v", again, err)
			}
			if c := s.called(t, begun.ID); d != nil && tries <= callLeases && c.NextCheckAt.Sub(s.clock.Now()) != callLease {
				t.Errorf("try %d: after a server's death the next one waits %s", tries, c.NextCheckAt.Sub(s.clock.Now()))
			}
		}
		if c := s.called(t, begun.ID); c.State != gatewaycall.StateREVIEW || s.clock.Now().Before(fixtureStart.Add(callAskMax)) {
			t.Errorf("after %s the call is %s", s.clock.Now().Sub(fixtureStart), c.State)
		}
		if ids, err := s.DueCalls(s.ctx, 10); err != nil || len(ids) != 0 {
			t.Errorf("due %v, %v", ids, err)
		}
	})
}

// Servers that find the same call due ask the gateway once between them.
func TestOneServerTakesADueCall(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for n := range 10 {
			begun := s.hosted(t, fmt.Sprint("k", n))
			s.clock.Advance(callLease)
			var wg sync.WaitGroup
			var taken atomic.Int32
			for range 8 {
				wg.Go(func() {
					d, err := s.ClaimCall(s.ctx, begun.ID)
					if err != nil {
						t.Error(err)
					}
					if d != nil {
						taken.Add(1)
					}
				})
			}
			wg.Wait()
			if c := s.called(t, begun.ID); taken.Load() != 1 || c.Attempts != 2 {
				t.Errorf("taken by %d servers, %d attempts", taken.Load(), c.Attempts)
			}
		}
	})
}

// A server that was down for weeks asks before it gives a call up.
func TestOldCallIsAskedOnceMore(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		begun := s.hosted(t, "k")
		s.clock.Advance(3 * callAskMax)
		if d, err := s.ClaimCall(s.ctx, begun.ID); err != nil || d == nil {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

// An organization in which nothing but entries is left is found for sealing.
func TestEntriesAreFoundForSealing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		all := auth.AllTenants(t.Context(), "jobs")
		if ids, err := f.OrganizationsToSeal(all, time.Time{}); err != nil || !slices.Equal(ids, []string{f.org}) {
			t.Fatalf("at first %v, %v", ids, err)
		}
		looked := time.Now()
		toSeal := func() []string {
			t.Helper()
			ids, err := f.OrganizationsToSeal(all, looked)
			if err != nil {
				t.Fatal(err)
			}
			looked = time.Now()
			return ids
		}
		price := usd(t, "10")
		id, err := f.CreateInvoice(f.ctx, InvoiceDraft{
			PayerID: f.newPayer(t, "PREPAID").ID, Collection: invoice.CollectionSEND,
			Lines: []LineDraft{{Description: "Consulting", UnitAmount: &price, Quantity: 1}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.BeginInvoiceFinalization(f.ctx, InvoiceFinalizeDraft{ID: id}); err != nil {
			t.Fatal(err)
		}
		if ids := toSeal(); len(ids) != 0 {
			t.Errorf("before they have rested: %v", ids)
		}
		f.clock.Advance(sealAfter)
		if ids := toSeal(); !slices.Equal(ids, []string{f.org}) {
			t.Fatalf("found %v", ids)
		}
		// Found is not sealed: it is found again until it is.
		f.clock.Advance(time.Minute)
		if ids := toSeal(); !slices.Equal(ids, []string{f.org}) {
			t.Fatalf("found %v", ids)
		}
		if n, err := f.SealEntries(f.ctx); err != nil || n == 0 {
			t.Fatalf("sealed %d, %v", n, err)
		}
		if ids := toSeal(); len(ids) != 0 {
			t.Errorf("sealed, and still found: %v", ids)
		}
	})
}

// A try that waited for its payer ends with its payment, whoever tells of it,
// and the reply that comes later leaves it as it is.
func TestAttemptsEndWithTheirPayment(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		for _, c := range []struct {
			end  gateway.Status
			want paymentattempt.Status
		}{
			{gateway.StatusSucceeded, paymentattempt.StatusSUCCEEDED},
			{gateway.StatusDeclined, paymentattempt.StatusFAILED},
		} {
			begun, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), Key: ptr(string(c.end))})
			if err != nil {
				t.Fatal(err)
			}
			attempt := func() *ent.PaymentAttempt {
				t.Helper()
				a, err := s.Client().PaymentAttempt.Query().Where(paymentattempt.PaymentID(begun.PaymentID)).Only(s.ctx)
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			waiting := paymentAt(gateway.StatusActionNeeded, "pi_"+string(c.end), usd(t, "10"))
			if err := s.FinishPayment(s.ctx, begun.ID, waiting); err != nil {
				t.Fatal(err)
			}
			if a := attempt(); a.Status != paymentattempt.StatusREQUIRES_ACTION || a.FinishedAt != nil || a.GatewayRequestID == "" {
				t.Errorf("waiting: %+v", a)
			}
			if err := s.ApplyPayment(s.ctx, begun.PaymentID, paymentAt(c.end, "pi_"+string(c.end), usd(t, "10"))); err != nil {
				t.Fatal(err)
			}
			if a := attempt(); a.Status != c.want || a.FinishedAt == nil || (a.FailureCode == "") != (c.want == paymentattempt.StatusSUCCEEDED) {
				t.Errorf("ended: %+v", a)
			}
			if err := s.FinishPayment(s.ctx, begun.ID, waiting); err != nil {
				t.Fatal(err)
			}
			if a := attempt(); a.Status != c.want {
				t.Errorf("a late reply makes it %s", a.Status)
			}
		}
	})
}

// An event that came before what it is about is applied as soon as the call
// that makes it is finished.
func TestWaitingEventsAreWoken(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		begun := s.hosted(t, "k")
		id, err := s.StoreEvent(s.ctx, s.provider, gateway.Event{ID: "evt_1", Type: "early", Object: gateway.Object{Kind: gateway.ObjectPayment, ID: "pi_1", Subject: begun.PaymentID}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.ClaimEvent(s.ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := s.FinishEvent(s.ctx, id, errWaiting); err != nil {
			t.Fatal(err)
		}
		if ids, err := s.DueEvents(s.ctx, 10); err != nil || len(ids) != 0 {
			t.Fatalf("due %v, %v", ids, err)
		}
		page := gateway.PaymentResult{
			Outcome: ended(gateway.StatusActionNeeded), ReferenceID: "cs_1", NextAction: gateway.NextAction{RedirectURL: "https://pay.example/cs_1"},
		}
		if err := s.FinishPayment(s.ctx, begun.ID, page); err != nil {
			t.Fatal(err)
		}
		if ids, err := s.DueEvents(s.ctx, 10); err != nil || !slices.Equal(ids, []string{id}) {
			t.Errorf("due %v, %v", ids, err)
		}
	})
}
