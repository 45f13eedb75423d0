package graph

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestAccounts walks through what an organization sets up, from the operator's
// first mutation on.
func TestAccounts(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		type refusals struct {
			UserErrors []struct {
				Code  string
				Field []string
			}
		}
		var made struct {
			OrganizationCreate struct {
				refusals
				Token        string
				Organization struct{ ID, Slug, Environment string }
			}
		}
		w.must(t, w.operator, `mutation { organizationCreate(input: {slug: "acme", name: "Acme", environment: SANDBOX, defaultCurrency: "EUR", timeZone: "Europe/Berlin"}) {
			organization { id slug environment } token userErrors { code field } } }`, nil, &made)
		token := made.OrganizationCreate.Token
		if !strings.HasPrefix(token, "pur_acme_") || made.OrganizationCreate.Organization.Slug != "acme" {
			t.Fatalf("got %+v", made)
		}
		a := w.ask(t, w.operator, `{ organization { id } organizations { totalCount edges { node { slug } } } }`, nil)
		if a.Body != `{"data":{"organization":null,"organizations":{"totalCount":1,"edges":[{"node":{"slug":"acme"}}]}}}` {
			t.Errorf("the operator sees %s", a.Body)
		}

		step := func(document, want string, variables map[string]any) {
			t.Helper()
			got := w.ask(t, token, document, variables)
			if got.Body != `{"data":`+want+`}` {
				t.Errorf("%s\nanswered %s\nwant     {\"data\":%s}", document, got.Body, want)
			}
		}
		step(`mutation { currencySet(input: {code: "POINTS", displayName: "Points", creditLimit: {amount: "5", currency: "POINTS"}}) { currency { code displayName virtual exponent status creditLimit { amount } } userErrors { code } } }`,
			`{"currencySet":{"currency":{"code":"POINTS","displayName":"Points","virtual":true,"exponent":0,"status":"ACTIVE","creditLimit":{"amount":"5"}},"userErrors":[]}}`, nil)
		step(`mutation { organizationUpdate(input: {name: "Acme GmbH", addresses: [{line1: "Main St 1", country: "DE", isPrimary: true}], billingModes: [PREPAID], dunning: {retryDays: 2}}) {
			organization { name addresses { line1 country isPrimary } billingModes dunning { retryDays attemptsMax finalAction } currencies { code } } userErrors { code } } }`,
			`{"organizationUpdate":{"organization":{"name":"Acme GmbH","addresses":[{"line1":"Main St 1","country":"DE","isPrimary":true}],"billingModes":["PREPAID"],"dunning":{"retryDays":2,"attemptsMax":3,"finalAction":"LEAVE"},"currencies":[{"code":"EUR"},{"code":"POINTS"}]},"userErrors":[]}}`, nil)

		var created struct {
			ProviderCreate struct {
				refusals
				Provider struct{ ID, WebhookURL, SecretHint string }
			}
		}
		w.must(t, token, `mutation { providerCreate(input: {name: "Stripe EU", registerWebhook: true, credentials: {stripe: {secretKey: "sk_test_secretsecretsecret", publishableKey: "pk_test_x"}}}) {
			provider { id webhookUrl secretHint } userErrors { code field } } }`, nil, &created)
		provider := created.ProviderCreate.Provider
		// This gateway registers nothing: the provider stands, with the reason.
		if e := created.ProviderCreate.UserErrors; len(e) != 1 || e[0].Code != "PROVIDER_UNSUPPORTED" || strings.Join(e[0].Field, ".") != "input.registerWebhook" {
			t.Errorf("registering answered %+v", e)
		}
		if !strings.HasPrefix(provider.WebhookURL, "http://purser.test/webhooks/acme/") || provider.SecretHint != "sk_test_…cret" {
			t.Errorf("got %+v", provider)
		}
		id := map[string]any{"id": provider.ID}
		step(`mutation($id: ID!) { providerUpdate(input: {id: $id, webhookSecret: "whsec_1234567890"}) { provider { slug kind environment status publishableKey webhookConfigured capabilities } userErrors { code } } }`,
			`{"providerUpdate":{"provider":{"slug":"stripe_eu","kind":"STRIPE","environment":"SANDBOX","status":"ACTIVE","publishableKey":"pk_test_x","webhookConfigured":true,"capabilities":[]},"userErrors":[]}}`, id)
		step(`mutation($id: ID!) { providerTest(input: {id: $id}) { ok message userErrors { code } } }`,
			`{"providerTest":{"ok":true,"message":"The keys are good: account acct_`+provider.ID+`, DE.","userErrors":[]}}`, id)
		step(`mutation($id: ID!) { providerUpdate(input: {id: $id, credentials: {stripe: {secretKey: "sk_test_Refused12345678", publishableKey: "pk_test_x"}}}) { userErrors { code } } }`,
			`{"providerUpdate":{"userErrors":[]}}`, id)
		step(`mutation($id: ID!) { providerTest(input: {id: $id}) { ok message } }`,
			`{"providerTest":{"ok":false,"message":"The gateway does not know the key."}}`, id)
		step(`{ providers { name } organization { defaultProvider { slug } } }`,
			`{"providers":[{"name":"Stripe EU"}],"organization":{"defaultProvider":{"slug":"stripe_eu"}}}`, nil)

		step(`mutation { companyCreate(input: {slug: "widgets", name: "Widgets", taxId: "DE1", taxRate: "19", address: {city: "Bonn"}}) { company { slug name taxId taxRate billingMode status address { city } balances { id } } userErrors { code } } }`,
			`{"companyCreate":{"company":{"slug":"widgets","name":"Widgets","taxId":"DE1","taxRate":"19","billingMode":"PREPAID","status":"ACTIVE","address":{"city":"Bonn"},"balances":[]},"userErrors":[]}}`, nil)
		var dev, com struct{ Payer struct{ ID string } }
		step(`mutation { developerCreate(input: {email: "ada@example.com", name: "Ada", metadata: {plan: "gold"}}) { developer { email name metadata canSpend(amount: {amount: "1", currency: "EUR"}) { allowed reason details { shortfall { amount } } } } userErrors { code } } }`,
			`{"developerCreate":{"developer":{"email":"ada@example.com","name":"Ada","metadata":{"plan":"gold"},"canSpend":{"allowed":false,"reason":"INSUFFICIENT_FUNDS","details":{"shortfall":{"amount":"1.00"}}}},"userErrors":[]}}`, nil)
		step(`mutation { developerCreate(input: {email: "eve@example.com", name: "Eve", billingMode: POSTPAID}) { developer { id } userErrors { code field } } }`,
			`{"developerCreate":{"developer":null,"userErrors":[{"code":"INVALID","field":["input","billingMode"]}]}}`, nil)
		w.must(t, token, `{ payer(by: {developerEmail: "ada@example.com"}) { id } }`, nil, &dev)
		w.must(t, token, `{ payer(by: {companySlug: "widgets"}) { id } }`, nil, &com)
		both := map[string]any{"d": dev.Payer.ID, "c": com.Payer.ID}
		step(`mutation($c: ID!, $d: ID!) { companyMemberAdd(input: {companyId: $c, developerId: $d, role: ADMIN}) { membership { role company { name } developer { email } } userErrors { code } } }`,
			`{"companyMemberAdd":{"membership":{"role":"ADMIN","company":{"name":"Widgets"},"developer":{"email":"ada@example.com"}},"userErrors":[]}}`, both)
		step(`{ companies { edges { node { members { totalCount edges { node { developer { name } } } } } } } developers { edges { node { memberships { edges { node { company { name } } } } } } } }`,
			`{"companies":{"edges":[{"node":{"members":{"totalCount":1,"edges":[{"node":{"developer":{"name":"Ada"}}}]}}}]},"developers":{"edges":[{"node":{"memberships":{"edges":[{"node":{"company":{"name":"Widgets"}}}]}}}]}}`, nil)
		step(`mutation($d: ID!) { developerUpdate(input: {id: $d, name: "Ada L.", status: SUSPENDED}) { developer { name status } userErrors { code } } }`,
			`{"developerUpdate":{"developer":{"name":"Ada L.","status":"SUSPENDED"},"userErrors":[]}}`, map[string]any{"d": dev.Payer.ID})
		step(`mutation($c: ID!) { companyClose(input: {id: $c}) { company { status } userErrors { code } } }`,
			`{"companyClose":{"company":{"status":"CLOSED"},"userErrors":[]}}`, map[string]any{"c": com.Payer.ID})

		var product struct {
			ProductCreate struct{ Product struct{ ID string } }
		}
		w.must(t, token, `mutation { productCreate(input: {name: "API calls"}) { product { id } userErrors { code } } }`, nil, &product)
		pid := map[string]any{"id": product.ProductCreate.Product.ID}
		step(`mutation($id: ID!) { a: priceCreate(input: {productId: $id, unitAmount: {amount: "0.0015", currency: "EUR"}, nickname: "call"}) { price { unitAmount { amount currency } recurrence { interval } product { name } } userErrors { code } }
			b: priceCreate(input: {productId: $id, unitAmount: {amount: "9", currency: "EUR"}, recurrence: {interval: MONTH}}) { price { recurrence { interval intervalCount } active } userErrors { code } } }`,
			`{"a":{"price":{"unitAmount":{"amount":"0.0015","currency":"EUR"},"recurrence":null,"product":{"name":"API calls"}},"userErrors":[]},"b":{"price":{"recurrence":{"interval":"MONTH","intervalCount":1},"active":true},"userErrors":[]}}`, pid)
		step(`mutation($id: ID!) { productUpdate(input: {id: $id, active: false}) { product { active prices { unitAmount { amount } } } userErrors { code } } }`,
			`{"productUpdate":{"product":{"active":false,"prices":[{"unitAmount":{"amount":"0.0015"}},{"unitAmount":{"amount":"9.00"}}]},"userErrors":[]}}`, pid)
		step(`{ products(where: {active: true}) { totalCount } }`, `{"products":{"totalCount":0}}`, nil)
	})
}

