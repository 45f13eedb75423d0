package migrations_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"ariga.io/atlas/sql/migrate"
	atlas "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"

	"purser/database"
	"purser/migrations"
	"purser/testdb"
)

// dialects opens an empty database of each kind.
var dialects = map[string]func(testing.TB, ...database.Option) *database.DB{
	dialect.SQLite:   testdb.SQLite,
	dialect.Postgres: testdb.Postgres,
}

// folders names each dialect's migration files.
var folders = map[string]string{dialect.SQLite: "sqlite", dialect.Postgres: "postgres"}

// eachDialect runs a test on an empty database of each kind.
func eachDialect(t *testing.T, run func(t *testing.T, db *database.DB)) {
	t.Parallel()
	for name, open := range dialects {
		t.Run(folders[name], func(t *testing.T) {
			t.Parallel()
			run(t, open(t))
		})
	}
}

// TestMigrationsAgree fails when the files do not lead to ent's tables as
// Composite leaves them. With PURSER_TEST_UPDATE it writes the files instead:
// "init" makes the first file anew and removes the others, "sum" sums up files
// that were edited by hand, anything else becomes the name of the next file.
func TestMigrationsAgree(t *testing.T) {
	update := os.Getenv("PURSER_TEST_UPDATE")
	eachDialect(t, func(t *testing.T, db *database.DB) {
		folder := folders[db.Dialect]
		if update != "" {
			writeMigration(t, db, folder, update)
			return
		}
		scratch := t.TempDir()
		if err := os.CopyFS(scratch, os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
		err := diff(t, db, scratch, "difference", tables(t))
		if errors.Is(err, migrate.ErrNoPlan) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		made := newest(t, scratch)
		content, err := os.ReadFile(filepath.Join(scratch, made))
		if err != nil {
			t.Fatal(err)
		}
		t.Errorf("the schema and migrations/%s disagree; migrations/README.md says how to write this file:\n%s", folder, shortened(content))
	})
}

func writeMigration(t *testing.T, db *database.DB, folder, name string) {
	switch name {
	case "sum":
		sumUp(t, folder)
		return
	case "1":
		name = "change"
	case "init":
		old, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range old {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := diff(t, db, folder, name, tables(t)); err != nil && !errors.Is(err, migrate.ErrNoPlan) {
		t.Fatal(err)
	}
	if name == "init" && db.Dialect == dialect.Postgres {
		path := filepath.Join(folder, newest(t, folder))
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(content, storage...), 0o644); err != nil {
			t.Fatal(err)
		}
		sumUp(t, folder)
	}
	t.Logf("migrations/%s ends with %s", folder, newest(t, folder))
}

// storage is what the first file for PostgreSQL says that no schema of ent's
// can: room in each page for the next versions of its balances, so that usage
// changes no index.
const storage = `-- leave room in the pages of "balances" for changes
ALTER TABLE "balances" SET (fillfactor = 70);
`

// sumUp writes atlas.sum for the files as they are.
func sumUp(t *testing.T, folder string) {
	t.Helper()
	local, err := migrate.NewLocalDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := local.Checksum()
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate.WriteSumFile(local, sum); err != nil {
		t.Fatal(err)
	}
}

// tables returns the schema's tables, to be changed at will.
func tables(t testing.TB) []*schema.Table {
	t.Helper()
	tables, err := migrations.Tables()
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// diff writes the file that leads from the migrations in dir to the tables, or
// returns migrate.ErrNoPlan when there is nothing to do. db is empty before and
// after.
func diff(t *testing.T, db *database.DB, dir, name string, tables []*schema.Table) error {
	t.Helper()
	local, err := migrate.NewLocalDir(dir)
	if err != nil {
		return err
	}
	format, err := numbered(local)
	if err != nil {
		return err
	}
	m, err := schema.NewMigrate(entsql.OpenDB(db.Dialect, db.Write),
		schema.WithDir(local),
		schema.WithDialect(db.Dialect),
		schema.WithMigrationMode(schema.ModeReplay),
		schema.WithFormatter(format),
		schema.WithIndent("  "),
		schema.WithDropColumn(true),
		schema.WithDropIndex(true),
		schema.WithErrNoPlan(true),
		// Compares what the CHECKs say, not their names alone.
		schema.WithDiffOptions(atlas.DiffNormalized()),
		schema.WithDiffHook(asWritten(tables), oneConstraintEach(db.Dialect)),
	)
	if err != nil {
		return err
	}
	return m.NamedDiff(t.Context(), name, tables...)
}

// numbered names the next file of dir NNNN_name.sql. Numbers instead of times
// let two branches that both add a migration meet in a conflict.
func numbered(dir migrate.Dir) (migrate.Formatter, error) {
	files, err := dir.Files()
	if err != nil {
		return nil, err
	}
	number := fmt.Sprintf("%04d", len(files)+1)
	name, err := template.New("").Parse(number + "_{{ .Name }}.sql")
	if err != nil {
		return nil, err
	}
	content, err := template.New("").Parse("{{ range .Changes }}{{ with .Comment }}-- {{ . }}\n{{ end }}{{ .Cmd }};\n{{ end }}")
	if err != nil {
		return nil, err
	}
	return migrate.NewTemplateFormatter(name, content)
}

// asWritten puts the CHECKs' own words into the files. PostgreSQL has compared
// its reading of them, which is hard on human readers, and which it would read
// differently again.
func asWritten(tables []*schema.Table) schema.DiffHook {
	words := make(map[string]string)
	for _, table := range tables {
		if table.Annotation != nil {
			for name, expression := range table.Annotation.Checks {
				words[table.Name+"."+name] = expression
			}
		}
	}
	restore := func(table *atlas.Table, check *atlas.Check) {
		if expression, ok := words[table.Name+"."+check.Name]; ok {
			check.Expr = expression
		}
	}
	return func(next schema.Differ) schema.Differ {
		return schema.DiffFunc(func(current, desired *atlas.Schema) ([]atlas.Change, error) {
			changes, err := next.Diff(current, desired)
			for _, table := range desired.Tables {
				for _, check := range table.Checks() {
					restore(table, check)
				}
			}
			return changes, err
		})
	}
}

// oneConstraintEach splits a change of a PostgreSQL table so that each new
// constraint has an ALTER TABLE of its own: a distributed table refuses a
// constraint beside anything else.
func oneConstraintEach(dialectName string) schema.DiffHook {
	return func(next schema.Differ) schema.Differ {
		return schema.DiffFunc(func(current, desired *atlas.Schema) ([]atlas.Change, error) {
			changes, err := next.Diff(current, desired)
			if err != nil || dialectName != dialect.Postgres {
				return changes, err
			}
			var split []atlas.Change
			for _, change := range changes {
				modify, ok := change.(*atlas.ModifyTable)
				if !ok {
					split = append(split, change)
					continue
				}
				var first, added []atlas.Change
				for _, part := range modify.Changes {
					switch part := part.(type) {
					case *atlas.AddForeignKey, *atlas.AddCheck:
						added = append(added, &atlas.ModifyTable{T: modify.T, Changes: []atlas.Change{part}})
					case *atlas.ModifyCheck:
						first = append(first, &atlas.DropCheck{C: part.From})
						added = append(added, &atlas.ModifyTable{T: modify.T, Changes: []atlas.Change{&atlas.AddCheck{C: part.To}}})
					case *atlas.ModifyForeignKey:
						first = append(first, &atlas.DropForeignKey{F: part.From})
						added = append(added, &atlas.ModifyTable{T: modify.T, Changes: []atlas.Change{&atlas.AddForeignKey{F: part.To}}})
					default:
						first = append(first, part)
					}
				}
				if len(first) > 0 {
					split = append(split, &atlas.ModifyTable{T: modify.T, Changes: first})
				}
				split = append(split, added...)
			}
			return split, nil
		})
	}
}

func newest(t *testing.T, dir string) string {
	t.Helper()
	found, err := fs.Glob(os.DirFS(dir), "*.sql")
	if err != nil || len(found) == 0 {
		t.Fatalf("no migrations in %s: %v", dir, err)
	}
	return slices.Max(found)
}

// shortened leaves the beginning of a file, which tells what it is about.
func shortened(content []byte) string {
	lines := strings.SplitAfter(string(content), "\n")
	if linesMax := 20; len(lines) > linesMax {
		lines = append(lines[:linesMax:linesMax], fmt.Sprintf("… and %d more lines", len(lines)-linesMax))
	}
	return strings.Join(lines, "")
}
