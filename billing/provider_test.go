package billing

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/payment"
	"purser/ent/provider"
	"purser/gateway"
)

// someKeys accepts keys of the environment by their beginnings.
type someKeys struct{}

func (someKeys) CheckKeys(env gateway.Environment, secret, publishable string) error {
	mode := map[gateway.Environment]string{gateway.EnvironmentLive: "live"}[env]
	if mode == "" {
		mode = "test"
	}
	if !strings.HasPrefix(secret, "sk_"+mode+"_") || !strings.HasPrefix(publishable, "pk_"+mode+"_") {
		return errors.New("the keys are not " + mode + " keys")
	}
	return nil
}

func (someKeys) CheckWebhookSecret(secret string) error {
	if !strings.HasPrefix(secret, "whsec_") {
		return errors.New("this is no webhook signing secret")
	}
	return nil
}

func stripeKeys(tag string) Credentials {
	return Credentials{
		Kind: gateway.KindStripe, SecretKey: auth.Secret("sk_test_secret" + tag),
		PublishableKey: "pk_test_public" + tag, WebhookSecret: auth.Secret("whsec_" + tag),
	}
}

func TestProviderSlug(t *testing.T) {
	for name, want := range map[string]string{
		"Worldpay-myorg": "worldpay-myorg", "WorldPay test": "worldpay_test", "  My   Stripe ": "my_stripe",
		"Stripe (EU) №2": "stripe_eu_2", "Zürich 1": "zrich_1", "名前": "", "!!!": "",
	} {
		got, err := providerSlug(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("providerSlug(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestCreateProvider(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		id, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "Stripe EU", Description: ptr("Europe"), Credentials: stripeKeys("1")}, someKeys{})
		if err != nil {
			t.Fatal(err)
		}
		p := f.providerRow(t, id)
		if p.Slug != "stripe_eu" || *p.SecretHint == "" || len(p.WebhookToken) < 32 || *p.PublishableKey != "pk_test_public1" {
			t.Errorf("got %+v", p)
		}
		for name, value := range map[string][]byte{"secret": p.SecretSealed, "webhook secret": p.WebhookSecretSealed} {
			if len(value) == 0 || strings.Contains(string(value), "secret1") || strings.Contains(string(value), "whsec") {
				t.Errorf("the %s is not sealed", name)
			}
		}
		// The first provider becomes the default by itself.
		if o, err := f.Client().Organization.Query().Only(f.ctx); err != nil || o.DefaultProviderID == nil || *o.DefaultProviderID != id {
			t.Errorf("default provider of %+v, %v", o, err)
		}
		a, err := f.OpenAccount(f.ctx, id)
		if err != nil || a.SecretKey != "sk_test_secret1" || a.PublishableKey != "pk_test_public1" || a.OrganizationID != f.org ||
			a.Environment != gateway.EnvironmentSandbox || a.CredentialVersion != 1 || a.Kind != gateway.KindStripe {
			t.Errorf("account %+v, %v", a, err)
		}
		_, other := f.newOrganization(t, "other", "UTC")
		_, err = f.OpenAccount(other, id)
		wantCode(t, err, CodeNotFound, "providerId")

		for _, bad := range []struct {
			field  string
			code   Code
			change func(*ProviderDraft)
		}{
			{"name", CodeTaken, func(d *ProviderDraft) { d.Name = "STRIPE  eu" }},
			{"name", CodeRequired, func(d *ProviderDraft) { d.Name = " " }},
			{"name", CodeInvalid, func(d *ProviderDraft) { d.Name = "!" }},
			{"credentials.stripe", CodeInvalid, func(d *ProviderDraft) { d.Credentials.SecretKey = "sk_live_x" }},
			{"credentials.stripe.publishableKey", CodeRequired, func(d *ProviderDraft) { d.Credentials.PublishableKey = "" }},
			{"credentials.stripe.webhookSecret", CodeInvalid, func(d *ProviderDraft) { d.Credentials.WebhookSecret = "sk_test_x" }},
		} {
			d := ProviderDraft{Name: "Another", Credentials: stripeKeys("2")}
			bad.change(&d)
			_, err := f.CreateProvider(f.ctx, d, someKeys{})
			if e := wantCode(t, err, bad.code, bad.field); strings.Contains(e.Message, "_x") {
				t.Errorf("the refusal repeats a key: %s", e.Message)
			}
		}
		_, err = f.CreateProvider(f.ctx, ProviderDraft{Name: "No adapter", Credentials: stripeKeys("2")}, nil)
		wantCode(t, err, CodeProviderUnsupported, "credentials")
	})
}

func TestUpdateProvider(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		id, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "P", Credentials: stripeKeys("1")}, someKeys{})
		if err != nil {
			t.Fatal(err)
		}
		secrets := func() string {
			got, err := f.WebhookSecrets(f.ctx, f.providerRow(t, id))
			if err != nil {
				t.Fatal(err)
			}
			return strings.Join(got, " ")
		}
		// A new secret stands before the old one; the same again loses nothing.
		for range 2 {
			if err := f.UpdateProvider(f.ctx, ProviderChange{ID: id, WebhookSecret: "whsec_2"}, someKeys{}); err != nil {
				t.Fatal(err)
			}
			if got := secrets(); got != "whsec_2 whsec_1" {
				t.Errorf("secrets are %q", got)
			}
		}
		keys := stripeKeys("3")
		if err := f.UpdateProvider(f.ctx, ProviderChange{ID: id, Name: ptr("Renamed"), Description: ptr("d"), Credentials: &keys}, someKeys{}); err != nil {
			t.Fatal(err)
		}
		p := f.providerRow(t, id)
		a, err := f.OpenAccount(f.ctx, id)
		if err != nil || a.SecretKey != "sk_test_secret3" || a.CredentialVersion != 2 || p.Slug != "p" || p.Name != "Renamed" || secrets() != "whsec_3 whsec_2" {
			t.Errorf("got %+v, %v, secrets %q", p, err, secrets())
		}
		if err := f.UpdateProvider(f.ctx, ProviderChange{ID: id, Description: ptr("")}, someKeys{}); err != nil || f.providerRow(t, id).Description != nil {
			t.Errorf("clearing: %v", err)
		}
		wantCode(t, f.UpdateProvider(f.ctx, ProviderChange{ID: "prv_nobody"}, nil), CodeNotFound, "id")
		wantCode(t, f.UpdateProvider(f.ctx, ProviderChange{ID: id, WebhookSecret: "x"}, someKeys{}), CodeInvalid, "webhookSecret")
		wantCode(t, f.UpdateProvider(f.ctx, ProviderChange{ID: id, WebhookSecret: "whsec_9", Credentials: &keys}, someKeys{}), CodeInvalid, "webhookSecret")
		worldpay := Credentials{Kind: gateway.KindWorldpay}
		wantCode(t, f.UpdateProvider(f.ctx, ProviderChange{ID: id, Credentials: &worldpay}, someKeys{}), CodeInvalid, "credentials")
		if got := secrets(); got != "whsec_3 whsec_2" {
			t.Errorf("refused changes were kept: %q", got)
		}
		f.clock.Advance(webhookSecretGrace)
		if got := secrets(); got != "whsec_3" {
			t.Errorf("after a day the secrets are %q", got)
		}
	})
}

