package testdb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"purser/database"
)

// connsMax bounds the connections of one test's pool, so that many tests at
// once stay below the server's limit.
const connsMax = 8

// waitMax lets transactions of a slow machine wait for their turn.
const waitMax = 30 * time.Second

// SQLite returns an open, empty SQLite database in a new file, closed when the
// test ends.
func SQLite(t testing.TB, opts ...database.Option) *database.DB {
	t.Helper()
	return Open(t, SQLiteURL(t), opts...)
}

// SQLiteURL returns the URL of a SQLite file that does not exist yet and is
// removed when the test ends.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
}

// Postgres returns an open, empty PostgreSQL database, closed and dropped when
// the test ends.
func Postgres(t testing.TB, opts ...database.Option) *database.DB {
	t.Helper()
	return Open(t, PostgresURL(t), opts...)
}

// PostgresURL returns the URL of an empty PostgreSQL database that is dropped
// when the test ends.
func PostgresURL(t testing.TB) string {
	t.Helper()
	return createDatabase(t, adminURL(t), "")
}

// Open opens url as the server does and closes it when the test ends.
func Open(t testing.TB, url string, opts ...database.Option) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), url, "", append([]database.Option{database.WithConnsMax(connsMax), database.WithWaitMax(waitMax)}, opts...)...)
	if err != nil {
		t.Fatalf("open test database: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close test database: %v", err)
		}
	})
	return db
}

// Migrate applies the migrations in dir to db, which the test opened.
func Migrate(t testing.TB, db *database.DB, dir fs.FS) {
	t.Helper()
	if _, err := database.Migrate(t.Context(), db.Write, db.Dialect, dir); err != nil {
		t.Fatalf("migrate test database: %v", err)
	}
}

// createDatabase makes a database on admin's server, as a copy of template when
// one is named, and drops it when the test ends.
func createDatabase(t testing.TB, admin, template string) string {
	t.Helper()
	name := "purser_test_" + strings.ToLower(rand.Text()[:16])
	statement := "CREATE DATABASE " + name
	if template != "" {
		statement += " TEMPLATE " + template
	}
	if err := execute(t.Context(), admin, statement); err != nil {
		t.Fatalf("create test database: %v", err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now. A server that the test has
		// stopped takes its databases with it, so failing here is no failure of
		// the test.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := execute(ctx, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Logf("drop test database %s: %v", name, err)
		}
	})
	url, err := withDatabase(admin, name)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// execute runs one statement on a connection of its own.
func execute(ctx context.Context, url, statement string) error {
	db, err := database.Open(ctx, url, "", database.WithConnsMax(1))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Write.ExecContext(ctx, statement)
	return err
}

// withDatabase returns the URL of another database on the same server.
func withDatabase(server, name string) (string, error) {
	parsed, err := url.Parse(server)
	if err != nil {
		return "", errors.New("the URL of the test server is malformed")
	}
	parsed.Path = "/" + name
	return parsed.String(), nil
}

// Count returns the number of rows that a query of the form
// "SELECT count(*) …" finds.
func Count(t testing.TB, db *sql.DB, query string, args ...any) int {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(fmt.Errorf("count with %s: %w", query, err))
	}
	return n
}