// TestTokensOverHTTP holds that a token's value shows once, that a revoked one
// is refused from the next request on, and that none gives more than it has.
func TestTokensOverHTTP(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		f := w.tenant(t, "acme")
		var made struct {
			AccessTokenCreate struct {
				Value       string
				AccessToken struct {
					ID, Hint string
					Scopes   []string
				}
			}
		}
		w.must(t, f.token, `mutation { accessTokenCreate(input: {name: "CI", scopes: [BILLING], permission: READ}) { value accessToken { id hint scopes } userErrors { code } } }`, nil, &made)
		value := made.AccessTokenCreate.Value
		if a := w.ask(t, f.token, `{ accessTokens { edges { node { id name hint permission } } } }`, nil); strings.Contains(a.Body, value) || !strings.Contains(a.Body, made.AccessTokenCreate.AccessToken.Hint) {
			t.Errorf("the list shows %s", a.Body)
		}
		if a := w.ask(t, value, `{ balances { totalCount } }`, nil); a.Body != `{"data":{"balances":{"totalCount":0}}}` {
			t.Errorf("BILLING READ answered %s", a.Body)
		}
		for _, document := range []string{
			`mutation { developerCreate(input: {email: "a@x.example", name: "A"}) { developer { id } } }`,
			`{ accessTokens { totalCount } }`,
			// One field out of reach refuses the whole operation.
			`{ balances { totalCount } providers { name } }`,
		} {
			a := w.ask(t, value, document, nil)
			if a.code() != "FORBIDDEN" || len(a.Data) != 0 {
				t.Errorf("%s answered %s", document, a.Body)
			}
		}
		w.must(t, f.token, `mutation($id: ID!) { accessTokenUpdate(input: {id: $id, name: "Build"}) { accessToken { name lastUsedAt } userErrors { code } } }`, map[string]any{"id": made.AccessTokenCreate.AccessToken.ID}, nil)
		w.must(t, f.token, `mutation($id: ID!) { accessTokenRevoke(input: {id: $id}) { accessToken { revokedAt } userErrors { code } } }`, map[string]any{"id": made.AccessTokenCreate.AccessToken.ID}, nil)
		if a := w.ask(t, value, `{ viewer { serverVersion } }`, nil); a.Status != http.StatusUnauthorized || a.code() != "UNAUTHENTICATED" {
			t.Errorf("a revoked token answered %d %s", a.Status, a.Body)
		}

		dev := w.developer(t, f, "ada@x.example")
		var session struct {
			PayerSessionCreate struct{ Token, ExpiresAt string }
		}
		w.must(t, f.token, `mutation($id: ID!) { payerSessionCreate(input: {payerId: $id, expiresIn: 60}) { token expiresAt userErrors { code } } }`, map[string]any{"id": dev}, &session)
		if a := w.ask(t, session.PayerSessionCreate.Token, `{ viewer { payer { id } } }`, nil); a.Body != `{"data":{"viewer":{"payer":{"id":"`+dev+`"}}}}` {
			t.Errorf("the session answered %s", a.Body)
		}
		w.clock.Advance(time.Minute)
		if a := w.ask(t, session.PayerSessionCreate.Token, `{ viewer { payer { id } } }`, nil); a.Status != http.StatusUnauthorized {
			t.Errorf("an ended session answered %d %s", a.Status, a.Body)
		}
	})
}

