package billing

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/webhookdelivery"
	"purser/gateway"
)

// listening makes an endpoint and returns its id and secret.
func (f *fixture) listening(t testing.TB, types ...string) (string, auth.Secret) {
	t.Helper()
	id, secret, err := f.CreateWebhookEndpoint(f.ctx, WebhookEndpointDraft{URL: "https://books.example/hook", EventTypes: types})
	if err != nil {
		t.Fatal(err)
	}
	return id, secret
}

// tries are the deliveries to an endpoint, oldest first.
func (f *fixture) tries(t testing.TB, endpointID string) []*ent.WebhookDelivery {
	t.Helper()
	rows, err := f.Client().WebhookDelivery.Query().Where(webhookdelivery.EndpointID(endpointID)).
		Order(ent.Asc(webhookdelivery.FieldID)).All(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// dueDeliveries are all that are to be sent in the fixture's organization.
func (f *fixture) dueDeliveries(t testing.TB) (all []string) {
	t.Helper()
	endpoints, err := f.DueEndpoints(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range endpoints {
		if e.OrganizationID != f.org {
			t.Errorf("due elsewhere: %+v", e)
		}
		ids, err := f.DueDeliveries(f.ctx, e.EndpointID, 100)
		if err != nil || len(ids) == 0 {
			t.Fatalf("%v, %v", ids, err)
		}
		all = append(all, ids...)
	}
	return all
}

// sent claims everything that is due and answers for the endpoint.
func (f *fixture) sent(t testing.TB, a WebhookAnswer) []*WebhookSend {
	t.Helper()
	var out []*WebhookSend
	for _, id := range f.dueDeliveries(t) {
		send, err := f.ClaimDelivery(f.ctx, id)
		if err != nil || send == nil {
			t.Fatalf("claim %s: %v, %v", id, send, err)
		}
		if again, err := f.ClaimDelivery(f.ctx, id); err != nil || again != nil {
			t.Errorf("%s is claimed twice, %v", id, err)
		}
		for range 2 {
			if err := f.FinishDelivery(f.ctx, id, a); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, send)
	}
	return out
}

// signedBy recomputes the signatures as a receiver does.
func signedBy(t testing.TB, s *WebhookSend, secrets ...auth.Secret) {
	t.Helper()
	var want []string
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), "whsec_"))
		if err != nil || len(key) != webhookSecretBytes {
			t.Fatalf("secret: %v", err)
		}
		h := hmac.New(sha256.New, key)
		fmt.Fprintf(h, "%s.%s.%s", s.Header.Get("Webhook-Id"), s.Header.Get("Webhook-Timestamp"), s.Body)
		want = append(want, "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil)))
	}
	if got := s.Header.Get("Webhook-Signature"); got != strings.Join(want, " ") {
		t.Errorf("signed %s, want %s", got, want)
	}
}

// TestWebhookVector holds the signature to a vector that was made with another
// program (openssl dgst -sha256 -mac HMAC).
func TestWebhookVector(t *testing.T) {
	t.Parallel()
	secret := auth.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))
	head, err := webhookHeaders("out_1", time.Unix(1_773_144_000, 0), []byte(`{"id":"out_1"}`), []auth.Secret{secret})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := head.Get("Webhook-Signature"), "v1,G5XXr4Old5cA38Hw/OTCiqVpA3xQCCpMB2IZXVYWZc0="; got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
}

