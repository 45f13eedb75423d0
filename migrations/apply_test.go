package migrations_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
	atlas "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/dialect/sql/sqlgraph"
	"entgo.io/ent/schema/field"

	"purser/database"
	"purser/migrations"
	"purser/testdb"
)

// countTables counts a database's tables of its own.
var countTables = map[string]string{
	dialect.SQLite:   "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
	dialect.Postgres: "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
}

// create has ent create the tables and returns the statements that it ran.
func create(t *testing.T, db *database.DB, tables []*schema.Table) []string {
	t.Helper()
	var ran []string
	m, err := schema.NewMigrate(entsql.OpenDB(db.Dialect, db.Write),
		schema.WithDiffHook(sameConditions),
		schema.WithApplyHook(func(next schema.Applier) schema.Applier {
			return schema.ApplyFunc(func(ctx context.Context, conn dialect.ExecQuerier, plan *migrate.Plan) error {
				for _, change := range plan.Changes {
					ran = append(ran, change.Cmd)
				}
				return next.Apply(ctx, conn, plan)
			})
		}))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Create(t.Context(), tables...); err != nil {
		t.Fatal(err)
	}
	return ran
}

// sameConditions leaves an index alone whose condition PostgreSQL has only
// written in its own words.
func sameConditions(next schema.Differ) schema.Differ {
	plain := strings.NewReplacer("(", "", ")", "", "::text", "")
	condition := func(index *atlas.Index) string {
		for _, attr := range index.Attrs {
			if predicate, ok := attr.(*postgres.IndexPredicate); ok {
				return plain.Replace(predicate.P)
			}
		}
		return ""
	}
	return schema.DiffFunc(func(current, desired *atlas.Schema) ([]atlas.Change, error) {
		changes, err := next.Diff(current, desired)
		return slices.DeleteFunc(changes, func(change atlas.Change) bool {
			modify, ok := change.(*atlas.ModifyTable)
			if !ok {
				return false
			}
			modify.Changes = slices.DeleteFunc(modify.Changes, func(part atlas.Change) bool {
				index, ok := part.(*atlas.ModifyIndex)
				return ok && index.Change == atlas.ChangeAttr && condition(index.From) == condition(index.To)
			})
			return len(modify.Changes) == 0
		}), err
	})
}

// TestNothingLeftToDo holds that ent, asked to create its tables in a migrated
// database, finds all of them as it wants them, and that no others are left.
func TestNothingLeftToDo(t *testing.T) {
	eachDialect(t, func(t *testing.T, db *database.DB) {
		dir, err := migrations.Dir(db.Dialect)
		if err != nil {
			t.Fatal(err)
		}
		testdb.Migrate(t, db, dir)
		all := tables(t)
		if ran := create(t, db, all); len(ran) > 0 {
			t.Errorf("ent still ran %d statements, the first %.100s", len(ran), ran[0])
		}
		// One more: what package database has written down.
		if n := testdb.Count(t, db.Read, countTables[db.Dialect]); n != len(all)+1 {
			t.Errorf("%d tables, want %d and the list of migrations", n, len(all))
		}
	})
}

// TestCreateTwice holds that tables made by ent itself stay as they are when
// the program starts again, which a column out of order would prevent.
func TestCreateTwice(t *testing.T) {
	eachDialect(t, func(t *testing.T, db *database.DB) {
		if ran := create(t, db, tables(t)); len(ran) < len(tables(t)) {
			t.Errorf("the first time %d statements", len(ran))
		}
		if ran := create(t, db, tables(t)); len(ran) > 0 {
			t.Errorf("the second time %d statements, the first %.100s", len(ran), ran[0])
		}
	})
}

// TestNextMigration writes a second file for a changed schema and applies it to
// a database with rows: an enum's new value, a new link and a new required
// column.
func TestNextMigration(t *testing.T) {
	eachDialect(t, func(t *testing.T, empty *database.DB) {
		db, c := seeded(t, empty.Dialect)
		scratch := t.TempDir()
		if err := os.CopyFS(scratch, os.DirFS(folders[db.Dialect])); err != nil {
			t.Fatal(err)
		}
		before := newest(t, scratch)
		if err := diff(t, empty, scratch, "more", grown(t)); err != nil {
			t.Fatal(err)
		}
		name := newest(t, scratch)
		if name == before || !strings.HasSuffix(name, "_more.sql") {
			t.Errorf("the new file is called %s after %s", name, before)
		}
		content, err := os.ReadFile(filepath.Join(scratch, name))
		if err != nil {
			t.Fatal(err)
		}
		if db.Dialect == dialect.Postgres {
			alters := regexp.MustCompile(`ALTER TABLE [^;]*`).FindAllString(string(content), -1)
			constraints := 0
			for _, alter := range alters {
				if n := strings.Count(alter, "CONSTRAINT"); strings.Contains(alter, "ADD CONSTRAINT") || strings.Contains(alter, "ADD\nCONSTRAINT") {
					constraints++
					if n != 1 || strings.Contains(alter, "ADD COLUMN") {
						t.Errorf("a constraint beside something else: %s", alter)
					}
				}
			}
			if constraints != 2 {
				t.Errorf("found %d new constraints, want 2:\n%s", constraints, content)
			}
		}

		if err := c.Payer.Update().SetName("Grace").Exec(within(t, acme)); err != nil {
			t.Fatal(err)
		}
		testdb.Migrate(t, db, os.DirFS(scratch))
		if n := testdb.Count(t, db.Read, "SELECT count(*) FROM payers WHERE rank = 7 AND parent_id IS NULL"); n != 2 {
			t.Errorf("%d payers with the new columns, want 2", n)
		}
		if n := testdb.Count(t, db.Read, "SELECT count(*) FROM payers WHERE name = 'Grace'"); n != 1 {
			t.Errorf("%d payers kept their name, want 1", n)
		}
		for statement, refused := range map[string]bool{
			"UPDATE payers SET status = 'PAUSED'":                                              false,
			"UPDATE payers SET status = 'ASLEEP'":                                              true,
			"UPDATE payers SET parent_id = id":                                                 false,
			"UPDATE payers SET parent_id = 'dev_org_other' WHERE organization_id = 'org_acme'": true,
		} {
			_, err := db.Write.ExecContext(t.Context(), statement)
			if refused != sqlgraph.IsConstraintError(err) || !refused && err != nil {
				t.Errorf("%s: got %v, refused by a constraint: want %t", statement, err, refused)
			}
		}
		if err := diff(t, empty, scratch, "none", grown(t)); !errors.Is(err, migrate.ErrNoPlan) {
			t.Errorf("after the new file: got %v, want no plan", err)
		}
	})
}

// grown returns the schema's tables as a later version might want them.
func grown(t *testing.T) []*schema.Table {
	t.Helper()
	all := tables(t)
	for _, table := range all {
		if table.Name != "payers" {
			continue
		}
		status, _ := table.Column("status")
		status.Enums = append([]string{"PAUSED"}, status.Enums...)
		parent := &schema.Column{Name: "parent_id", Type: field.TypeString, Nullable: true}
		rank := &schema.Column{Name: "rank", Type: field.TypeInt, Default: 7}
		table.Columns = append(table.Columns, parent, rank)
		id, _ := table.Column("id")
		table.ForeignKeys = append(table.ForeignKeys, &schema.ForeignKey{
			Symbol: "payers_payers_parent", Columns: []*schema.Column{parent}, RefTable: table,
			RefColumns: []*schema.Column{id}, OnDelete: schema.SetNull,
		})
	}
	migrations.Composite(all)
	return all
}
