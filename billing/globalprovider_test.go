package billing

import (
	"context"
	"errors"
	"strings"
	"testing"

	"purser/auth"
	"purser/ent"
	"purser/ent/gatewayobject"
	"purser/ent/globalprovider"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/gateway"
)

// operator is the context of the operator.
func (f *fixture) operator(t testing.TB) context.Context {
	t.Helper()
	return auth.NewContext(t.Context(), &auth.Viewer{TokenID: "tok_operator", Scopes: []auth.Scope{auth.ScopeSystem}, Permission: auth.PermissionReadWrite})
}

// newGlobal makes a global provider of the sandbox.
func (f *fixture) newGlobal(t testing.TB, name string) string {
	t.Helper()
	id, err := f.CreateGlobalProvider(f.operator(t), GlobalProviderDraft{
		Name: name, Environment: organization.EnvironmentSANDBOX, Credentials: stripeKeys("shared"),
	}, someKeys{})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (f *fixture) globalRow(t testing.TB, id string) *ent.GlobalProvider {
	t.Helper()
	g, err := f.Client().GlobalProvider.Query().Where(globalprovider.ID(id)).Only(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGlobalProvider(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		// Nobody but the operator.
		_, err := f.CreateGlobalProvider(f.ctx, GlobalProviderDraft{Name: "Mine", Environment: organization.EnvironmentSANDBOX, Credentials: stripeKeys("1")}, someKeys{})
		if !errors.Is(err, errOperatorOnly) {
			t.Errorf("an organization makes one: %v", err)
		}
		if err := f.UpdateGlobalProvider(f.ctx, GlobalProviderChange{}, someKeys{}); !errors.Is(err, errOperatorOnly) {
			t.Errorf("an organization changes one: %v", err)
		}
		if _, err := f.DeleteGlobalProvider(f.ctx, ""); !errors.Is(err, errOperatorOnly) {
			t.Errorf("an organization deletes one: %v", err)
		}
		id := f.newGlobal(t, "Worldwide Stripe")
		g := f.globalRow(t, id)
		if g.Slug != "worldwide_stripe" || strings.Contains(string(g.SecretSealed), "sk_test") || *g.SecretHint == "" || len(g.WebhookToken) < 20 {
			t.Errorf("got %+v", g)
		}
		for _, bad := range []struct {
			draft GlobalProviderDraft
			code  Code
			field string
		}{
			{GlobalProviderDraft{Name: "worldwide  stripe", Environment: organization.EnvironmentSANDBOX, Credentials: stripeKeys("1")}, CodeTaken, "name"},
			{GlobalProviderDraft{Name: " ", Environment: organization.EnvironmentSANDBOX, Credentials: stripeKeys("1")}, CodeRequired, "name"},
			{GlobalProviderDraft{Name: "Live", Environment: organization.EnvironmentLIVE, Credentials: stripeKeys("1")}, CodeInvalid, "credentials.stripe"},
			{GlobalProviderDraft{Name: f.providerRow(t, f.provider).Slug, Environment: organization.EnvironmentSANDBOX, Credentials: stripeKeys("1")}, CodeTaken, "name"},
		} {
			_, err := f.CreateGlobalProvider(f.operator(t), bad.draft, someKeys{})
			wantCode(t, err, bad.code, bad.field)
		}

		// An organization uses it by a row of its own, also under its name; with
		// keys of its own it cannot take that name.
		_, err = f.CreateProvider(f.ctx, ProviderDraft{Name: "Worldwide Stripe", Credentials: stripeKeys("2")}, someKeys{})
		wantCode(t, err, CodeTaken, "name")
		ours, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "Worldwide Stripe", GlobalProviderID: id, MakeDefault: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "The same again", GlobalProviderID: id}, nil); err != nil {
			t.Errorf("a second use of it: %v", err)
		}
		a, err := f.OpenAccount(f.ctx, ours)
		if err != nil || a.SecretKey != "sk_test_secretshared" || a.PublishableKey != "pk_test_publicshared" || a.ProviderID != ours || a.OrganizationID != f.org {
			t.Errorf("account %+v, %v", a, err)
		}
		row := f.providerRow(t, ours)
		if row.SecretSealed != nil || row.SecretHint != nil || string(row.Kind) != "STRIPE" {
			t.Errorf("provider %+v", row)
		}
		// Its keys and its events are the operator's.
		keys := stripeKeys("2")
		wantCode(t, f.UpdateProvider(f.ctx, ProviderChange{ID: ours, Credentials: &keys}, someKeys{}), CodeInvalidState, "credentials")
		wantCode(t, f.UpdateProvider(f.ctx, ProviderChange{ID: ours, WebhookSecret: "whsec_mine"}, someKeys{}), CodeInvalidState, "webhookSecret")
		_, err = f.BeginEndpointRegistration(f.ctx, ours)
		wantCode(t, err, CodeInvalidState, "registerWebhook")
		if secrets, err := f.WebhookSecrets(f.ctx, row); err != nil || secrets != nil {
			t.Errorf("events come to an address of the organization's: %v", err)
		}

		_, err = f.CreateProvider(f.ctx, ProviderDraft{Name: "None", GlobalProviderID: "gpr_none"}, nil)
		wantCode(t, err, CodeNotFound, "globalProviderId")
		f.must(t, f.operator(t), func(ctx context.Context, tx *Tx) error {
			return tx.GlobalProvider.Create().SetID("gpr_test").SetSlug("elsewhere").SetName("Elsewhere").SetKind(globalprovider.KindSTRIPE).
				SetEnvironment(globalprovider.EnvironmentTEST).SetWebhookToken("elsewhere").SetCreatedAt(tx.Now).Exec(ctx)
		})
		_, err = f.CreateProvider(f.ctx, ProviderDraft{Name: "Elsewhere", GlobalProviderID: "gpr_test"}, nil)
		wantCode(t, err, CodeInvalid, "globalProviderId")

		// In use it is archived, and sells nothing any more.
		if archived, err := f.DeleteGlobalProvider(f.operator(t), id); err != nil || !archived {
			t.Errorf("archived %t, %v", archived, err)
		}
		p := f.newPayer(t, payer.BillingModePREPAID)
		_, err = f.BeginHostedPayment(f.ctx, HostedPaymentDraft{PayerID: p.ID, Amount: usd(t, "10"), ProviderID: ours, Key: ptr("k")})
		wantCode(t, err, CodeInvalidState, "providerId")
		_, err = f.CreateProvider(f.ctx, ProviderDraft{Name: "Late", GlobalProviderID: id}, nil)
		wantCode(t, err, CodeInvalidState, "globalProviderId")
		if _, err := f.OpenAccount(f.ctx, ours); err != nil {
			t.Errorf("what was begun cannot be finished: %v", err)
		}
		wantCode(t, f.UpdateGlobalProvider(f.operator(t), GlobalProviderChange{ID: id, Name: ptr("X")}, someKeys{}), CodeInvalidState, "id")
		unused := f.newGlobal(t, "Unused")
		if archived, err := f.DeleteGlobalProvider(f.operator(t), unused); err != nil || archived {
			t.Errorf("archived %t, %v", archived, err)
		}
		_, err = f.DeleteGlobalProvider(f.operator(t), unused)
		wantCode(t, err, CodeNotFound, "id")
	})
}

