package gatewaytest

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"purser/gateway"
	"purser/money"
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
	for n := range 2 {
		res := pages.StartHostedPayment(ctx, s.Account, call, request)
		if n == 1 && s.Lacks.PagesAgain {
			wantStatus(t, "start again", res.Outcome, gateway.StatusUnknown)
			break
		}
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
		if p.Status != gateway.StatusSucceeded || p.Canceled || p.GatewayPaymentID == "" || p.Amount != usd(t, "12.50") || p.ReceiptURL == "" && !s.Lacks.Receipts ||
			(p.PaymentMethodID == "" || paid.CustomerID != page.CustomerID) && !s.Lacks.PageCards {
			t.Errorf("paid = %+v", paid)
		}
	}
	s.wantCharged(t, "12.50")

	wantStatus(t, "read a page that is not there", pages.FetchHostedPayment(ctx, s.Account, "cs_test_missing").Outcome, gateway.StatusRejected)
	s.wantCharged(t, "12.50")
}

// testSavedCards: a card saved with a payment is forgotten, twice.
func testSavedCards(t *testing.T, s *suite) {
	customer, card := s.card(t, s.Cards.Good)
	for range 2 {
		wantStatus(t, "detach", s.Adapter.(gateway.SavedCards).DetachCard(t.Context(), s.Account, s.call(), customer, card).Outcome, gateway.StatusSucceeded)
	}
	charges := s.Adapter.(gateway.Charges)
	wantStatus(t, "charge what is forgotten", charges.ChargeCard(t.Context(), s.Account, s.call(), chargeOf(t, customer, card)).Outcome, gateway.StatusRejected, gateway.StatusDeclined)
}

// testRefunds: a part is given back once per call, and no more than was paid.
func testRefunds(t *testing.T, s *suite) {
	refunds, charges := s.Adapter.(gateway.Refunds), s.Adapter.(gateway.Charges)
	ctx := t.Context()
	customer, card := s.card(t, s.Cards.Good)
	paid := charges.ChargeCard(ctx, s.Account, s.call(), chargeOf(t, customer, card))
	wantStatus(t, "charge", paid.Outcome, gateway.StatusSucceeded)
	part := gateway.RefundRequest{GatewayPaymentID: paid.Payment.GatewayPaymentID, OrderCode: "ORDER", Amount: usd(t, "4")}
	call := s.call()
	first := refunds.RefundPayment(ctx, s.Account, call, part)
	wantStatus(t, "refund a part", first.Outcome, gateway.StatusSucceeded)
	if first.RefundID == "" || first.Amount != part.Amount || first.State != gateway.RefundPending && first.State != gateway.RefundSucceeded {
		t.Errorf("refund = %+v", first)
	}
	again := refunds.RefundPayment(ctx, s.Account, call, part)
	wantStatus(t, "the same refund again", again.Outcome, gateway.StatusSucceeded, gateway.StatusUnknown)
	if again.RefundID != first.RefundID {
		t.Errorf("the same call made %s and %s", first.RefundID, again.RefundID)
	}
	s.wantRefunded(t, "4")
	read := refunds.FetchRefund(ctx, s.Account, part, first.RefundID)
	wantStatus(t, "read the refund", read.Outcome, gateway.StatusSucceeded)
	if read.State != gateway.RefundPending && read.State != gateway.RefundSucceeded {
		t.Errorf("refund, read = %+v", read)
	}
	tooMuch := part
	tooMuch.Amount = usd(t, "10")
	wantStatus(t, "refund more than is left", refunds.RefundPayment(ctx, s.Account, s.call(), tooMuch).Outcome, gateway.StatusRejected)
	rest := part
	rest.Amount = usd(t, "8.50")
	wantStatus(t, "refund the rest", refunds.RefundPayment(ctx, s.Account, s.call(), rest).Outcome, gateway.StatusSucceeded)
	s.wantRefunded(t, "4", "8.50")
	wantStatus(t, "refund at an unreachable gateway", s.Unreachable.(gateway.Refunds).RefundPayment(ctx, s.Account, s.call(), part).Outcome, gateway.StatusUnavailable)
}

