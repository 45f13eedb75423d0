package migrations_test

import (
	"testing"

	"entgo.io/ent/dialect/sql/sqlgraph"

	"purser/auth"
	"purser/database"
	"purser/ent"
	"purser/migrations"
	"purser/testdb"
)

// seeded is a migrated database with two organizations.
func seeded(t *testing.T, dialectName string) (*database.DB, *ent.Client) {
	t.Helper()
	dir, err := migrations.Dir(dialectName)
	if err != nil {
		t.Fatal(err)
	}
	db := testdb.Migrated(t, dialectName, dir)
	c := client(db)
	seed(t, c, acme)
	seed(t, c, other)
	return db, c
}

// TestLinksStayInside holds that the database itself refuses a row that points
// into another organization, or belongs to none, and keeps what is pointed to.
func TestLinksStayInside(t *testing.T) {
	t.Parallel()
	for dialectName, folder := range folders {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			db, c := seeded(t, dialectName)
			ctx := within(t, acme)
			hold := func(id, balanceID string) *ent.HoldCreate {
				return c.Hold.Create().SetID(id).SetPayerID("dev_" + acme).SetBalanceID(balanceID).
					SetCurrency("EUR").SetAmountUnits(1).SetExpiresAt(now).SetCreatedAt(now)
			}
			for name, refused := range map[string]error{
				"edge":         account(c, "bal_1", "dev_"+other).SetCurrency("USD").Exec(ctx),
				"reference":    hold("hld_1", "bal_"+other).Exec(ctx),
				"nowhere":      hold("hld_1", "bal_nowhere").Exec(ctx),
				"organization": developer(c, "dev_1").SetOrganizationID("org_none").Exec(auth.AllTenants(ctx, "test")),
			} {
				if !ent.IsConstraintError(refused) {
					t.Errorf("%s: got %v, want a constraint's error", name, refused)
				}
			}
			hold("hld_1", "bal_"+acme).ExecX(ctx)
			if _, err := c.Balance.Delete().Exec(ctx); !ent.IsConstraintError(err) {
				t.Errorf("delete a balance with a hold: got %v, want a constraint's error", err)
			}
			if n := testdb.Count(t, db.Read, "SELECT count(*) FROM holds"); n != 1 {
				t.Errorf("%d holds, want 1", n)
			}
		})
	}
}

// TestUniqueWithin holds that what is unique is so in its organization, and not
// across organizations.
func TestUniqueWithin(t *testing.T) {
	t.Parallel()
	for dialectName, folder := range folders {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			_, c := seeded(t, dialectName)
			twin := func() *ent.PayerCreate { return developer(c, "dev_2").SetEmail("dev_" + acme + "@example.com") }
			if err := twin().Exec(within(t, acme)); !ent.IsConstraintError(err) {
				t.Errorf("the same e-mail address twice: got %v, want a constraint's error", err)
			}
			if err := twin().Exec(within(t, other)); err != nil {
				t.Errorf("the same e-mail address in two organizations: %v", err)
			}
		})
	}
}

// TestChecks holds that the database refuses states and amounts that the
// program must never store, each beside a neighbour that it accepts.
func TestChecks(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ accepted, refused string }{
		"unknown mode":        {"UPDATE balances SET billing_mode = 'POSTPAID'", "UPDATE balances SET billing_mode = 'GRATIS'"},
		"unknown status":      {"UPDATE payers SET status = 'CLOSED'", "UPDATE payers SET status = 'closed'"},
		"largest amount":      {"UPDATE balances SET amount_units = 1000000000000000000", "UPDATE balances SET amount_units = 1000000000000000001"},
		"smallest amount":     {"UPDATE balances SET amount_units = -1000000000000000000", "UPDATE balances SET amount_units = -1000000000000000001"},
		"sum out of range":    {"UPDATE balances SET amount_units = 999999999999999999 + 1", "UPDATE balances SET amount_units = 1000000000000000000 + 1000000000000000000"},
		"optional amount":     {"UPDATE balances SET credit_limit_units = NULL", "UPDATE balances SET credit_limit_units = -1"},
		"negative hold":       {"UPDATE balances SET held_units = 0", "UPDATE balances SET held_units = -1"},
		"developer with slug": {"UPDATE payers SET slug = NULL", "UPDATE payers SET slug = 'x'"},
		"developer nameless":  {"UPDATE payers SET email = id", "UPDATE payers SET email = NULL"},
		"reserved slug":       {"UPDATE organizations SET slug = 'acme' WHERE slug = 'acme'", "UPDATE organizations SET slug = 'system' WHERE slug = 'acme'"},
	}
	for dialectName, folder := range folders {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			db, _ := seeded(t, dialectName)
			for name, c := range cases {
				if _, err := db.Write.ExecContext(t.Context(), c.accepted); err != nil {
					t.Errorf("%s: %s: %v", name, c.accepted, err)
				}
				if _, err := db.Write.ExecContext(t.Context(), c.refused); !sqlgraph.IsCheckConstraintError(err) {
					t.Errorf("%s: %s: got %v, want a CHECK's error", name, c.refused, err)
				}
			}
		})
	}
}