func TestKeysOfAGlobalProvider(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		id := f.newGlobal(t, "Shared")
		keys := stripeKeys("next")
		update := func(account string) error {
			return f.UpdateGlobalProvider(f.operator(t), GlobalProviderChange{ID: id, Credentials: &keys, AccountID: account}, someKeys{})
		}
		wantCode(t, update(""), CodeInvalidState, "credentials")
		if err := update("acct_1"); err != nil {
			t.Fatal(err)
		}
		g := f.globalRow(t, id)
		if g.GatewayAccountID != "acct_1" || g.AccountUnprovenAt == nil || g.CredentialVersion != 2 {
			t.Errorf("got %+v", g)
		}
		wantCode(t, update("acct_2"), CodeInvalid, "credentials")
		if err := f.KeepGlobalAccount(f.operator(t), id, 2, "acct_2"); err != nil || f.globalRow(t, id).GatewayAccountID != "acct_1" {
			t.Errorf("the first answer does not stay: %v", err)
		}
		if a, err := f.OpenGlobalAccount(f.operator(t), id); err != nil || a.SecretKey != "sk_test_secretnext" {
			t.Errorf("account, %v", err)
		}
		// The signing secret before stays good for a day.
		g = f.globalRow(t, id)
		secrets := func(want ...string) {
			t.Helper()
			target, err := f.GlobalWebhookTarget(t.Context(), g.WebhookToken)
			if err != nil || strings.Join(target.Secrets, " ") != strings.Join(want, " ") || target.GlobalProviderID != id || target.Live {
				t.Errorf("target %+v, %v, want %v", target, err, want)
			}
		}
		secrets("whsec_next", "whsec_shared")
		f.clock.Advance(webhookSecretGrace)
		secrets("whsec_next")
		if err := f.UpdateGlobalProvider(f.operator(t), GlobalProviderChange{ID: id, WebhookSecret: "whsec_alone"}, someKeys{}); err != nil {
			t.Fatal(err)
		}
		secrets("whsec_alone", "whsec_next")
		_, err := f.GlobalWebhookTarget(t.Context(), "nobody")
		wantCode(t, err, CodeNotFound, "")
	})
}

