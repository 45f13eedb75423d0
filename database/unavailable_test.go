package database_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"purser/database"
	"purser/testdb"
)

// TestWhatTheDatabaseCannotDoNow tells an outage from a mistake, and what may
// be tried again at once from what may not.
func TestWhatTheDatabaseCannotDoNow(t *testing.T) {
	t.Parallel()
	server := testdb.StartServer(t)
	url := server.URL(t)
	db := testdb.Open(t, url, database.WithConnsMax(2), database.WithWaitMax(50*time.Millisecond))
	mustExec(t, db.Write, `CREATE TABLE entry (id bigint PRIMARY KEY)`)
	want := func(what string, err error, unavailable, retryable bool) {
		t.Helper()
		if err == nil || database.IsUnavailable(err) != unavailable || database.IsRetryable(err) != retryable {
			t.Errorf("%s: unavailable %t, retryable %t: %v", what, database.IsUnavailable(err), database.IsRetryable(err), err)
		}
	}
	// within runs a statement in a transaction with settings of its own.
	within := func(setting, statement string) error {
		tx, done, err := db.BeginTx(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.Exec(setting); err != nil {
			t.Fatal(err)
		}
		_, err = tx.Exec(statement)
		return err
	}
	want("a mistake", within(`SELECT 1`, `SELECT nothing`), false, false)
	want("statement timeout", within(`SET LOCAL statement_timeout = '50ms'`, `SELECT pg_sleep(30)`), true, false)
	want("ended by the server", within(`SELECT 1`, `SELECT pg_terminate_backend(pg_backend_pid())`), true, true)

	locker, release, err := db.BeginTx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locker.Exec(`LOCK TABLE entry`); err != nil {
		t.Fatal(err)
	}
	want("lock timeout", within(`SET LOCAL lock_timeout = '50ms'`, `INSERT INTO entry VALUES (1)`), true, true)

	second, releaseSecond, err := db.BeginTx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = db.BeginTx(t.Context())
	want("all connections in use", err, true, false)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err = db.BeginTx(canceled); !errors.Is(err, context.Canceled) || database.IsUnavailable(err) {
		t.Errorf("a caller that went away: %v", err)
	}
	_, _ = locker.Rollback(), second.Rollback()
	release()
	releaseSecond()

	server.Stop(t, false)
	_, _, err = db.BeginTx(t.Context())
	want("begin while it is down", err, true, false)
	_, err = db.Read.ExecContext(t.Context(), `SELECT 1`)
	want("read while it is down", err, true, false)
	server.Start(t)
	if err := within(`SELECT 1`, `INSERT INTO entry VALUES (2)`); err != nil {
		t.Errorf("up again: %v", err)
	}
}
