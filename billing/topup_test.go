package billing

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/currency"
	"purser/ent/gatewaycall"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/paymentattempt"
	"purser/ent/paymentmethod"
	"purser/ent/schema"
	"purser/gateway"
	"purser/money"
)

// paymentAt is a top-up as the gateway reports it with a status.
func paymentAt(status gateway.Status, id string, amount money.Amount) gateway.PaymentResult {
	r := gateway.PaymentResult{Outcome: ended(status), Payment: gateway.PaymentState{Status: status, GatewayPaymentID: id}}
	switch status {
	case gateway.StatusSucceeded:
		r.Outcome = succeeded()
		r.Payment.Amount, r.Payment.ReceiptURL = amount, "https://pay.example/receipts/"+id
	case gateway.StatusActionNeeded:
		r.NextAction = gateway.NextAction{ClientSecret: id + "_secret_x"}
	case gateway.StatusRejected, gateway.StatusUnavailable, gateway.StatusUnknown:
		r.Payment = gateway.PaymentState{}
	default: // as it stands
	}
	return r
}

// remaining is what the payer's balance holds.
func (s *sale) remaining(t testing.TB, code string) money.Amount {
	t.Helper()
	if b := s.balanceOf(t, s.payer.ID, code); b != nil {
		return b.Remaining()
	}
	return money.Amount{Currency: code}
}

func TestTopUpOnThePage(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		d := HostedPaymentDraft{
			PayerID: s.payer.ID, Amount: usd(t, "25"), SaveCard: true, Key: ptr("k"),
			ReturnURLs: schema.ReturnURLs{Success: "http://localhost:3000/done"},
		}
		begun, err := s.BeginHostedPayment(s.ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		p := s.paid(t, begun.PaymentID)
		if begun.Call == nil || begun.Request.Amount != d.Amount || begun.Request.OrderCode != p.OrderCode ||
			begun.Request.SuccessURL != "http://purser.test/return/demo/"+p.PublicToken+"/success" || p.Status != payment.StatusPROCESSING {
			t.Fatalf("request %+v, payment %+v", begun.Request, p)
		}
		page := gateway.PaymentResult{
			Outcome: ended(gateway.StatusActionNeeded), ReferenceID: "cs_1", CustomerID: "cus_1",
			NextAction: gateway.NextAction{RedirectURL: "https://pay.example/cs_1", ExpiresAt: fixtureStart.Add(time.Hour)},
		}
		for range 2 {
			if err := s.FinishPayment(s.ctx, begun.ID, page); err != nil {
				t.Fatal(err)
			}
		}
		if p = s.paid(t, begun.PaymentID); p.Status != payment.StatusREQUIRES_ACTION || p.ActionURL != page.NextAction.RedirectURL || orEmpty(p.ReferenceID) != "cs_1" || p.NextCheckAt == nil {
			t.Fatalf("payment %+v", p)
		}
		if s.remaining(t, "USD") != usd(t, "0") {
			t.Fatal("credited before it was paid")
		}
		s.clock.Advance(checkIn(0))
		if ids, err := s.DuePayments(s.ctx, 10); err != nil || len(ids) != 1 || ids[0] != p.ID {
			t.Fatalf("due %v, %v", ids, err)
		}
		if due, err := s.PaymentToCheck(s.ctx, p.ID); err != nil || due.ReferenceID != "cs_1" {
			t.Fatalf("%+v, %v", due, err)
		}
		paid := paymentAt(gateway.StatusSucceeded, "pi_1", d.Amount)
		paid.ReferenceID, paid.CustomerID = "cs_1", "cus_1"
		paid.Payment.PaymentMethodID, paid.Payment.Card = "pm_1", &gateway.Card{Brand: "visa", Last4: "4242", ExpMonth: 1, ExpYear: 2031}
		for range 3 {
			if err := s.ApplyPayment(s.ctx, p.ID, paid); err != nil {
				t.Fatal(err)
			}
		}
		p = s.paid(t, begun.PaymentID)
		if p.Status != payment.StatusSUCCEEDED || p.ActionURL != "" || p.NextCheckAt != nil || orEmpty(p.ReceiptURL) == "" || s.remaining(t, "USD") != usd(t, "25") {
			t.Fatalf("payment %+v, remaining %s", p, s.remaining(t, "USD"))
		}
		card, err := s.Client().PaymentMethod.Query().Where(paymentmethod.PayerID(s.payer.ID)).Only(s.ctx)
		if err != nil || !card.IsDefault || card.Status != paymentmethod.StatusACTIVE || card.Last4 != "4242" {
			t.Errorf("the card kept: %+v, %v", card, err)
		}
		again, err := s.BeginHostedPayment(s.ctx, d)
		if err != nil || again.Call != nil || again.PaymentID != p.ID {
			t.Errorf("the same key: %+v, %v", again, err)
		}
		d.Amount = usd(t, "26")
		_, err = s.BeginHostedPayment(s.ctx, d)
		wantCode(t, err, CodeIdempotencyKeyReused, "idempotencyKey")

		// What is no card cannot be charged later.
		d.Key = ptr("a transfer")
		if begun, err = s.BeginHostedPayment(s.ctx, d); err != nil {
			t.Fatal(err)
		}
		paid = paymentAt(gateway.StatusSucceeded, "pi_2", d.Amount)
		paid.Payment.PaymentMethodID = "pm_2"
		if err := s.FinishPayment(s.ctx, begun.ID, paid); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Client().PaymentMethod.Query().Count(s.ctx); err != nil || n != 1 || s.paid(t, begun.PaymentID).Status != payment.StatusSUCCEEDED {
			t.Errorf("%d cards are kept, %v", n, err)
		}
	})
}

