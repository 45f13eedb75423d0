package billing

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"purser/gateway"
)

func TestEndpointRegistration(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		keys := stripeKeys("1")
		keys.WebhookSecret = ""
		id, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "P", Credentials: keys}, someKeys{})
		if err != nil {
			t.Fatal(err)
		}
		begin := func() *EndpointRegistration {
			r, err := f.BeginEndpointRegistration(f.ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			p := f.providerRow(t, id)
			if r.Request.URL != "http://purser.test/webhooks/demo/"+p.WebhookToken || r.Account.SecretKey != "sk_test_secret1" {
				t.Fatalf("got %+v", r)
			}
			return r
		}
		secrets := func() string {
			got, err := f.WebhookSecrets(f.ctx, f.providerRow(t, id))
			if err != nil {
				t.Fatal(err)
			}
			return strings.Join(got, " ")
		}
		outcome := func(s gateway.Status) gateway.Outcome {
			return gateway.Outcome{Status: s, Failure: &gateway.Failure{Code: "x", Message: "The address is not public."}}
		}
		err = f.FinishEndpointRegistration(f.ctx, begin().ID, gateway.EndpointResult{Outcome: outcome(gateway.StatusRejected)})
		if e := wantCode(t, err, CodeProviderRefused, "registerWebhook"); !strings.HasPrefix(e.Message, "The address is not public. Enter the provider's webhookUrl at the gateway yourself") {
			t.Errorf("got %q", e.Message)
		}
		err = f.FinishEndpointRegistration(f.ctx, begin().ID, gateway.EndpointResult{Outcome: outcome(gateway.StatusUnavailable)})
		wantCode(t, err, CodeProviderUnavailable, "registerWebhook")

		// Not known yet: asked again later, under the same key, and meanwhile no
		// other one is begun.
		unknown := begin()
		if unknown.Request.SecretStored || unknown.Request.EndpointID != "" {
			t.Errorf("asked %+v", unknown.Request)
		}
		busy := func() {
			_, err := f.BeginEndpointRegistration(f.ctx, id)
			wantCode(t, err, CodeInvalidState, "registerWebhook")
		}
		busy()
		if err := f.FinishEndpointRegistration(f.ctx, unknown.ID, gateway.EndpointResult{Outcome: outcome(gateway.StatusUnknown)}); err != nil {
			t.Fatal(err)
		}
		busy()
		f.clock.Advance(callAskMax / 2)
		ids, err := f.DueCalls(f.ctx, 10)
		if err != nil || len(ids) != 1 || ids[0] != unknown.ID {
			t.Fatalf("due %v, %v", ids, err)
		}
		due, err := f.ClaimCall(f.ctx, unknown.ID)
		if err != nil || due == nil || due.Operation != OperationEndpointRegister || due.Key != unknown.Key {
			t.Fatalf("due %+v, %v", due, err)
		}
		good := gateway.EndpointResult{Outcome: gateway.Outcome{Status: gateway.StatusSucceeded}, EndpointID: "we_1", Secret: "whsec_1"}
		for range 2 {
			if err := f.FinishEndpointRegistration(f.ctx, unknown.ID, good); err != nil {
				t.Fatal(err)
			}
		}
		if p := f.providerRow(t, id); secrets() != "whsec_1" || p.WebhookEndpointID != "we_1" {
			t.Errorf("secrets %q, endpoint %q", secrets(), p.WebhookEndpointID)
		}
		// Once more, it may be found as it was left: the secret stays. Where a
		// person enters one, it is not known which registration it is of.
		again := begin()
		if !again.Request.SecretStored || again.Request.EndpointID != "we_1" {
			t.Errorf("asked %+v", again.Request)
		}
		good.Secret = ""
		if err := f.FinishEndpointRegistration(f.ctx, again.ID, good); err != nil || secrets() != "whsec_1" {
			t.Errorf("%v, secrets %q", err, secrets())
		}
		if err := f.UpdateProvider(f.ctx, ProviderChange{ID: id, WebhookSecret: "whsec_2"}, someKeys{}); err != nil {
			t.Fatal(err)
		}
		if r := begin().Request; !r.SecretStored || r.EndpointID != "" {
			t.Errorf("asked %+v", r)
		}
		// Two who ask at the same time: one registers.
		_, twin := f.newOrganization(t, "twin", "UTC")
		other, err := f.CreateProvider(twin, ProviderDraft{Name: "P", Credentials: stripeKeys("2")}, someKeys{})
		if err != nil {
			t.Fatal(err)
		}
		var begun atomic.Int64
		var both sync.WaitGroup
		for range 4 {
			both.Go(func() {
				if _, err := f.BeginEndpointRegistration(twin, other); err == nil {
					begun.Add(1)
				}
			})
		}
		if both.Wait(); begun.Load() != 1 {
			t.Errorf("%d are begun", begun.Load())
		}
		if _, err := f.DeleteProvider(f.ctx, id); err != nil {
			t.Fatal(err)
		}
		_, err = f.BeginEndpointRegistration(f.ctx, id)
		wantCode(t, err, CodeInvalidState, "id")
		_, err = f.BeginEndpointRegistration(twin, id)
		wantCode(t, err, CodeNotFound, "id")
	})
}