// TestWebhooks: what changes is told in the transaction of the change, once
// each, signed, tried again with growing pauses, and given up at last.
func TestWebhooks(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		// Nobody listens: nothing is kept.
		if _, err := s.CreateQuote(s.ctx, QuoteDraft{}); err != nil {
			t.Fatal(err)
		}
		id, secret := s.listening(t, EventPaymentChanged, EventBalanceLow, EventPaymentChanged)
		quiet, _ := s.listening(t, EventQuoteChanged)
		_, other := s.newOrganization(t, "elsewhere", "UTC")
		if _, _, err := s.CreateWebhookEndpoint(other, WebhookEndpointDraft{URL: "https://else.example/", EventTypes: WebhookEventTypes()}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SetLowBalanceNotice(s.ctx, LowBalanceChange{PayerID: s.payer.ID, Currency: "USD", Level: ptr(usd(t, "5"))}); err != nil {
			t.Fatal(err)
		}
		begun, err := s.BeginHostedPayment(s.ctx, HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), Key: ptr("k")})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // reply and event
			if err := s.FinishPayment(s.ctx, begun.ID, paymentAt(gateway.StatusSucceeded, "pi_1", usd(t, "10"))); err != nil {
				t.Fatal(err)
			}
		}
		s.spend(t, "7")
		var types []string
		for _, d := range s.tries(t, id) {
			types = append(types, d.EventType)
		}
		if got := strings.Join(types, " "); got != "balance.low payment.changed payment.changed balance.low" || len(s.tries(t, quiet)) != 0 {
			t.Fatalf("told %s, and the other %d", got, len(s.tries(t, quiet)))
		}

		// Signed with the secret, for a day after a change with both.
		next, err := s.RotateWebhookEndpointSecret(s.ctx, id)
		if err != nil || next == secret {
			t.Fatalf("rotated: %v", err)
		}
		sends := s.sent(t, WebhookAnswer{Status: 500})
		for _, send := range sends {
			signedBy(t, send, next, secret)
		}
		var body struct {
			ID, Type, Organization string
			CreatedAt              time.Time
			Data                   struct {
				ID, Status, PayerID string
				Amount              struct{ Amount, Currency string }
			}
		}
		if err := json.Unmarshal(sends[2].Body, &body); err != nil {
			t.Fatal(err)
		}
		if body.ID != sends[2].Header.Get("Webhook-Id") || body.Type != "payment.changed" || body.Organization != "demo" ||
			body.Data.ID != begun.PaymentID || body.Data.Status != "SUCCEEDED" || body.Data.PayerID != s.payer.ID || body.Data.Amount.Amount != "10.00" {
			t.Errorf("told %s", sends[2].Body)
		}

		// Again after each pause, and no more after the last.
		for n, pause := range deliveryPauses() {
			if due := s.dueDeliveries(t); len(due) != 0 {
				t.Fatalf("try %d: %d at once", n+2, len(due))
			}
			s.clock.Advance(pause)
			sends = s.sent(t, WebhookAnswer{Error: "no answer"})
			if len(sends) != 4 {
				t.Fatalf("try %d: %d are sent", n+2, len(sends))
			}
		}
		signedBy(t, sends[0], next)
		s.clock.Advance(100 * 24 * time.Hour)
		if due := s.dueDeliveries(t); len(due) != 0 {
			t.Fatalf("after the last: %d", len(due))
		}

		// Once more at a word; one that waits is not doubled.
		rows := s.tries(t, id)
		first := rows[0]
		_, err = s.Redeliver(other, first.ID)
		wantCode(t, err, CodeNotFound, "deliveryId")
		fresh, err := s.Redeliver(s.ctx, first.ID)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.Redeliver(s.ctx, first.ID); err != nil || again != fresh {
			t.Errorf("once more: %s, then %s, %v", fresh, again, err)
		}
		if sends = s.sent(t, WebhookAnswer{Status: 204}); len(sends) != 1 || sends[0].DeliveryID != fresh {
			t.Errorf("%d are sent", len(sends))
		}
		d, err := s.Client().WebhookDelivery.Query().Where(webhookdelivery.ID(fresh)).Only(s.ctx)
		if err != nil || d.Status != webhookdelivery.StatusDELIVERED || d.Attempt != len(deliveryPauses())+2 || d.HTTPStatus != 204 || d.OutboxID != first.OutboxID {
			t.Errorf("%+v, %v", d, err)
		}

		// What is old goes; what is not over stays.
		if n, err := s.RemoveOldDeliveries(s.ctx); err != nil || n != len(rows) {
			t.Errorf("removed %d of %d, %v", n, len(rows), err)
		}
	})
}

