package migrations_test

import (
	"context"
	"testing"

	"ariga.io/atlas/sql/migrate"
	entdialect "entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"

	"purser/database"
	"purser/migrations"
	"purser/testdb"
)

// migrated brings an empty database to the newest migration.
func migrated(t testing.TB, db *database.DB) *database.DB {
	t.Helper()
	dir, err := migrations.Dir(db.Dialect)
	if err != nil {
		t.Fatal(err)
	}
	testdb.Migrate(t, db, dir)
	return db
}

// TestNothingLeftToDo holds that ent, asked to create its tables in a migrated
// database, finds all of them as it wants them.
func TestNothingLeftToDo(t *testing.T) {
	eachDialect(t, func(t *testing.T, db *database.DB) {
		migrated(t, db)
		tables, err := migrations.Tables()
		if err != nil {
			t.Fatal(err)
		}
		var plans int
		m, err := schema.NewMigrate(entsql.OpenDB(db.Dialect, db.Write),
			schema.WithApplyHook(func(next schema.Applier) schema.Applier {
				return schema.ApplyFunc(func(_ context.Context, _ entdialect.ExecQuerier, plan *migrate.Plan) error {
					plans++
					t.Errorf("ent would still run %d statements, the first %.100s", len(plan.Changes), plan.Changes[0].Cmd)
					return nil
				})
			}))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Create(t.Context(), tables...); err != nil {
			t.Fatal(err)
		}
		// The same on an empty database, to see that the hook above is asked.
		plans = 0
		empty := dialects[db.Dialect](t)
		m, err = schema.NewMigrate(entsql.OpenDB(db.Dialect, empty.Write),
			schema.WithApplyHook(func(next schema.Applier) schema.Applier {
				return schema.ApplyFunc(func(ctx context.Context, conn entdialect.ExecQuerier, plan *migrate.Plan) error {
					plans += len(plan.Changes)
					return next.Apply(ctx, conn, plan)
				})
			}))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Create(t.Context(), tables...); err != nil {
			t.Fatal(err)
		}
		if plans < len(tables) {
			t.Errorf("ent ran %d statements on an empty database for %d tables", plans, len(tables))
		}
	})
}