func TestDeleteProvider(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		unused, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "Unused", Credentials: stripeKeys("1"), MakeDefault: true}, someKeys{})
		if err != nil {
			t.Fatal(err)
		}
		used, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "Used", Credentials: stripeKeys("2")}, someKeys{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.CreateProduct(f.ctx, ProductDraft{Name: "X", ProviderID: &used}, nil); err != nil {
			t.Fatal(err)
		}
		if archived, err := f.DeleteProvider(f.ctx, unused); err != nil || archived {
			t.Errorf("unused: archived %t, %v", archived, err)
		}
		wantCode(t, deleted(f.DeleteProvider(f.ctx, unused)), CodeNotFound, "id")
		if o, err := f.Client().Organization.Query().Only(f.ctx); err != nil || o.DefaultProviderID != nil {
			t.Errorf("the default is %v, %v", o.DefaultProviderID, err)
		}
		for range 2 {
			if archived, err := f.DeleteProvider(f.ctx, used); err != nil || !archived {
				t.Errorf("used: archived %t, %v", archived, err)
			}
		}
		if p := f.providerRow(t, used); p.Status != provider.StatusARCHIVED {
			t.Errorf("got %s", p.Status)
		}
		// What was begun there can be finished, nothing new begins.
		if _, err := f.OpenAccount(f.ctx, used); err != nil {
			t.Error(err)
		}
		_, err = f.CreateProduct(f.ctx, ProductDraft{Name: "Y", ProviderID: &used}, nil)
		wantCode(t, err, CodeInvalidState, "providerId")
		wantCode(t, f.UpdateProvider(f.ctx, ProviderChange{ID: used, Name: ptr("Z")}, someKeys{}), CodeInvalidState, "id")
		wantCode(t, f.UpdateOrganization(f.ctx, OrganizationChange{DefaultProviderID: &used}), CodeInvalidState, "defaultProviderId")
		_, other := f.newOrganization(t, "other", "UTC")
		wantCode(t, deleted(f.DeleteProvider(other, used)), CodeNotFound, "id")
	})
}

