package testdb_test

import (
	"sync"
	"testing"
	"testing/fstest"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"

	"purser/testdb"
)

func TestDatabasesAreEmptyAndApart(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		dialect string
		tables  string
	}{
		{"sqlite", dialect.SQLite, `SELECT count(*) FROM sqlite_master WHERE type = 'table'`},
		{"postgres", dialect.Postgres, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			open := testdb.SQLite
			if test.dialect == dialect.Postgres {
				open = testdb.Postgres
			}
			first, second := open(t), open(t)
			if first.Dialect != test.dialect {
				t.Fatalf("dialect = %q, want %q", first.Dialect, test.dialect)
			}
			if _, err := first.Write.ExecContext(t.Context(), `CREATE TABLE here (id bigint PRIMARY KEY)`); err != nil {
				t.Fatal(err)
			}
			if n := testdb.Count(t, first.Read, test.tables); n != 1 {
				t.Errorf("tables in the first database = %d, want 1", n)
			}
			if n := testdb.Count(t, second.Read, test.tables); n != 0 {
				t.Errorf("tables in the second database = %d, want 0", n)
			}
		})
	}
}

// Many tests that want migrated databases at once each get one of their own.
func TestMigratedDatabasesAreApart(t *testing.T) {
	t.Parallel()
	const file, content = "20260101000000_first.sql", "CREATE TABLE here (id bigint PRIMARY KEY);"
	sums := new(migrate.MemDir)
	if err := sums.WriteFile(file, []byte(content)); err != nil {
		t.Fatal(err)
	}
	sum, err := sums.Checksum()
	if err != nil {
		t.Fatal(err)
	}
	text, err := sum.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{file: {Data: []byte(content)}, migrate.HashFileName: {Data: text}}
	for _, name := range []string{dialect.SQLite, dialect.Postgres} {
		var group sync.WaitGroup
		for range 4 {
			db := testdb.Migrated(t, name, dir)
			group.Go(func() {
				if _, err := db.Write.ExecContext(t.Context(), `INSERT INTO here (id) VALUES (1)`); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		group.Wait()
	}
}