// TestOwnerOfAnEvent: one address hears of the objects of many organizations.
func TestOwnerOfAnEvent(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		id := f.newGlobal(t, "Shared")
		ours, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "Ours", GlobalProviderID: id}, nil)
		if err != nil {
			t.Fatal(err)
		}
		otherID, other := f.newOrganization(t, "other", "UTC")
		theirs, err := f.CreateProvider(other, ProviderDraft{Name: "Theirs", GlobalProviderID: id}, nil)
		if err != nil {
			t.Fatal(err)
		}
		third, _ := f.newOrganization(t, "third", "UTC")
		p := f.newPayer(t, payer.BillingModePREPAID)
		begun, err := f.BeginHostedPayment(f.ctx, HostedPaymentDraft{PayerID: p.ID, Amount: usd(t, "10"), ProviderID: ours, Key: ptr("k")})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.FinishPayment(f.ctx, begun.ID, paymentAt(gateway.StatusSucceeded, "pi_1", usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
		order := begun.Request.OrderCode
		for _, test := range []struct {
			name     string
			object   gateway.Object
			org, prv string
		}{
			{"by its metadata", gateway.Object{ID: "pi_x", OrganizationID: otherID, ProviderID: theirs}, otherID, theirs},
			{"by its organization alone", gateway.Object{ID: "pi_x", OrganizationID: otherID}, otherID, theirs},
			{"by the order code", gateway.Object{ID: order}, f.org, ours},
			{"by the order code of its try", gateway.Object{ID: orderCode(begun.ID)}, f.org, ours},
			{"by the gateway's id", gateway.Object{ID: "pi_1"}, f.org, ours},
			{"a refund, by its payment", gateway.Object{Kind: gateway.ObjectRefund, ID: "re_1", PaymentID: "pi_1"}, f.org, ours},
			{"of nobody", gateway.Object{ID: "pi_x"}, "", ""},
			{"of an organization that is not there", gateway.Object{ID: "pi_x", OrganizationID: "org_none"}, "", ""},
			{"of one that does not use the account", gateway.Object{ID: "pi_x", OrganizationID: third}, "", ""},
			{"of another's provider", gateway.Object{ID: "pi_x", OrganizationID: otherID, ProviderID: ours}, "", ""},
		} {
			inside, providerID, err := f.EventOwner(t.Context(), operatorPart, id, test.object)
			org := ""
			if v := auth.FromContext(inside); v != nil {
				org = v.OrganizationID
			}
			if err != nil || providerID != test.prv || org != test.org {
				t.Errorf("%s: %s of %s, %v", test.name, providerID, org, err)
			}
		}
		// An account of one's own needs no directory.
		own, err := f.Client().GatewayObject.Query().Where(gatewayobject.Organization(otherID)).Count(f.ctx)
		if own != 0 || err != nil {
			t.Errorf("%d objects, %v", own, err)
		}
	})
}