func deleted(_ bool, err error) error { return err }

// TestSealedInPlace holds that a secret copied to another row or another
// organization cannot be opened there.
func TestSealedInPlace(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		first, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "One", Credentials: stripeKeys("1")}, someKeys{})
		if err != nil {
			t.Fatal(err)
		}
		second, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "Two", Credentials: stripeKeys("2")}, someKeys{})
		if err != nil {
			t.Fatal(err)
		}
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Provider.Update().Where(provider.ID(second)).SetSecretSealed(f.providerRow(t, first).SecretSealed).Exec(ctx)
		})
		if _, err := f.OpenAccount(f.ctx, second); !errors.Is(err, auth.ErrUnsealable) {
			t.Errorf("a copied secret opens: %v", err)
		}
	})
}

func (f *fixture) providerRow(t testing.TB, id string) *ent.Provider {
	t.Helper()
	p, err := f.Client().Provider.Query().Where(provider.ID(id)).Only(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestInside finds an organization by its short id.
func TestInside(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		ctx, err := f.Inside(t.Context(), "webhook", "demo")
		if err != nil {
			t.Fatal(err)
		}
		if v := auth.FromContext(ctx); v.OrganizationID != f.org || v.Internal != "webhook" || v.AllTenants {
			t.Errorf("got %+v", v)
		}
		p := f.providerRow(t, f.provider)
		if got, err := f.ProviderByWebhookToken(ctx, p.WebhookToken); err != nil || got.ID != p.ID {
			t.Errorf("got %+v, %v", got, err)
		}
		_, err = f.ProviderByWebhookToken(ctx, "nobody")
		wantCode(t, err, CodeNotFound, "")
		if _, err := f.Inside(t.Context(), "webhook", "nobody"); !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

// TestKeysAreOfOneAccount: what the gateway of another account says of a
// charge under way would call it failed.
func TestKeysAreOfOneAccount(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		keys := stripeKeys("2")
		update := func(accountID string) error {
			return s.UpdateProvider(s.ctx, ProviderChange{ID: s.provider, Credentials: &keys, AccountID: accountID}, someKeys{})
		}
		begun, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "10"), PaymentMethodID: s.card(t), Key: ptr("k")})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishPayment(s.ctx, begun.ID, gateway.PaymentResult{Outcome: ended(gateway.StatusUnknown)}); err != nil {
			t.Fatal(err)
		}
		// The account is not known yet: it may be another one from here on.
		wantCode(t, update(""), CodeInvalidState, "credentials")
		s.clock.Advance(time.Second)
		if err := update("acct_1"); err != nil {
			t.Fatal(err)
		}
		s.resumed(t, begun.ID)
		if err := s.FinishPayment(s.ctx, begun.ID, gateway.PaymentResult{Outcome: ended(gateway.StatusRejected)}); err != nil {
			t.Errorf("a charge that another account may have taken: %v", err)
		}
		if p := s.paid(t, begun.PaymentID); p.Status != payment.StatusPROCESSING {
			t.Errorf("the charge is %s", p.Status)
		}
		// From here on it is known.
		wantCode(t, update("acct_2"), CodeInvalid, "credentials")
		if err := s.KeepAccount(s.ctx, s.provider, s.providerRow(t, s.provider).CredentialVersion, "acct_2"); err != nil {
			t.Fatal(err)
		}
		before := s.providerRow(t, s.provider).AccountUnprovenAt
		s.clock.Advance(time.Second)
		if err := update("acct_1"); err != nil {
			t.Fatal(err)
		}
		if p := s.providerRow(t, s.provider); p.GatewayAccountID != "acct_1" || !p.AccountUnprovenAt.Equal(*before) {
			t.Errorf("provider %+v", p)
		}
	})
}
