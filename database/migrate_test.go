package database_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"ariga.io/atlas/sql/migrate"

	"purser/database"
	"purser/testdb"
)

const (
	firstFile  = "20260101000000_first.sql"
	secondFile = "20260102000000_second.sql"
	thirdFile  = "20260103000000_third.sql"
)

// migrationDir makes a migration directory with a right atlas.sum from pairs
// of file name and content.
func migrationDir(t *testing.T, namesAndContents ...string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	dir := new(migrate.MemDir)
	for pair := range slices.Chunk(namesAndContents, 2) {
		files[pair[0]] = &fstest.MapFile{Data: []byte(pair[1])}
		if err := dir.WriteFile(pair[0], []byte(pair[1])); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := dir.Checksum()
	if err != nil {
		t.Fatal(err)
	}
	text, err := sum.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	files[migrate.HashFileName] = &fstest.MapFile{Data: text}
	return files
}

// onBoth runs a test on a fresh database of each kind.
func onBoth(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, testdb.SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, testdb.Postgres(t))
	})
}

func apply(t *testing.T, db *database.DB, dir fs.FS) ([]string, error) {
	t.Helper()
	return database.Migrate(t.Context(), db.Write, db.Dialect, dir)
}

func pending(t *testing.T, db *database.DB, dir fs.FS) []string {
	t.Helper()
	names, err := database.Pending(t.Context(), db.Read, db.Dialect, dir)
	if err != nil {
		t.Fatalf("pending: %v", err)
	}
	return names
}

func wantNames(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s = %q, want %q", what, got, want)
	}
}

const (
	createA = "CREATE TABLE a (id bigint PRIMARY KEY, note text NOT NULL DEFAULT ';'); -- a; comment\n"
	createB = "CREATE TABLE b (id bigint PRIMARY KEY, a_id bigint NOT NULL REFERENCES a (id));\nINSERT INTO a (id) VALUES (1);\n"
)

func TestMigrateAppliesWhatIsPendingOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database.DB) {
		dir := migrationDir(t, firstFile, createA, secondFile, createB)
		wantNames(t, "pending before", pending(t, db, dir), firstFile, secondFile)

		applied, err := apply(t, db, dir)
		if err != nil {
			t.Fatal(err)
		}
		wantNames(t, "applied", applied, firstFile, secondFile)
		wantNames(t, "pending after", pending(t, db, dir))

		again, err := apply(t, db, dir)
		if err != nil {
			t.Fatal(err)
		}
		wantNames(t, "applied again", again)

		grown := migrationDir(t, firstFile, createA, secondFile, createB, thirdFile, "ALTER TABLE a ADD COLUMN extra text;")
		status, err := database.Status(t.Context(), db.Read, db.Dialect, grown)
		if err != nil {
			t.Fatal(err)
		}
		wantNames(t, "status, applied", status.Applied, firstFile, secondFile)
		wantNames(t, "status, pending", status.Pending, thirdFile)
		applied, err = apply(t, db, grown)
		if err != nil {
			t.Fatal(err)
		}
		wantNames(t, "applied later", applied, thirdFile)
		if n := testdb.Count(t, db.Read, `SELECT count(*) FROM a WHERE extra IS NULL`); n != 1 {
			t.Errorf("rows = %d, want 1", n)
		}
	})
}

func TestMigrateLeavesNothingOfAFailingFile(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database.DB) {
		broken := migrationDir(t, firstFile, createA, secondFile,
			"INSERT INTO a (id) VALUES (1);\nCREATE TABLE c (id bigint);\nINSERT INTO missing (id) VALUES (1);")
		applied, err := apply(t, db, broken)
		if err == nil {
			t.Fatal("a failing file was applied")
		}
		for _, part := range []string{secondFile, "INSERT INTO missing"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("error %q does not name %q", err, part)
			}
		}
		wantNames(t, "applied", applied, firstFile)
		wantNames(t, "pending", pending(t, db, broken), secondFile)
		if n := testdb.Count(t, db.Read, `SELECT count(*) FROM a`); n != 0 {
			t.Errorf("rows left by the failing file = %d, want 0", n)
		}

		repaired := migrationDir(t, firstFile, createA, secondFile, createB)
		applied, err = apply(t, db, repaired)
		if err != nil {
			t.Fatalf("resume: %v", err)
		}
		wantNames(t, "applied on resuming", applied, secondFile)
	})
}