func TestBadTopUps(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		suspended := s.newPayer(t, payer.BillingModePREPAID)
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Payer.Update().Where(payer.ID(suspended.ID)).SetStatus(payer.StatusSUSPENDED).Exec(ctx)
		})
		s.setMinimum(t, "JPY", in(t, "500", "JPY"))
		evil := schema.ReturnURLs{Cancel: "https://evil.example/x"}
		for _, c := range []struct {
			name  string
			draft HostedPaymentDraft
			code  Code
			field string
		}{
			{"no key", HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "1")}, CodeRequired, "idempotencyKey"},
			{"unknown payer", HostedPaymentDraft{PayerID: "dev_none", Amount: usd(t, "1"), Key: ptr("1")}, CodeNotFound, "payerId"},
			{"suspended payer", HostedPaymentDraft{PayerID: suspended.ID, Amount: usd(t, "1"), Key: ptr("2")}, CodeInvalidState, "payerId"},
			{"nothing", HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "0"), Key: ptr("3")}, CodeInvalid, "amount.amount"},
			{"negative", HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "-5"), Key: ptr("4")}, CodeInvalid, "amount.amount"},
			{"fractions", HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "0.001"), Key: ptr("5")}, CodeInvalid, "amount.amount"},
			{"a step", HostedPaymentDraft{PayerID: s.payer.ID, Amount: in(t, "1.005", "KWD"), Key: ptr("6")}, CodeInvalid, "amount.amount"},
			{"points", HostedPaymentDraft{PayerID: s.payer.ID, Amount: in(t, "5", "POINTS"), Key: ptr("7")}, CodeProviderUnsupported, "amount.currency"},
			{"unsold currency", HostedPaymentDraft{PayerID: s.payer.ID, Amount: in(t, "5", "CHF"), Key: ptr("8")}, CodeCurrencyMismatch, "amount.currency"},
			{"too little", HostedPaymentDraft{PayerID: s.payer.ID, Amount: in(t, "499", "JPY"), Key: ptr("9")}, CodeBelowMinimum, "amount.amount"},
			{"less than the gateway takes", HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "0.49"), Key: ptr("13")}, CodeBelowMinimum, "amount.amount"},
			{"unknown provider", HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "1"), ProviderID: "prv_none", Key: ptr("10")}, CodeNotFound, "providerId"},
			{"a strange address", HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "1"), ReturnURLs: evil, Key: ptr("11")}, CodeInvalid, "returnUrls.cancel"},
		} {
			t.Run(c.name, func(t *testing.T) {
				_, err := s.BeginHostedPayment(s.ctx, c.draft)
				wantCode(t, err, c.code, c.field)
			})
		}
		_, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "1"), Key: ptr("12")})
		wantCode(t, err, CodePaymentMethodRequired, "paymentMethodId")
		if n, err := s.Client().Payment.Query().Count(s.ctx); err != nil || n != 0 {
			t.Errorf("%d payments were left behind, %v", n, err)
		}
	})
}

