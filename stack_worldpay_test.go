package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/ent/paymentmethod"
	"purser/gateway"
	"purser/gateway/worldpay"
	worldpaysandbox "purser/sandbox/worldpay"
)

// worldpayStack is the part of a stack that speaks with Worldpay.
type worldpayStack struct {
	*worldpaysandbox.Server
	adapter *worldpay.Adapter
	// provider and hook are those that addWorldpay has made; card is one that
	// was saved there, of the payer home.
	provider, hook, home, card string

	mu sync.Mutex
	// sent is what Worldpay has sent and nobody was handed yet.
	sent []notice
}

// worldpayMailbox is where a stack's Worldpay sends its notifications, for the
// test to deliver them.
const worldpayMailbox = "/mailbox"

// open opens the sandbox below the gateways' address.
func (w *worldpayStack) open(t testing.TB, gateways *http.ServeMux, address string, now func() time.Time) *worldpay.Adapter {
	t.Helper()
	merchant := worldpaysandbox.DemoMerchant()
	merchant.NotificationURL = address + worldpayMailbox
	server, err := worldpaysandbox.Open(t.Context(), worldpaysandbox.Config{
		Now: now, Merchants: []worldpaysandbox.Merchant{merchant, neighbourMerchant()}, PublicURL: address + pathWorldpay, RetryBase: 100 * time.Millisecond,
	})
	must(t, err)
	w.Server = server
	gateways.Handle(pathWorldpay+"/", http.StripPrefix(pathWorldpay, server.Handler()))
	gateways.HandleFunc("POST "+worldpayMailbox, w.take)
	w.adapter = worldpay.New(worldpay.Config{Now: now, BaseURL: func(gateway.Environment) (string, error) { return address + pathWorldpay, nil }})
	return w.adapter
}

// take accepts a notification.
func (w *worldpayStack) take(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	w.sent = append(w.sent, notice{gateway.KindWorldpay, "", body})
	w.mu.Unlock()
	_, _ = io.WriteString(out, "[OK]")
}

// addWorldpay gives the organization a provider at Worldpay, and a payer a
// card that was saved there.
func (s *stack) addWorldpay(t *testing.T, payer string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.worldpay.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the Worldpay sandbox ended: %v", err)
		}
	})
	s.worldpay.provider, s.worldpay.hook = s.newWorldpay(t, s.ctx, "stack")
	s.worldpay.home, s.worldpay.card = payer, s.newWorldpayCard(t, payer)
}

// newWorldpay makes a provider in the context's organization.
func (s *stack) newWorldpay(t *testing.T, ctx context.Context, organization string) (id, hook string) {
	t.Helper()
	m := worldpaysandbox.DemoMerchant()
	if organization != "stack" { // a merchant belongs to one organization
		m = neighbourMerchant()
	}
	id, err := s.billing.CreateProvider(ctx, billing.ProviderDraft{Name: "Worldpay", Credentials: billing.Credentials{
		Kind: gateway.KindWorldpay, MerchantCode: m.Code, InstallationID: m.InstallationID,
		SecretKey: auth.Secret(m.Login()), MACSecret: auth.Secret(m.MACSecret),
	}}, s.worldpay.adapter)
	must(t, err)
	row, err := s.billing.Client().Provider.Get(ctx, id)
	must(t, err)
	return id, "/webhooks/" + organization + "/" + row.WebhookToken
}

// neighbourMerchant is another organization's.
func neighbourMerchant() worldpaysandbox.Merchant {
	m := worldpaysandbox.DemoMerchant()
	m.Code, m.Username, m.AdminCode = "NEXTDOOR", "NEXTDOOR", ""
	return m
}

// newWorldpayCard has a payer save a card with a payment.
func (s *stack) newWorldpayCard(t *testing.T, payer string) string {
	t.Helper()
	got := s.do(t, "paymentStart", "payment { nextAction { ... on RedirectAction { url } } }", map[string]any{
		"payerId": payer, "providerId": s.worldpay.provider, "amount": usDollars("1.00"), "saveCard": true, "idempotencyKey": "card of " + payer,
	})
	s.submit(t, got.text("payment.nextAction.url"), cardForm("5555555555554444"))
	for _, n := range s.news(t, gateway.KindWorldpay) {
		s.mustHand(t, n)
	}
	card, err := s.billing.Client().PaymentMethod.Query().
		Where(paymentmethod.PayerID(payer), paymentmethod.ProviderID(s.worldpay.provider)).OnlyID(s.ctx)
	must(t, err)
	return card
}

// notice is one event of a gateway as it is delivered.
type notice struct {
	gateway gateway.Kind
	kind    string // Stripe's
	body    []byte
}

// news is what a gateway has told since it was asked last, oldest first.
func (s *stack) news(t testing.TB, of gateway.Kind) []notice {
	t.Helper()
	if of == gateway.KindStripe {
		var all []notice
		for _, e := range s.newEvents(t) {
			all = append(all, notice{of, e.kind, e.body})
		}
		return all
	}
	if !holdsWithin(20*time.Second, func() bool {
		deliveries, err := s.worldpay.Deliveries(t.Context(), worldpaysandbox.DemoMerchant().Code, 1000)
		must(t, err)
		for _, d := range deliveries {
			if d.State == "PENDING" {
				return false
			}
		}
		return true
	}) {
		t.Fatal("Worldpay does not send its notifications")
	}
	s.worldpay.mu.Lock()
	defer s.worldpay.mu.Unlock()
	all := s.worldpay.sent
	s.worldpay.sent = nil
	return all
}

// hand delivers a notice, signed now where its gateway signs, and returns the
// status of the answer.
func (s *stack) hand(t testing.TB, n notice) int {
	t.Helper()
	if n.gateway == gateway.KindStripe {
		return s.handTo(t, s.hook, n, stackWebhookSecret)
	}
	return s.handTo(t, s.worldpay.hook, n, "")
}

// handTo is hand for any webhook and secret.
func (s *stack) handTo(t testing.TB, hook string, n notice, secret string) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, hook, strings.NewReader(string(n.body)))
	if n.gateway == gateway.KindStripe {
		r.Header.Set("Stripe-Signature", eventSignature(s.clock.Now(), n.body, secret))
	}
	rec := httptest.NewRecorder()
	s.webhook.ServeHTTP(rec, r)
	return rec.Code
}

func (s *stack) mustHand(t testing.TB, n notice) {
	t.Helper()
	if status := s.hand(t, n); status != http.StatusOK {
		t.Fatalf("a notice is answered with %d: %s", status, n.body)
	}
}

// payOn fills in a hosted page and returns where it sends the browser.
func (s *stack) payOn(t testing.TB, page, number string) *url.URL {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, page, strings.NewReader(cardForm(number).Encode()))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	must(t, answer.Body.Close())
	to, err := answer.Location()
	if err != nil || answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("the page answers %s, %v", answer.Status, err)
	}
	return to
}

// comeBack is a browser that follows a return address.
func (s *stack) comeBack(t testing.TB, to *url.URL) {
	t.Helper()
	rec := httptest.NewRecorder()
	s.webhook.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, to.RequestURI(), nil))
	if rec.Code != http.StatusSeeOther {
		t.Fatalf("who comes back to %s is answered with %d", to, rec.Code)
	}
}
