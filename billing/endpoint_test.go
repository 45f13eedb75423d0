package billing

import (
	"strings"
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
			if r.URL != "http://purser.test/webhooks/demo/"+p.WebhookToken || r.Account.SecretKey != "sk_test_secret1" {
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

		// Not known yet: asked again later, under the same key.
		unknown := begin()
		if err := f.FinishEndpointRegistration(f.ctx, unknown.ID, gateway.EndpointResult{Outcome: outcome(gateway.StatusUnknown)}); err != nil {
			t.Fatal(err)
		}
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
		if _, err := f.DeleteProvider(f.ctx, id); err != nil {
			t.Fatal(err)
		}
		_, err = f.BeginEndpointRegistration(f.ctx, id)
		wantCode(t, err, CodeInvalidState, "id")
		_, other := f.newOrganization(t, "other", "UTC")
		_, err = f.BeginEndpointRegistration(other, id)
		wantCode(t, err, CodeNotFound, "id")
	})
}
