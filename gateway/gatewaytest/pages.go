package gatewaytest

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"purser/gateway"
)

// testCards: saved, refused, made the default, forgotten.
func testCards(t *testing.T, s *suite) {
	cards := s.Adapter.(gateway.Cards)
	ctx := t.Context()
	call := s.call()
	request := gateway.CardRequest{Customer: payer(), Token: s.Cards.Good, MakeDefault: true}
	first := cards.AttachCard(ctx, s.Account, call, request)
	wantStatus(t, "attach", first.Outcome, gateway.StatusSucceeded)
	if first.CustomerID == "" || first.PaymentMethodID == "" || len(first.Card.Last4) != 4 || first.Card.ExpYear == 0 {
		t.Errorf("card = %+v", first)
	}
	again := cards.AttachCard(ctx, s.Account, call, request)
	wantStatus(t, "attach again", again.Outcome, gateway.StatusSucceeded)
	if again.PaymentMethodID != first.PaymentMethodID || again.CustomerID != first.CustomerID {
		t.Errorf("one call saved %+v and %+v", first, again)
	}
	refused := cards.AttachCard(ctx, s.Account, s.call(), gateway.CardRequest{Customer: payer(), Token: s.Cards.Refused})
	wantStatus(t, "attach a card that is refused", refused.Outcome, gateway.StatusDeclined)
	wantReason(t, refused.Outcome)
	number := cards.AttachCard(ctx, s.Account, s.call(), gateway.CardRequest{Customer: payer(), Token: "4242424242424242"})
	wantStatus(t, "attach a number", number.Outcome, gateway.StatusRejected)
	for range 2 {
		wantStatus(t, "make it the default", cards.SetDefaultCard(ctx, s.Account, s.call(), first.CustomerID, first.PaymentMethodID).Outcome, gateway.StatusSucceeded)
	}
	wantStatus(t, "make a card the default that is not there", cards.SetDefaultCard(ctx, s.Account, s.call(), first.CustomerID, "pm_missing").Outcome, gateway.StatusRejected)
	for range 2 {
		wantStatus(t, "detach", cards.DetachCard(ctx, s.Account, s.call(), first.CustomerID, first.PaymentMethodID).Outcome, gateway.StatusSucceeded)
	}

	form := cards.SetupCard(ctx, s.Account, s.call(), gateway.CardRequest{Customer: payer()})
	wantStatus(t, "prepare a form", form.Outcome, gateway.StatusActionNeeded)
	if form.NextAction.ClientSecret == "" || form.ReferenceID == "" {
		t.Errorf("form = %+v", form)
	}
	wantStatus(t, "read the form", cards.FetchSetup(ctx, s.Account, form.ReferenceID).Outcome, gateway.StatusActionNeeded)
	call = s.call()
	pageRequest := gateway.CardRequest{Customer: payer(), ReturnURL: "http://127.0.0.1/ok", CancelURL: "http://127.0.0.1/no"}
	page := cards.SetupCard(ctx, s.Account, call, pageRequest)
	wantStatus(t, "prepare a page", page.Outcome, gateway.StatusActionNeeded)
	if page.NextAction.RedirectURL == "" || page.ReferenceID == "" {
		t.Fatalf("page = %+v", page)
	}
	s.PayPage(t, page.NextAction.RedirectURL, s.Cards.Good)
	for _, done := range []gateway.CardResult{cards.FetchSetup(ctx, s.Account, page.ReferenceID), cards.SetupCard(ctx, s.Account, call, pageRequest)} {
		wantStatus(t, "the page, done", done.Outcome, gateway.StatusSucceeded)
		if done.PaymentMethodID == "" || len(done.Card.Last4) != 4 || done.CustomerID != page.CustomerID {
			t.Errorf("the page, done = %+v", done)
		}
	}
	wantStatus(t, "read a setup that is not there", cards.FetchSetup(ctx, s.Account, "seti_missing").Outcome, gateway.StatusRejected)
	s.wantCharged(t)
}

