package migrations_test

import (
	"context"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/database"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/payer"
	_ "purser/ent/runtime" // the tenant filter
)

// The organizations of the tests. PostgreSQL's hash puts them into different
// partitions, which a test holds.
const (
	acme  = "org_acme"
	other = "org_other"
)

// now is the time of all rows that tests make.
var now = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// client returns ent's client of a database.
func client(db *database.DB) *ent.Client {
	return ent.NewClient(ent.Driver(entsql.OpenDB(db.Dialect, db.Write)))
}

// within returns a context in which the test acts inside one organization.
func within(t testing.TB, organization string) context.Context {
	return auth.Internal(t.Context(), "test", organization)
}

// seed makes an organization with a developer and a balance, whose ids end with
// the organization's.
func seed(t testing.TB, c *ent.Client, organization string) {
	t.Helper()
	ctx := within(t, organization)
	_, err := c.Organization.Create().SetID(organization).SetSlug(organization[4:]).SetName("Acme").
		SetEnvironment("SANDBOX").SetDefaultCurrency("EUR").SetAddresses(nil).SetAllowedReturnOrigins(nil).
		SetCreatedAt(now).Save(ctx)
	if err != nil {
		t.Fatal(err)
	}
	developer(c, "dev_"+organization).ExecX(ctx)
	account(c, "bal_"+organization, "dev_"+organization).ExecX(ctx)
}

func developer(c *ent.Client, id string) *ent.PayerCreate {
	return c.Payer.Create().SetID(id).SetKind(payer.KindDEVELOPER).SetEmail(id + "@example.com").
		SetName("Ada").SetMetadata(map[string]string{}).SetCreatedAt(now)
}

func account(c *ent.Client, id, payerID string) *ent.BalanceCreate {
	return c.Balance.Create().SetID(id).SetPayerID(payerID).SetCurrency("EUR").
		SetBillingMode(balance.BillingModePREPAID).SetPeriod("2026-03").SetLastHash([]byte{}).SetLastBookedAt(now).
		SetCreatedAt(now).SetUpdatedAt(now)
}
