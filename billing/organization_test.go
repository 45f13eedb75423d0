package billing

import (
	"context"
	"strings"
	"testing"

	"purser/auth"
	"purser/ent/auditevent"
	"purser/ent/currency"
	"purser/ent/organization"
	"purser/ent/schema"
	"purser/money"
)

func TestCreateOrganization(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		operator := auth.NewContext(t.Context(), &auth.Viewer{TokenID: "tok_op", Scopes: []auth.Scope{auth.ScopeSystem}, Permission: auth.PermissionReadWrite})
		d := OrganizationDraft{Slug: "acme", Name: "Acme", Environment: organization.EnvironmentLIVE, DefaultCurrency: "EUR", TimeZone: "Europe/Berlin"}
		id, token, err := f.CreateOrganization(operator, d)
		if err != nil {
			t.Fatal(err)
		}
		ctx := auth.Internal(t.Context(), "test", id)
		o, err := f.Client().Organization.Query().Only(ctx)
		if err != nil || o.Slug != "acme" || o.Environment != organization.EnvironmentLIVE || o.TimeZone != "Europe/Berlin" {
			t.Errorf("organization %+v, %v", o, err)
		}
		c, err := f.Client().Currency.Query().Only(ctx)
		if err != nil || c.Code != "EUR" || c.Virtual {
			t.Errorf("currency %+v, %v", c, err)
		}
		v, stale, err := auth.NewAuthenticator(f.Service, f.clock.Now).Authenticate(t.Context(), token.Reveal())
		if err != nil || v.OrganizationID != id || !v.Has(auth.ScopeAdmin) || v.Permission != auth.PermissionReadWrite || !stale {
			t.Errorf("the first token is %+v, stale %t, %v", v, stale, err)
		}
		a, err := f.Client().AuditEvent.Query().Where(auditevent.Action("organization.create")).Only(ctx)
		if err != nil || a.Actor != "tok_op" {
			t.Errorf("audit %+v, %v", a, err)
		}

		_, _, err = f.CreateOrganization(operator, d)
		wantCode(t, err, CodeTaken, "slug")
		for _, bad := range []struct {
			field  string
			code   Code
			change func(*OrganizationDraft)
		}{
			{"slug", CodeInvalid, func(d *OrganizationDraft) { d.Slug = "system" }},
			{"slug", CodeInvalid, func(d *OrganizationDraft) { d.Slug = "A!" }},
			{"name", CodeRequired, func(d *OrganizationDraft) { d.Name = " " }},
			{"timeZone", CodeInvalid, func(d *OrganizationDraft) { d.TimeZone = "Mars/Olympus" }},
			{"timeZone", CodeInvalid, func(d *OrganizationDraft) { d.TimeZone = "Local" }},
			{"defaultCurrency", CodeCurrencyMismatch, func(d *OrganizationDraft) { d.DefaultCurrency = "euro" }},
			{"defaultCurrency", CodeInvalid, func(d *OrganizationDraft) { d.DefaultCurrency = "POINTS" }},
			{"testTwinOf", CodeNotFound, func(d *OrganizationDraft) { d.TestTwinOf = "org_nobody" }},
			{"testTwinOf", CodeInvalid, func(d *OrganizationDraft) { d.TestTwinOf = f.org }}, // not LIVE
			{"environment", CodeInvalid, func(d *OrganizationDraft) { d.TestTwinOf = id }},
		} {
			d := OrganizationDraft{Slug: "other", Name: "Other", Environment: organization.EnvironmentLIVE, DefaultCurrency: "EUR"}
			bad.change(&d)
			_, _, err := f.CreateOrganization(operator, d)
			wantCode(t, err, bad.code, bad.field)
		}
		if _, _, err := f.CreateOrganization(operator, OrganizationDraft{Slug: "twin", Name: "Twin", Environment: organization.EnvironmentTEST, DefaultCurrency: "EUR", TestTwinOf: id}); err != nil {
			t.Errorf("a test twin: %v", err)
		}
		if _, _, err := f.CreateOrganization(f.ctx, OrganizationDraft{Slug: "other", Name: "Other", Environment: organization.EnvironmentTEST, DefaultCurrency: "EUR"}); err == nil {
			t.Error("an organization's own token makes organizations")
		}
	})
}

func TestSetTokenValue(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		ctx := auth.Internal(t.Context(), "demo", f.org)
		good := func(value string) bool {
			_, _, err := auth.NewAuthenticator(f.Service, f.clock.Now).Authenticate(t.Context(), value)
			return err == nil
		}
		first := "pur_demo_bootstrap_" + strings.Repeat("a", 32)
		second := "pur_demo_bootstrap_" + strings.Repeat("b", 32)
		for _, value := range []string{first, first, second} {
			token, err := auth.ParseToken(value)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.SetTokenValue(ctx, token); err != nil {
				t.Fatal(err)
			}
			if !good(value) {
				t.Errorf("%s… is not accepted", value[:20])
			}
		}
		if good(first) {
			t.Error("the value before is still accepted")
		}
	})
}