func TestMigrateRefusesATamperedDirectory(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database.DB) {
		good := migrationDir(t, firstFile, createA, secondFile, createB)
		if _, err := apply(t, db, good); err != nil {
			t.Fatal(err)
		}
		edited := migrationDir(t, firstFile, createA, secondFile, createB)
		edited[secondFile] = &fstest.MapFile{Data: []byte("DROP TABLE a;")}
		added := migrationDir(t, firstFile, createA, secondFile, createB)
		added[thirdFile] = &fstest.MapFile{Data: []byte("DROP TABLE a;")}
		removed := migrationDir(t, firstFile, createA, secondFile, createB)
		delete(removed, secondFile)
		unsummed := migrationDir(t, firstFile, createA)
		delete(unsummed, migrate.HashFileName)
		for _, test := range []struct {
			name string
			dir  fs.FS
			want string
		}{
			{"edited", edited, secondFile + " was edited"},
			{"added", added, thirdFile + " was added"},
			{"removed", removed, secondFile + " was removed"},
			{"no sum", unsummed, "atlas.sum is missing"},
			{"rewritten with its sum", migrationDir(t, firstFile, createA+"\n", secondFile, createB), firstFile + ", or a file before it, was changed"},
			{"inserted with its sum", migrationDir(t, firstFile, createA, "20260101120000_between.sql", "SELECT 1;", secondFile, createB), "was changed"},
			{"taken out with its sum", migrationDir(t, secondFile, createB), "its file is missing"},
		} {
			t.Run(test.name, func(t *testing.T) {
				_, statusErr := database.Pending(t.Context(), db.Read, db.Dialect, test.dir)
				_, migrateErr := apply(t, db, test.dir)
				for _, err := range []error{statusErr, migrateErr} {
					if err == nil || !strings.Contains(err.Error(), test.want) {
						t.Errorf("error = %v, want one with %q", err, test.want)
					}
				}
			})
		}
		if n := testdb.Count(t, db.Read, `SELECT count(*) FROM a`); n != 1 {
			t.Errorf("rows = %d, want 1: a refused directory changed the database", n)
		}
	})
}

func TestMigrateRefusesANewerDatabase(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database.DB) {
		if _, err := apply(t, db, migrationDir(t, firstFile, createA, secondFile, createB)); err != nil {
			t.Fatal(err)
		}
		older := migrationDir(t, firstFile, createA)
		if _, err := database.Pending(t.Context(), db.Read, db.Dialect, older); !errors.Is(err, database.ErrSchemaNewer) {
			t.Errorf("pending: error = %v, want ErrSchemaNewer", err)
		}
		if _, err := apply(t, db, older); !errors.Is(err, database.ErrSchemaNewer) {
			t.Errorf("migrate: error = %v, want ErrSchemaNewer", err)
		}
	})
}

func TestMigrateFromManyServersAtOnce(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"sqlite": testdb.SQLiteURL(t), "postgres": testdb.PostgresURL(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := migrationDir(t, firstFile, createA, secondFile, createB, thirdFile, "CREATE TABLE c (id bigint);")
			const servers = 4
			var (
				group   sync.WaitGroup
				applied [servers][]string
				errs    [servers]error
			)
			for i := range servers {
				db := testdb.Open(t, url)
				group.Go(func() {
					applied[i], errs[i] = database.Migrate(t.Context(), db.Write, db.Dialect, dir)
				})
			}
			group.Wait()
			if err := errors.Join(errs[:]...); err != nil {
				t.Fatal(err)
			}
			all := slices.Concat(applied[:]...)
			slices.Sort(all)
			wantNames(t, "applied by all servers together", all, firstFile, secondFile, thirdFile)
		})
	}
}

// A table that others point at is rebuilt on SQLite by dropping and renaming
// it; its rows and the rows that point at it stay, and keys are enforced again
// afterwards.
func TestMigrateRebuildsATableOnSQLite(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	const rebuild = `-- disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
CREATE TABLE new_a (id bigint PRIMARY KEY, note text NOT NULL DEFAULT '', amount bigint NOT NULL DEFAULT 0);
INSERT INTO new_a (id, note) SELECT id, note FROM a;
DROP TABLE a;
ALTER TABLE new_a RENAME TO a;
PRAGMA foreign_keys = on;
`
	base := []string{firstFile, createA, secondFile, createB + "INSERT INTO b (id, a_id) VALUES (7, 1);"}
	if _, err := apply(t, db, migrationDir(t, append(base, thirdFile, rebuild)...)); err != nil {
		t.Fatal(err)
	}
	if n := testdb.Count(t, db.Read, `SELECT count(*) FROM b JOIN a ON a.id = b.a_id WHERE a.amount = 0`); n != 1 {
		t.Errorf("joined rows = %d, want 1", n)
	}
	_, err := db.Write.ExecContext(t.Context(), `INSERT INTO b (id, a_id) VALUES (8, 99)`)
	if !database.IsForeignKeyViolation(err) {
		t.Errorf("insert of a dangling row: error = %v, want a foreign key violation", err)
	}
}

func TestMigrateRefusesAFileThatLeavesDanglingRowsOnSQLite(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	dir := migrationDir(t, firstFile, createA, secondFile, createB, thirdFile, "INSERT INTO b (id, a_id) VALUES (1, 1), (2, 99);")
	applied, err := apply(t, db, dir)
	if err == nil || !strings.Contains(err.Error(), "row in b whose row in a does not exist") {
		t.Fatalf("error = %v, want one that names b and a", err)
	}
	wantNames(t, "applied", applied, firstFile, secondFile)
	if n := testdb.Count(t, db.Read, `SELECT count(*) FROM b`); n != 0 {
		t.Errorf("rows = %d, want 0", n)
	}
}

func TestMigrateStopsWithItsContext(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		dir := migrationDir(t, firstFile, createA)
		if _, err := database.Migrate(ctx, db.Write, db.Dialect, dir); !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v, want context.Canceled", err)
		}
		wantNames(t, "pending", pending(t, db, dir), firstFile)
	})
}