// TestWebhooksWhileAClockIsAhead: an organization's clock may be years ahead,
// its endpoints' are not. They are told the time by the machine's, and for a day
// of it both secrets count. What is due by the organization's clock is sent, and
// while the clock stands by whoever moves it.
func TestWebhooksWhileAClockIsAhead(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id, old := s.listening(t, EventQuoteChanged)
		due := func() bool {
			t.Helper()
			all, err := s.EndpointsWithDueDeliveries(auth.AllTenants(t.Context(), "jobs"))
			if err != nil {
				t.Fatal(err)
			}
			return slices.Contains(all, DueEndpoint{OrganizationID: s.org, EndpointID: id})
		}
		next, err := s.RotateWebhookEndpointSecret(s.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.AdvanceClock(s.ctx, ClockAdvance{By: ptr(400 * 24 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.CreateQuote(s.ctx, QuoteDraft{}); err != nil {
			t.Fatal(err)
		}
		if due() || !s.ClockStands(s.ctx) || len(s.dueDeliveries(t)) != 1 {
			t.Error("it is sent while the clock may move on")
		}
		for moved := true; moved; {
			if moved, err = s.StepClock(s.ctx); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.CreateQuote(s.ctx, QuoteDraft{}); err != nil {
			t.Fatal(err)
		}
		if !due() || s.ClockStands(s.ctx) {
			t.Error("it is not due by the organization's clock")
		}
		for _, send := range s.sent(t, WebhookAnswer{Status: 200}) {
			if at := send.Header.Get("Webhook-Timestamp"); at != strconv.FormatInt(s.clock.Now().Unix(), 10) {
				t.Errorf("sent at %s, it is %d", at, s.clock.Now().Unix())
			}
			signedBy(t, send, next, old)
		}
		s.clock.Advance(webhookOverlap)
		if _, err := s.CreateQuote(s.ctx, QuoteDraft{}); err != nil {
			t.Fatal(err)
		}
		for _, send := range s.sent(t, WebhookAnswer{Status: 200}) {
			signedBy(t, send, next)
		}
	})
}

// TestWebhookIsSwitchedOff: what waits is given up, and nothing new is kept.
func TestWebhookIsSwitchedOff(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for _, off := range []func(id string) error{
			func(id string) error {
				return s.UpdateWebhookEndpoint(s.ctx, WebhookEndpointChange{ID: id, Enabled: ptr(false)})
			},
			func(id string) error { return s.DeleteWebhookEndpoint(s.ctx, id) },
		} {
			id, _ := s.listening(t, EventQuoteChanged)
			if _, err := s.CreateQuote(s.ctx, QuoteDraft{}); err != nil {
				t.Fatal(err)
			}
			claimed := s.tries(t, id)[0].ID
			if send, err := s.ClaimDelivery(s.ctx, claimed); err != nil || send == nil {
				t.Fatal(err)
			}
			if err := off(id); err != nil {
				t.Fatal(err)
			}
			// It was on its way just then.
			if err := s.FinishDelivery(s.ctx, claimed, WebhookAnswer{Status: 503}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.CreateQuote(s.ctx, QuoteDraft{}); err != nil {
				t.Fatal(err)
			}
			rows := s.tries(t, id)
			if len(rows) != 1 || rows[0].Status != webhookdelivery.StatusFAILED || rows[0].Error == "" || rows[0].NextAttemptAt != nil {
				t.Errorf("%+v", rows)
			}
			_, err := s.Redeliver(s.ctx, claimed)
			wantCode(t, err, CodeInvalidState, "deliveryId")

			// One that was decided on at the same moment ends as well.
			s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
				return tx.newDelivery(id, rows[0].OutboxID, EventQuoteChanged, 2, tx.Now).Exec(ctx)
			})
			late := s.tries(t, id)[1].ID
			if send, err := s.ClaimDelivery(s.ctx, late); err != nil || send != nil {
				t.Errorf("it is sent, %v", err)
			}
			if d := s.tries(t, id)[1]; d.Status != webhookdelivery.StatusFAILED {
				t.Errorf("it is %s", d.Status)
			}
		}
	})
}