// worldpayKeys are the parts of an account at Worldpay.
func worldpayKeys(code string) Credentials {
	return Credentials{
		Kind: gateway.KindWorldpay, SecretKey: auth.Secret(code + ":password"), MerchantCode: code, InstallationID: "1234567",
		MACSecret: "mac-secret-of-the-installation", LegacyMAC: true, Endpoint: "https://secure-test.worldpay.com/service",
	}
}

// TestGlobalProviderAtWorldpay: all parts of such an account are kept, sealed,
// and opened for whoever uses it; another master key opens them as well.
func TestGlobalProviderAtWorldpay(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		id, err := f.CreateGlobalProvider(f.operator(t), GlobalProviderDraft{
			Name: "Worldwide WorldPay", Environment: organization.EnvironmentSANDBOX, Credentials: worldpayKeys("SHOP"),
		}, merchantKeys{})
		if err != nil {
			t.Fatal(err)
		}
		g := f.globalRow(t, id)
		if orEmpty(g.SecretHint) != "SHOP:…" || orEmpty(g.MerchantCode) != "SHOP" || g.PublishableKey != nil ||
			strings.Contains(string(g.MACSecretSealed), "installation") {
			t.Errorf("got %+v", g)
		}
		ours, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "Cards", GlobalProviderID: id}, nil)
		if err != nil {
			t.Fatal(err)
		}
		opened := func(installation, mac, endpoint string) {
			t.Helper()
			a, err := f.OpenAccount(f.ctx, ours)
			if err != nil || a.ProviderID != ours || a.OrganizationID != f.org || a.Kind != gateway.KindWorldpay || a.SecretKey != "SHOP:password" ||
				a.MerchantCode != "SHOP" || a.InstallationID != installation || a.MACSecret != mac || a.Endpoint != endpoint || a.LegacyMAC != (endpoint != "") {
				t.Errorf("account %+v, %v", a, err)
			}
		}
		opened("1234567", "mac-secret-of-the-installation", "https://secure-test.worldpay.com/service")
		report, err := f.RotateKeys(auth.AllTenants(t.Context(), rotatePart))
		if err != nil || len(report.Closed) != 0 || report.Sealed < 2 {
			t.Errorf("rotation %+v, %v", report, err)
		}

		// The MAC secret that is left out stays, the rest is what is given.
		next := Credentials{Kind: gateway.KindWorldpay, SecretKey: "SHOP:password", MerchantCode: "SHOP", InstallationID: "7654321"}
		update := func(c Credentials) error {
			return f.UpdateGlobalProvider(f.operator(t), GlobalProviderChange{ID: id, Credentials: &c, AccountID: c.MerchantCode}, merchantKeys{})
		}
		if err := update(next); err != nil {
			t.Fatal(err)
		}
		opened("7654321", "mac-secret-of-the-installation", "")
		wantCode(t, update(worldpayKeys("OTHER")), CodeInvalid, "credentials")

		// A notification names an order, which is made of the call's id; both of
		// two uses of the account are told apart by it.
		if _, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "Another use", GlobalProviderID: id}, nil); err != nil {
			t.Fatal(err)
		}
		p := f.newPayer(t, payer.BillingModePREPAID)
		begun, err := f.BeginHostedPayment(f.ctx, HostedPaymentDraft{PayerID: p.ID, Amount: usd(t, "10"), ProviderID: ours, Key: ptr("k")})
		if err != nil {
			t.Fatal(err)
		}
		inside, providerID, err := f.EventOwner(t.Context(), operatorPart, id, gateway.Object{ID: orderCode(begun.ID)})
		if err != nil || providerID != ours || auth.FromContext(inside).OrganizationID != f.org {
			t.Errorf("its notification is %s's, %v", providerID, err)
		}
	})
}
