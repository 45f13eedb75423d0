package billing

import (
	"errors"
	"testing"

	"purser/ent/membership"
	"purser/ent/payer"
	"purser/ent/schema"
	"purser/money"
)

// asRefusal returns the refusal that err is.
func asRefusal(t testing.TB, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a refusal", err)
	}
	return e
}

func TestDevelopers(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		d := PayerDraft{
			Email: "ada@example.com", Name: " Ada ", ExternalID: ptr("u-1"), BillingMode: payer.BillingModePOSTPAID,
			BillingEmail: ptr("bills@example.com"), TaxRate: ptr(money.Decimal("8.875")),
			Address: &schema.Address{City: "London", Country: "GB"}, Metadata: map[string]string{"plan": "gold"},
		}
		id, err := f.CreateDeveloper(f.ctx, d, ptr("k1"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := f.CreateDeveloper(f.ctx, d, ptr("k1"))
		if err != nil || again != id {
			t.Errorf("the same key gave %s, %v, want %s", again, err, id)
		}
		d.Name = "Eve"
		_, err = f.CreateDeveloper(f.ctx, d, ptr("k1"))
		wantCode(t, err, CodeIdempotencyKeyReused, "idempotencyKey")

		p, err := f.Client().Payer.Query().Where(payer.ID(id)).Only(f.ctx)
		if err != nil || p.Name != "Ada" || *p.Email != "ada@example.com" || p.Kind != payer.KindDEVELOPER ||
			p.TaxRatePpm.Decimal() != "8.875" || p.Address.City != "London" || p.Metadata["plan"] != "gold" {
			t.Errorf("got %+v, %v", p, err)
		}
		for _, bad := range []struct {
			field  string
			code   Code
			change func(*PayerDraft)
		}{
			{"email", CodeTaken, func(d *PayerDraft) { d.Email = "ada@example.com" }},
			{"email", CodeInvalid, func(d *PayerDraft) { d.Email = "ada" }},
			{"email", CodeRequired, func(d *PayerDraft) { d.Email = "" }},
			{"name", CodeRequired, func(d *PayerDraft) { d.Name = "" }},
			{"name", CodeInvalid, func(d *PayerDraft) { d.Name = "4242 4242 4242 4242" }},
			{"externalId", CodeTaken, func(d *PayerDraft) { d.ExternalID = ptr("u-1") }},
			{"billingEmail", CodeInvalid, func(d *PayerDraft) { d.BillingEmail = ptr("x") }},
			{"taxRate", CodeInvalid, func(d *PayerDraft) { d.TaxRate = ptr(money.Decimal("101")) }},
			{"address.country", CodeInvalid, func(d *PayerDraft) { d.Address = &schema.Address{Country: "UK!"} }},
			{"metadata", CodeInvalid, func(d *PayerDraft) { d.Metadata = map[string]string{"card": "4242424242424242"} }},
		} {
			d := PayerDraft{Email: "new@example.com", Name: "New", BillingMode: payer.BillingModePREPAID}
			bad.change(&d)
			_, err := f.CreateDeveloper(f.ctx, d, nil)
			wantCode(t, err, bad.code, bad.field)
		}
		// The same names are free in another organization.
		_, other := f.newOrganization(t, "other", "UTC")
		if _, err := f.CreateDeveloper(other, PayerDraft{Email: "ada@example.com", Name: "Ada", ExternalID: ptr("u-1"), BillingMode: payer.BillingModePREPAID}, ptr("k1")); err != nil {
			t.Errorf("in another organization: %v", err)
		}
		wantCode(t, f.UpdateDeveloper(other, PayerChange{ID: id, Name: ptr("Mine")}), CodeNotFound, "id")
		wantCode(t, f.CloseDeveloper(other, id, RestBalanceRefuse), CodeNotFound, "id")

		if err := f.UpdateDeveloper(f.ctx, PayerChange{
			ID: id, Email: ptr("countess@example.com"), ExternalID: ptr(""), TaxRate: ptr(money.Decimal("")),
			Address: &schema.Address{}, Status: ptr(payer.StatusSUSPENDED),
		}); err != nil {
			t.Fatal(err)
		}
		p, err = f.Client().Payer.Query().Where(payer.ID(id)).Only(f.ctx)
		if err != nil || *p.Email != "countess@example.com" || p.ExternalID != nil || p.TaxRatePpm != nil || p.Address != nil ||
			p.Status != payer.StatusSUSPENDED || p.Name != "Ada" || *p.BillingEmail != "bills@example.com" {
			t.Errorf("got %+v, %v", p, err)
		}
		wantCode(t, f.UpdateDeveloper(f.ctx, PayerChange{ID: id, Status: ptr(payer.StatusCLOSED)}), CodeInvalid, "status")
		wantCode(t, f.UpdateCompany(f.ctx, PayerChange{ID: id, Name: ptr("X")}), CodeNotFound, "id")
		wantCode(t, f.UpdateDeveloper(f.ctx, PayerChange{ID: "dev_nobody"}), CodeNotFound, "id")
	})
}

