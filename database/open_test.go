package database_test

import (
	"context"
	"database/sql"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"purser/database"
	"purser/testdb"
)

func TestOpenRefusesWhatItCannotServe(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, url, want string }{
		{"another database", "mysql://purser:hush@127.0.0.1/purser", "must begin with postgres://"},
		{"no path", "sqlite:", "must begin with postgres://"},
		{"malformed", "postgres://purser:hu%zzsh@127.0.0.1/purser", "%XX"},
		{"binary parameters", "postgres://purser:hush@127.0.0.1/purser?binary_parameters=yes", "binary_parameters=yes cannot be used"},
		{"wrong TLS mode", "postgres://purser:hush@127.0.0.1/purser?sslmode=perhaps", "sslmode"},
		{"nobody listens", "postgres://purser:hush@127.0.0.1:1/purser", "connection refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db, err := database.Open(t.Context(), test.url, t.TempDir())
			if err == nil {
				_ = db.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %q, want one with %q", err, test.want)
			}
			for _, secret := range []string{"hush", "hu%zzsh"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error %q contains the password", err)
				}
			}
		})
	}
}

func TestOpenMakesAPrivateFileInTheDataFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "folder with a ? and a # and 100%")
	db, err := database.Open(t.Context(), "", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mustExec(t, db.Write, `CREATE TABLE entry (id bigint)`)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) < 2 {
		t.Errorf("%d files in the data folder, want the database and its log", len(entries))
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "purser.db") {
			t.Errorf("unexpected file %s", entry.Name())
		}
		wantPrivate(t, filepath.Join(dir, entry.Name()))
	}
}

func wantPrivate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&^fs.FileMode(0o600) != 0 {
		t.Errorf("%s has mode %s: others may read it", filepath.Base(path), info.Mode())
	}
}

func TestSQLiteSettings(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	for setting, want := range map[string]string{
		"foreign_keys": "1", "journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000",
	} {
		for name, pool := range map[string]*sql.DB{"write": db.Write, "read": db.Read} {
			var got string
			if err := pool.QueryRowContext(t.Context(), "PRAGMA "+setting).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s: %s = %s, want %s", name, setting, got, want)
			}
		}
	}
	if _, err := db.Read.ExecContext(t.Context(), `CREATE TABLE entry (id bigint)`); err == nil {
		t.Error("the reading pool wrote")
	}
	if _, err := db.Write.ExecContext(t.Context(), `SELECT "not a column"`); err == nil {
		t.Error(`"…" was taken as a string`)
	}
	if n := db.Write.Stats().MaxOpenConnections; n != 1 {
		t.Errorf("writing connections = %d, want 1", n)
	}
}

// Transactions that read, decide and write take turns: none fails as busy and
// none loses another's update.
func TestConcurrentTransactionsOnSQLite(t *testing.T) {
	t.Parallel()
	url := testdb.SQLiteURL(t)
	// Two pools stand for two processes on one file.
	pools := []*database.DB{testdb.Open(t, url), testdb.Open(t, url)}
	mustExec(t, pools[0].Write, `CREATE TABLE balance (id bigint PRIMARY KEY, amount bigint NOT NULL)`)
	mustExec(t, pools[0].Write, `INSERT INTO balance (id, amount) VALUES (1, 0)`)
	add := func(ctx context.Context, db *sql.DB) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		var amount int64
		if err := tx.QueryRowContext(ctx, `SELECT amount FROM balance WHERE id = ?`, 1).Scan(&amount); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE balance SET amount = ? WHERE id = ?`, amount+1, 1); err != nil {
			return err
		}
		return tx.Commit()
	}
	const workers, rounds = 8, 20
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			for range rounds {
				if err := add(t.Context(), pools[i%2].Write); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if n := testdb.Count(t, pools[1].Read, `SELECT amount FROM balance`); n != workers*rounds {
		t.Errorf("balance = %d, want %d", n, workers*rounds)
	}
}

func TestPostgresSessionSettings(t *testing.T) {
	t.Parallel()
	base := testdb.PostgresURL(t)
	with := func(query url.Values) string {
		parsed, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		given := parsed.Query()
		for name := range query {
			given.Set(name, query.Get(name))
		}
		parsed.RawQuery = given.Encode()
		return parsed.String()
	}
	for _, test := range []struct {
		name string
		url  string
		want map[string]string
	}{
		{"defaults", base, map[string]string{
			"statement_timeout": "30s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "1min",
			"application_name": "purser", "TimeZone": "UTC", "synchronous_commit": "on", "jit": "off",
		}},
		{"given", with(url.Values{"Statement_Timeout": {"7s"}, "application_name": {"other"}, "options": {"-c lock_timeout=9s"}}), map[string]string{
			"statement_timeout": "7s", "lock_timeout": "9s", "application_name": "other", "TimeZone": "UTC",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := testdb.Open(t, test.url)
			for setting, want := range test.want {
				var got string
				if err := db.Write.QueryRowContext(t.Context(), "SHOW "+setting).Scan(&got); err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("%s = %s, want %s", setting, got, want)
				}
			}
			if db.Write != db.Read {
				t.Error("PostgreSQL has two pools, want one")
			}
			if err := db.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A URL without sslmode reaches a server without TLS, over TCP, and leaves no
// connection behind on which TLS was declined.
func TestOpenWithoutTLSMode(t *testing.T) {
	t.Parallel()
	proxy := testdb.NewProxy(t, testdb.PostgresURL(t))
	proxied, err := url.Parse(proxy.URL())
	if err != nil {
		t.Fatal(err)
	}
	query := proxied.Query()
	query.Del("sslmode")
	proxied.RawQuery = query.Encode()
	db := testdb.Open(t, proxied.String())
	if n := testdb.Count(t, db.Write, `SELECT $1::int`, 3); n != 3 {
		t.Errorf("result = %d, want 3", n)
	}
	for deadline := time.Now().Add(10 * time.Second); proxy.Connections() != 1; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("connections = %d, want 1", proxy.Connections())
		}
	}
}