func (s *sale) setMinimum(t testing.TB, code string, a money.Amount) {
	t.Helper()
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
		return tx.Currency.Update().Where(currency.Code(code)).SetMinimumTopUpUnits(a.Units).Exec(ctx)
	})
}

// wantStays tells a payment everything that is less than success, late, and
// finds it as it was.
func (s *sale) wantStays(t *testing.T, id string, status payment.Status, pi string) {
	t.Helper()
	for _, late := range []gateway.Status{gateway.StatusDeclined, gateway.StatusProcessing, gateway.StatusActionNeeded, gateway.StatusUnknown} {
		if err := s.ApplyPayment(s.ctx, id, paymentAt(late, pi, s.paid(t, id).Amount())); err != nil {
			t.Fatal(err)
		}
		if p := s.paid(t, id); p.Status != status || p.NextCheckAt != nil || p.ActionURL != "" || p.ActionSecretSealed != nil {
			t.Errorf("after a late %s the payment is %+v, want %s", late, p, status)
		}
	}
}

// A card that is used on the page is kept only where its owner has agreed.
func TestCardOnThePageIsKeptWithConsentOnly(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for n, save := range []bool{false, true} {
			begun, err := s.BeginHostedPayment(s.ctx, HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "25"), SaveCard: save, Key: ptr(fmt.Sprint(save))})
			if err != nil {
				t.Fatal(err)
			}
			paid := paymentAt(gateway.StatusSucceeded, s.named("pi"), usd(t, "25"))
			paid.CustomerID = "cus_1"
			paid.Payment.PaymentMethodID, paid.Payment.Card = s.named("pm"), &gateway.Card{Brand: "visa", Last4: "4242", ExpMonth: 1, ExpYear: 2031}
			if err := s.FinishPayment(s.ctx, begun.ID, paid); err != nil {
				t.Fatal(err)
			}
			kept, err := s.Client().PaymentMethod.Query().Where(paymentmethod.PayerID(s.payer.ID)).Count(s.ctx)
			if p := s.paid(t, begun.PaymentID); err != nil || kept != n || p.Status != payment.StatusSUCCEEDED || begun.Request.SaveCard != save {
				t.Errorf("consent %v: %d cards are kept, the payment is %s, asked of the gateway %+v, %v", save, kept, p.Status, begun.Request, err)
			}
		}
	})
}