// TestDeliveriesByTwoServers: each delivery is sent by one of them; one that
// died with it leaves it to the other after the lease.
func TestDeliveriesByTwoServers(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id, _ := s.listening(t, EventQuoteChanged)
		for range 10 {
			if _, err := s.CreateQuote(s.ctx, QuoteDraft{}); err != nil {
				t.Fatal(err)
			}
		}
		other := New(Config{DB: s.db, Sealer: s.sealer, Logger: s.log, Now: s.clock.Now, PublicURL: "http://purser.test"})
		due := s.dueDeliveries(t)
		if len(due) != 10 {
			t.Fatalf("%d are due", len(due))
		}
		var mu sync.Mutex
		sent := map[string]int{}
		round := func(ctx context.Context, finish bool) {
			var wg sync.WaitGroup
			for n := range 4 {
				server := []*Service{s.Service, other}[n%2]
				wg.Go(func() {
					for _, id := range due {
						send, err := server.ClaimDelivery(ctx, id)
						if err != nil {
							t.Error(err)
						}
						if send == nil {
							continue
						}
						mu.Lock()
						sent[id]++
						mu.Unlock()
						if finish {
							if err := server.FinishDelivery(ctx, id, WebhookAnswer{Status: 200}); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			wg.Wait()
		}
		round(s.ctx, false) // they die with what they have claimed
		s.clock.Advance(deliveryLease)
		round(s.ctx, true)
		round(s.ctx, true)
		for _, id := range due {
			if sent[id] != 2 {
				t.Errorf("%s was sent %d times", id, sent[id])
			}
		}
		for _, d := range s.tries(t, id) {
			if d.Status != webhookdelivery.StatusDELIVERED {
				t.Errorf("%s is %s", d.ID, d.Status)
			}
		}
	})
}

func TestBadWebhookEndpoints(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		f.webhookAddresses = []string{"http://10.0.0.7:9000"}
		for address, good := range map[string]bool{
			"https://books.example/hook":               true,
			"https://books.example:443/hook?a=b":       true,
			"http://10.0.0.7:9000/hook":                true,
			"http://10.0.0.7:9001/hook":                false,
			"http://10.0.0.7:9000@evil.example/":       false,
			"http://books.example/hook":                false,
			"https://books.example:8443/":              false,
			"https://user@books.example/":              false,
			"https://books.example/#x":                 false,
			"https:/books.example":                     false,
			"//books.example":                          false,
			"https://books.example\\@evil.example":     false,
			"":                                         false,
			"javascript:alert(1)":                      false,
			"https://" + strings.Repeat("x", 3000):     false,
			"http://10.0.0.7:9000/" + "a\r\nX-Evil: b": false,
		} {
			_, _, err := f.CreateWebhookEndpoint(f.ctx, WebhookEndpointDraft{URL: address, EventTypes: []string{EventBalanceLow}})
			if good && err != nil {
				t.Errorf("%q: %v", address, err)
			}
			if !good {
				wantCode(t, err, CodeInvalid, "url")
			}
		}
		_, _, err := f.CreateWebhookEndpoint(f.ctx, WebhookEndpointDraft{URL: "https://books.example/", EventTypes: []string{"moon.full"}})
		wantCode(t, err, CodeInvalid, "eventTypes.0")
		_, _, err = f.CreateWebhookEndpoint(f.ctx, WebhookEndpointDraft{URL: "https://books.example/"})
		wantCode(t, err, CodeRequired, "eventTypes")
		for range webhookEndpointsMax - 3 {
			f.listening(t, EventBalanceLow)
		}
		_, _, err = f.CreateWebhookEndpoint(f.ctx, WebhookEndpointDraft{URL: "https://books.example/", EventTypes: []string{EventBalanceLow}})
		wantCode(t, err, CodeLimitExceeded, "")
	})
}