// testPages: a page is paid once, and says so however it is asked.
func testPages(t *testing.T, s *suite) {
	pages := s.Adapter.(gateway.HostedPayments)
	ctx := t.Context()
	call, request := s.call(), pageOf(t)
	var page gateway.PaymentResult
	for range 2 {
		res := pages.StartHostedPayment(ctx, s.Account, call, request)
		wantStatus(t, "start", res.Outcome, gateway.StatusActionNeeded)
		if res.ReferenceID == "" || res.NextAction.RedirectURL == "" || res.CustomerID == "" || (page.ReferenceID != "" && page.ReferenceID != res.ReferenceID) {
			t.Fatalf("page = %+v", res)
		}
		page = res
	}
	wantStatus(t, "read while open", pages.FetchHostedPayment(ctx, s.Account, page.ReferenceID).Outcome, gateway.StatusActionNeeded)
	s.wantCharged(t)
	s.PayPage(t, page.NextAction.RedirectURL, s.Cards.Good)
	s.wantCharged(t, "12.50")
	for _, paid := range []gateway.PaymentResult{
		pages.FetchHostedPayment(ctx, s.Account, page.ReferenceID),
		pages.StartHostedPayment(ctx, s.Account, call, request),
	} {
		wantStatus(t, "paid", paid.Outcome, gateway.StatusSucceeded)
		p := paid.Payment
		if p.Status != gateway.StatusSucceeded || p.Canceled || p.GatewayPaymentID == "" || p.Amount != usd(t, "12.50") || p.ReceiptURL == "" || p.PaymentMethodID == "" ||
			paid.CustomerID != page.CustomerID {
			t.Errorf("paid = %+v", paid)
		}
	}
	s.wantCharged(t, "12.50")

	wantStatus(t, "read a page that is not there", pages.FetchHostedPayment(ctx, s.Account, "cs_test_missing").Outcome, gateway.StatusRejected)
	s.wantCharged(t, "12.50")
}

// testEvents: what the gateway sends is understood, and nothing else is.
func testEvents(t *testing.T, s *suite) {
	events, charges := s.Adapter.(gateway.Events), s.Adapter.(gateway.Charges)
	type delivery struct {
		raw    []byte
		header http.Header
	}
	deliveries := make(chan delivery, 100)
	address := s.Deliveries(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err == nil {
			deliveries <- delivery{raw, r.Header.Clone()}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	endpoint := events.RegisterEndpoint(t.Context(), s.Account, s.call(), address)
	wantStatus(t, "register", endpoint.Outcome, gateway.StatusSucceeded)
	if endpoint.EndpointID == "" || endpoint.Secret == "" {
		t.Fatalf("endpoint = %+v", endpoint)
	}
	customer, card := s.card(t, s.Cards.Good)
	call := s.call()
	paid := charges.ChargeCard(t.Context(), s.Account, call, chargeOf(t, customer, card))
	wantStatus(t, "charge", paid.Outcome, gateway.StatusSucceeded)

	patience := time.After(20 * time.Second)
	for {
		select {
		case <-patience:
			t.Fatal("no event about the payment came")
		case d := <-deliveries:
			e, err := events.VerifyEvent(d.raw, d.header, []string{"", endpoint.Secret}, time.Now())
			if err != nil {
				t.Fatalf("verify: %v", err)
			}
			if e.ID == "" || e.Type == "" || e.Live {
				t.Errorf("event = %+v", e)
			}
			wantErr := func(what string, want error, raw []byte, secrets []string, now time.Time) {
				if e, err := events.VerifyEvent(raw, d.header, secrets, now); !errors.Is(err, want) || e.ID != "" {
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			}
			wantErr("another secret", gateway.ErrSignature, d.raw, []string{endpoint.Secret + "x"}, time.Now())
			wantErr("no secret", gateway.ErrNoSecret, d.raw, nil, time.Now())
			wantErr("empty secrets", gateway.ErrNoSecret, d.raw, []string{"", ""}, time.Now())
			wantErr("another body", gateway.ErrSignature, append([]byte(" "), d.raw...), []string{endpoint.Secret}, time.Now())
			wantErr("an hour later", gateway.ErrSignature, d.raw, []string{endpoint.Secret}, time.Now().Add(time.Hour))
			wantErr("an hour before", gateway.ErrSignature, d.raw, []string{endpoint.Secret}, time.Now().Add(-time.Hour))
			if e.Object.Kind != gateway.ObjectPayment || e.Object.CallID != call.ID {
				continue // about the card, or the customer
			}
			if e.Object.ID != paid.Payment.GatewayPaymentID || e.Object.Subject != call.Subject || e.Object.ProviderID != s.Account.ProviderID {
				t.Errorf("object = %+v", e.Object)
			}
			wantStatus(t, "read what the event is about", charges.FetchPayment(t.Context(), s.Account, e.Object.ID).Outcome, gateway.StatusSucceeded)
			return
		}
	}
}