// What the gateway may answer to a charge, and what it may say afterwards.
func TestChargeOutcomes(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		for _, c := range []struct {
			status  gateway.Status
			refusal Code
			want    payment.Status
		}{
			{gateway.StatusSucceeded, "", payment.StatusSUCCEEDED},
			{gateway.StatusActionNeeded, "", payment.StatusREQUIRES_ACTION},
			{gateway.StatusProcessing, "", payment.StatusPROCESSING},
			{gateway.StatusDeclined, "", payment.StatusFAILED},
			{gateway.StatusRejected, CodeProviderRefused, payment.StatusFAILED},
			{gateway.StatusUnavailable, CodeProviderUnavailable, payment.StatusFAILED},
			{gateway.StatusUnknown, "", payment.StatusPROCESSING},
		} {
			t.Run(string(c.status), func(t *testing.T) {
				before := s.remaining(t, "USD")
				d := ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), Key: ptr(string(c.status))}
				begun, err := s.BeginCharge(s.ctx, d)
				if err != nil {
					t.Fatal(err)
				}
				pi := s.named("pi")
				for range 2 {
					err := s.FinishPayment(s.ctx, begun.ID, paymentAt(c.status, pi, d.Amount))
					if c.refusal != "" {
						wantCode(t, err, c.refusal, "")
					} else if err != nil {
						t.Fatal(err)
					}
				}
				p := s.paid(t, begun.PaymentID)
				if p.Status != c.want {
					t.Fatalf("the payment is %s", p.Status)
				}
				if secret, err := s.ClientSecret(p); err != nil || (secret != "") != (c.want == payment.StatusREQUIRES_ACTION) {
					t.Errorf("client secret %q, %v", secret, err)
				}
				again, err := s.BeginCharge(s.ctx, d)
				if err != nil || (again.PaymentID == p.ID) != (c.refusal == "") {
					t.Errorf("the same key: %+v, %v", again, err)
				}
				// What has failed is not under way again, whatever comes late.
				if c.want == payment.StatusFAILED {
					s.wantStays(t, p.ID, c.want, pi)
				}
				// Whatever was said: what the gateway confirms later counts, once.
				for range 2 {
					if err := s.ApplyPayment(s.ctx, p.ID, paymentAt(gateway.StatusSucceeded, pi, d.Amount)); err != nil {
						t.Fatal(err)
					}
				}
				after, err := before.Add(d.Amount)
				if err != nil {
					t.Fatal(err)
				}
				if p = s.paid(t, p.ID); p.Status != payment.StatusSUCCEEDED || p.FailureCode != "" || s.remaining(t, "USD") != after {
					t.Errorf("payment %+v, remaining %s", p, s.remaining(t, "USD"))
				}
				// And nothing takes it back.
				s.wantStays(t, p.ID, payment.StatusSUCCEEDED, pi)
			})
		}
		t.Run("canceled", func(t *testing.T) {
			begun, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), Key: ptr("canceled")})
			if err != nil {
				t.Fatal(err)
			}
			canceled := paymentAt(gateway.StatusDeclined, "pi_canceled", usd(t, "10"))
			canceled.Payment.Canceled = true
			if err := s.FinishPayment(s.ctx, begun.ID, canceled); err != nil {
				t.Fatal(err)
			}
			s.wantStays(t, begun.PaymentID, payment.StatusCANCELED, "pi_canceled")
		})
		t.Run("the keys are revoked after the first try", func(t *testing.T) {
			before := s.remaining(t, "USD")
			d := ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), Key: ptr("revoked")}
			begun, err := s.BeginCharge(s.ctx, d)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.FinishPayment(s.ctx, begun.ID, paymentAt(gateway.StatusUnknown, "", d.Amount)); err != nil {
				t.Fatal(err)
			}
			s.resumed(t, begun.ID)
			refused := paymentAt(gateway.StatusRejected, "", d.Amount)
			refused.Failure = &gateway.Failure{Code: "api_key_expired", Message: "Expired API key.", Credentials: true}
			// The first try may have taken the money: nothing is given free.
			if err := s.FinishPayment(s.ctx, begun.ID, refused); err != nil {
				t.Fatal(err)
			}
			if p, c := s.paid(t, begun.PaymentID), s.called(t, begun.ID); p.Status != payment.StatusPROCESSING || c.State != gatewaycall.StateOPEN || c.NextCheckAt == nil {
				t.Fatalf("payment %s, call %s, asked again at %v", p.Status, c.State, c.NextCheckAt)
			}
			if again, err := s.BeginCharge(s.ctx, d); err != nil || again.Call != nil || again.PaymentID != begun.PaymentID {
				t.Errorf("the same key: %+v, %v", again, err)
			}
			s.clock.Advance(askAgainIn(2))
			s.resumed(t, begun.ID)
			for range 2 {
				if err := s.FinishPayment(s.ctx, begun.ID, paymentAt(gateway.StatusSucceeded, "pi_revoked", d.Amount)); err != nil {
					t.Fatal(err)
				}
			}
			want, err := before.Add(d.Amount)
			if p := s.paid(t, begun.PaymentID); err != nil || p.Status != payment.StatusSUCCEEDED || s.remaining(t, "USD") != want {
				t.Errorf("payment %s, remaining %s, want %s, %v", p.Status, s.remaining(t, "USD"), want, err)
			}
		})
		t.Run("another amount", func(t *testing.T) {
			before := s.remaining(t, "USD")
			begun, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), Key: ptr("mismatch")})
			if err != nil {
				t.Fatal(err)
			}
			for _, wrong := range []money.Amount{usd(t, "1000"), in(t, "10", "JPY"), {Units: usd(t, "10").Units, Currency: "EUR"}} {
				wantCode(t, s.FinishPayment(s.ctx, begun.ID, paymentAt(gateway.StatusSucceeded, "pi_wrong", wrong)), CodeProviderRefused, "")
			}
			// Whoever asks again under the same key is told the same.
			_, err = s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), Key: ptr("mismatch")})
			if e := wantCode(t, err, CodeProviderRefused, ""); !strings.Contains(e.Message, begun.ID) {
				t.Errorf("the call to look at is not named: %s", e.Message)
			}
			if p, c := s.paid(t, begun.PaymentID), s.called(t, begun.ID); p.Status != payment.StatusPROCESSING || c.State != gatewaycall.StateREVIEW || s.remaining(t, "USD") != before {
				t.Errorf("payment %s, call %s, remaining %s", p.Status, c.State, s.remaining(t, "USD"))
			}
		})
		t.Run("an action is not lost over a question without an answer", func(t *testing.T) {
			begun, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), Key: ptr("action")})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.ApplyPayment(s.ctx, begun.PaymentID, paymentAt(gateway.StatusActionNeeded, "pi_action", usd(t, "10"))); err != nil {
				t.Fatal(err)
			}
			if err := s.FinishPayment(s.ctx, begun.ID, paymentAt(gateway.StatusUnknown, "", usd(t, "10"))); err != nil {
				t.Fatal(err)
			}
			p := s.paid(t, begun.PaymentID)
			if secret, err := s.ClientSecret(p); p.Status != payment.StatusREQUIRES_ACTION || secret != "pi_action_secret_x" || err != nil {
				t.Errorf("payment %s, secret %q, %v", p.Status, secret, err)
			}
		})
	})
}

