package billing

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"purser/ent/gatewaycall"
	"purser/ent/payer"
	"purser/ent/paymentmethod"
	"purser/ent/provider"
	"purser/gateway"
)

func TestSavingACard(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for _, c := range []struct {
			status  gateway.Status
			refusal Code
			want    paymentmethod.Status
		}{
			{gateway.StatusSucceeded, "", paymentmethod.StatusACTIVE},
			{gateway.StatusActionNeeded, "", paymentmethod.StatusPENDING},
			{gateway.StatusProcessing, "", paymentmethod.StatusPENDING},
			{gateway.StatusDeclined, CodeProviderRefused, paymentmethod.StatusFAILED},
			{gateway.StatusRejected, CodeProviderRefused, paymentmethod.StatusFAILED},
			{gateway.StatusUnavailable, CodeProviderUnavailable, paymentmethod.StatusFAILED},
			{gateway.StatusUnknown, "", paymentmethod.StatusPENDING},
		} {
			t.Run(string(c.status), func(t *testing.T) {
				d := CardDraft{PayerID: s.payer.ID, GatewayToken: "pm_card_visa", Key: ptr(string(c.status))}
				begun, err := s.BeginCardAttach(s.ctx, d)
				if err != nil {
					t.Fatal(err)
				}
				r := gateway.CardResult{Outcome: ended(c.status)}
				if c.status == gateway.StatusSucceeded {
					r = s.cardAt(s.named("pm"))
				}
				r.NextAction.ClientSecret = "seti_secret"
				for range 2 {
					err := s.FinishCard(s.ctx, begun.ID, r)
					if c.refusal != "" {
						wantCode(t, err, c.refusal, "")
					} else if err != nil {
						t.Fatal(err)
					}
				}
				m, err := s.Client().PaymentMethod.Query().Where(paymentmethod.ID(begun.PaymentMethodID)).Only(s.ctx)
				if err != nil || m.Status != c.want {
					t.Fatalf("the card is %s, %v", m.Status, err)
				}
				again, err := s.BeginCardAttach(s.ctx, d)
				if err != nil || (again.PaymentMethodID == m.ID) != (c.refusal == "") {
					t.Errorf("the same key: %+v, %v", again, err)
				}
				// What is known later counts.
				if c.want == paymentmethod.StatusPENDING {
					if err := s.ApplyCard(s.ctx, m.ID, s.cardAt(s.named("pm"))); err != nil {
						t.Fatal(err)
					}
					if m, err = s.Client().PaymentMethod.Query().Where(paymentmethod.ID(m.ID)).Only(s.ctx); err != nil || m.Status != paymentmethod.StatusACTIVE {
						t.Errorf("the card is %s, %v", m.Status, err)
					}
				}
			})
		}
	})
}

func TestBadCards(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for _, c := range []struct {
			name  string
			draft CardDraft
			code  Code
			field string
		}{
			{"no token", CardDraft{PayerID: s.payer.ID}, CodeRequired, "gatewayToken"},
			{"a card number", CardDraft{PayerID: s.payer.ID, GatewayToken: "4242 4242 4242 4242"}, CodeInvalid, "gatewayToken"},
			{"unknown payer", CardDraft{PayerID: "dev_none", GatewayToken: "pm_1"}, CodeNotFound, "payerId"},
			{"unknown provider", CardDraft{PayerID: s.payer.ID, ProviderID: "prv_none", GatewayToken: "pm_1"}, CodeNotFound, "providerId"},
		} {
			t.Run(c.name, func(t *testing.T) {
				_, err := s.BeginCardAttach(s.ctx, c.draft)
				wantCode(t, err, c.code, c.field)
			})
		}
		t.Run("too many at once", func(t *testing.T) {
			s := &sale{fixture: s.fixture, payer: s.newPayer(t, payer.BillingModePREPAID)}
			s.provider = s.newKind(t, provider.KindSTRIPE)
			var taken, refused atomic.Int64
			var all sync.WaitGroup
			for n := range 2 * unsavedCardsMax {
				all.Go(func() {
					_, err := s.BeginCardAttach(s.ctx, CardDraft{PayerID: s.payer.ID, ProviderID: s.provider, GatewayToken: fmt.Sprint("pm_", n)})
					switch {
					case err == nil:
						taken.Add(1)
					case wantCodeIn(t, err, CodeLimitExceeded) != nil:
						refused.Add(1)
					}
				})
			}
			all.Wait()
			if taken.Load() != unsavedCardsMax || refused.Load() != unsavedCardsMax {
				t.Errorf("%d cards are tried, %d refused", taken.Load(), refused.Load())
			}
		})
		t.Run("tried too often", func(t *testing.T) {
			for n := range unsavedCardsMax {
				begun, err := s.BeginCardAttach(s.ctx, CardDraft{PayerID: s.payer.ID, GatewayToken: fmt.Sprint("pm_", n)})
				if err != nil {
					t.Fatal(err)
				}
				wantCode(t, s.FinishCard(s.ctx, begun.ID, gateway.CardResult{Outcome: ended(gateway.StatusDeclined)}), CodeProviderRefused, "")
			}
			_, err := s.BeginCardAttach(s.ctx, CardDraft{PayerID: s.payer.ID, GatewayToken: "pm_x"})
			wantCode(t, err, CodeLimitExceeded, "payerId")
			s.clock.Advance(time.Hour)
			if _, err := s.BeginCardAttach(s.ctx, CardDraft{PayerID: s.payer.ID, GatewayToken: "pm_x"}); err != nil {
				t.Error(err)
			}
		})
	})
}