func TestUpdateOrganization(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		change := OrganizationChange{
			Name: ptr("New name"), TimeZone: ptr("Asia/Tokyo"), Country: ptr("JP"), DefaultCurrency: ptr("JPY"),
			SupportEmail: ptr("help@example.com"), FinanceSupportEmail: ptr("bills@example.com"),
			Addresses:   []schema.Address{{Line1: "1", IsPrimary: true}, {}},
			BillingType: ptr(organization.BillingTypePREPAID), ThankYouURL: ptr("https://x.example/thanks"),
			ChargingEnabled: ptr(false), Dunning: &Dunning{RetryDays: 5, AttemptsMax: 2, Final: organization.DunningFinalMARK_UNCOLLECTIBLE},
			DefaultProviderID: &f.provider, AllowedReturnOrigins: []string{"https://X.example", "https://x.example:443"},
		}
		if err := f.UpdateOrganization(f.ctx, change); err != nil {
			t.Fatal(err)
		}
		o, err := f.Client().Organization.Query().Only(f.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if o.Name != "New name" || o.TimeZone != "Asia/Tokyo" || *o.Country != "JP" || o.DefaultCurrency != "JPY" ||
			*o.SupportEmail != "help@example.com" || len(o.Addresses) != 1 || o.BillingType != organization.BillingTypePREPAID ||
			o.ChargingEnabled || o.DunningRetryDays != 5 || *o.DefaultProviderID != f.provider ||
			len(o.AllowedReturnOrigins) != 1 || o.AllowedReturnOrigins[0] != "https://x.example" {
			t.Errorf("got %+v", o)
		}
		// What is left out stays, an empty text clears.
		if err := f.UpdateOrganization(f.ctx, OrganizationChange{SupportEmail: ptr(""), ThankYouURL: ptr(""), DefaultProviderID: ptr(""), Addresses: []schema.Address{}}); err != nil {
			t.Fatal(err)
		}
		o, err = f.Client().Organization.Query().Only(f.ctx)
		if err != nil || o.SupportEmail != nil || o.ThankYouURL != nil || o.DefaultProviderID != nil || len(o.Addresses) != 0 || o.Name != "New name" || *o.FinanceSupportEmail != "bills@example.com" {
			t.Errorf("got %+v, %v", o, err)
		}
		n := f.audits(t)
		if err := f.UpdateOrganization(f.ctx, OrganizationChange{}); err != nil || f.audits(t) != n {
			t.Errorf("nothing to change: %v, %d audit events, before %d", err, f.audits(t), n)
		}
		for field, c := range map[string]OrganizationChange{
			"name":                   {Name: ptr("")},
			"timeZone":               {TimeZone: ptr("")},
			"country":                {Country: ptr("Japan")},
			"supportEmail":           {SupportEmail: ptr("nobody")},
			"thankYouUrl":            {ThankYouURL: ptr("javascript:alert(1)")},
			"defaultCurrency":        {DefaultCurrency: ptr("POINTS")},
			"defaultProviderId":      {DefaultProviderID: ptr("prv_nobody")},
			"dunning.retryDays":      {Dunning: &Dunning{RetryDays: 0, AttemptsMax: 1}},
			"dunning.attemptsMax":    {Dunning: &Dunning{RetryDays: 1, AttemptsMax: 11}},
			"addresses":              {Addresses: []schema.Address{{Line1: "1", IsPrimary: true}, {Line1: "2", IsPrimary: true}}},
			"allowedReturnOrigins.1": {AllowedReturnOrigins: []string{"https://x.example", "https://x.example/path"}},
		} {
			c.ChargingEnabled = ptr(true) // and nothing of it is kept
			err := f.UpdateOrganization(f.ctx, c)
			if err == nil {
				t.Errorf("%s: accepted", field)
				continue
			}
			var e *Error
			if e = asRefusal(t, err); strings.Join(e.Field, ".") != field {
				t.Errorf("refused at %v, want %s: %v", e.Field, field, err)
			}
		}
		if o, err := f.Client().Organization.Query().Only(f.ctx); err != nil || o.ChargingEnabled {
			t.Errorf("a refused change was kept in part: %v", err)
		}
	})
}