// The facts of a charge with 3-D Secure that fails and then succeeds, from the
// reply, events and polls, in any order and twice.
func TestChargeFactsInAnyOrder(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		want := usd(t, "0")
		for n, order := range orders(4) {
			begun, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), Key: ptr(fmt.Sprint(n))})
			if err != nil {
				t.Fatal(err)
			}
			pi := s.named("pi")
			facts := []func() error{
				func() error {
					return s.FinishPayment(s.ctx, begun.ID, paymentAt(gateway.StatusActionNeeded, pi, usd(t, "10")))
				},
				func() error {
					return s.ApplyPayment(s.ctx, begun.PaymentID, paymentAt(gateway.StatusDeclined, pi, usd(t, "10")))
				},
				func() error {
					return s.ApplyPayment(s.ctx, begun.PaymentID, paymentAt(gateway.StatusSucceeded, pi, usd(t, "10")))
				},
				func() error {
					return s.ApplyPayment(s.ctx, begun.PaymentID, paymentAt(gateway.StatusSucceeded, pi, usd(t, "10")))
				},
			}
			for _, at := range order {
				if err := facts[at](); err != nil {
					t.Fatalf("order %v, fact %d: %v", order, at, err)
				}
			}
			if want, err = want.Add(usd(t, "10")); err != nil {
				t.Fatal(err)
			}
			if p := s.paid(t, begun.PaymentID); p.Status != payment.StatusSUCCEEDED || s.remaining(t, "USD") != want {
				t.Fatalf("order %v: payment %s, remaining %s, want %s", order, p.Status, s.remaining(t, "USD"), want)
			}
		}
	})
}

// Everybody who hears of a payment reports it at once.
func TestConcurrentReportsOfOnePayment(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		var wg sync.WaitGroup
		var mu sync.Mutex
		ids, owned := map[string]bool{}, map[string]bool{}
		for range 6 {
			wg.Go(func() {
				begun, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), Key: ptr("same")})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ids[begun.PaymentID] = true
				if begun.Call != nil {
					owned[begun.ID] = true
				}
				mu.Unlock()
				if begun.Call != nil {
					if err := s.FinishPayment(s.ctx, begun.ID, paymentAt(gateway.StatusSucceeded, "pi_same", usd(t, "10"))); err != nil {
						t.Error(err)
					}
				}
				if err := s.ApplyPayment(s.ctx, begun.PaymentID, paymentAt(gateway.StatusSucceeded, "pi_same", usd(t, "10"))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 || len(owned) != 1 || s.remaining(t, "USD") != usd(t, "10") {
			t.Errorf("%d payments, %d callers, remaining %s", len(ids), len(owned), s.remaining(t, "USD"))
		}
		n, err := s.Client().PaymentAttempt.Query().Where(paymentattempt.StatusEQ(paymentattempt.StatusSUCCEEDED)).Count(s.ctx)
		if err != nil || n != 1 {
			t.Errorf("%d attempts, %v", n, err)
		}
	})
}

func TestTopUpCountsWhateverHasBecomeOfTheSeller(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		begun, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), Key: ptr("k")})
		if err != nil {
			t.Fatal(err)
		}
		s.archiveProvider(t)
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetStatus(payer.StatusSUSPENDED) })
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetStatus("INACTIVE") })
		if err := s.FinishPayment(s.ctx, begun.ID, paymentAt(gateway.StatusSucceeded, "pi_1", usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
		if s.remaining(t, "USD") != usd(t, "10") {
			t.Errorf("remaining %s", s.remaining(t, "USD"))
		}
	})
}