// The first card is the default, however many are saved at once.
func TestOneCardIsTheDefault(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		var wg sync.WaitGroup
		for n := range 6 {
			wg.Go(func() {
				begun, err := s.BeginCardAttach(s.ctx, CardDraft{PayerID: s.payer.ID, GatewayToken: fmt.Sprint("pm_", n), MakeDefault: n%2 == 1})
				if err == nil {
					err = s.FinishCard(s.ctx, begun.ID, s.cardAt(fmt.Sprint("pm_at_", n)))
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		defaults := func() int {
			n, err := s.Client().PaymentMethod.Query().Where(paymentmethod.PayerID(s.payer.ID), paymentmethod.IsDefault(true)).Count(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := defaults(); n != 1 {
			t.Fatalf("%d cards are the default", n)
		}
		other, err := s.Client().PaymentMethod.Query().Where(paymentmethod.IsDefault(false)).First(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		begun, err := s.BeginCardDefault(s.ctx, other.ID)
		if err != nil || begun.Call == nil || begun.GatewayID != orEmpty(other.GatewayID) {
			t.Fatalf("%+v, %v", begun, err)
		}
		if err := s.FinishCardChange(s.ctx, begun.ID, s.cardAt(begun.GatewayID)); err != nil {
			t.Fatal(err)
		}
		if n := defaults(); n != 1 {
			t.Errorf("%d cards are the default", n)
		}
		detached, err := s.BeginCardDetach(s.ctx, other.ID)
		if err != nil {
			t.Fatal(err)
		}
		// A gateway that was not reached is told later.
		for range 2 {
			if err := s.FinishCardChange(s.ctx, detached.ID, gateway.CardResult{Outcome: ended(gateway.StatusUnavailable)}); err != nil {
				t.Fatal(err)
			}
		}
		if c := s.called(t, detached.ID); c.State != gatewaycall.StateOPEN || c.NextCheckAt == nil {
			t.Errorf("call %+v", c)
		}
		// One that does not take our keys is told later as well, one that does
		// not want to hear of it is not told again; the caller is told of both.
		s.resumed(t, detached.ID)
		keys := ended(gateway.StatusRejected)
		keys.Failure.Credentials = true
		wantCode(t, s.FinishCardChange(s.ctx, detached.ID, gateway.CardResult{Outcome: keys}), CodeProviderRefused, "id")
		if c := s.called(t, detached.ID); c.State != gatewaycall.StateOPEN {
			t.Errorf("call %+v", c)
		}
		for range 2 { // also when the reply to the COMMIT was lost
			err := s.FinishCardChange(s.ctx, detached.ID, gateway.CardResult{Outcome: ended(gateway.StatusRejected)})
			wantCode(t, err, CodeProviderRefused, "id")
		}
		if c := s.called(t, detached.ID); c.State != gatewaycall.StateDONE {
			t.Errorf("call %+v", c)
		}
		if n := defaults(); n != 0 {
			t.Errorf("a card that is gone is the default")
		}
		_, err = s.BeginCardDetach(s.ctx, other.ID)
		wantCode(t, err, CodeInvalidState, "id")
		_, err = s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "1"), PaymentMethodID: other.ID, Key: ptr("k")})
		wantCode(t, err, CodeInvalidState, "paymentMethodId")
	})
}