// wantRefunded checks what the gateway has given back.
func (s *suite) wantRefunded(t *testing.T, want ...money.Decimal) {
	t.Helper()
	got := s.Refunded(t)
	if len(got) != len(want) {
		t.Fatalf("refunded %v, want %v", got, want)
	}
	for i, d := range want {
		if got[i] != usd(t, d) {
			t.Fatalf("refunded %v, want %v", got, want)
		}
	}
}

// testNotifications: what the gateway sends unsigned is understood, and names
// what can be read.
func testNotifications(t *testing.T, s *suite) {
	notifications, charges := s.Adapter.(gateway.Notifications), s.Adapter.(gateway.Charges)
	deliveries := make(chan []byte, 100)
	s.Deliveries(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if raw, err := io.ReadAll(r.Body); err == nil {
			deliveries <- raw
		}
		_, _ = io.WriteString(w, notifications.Acknowledgement()) // who delivers may have gone
	}))
	customer, card := s.card(t, s.Cards.Good)
	paid := charges.ChargeCard(t.Context(), s.Account, s.call(), chargeOf(t, customer, card))
	wantStatus(t, "charge", paid.Outcome, gateway.StatusSucceeded)
	patience := time.After(20 * time.Second)
	for {
		select {
		case <-patience:
			t.Fatal("no notification about the payment came")
		case raw := <-deliveries:
			e, err := notifications.ParseNotification(raw)
			if err != nil {
				t.Fatalf("%v in %s", err, raw)
			}
			if e.ID == "" || e.Type == "" {
				t.Errorf("event = %+v", e)
			}
			if broken, err := notifications.ParseNotification(raw[:len(raw)/2]); !errors.Is(err, gateway.ErrMalformed) || broken.ID != "" {
				t.Errorf("half an event: %+v %v", broken, err)
			}
			if e.Object.Kind != gateway.ObjectPayment || e.Object.ID != paid.Payment.GatewayPaymentID {
				continue // about the payment with which the card was saved
			}
			wantStatus(t, "read what it is about", charges.FetchPayment(t.Context(), s.Account, e.Object.ID).Outcome, gateway.StatusSucceeded)
			return
		}
	}
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
	endpoint := events.RegisterEndpoint(t.Context(), s.Account, s.call(), gateway.EndpointRequest{URL: address})
	wantStatus(t, "register", endpoint.Outcome, gateway.StatusSucceeded)
	if endpoint.EndpointID == "" || endpoint.Secret == "" {
		t.Fatalf("endpoint = %+v", endpoint)
	}
	// Registered once more it stays, as long as its secret is known; else one
	// takes its place, and asked again in the same call that one is told again.
	stays := events.RegisterEndpoint(t.Context(), s.Account, s.call(), gateway.EndpointRequest{URL: address, EndpointID: endpoint.EndpointID, SecretStored: true})
	wantStatus(t, "register once more", stays.Outcome, gateway.StatusSucceeded)
	if stays.EndpointID != endpoint.EndpointID || stays.Secret != "" {
		t.Errorf("registered once more: %+v, want %s", stays, endpoint.EndpointID)
	}
	replacing := s.call()
	endpoint = events.RegisterEndpoint(t.Context(), s.Account, replacing, gateway.EndpointRequest{URL: address})
	wantStatus(t, "register instead", endpoint.Outcome, gateway.StatusSucceeded)
	if endpoint.EndpointID == stays.EndpointID || endpoint.Secret == "" {
		t.Errorf("registered instead: %+v, before %+v", endpoint, stays)
	}
	again := events.RegisterEndpoint(t.Context(), s.Account, replacing, gateway.EndpointRequest{URL: address})
	if again.Status != gateway.StatusSucceeded || again.EndpointID != endpoint.EndpointID || again.Secret != endpoint.Secret {
		t.Errorf("asked again: %+v, before %+v", again, endpoint)
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