// developer makes a developer through the API.
func (w *world) developer(t testing.TB, f *tenant, email string) string {
	t.Helper()
	var made struct {
		DeveloperCreate struct{ Developer struct{ ID string } }
	}
	w.must(t, f.token, `mutation($e: String!) { developerCreate(input: {email: $e, name: "D"}) { developer { id } userErrors { code } } }`, map[string]any{"e": email}, &made)
	return made.DeveloperCreate.Developer.ID
}

// TestIdempotencyHeader holds that the header fills the key of the one
// mutation in a document.
func TestIdempotencyHeader(t *testing.T) {
	w := newWorld(t, "sqlite3")
	f := w.tenant(t, "acme")
	post := func(key, document string) string {
		body, err := json.Marshal(map[string]any{"query": document})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+f.token)
		r.Header.Set("Idempotency-Key", key)
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		return string(priceTag.ReplaceAll(rec.Body.Bytes(), nil))
	}
	const document = `mutation { productCreate(input: {name: "Once"}) { product { id } userErrors { code } } }`
	first, again, other := post("k1", document), post("k1", document), post("k2", document)
	if first != again || first == other || !strings.Contains(first, "prd_") {
		t.Errorf("first %s\nagain %s\nother %s", first, again, other)
	}
	reused := post("k1", `mutation { productCreate(input: {name: "Twice"}) { product { id } userErrors { code field } } }`)
	if want := `{"data":{"productCreate":{"product":null,"userErrors":[{"code":"IDEMPOTENCY_KEY_REUSED","field":["input","idempotencyKey"]}]}}}`; reused != want {
		t.Errorf("got %s", reused)
	}
}