func TestClosePayer(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		if _, err := f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: usd(t, "3"), Key: ptr("k")}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, f.CloseDeveloper(f.ctx, p.ID, RestBalanceRefuse), CodeInvalidState, "id")
		if got, err := f.Client().Payer.Query().Where(payer.ID(p.ID)).Only(f.ctx); err != nil || got.Status != payer.StatusACTIVE {
			t.Fatalf("a refused closing left %s, %v", got.Status, err)
		}
		if _, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "3"), Key: ptr("u")}); err != nil {
			t.Fatal(err)
		}
		for range 2 { // closing again changes nothing
			if err := f.CloseDeveloper(f.ctx, p.ID, RestBalanceRefuse); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, f.UpdateDeveloper(f.ctx, PayerChange{ID: p.ID, Name: ptr("X")}), CodeInvalidState, "id")
		_, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr("u2"), OnInsufficient: OnInsufficientRecord})
		wantCode(t, err, CodeInvalidState, "payerId")
		_, _, err = f.CreatePayerSession(f.ctx, p.ID, sessionLifeMin)
		wantCode(t, err, CodeInvalidState, "payerId")
	})
}

func TestCompaniesAndMembers(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		company, err := f.CreateCompany(f.ctx, PayerDraft{Slug: "acme", Name: "Acme", TaxID: ptr("DE123"), BillingMode: payer.BillingModePREPAID}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.CreateCompany(f.ctx, PayerDraft{Slug: "acme", Name: "Acme", BillingMode: payer.BillingModePREPAID}, nil)
		wantCode(t, err, CodeTaken, "slug")
		for _, slug := range []string{"", "a", "Acme", "a b", "ä"} {
			_, err = f.CreateCompany(f.ctx, PayerDraft{Slug: slug, Name: "Acme", BillingMode: payer.BillingModePREPAID}, nil)
			wantCode(t, err, CodeInvalid, "slug")
		}
		dev := f.newPayer(t, payer.BillingModePREPAID)
		id, err := f.AddMember(f.ctx, company, dev.ID, membership.RoleMEMBER)
		if err != nil {
			t.Fatal(err)
		}
		again, err := f.AddMember(f.ctx, company, dev.ID, membership.RoleADMIN)
		if err != nil || again != id {
			t.Errorf("another role gave %s, %v, want %s", again, err, id)
		}
		if m, err := f.Client().Membership.Query().Only(f.ctx); err != nil || m.Role != membership.RoleADMIN {
			t.Errorf("got %+v, %v", m, err)
		}
		_, err = f.AddMember(f.ctx, dev.ID, company, membership.RoleMEMBER)
		wantCode(t, err, CodeNotFound, "companyId")
		_, err = f.AddMember(f.ctx, company, company, membership.RoleMEMBER)
		wantCode(t, err, CodeNotFound, "developerId")
		_, other := f.newOrganization(t, "other", "UTC")
		_, err = f.AddMember(other, company, dev.ID, membership.RoleMEMBER)
		wantCode(t, err, CodeNotFound, "companyId")
		_, err = f.RemoveMember(other, company, dev.ID)
		wantCode(t, err, CodeNotFound, "developerId")

		removed, err := f.RemoveMember(f.ctx, company, dev.ID)
		if err != nil || removed != id {
			t.Errorf("removed %s, %v, want %s", removed, err, id)
		}
		_, err = f.RemoveMember(f.ctx, company, dev.ID)
		wantCode(t, err, CodeNotFound, "developerId")
		if err := f.CloseCompany(f.ctx, company, RestBalanceRefuse); err != nil {
			t.Error(err)
		}
		_, err = f.AddMember(f.ctx, company, dev.ID, membership.RoleMEMBER)
		wantCode(t, err, CodeInvalidState, "companyId")
	})
}