func TestCurrencies(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		id, err := f.SetCurrency(f.ctx, CurrencyChange{Code: "CHF", DisplayName: ptr("Franken"), MinimumTopUp: ptr(in(t, "5.00", "CHF"))})
		if err != nil {
			t.Fatal(err)
		}
		again, err := f.SetCurrency(f.ctx, CurrencyChange{Code: "CHF", Name: ptr("Swiss franc"), CreditLimit: ptr(in(t, "100", "CHF"))})
		if err != nil || again != id {
			t.Fatalf("got %s, %v, want %s", again, err, id)
		}
		c, err := f.Client().Currency.Query().Where(currency.ID(id)).Only(f.ctx)
		if err != nil || c.Name != "Swiss franc" || c.DisplayName != "Franken" || c.Virtual ||
			c.MinimumTopUp().String() != "5.00 CHF" || c.CreditLimit().String() != "100.00 CHF" {
			t.Errorf("got %+v, %v", c, err)
		}
		if _, err := f.SetCurrency(f.ctx, CurrencyChange{Code: "COINS"}); err != nil {
			t.Errorf("a virtual currency: %v", err)
		}
		for _, bad := range []struct {
			c     CurrencyChange
			code  Code
			field string
		}{
			{CurrencyChange{Code: "usd"}, CodeCurrencyMismatch, "code"},
			{CurrencyChange{Code: "CLF"}, CodeCurrencyMismatch, "code"},
			{CurrencyChange{Code: "XYZ"}, CodeInvalid, "code"},
			{CurrencyChange{Code: "USD", Virtual: ptr(true)}, CodeInvalid, "virtual"},
			{CurrencyChange{Code: "COINS", Virtual: ptr(false)}, CodeInvalid, "virtual"},
			{CurrencyChange{Code: "USD", MinimumTopUp: ptr(in(t, "5", "EUR"))}, CodeCurrencyMismatch, "minimumTopUp"},
			{CurrencyChange{Code: "USD", CreditLimit: ptr(usd(t, "-1"))}, CodeInvalid, "creditLimit"},
			{CurrencyChange{Code: "USD", Status: ptr(currency.StatusINACTIVE)}, CodeInUse, "status"},
		} {
			_, err := f.SetCurrency(f.ctx, bad.c)
			wantCode(t, err, bad.code, bad.field)
		}

		p := f.newPayer(t, "PREPAID")
		if _, err := f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: in(t, "10", "POINTS"), Key: ptr("k")}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, f.DeleteCurrency(f.ctx, "POINTS"), CodeInUse, "code")
		wantCode(t, f.DeleteCurrency(f.ctx, "USD"), CodeInUse, "code")
		wantCode(t, f.DeleteCurrency(f.ctx, "NOK"), CodeNotFound, "code")
		if err := f.DeleteCurrency(f.ctx, "CHF"); err != nil {
			t.Error(err)
		}
		wantCode(t, f.DeleteCurrency(f.ctx, "CHF"), CodeNotFound, "code")
		// Somebody else's currency of the same code is not touched.
		_, other := f.newOrganization(t, "other", "UTC")
		if err := f.DeleteCurrency(other, "KWD"); err != nil {
			t.Error(err)
		}
		if n, err := f.Client().Currency.Query().Where(currency.Code("KWD")).Count(f.ctx); n != 1 || err != nil {
			t.Errorf("%d currencies KWD, %v", n, err)
		}
	})
}

// audits counts the audit events of the organization.
func (f *fixture) audits(t testing.TB) int {
	t.Helper()
	n, err := f.Client().AuditEvent.Query().Count(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRace holds that two who add the same thing at once get the same answer
// as one after the other.
func TestRace(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		run := func(one func(ctx context.Context) error) []error {
			out := make(chan error, 8)
			for range cap(out) {
				go func() { out <- one(f.ctx) }()
			}
			var errs []error
			for range cap(out) {
				errs = append(errs, <-out)
			}
			return errs
		}
		taken := 0
		for _, err := range run(func(ctx context.Context) error {
			_, err := f.CreateDeveloper(ctx, PayerDraft{Email: "race@x.example", Name: "R", BillingMode: "PREPAID"}, nil)
			return err
		}) {
			if err != nil {
				wantCode(t, err, CodeTaken, "email")
				taken++
			}
		}
		if taken != 7 {
			t.Errorf("%d of 8 were refused, want 7", taken)
		}
		for _, err := range run(func(ctx context.Context) error {
			_, err := f.SetCurrency(ctx, CurrencyChange{Code: "SEK", CreditLimit: &money.Amount{Currency: "SEK"}})
			return err
		}) {
			if err != nil {
				t.Error(err)
			}
		}
		ids := map[string]bool{}
		for range 2 {
			for _, err := range run(func(ctx context.Context) error {
				_, err := f.CreateProduct(ctx, ProductDraft{Name: "Once"}, ptr("the-key"))
				return err
			}) {
				if err != nil {
					t.Error(err)
				}
			}
			id, err := f.CreateProduct(f.ctx, ProductDraft{Name: "Once"}, ptr("the-key"))
			if err != nil {
				t.Error(err)
			}
			ids[id] = true
		}
		if n, err := f.Client().Product.Query().Count(f.ctx); n != 1 || err != nil || len(ids) != 1 {
			t.Errorf("%d products, %v, ids %v", n, err, ids)
		}
	})
}
