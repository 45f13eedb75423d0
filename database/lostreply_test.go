package database_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"purser/database"
	"purser/testdb"
)

// A write that moves a balance by 100, in the ways a program may send it.
var balanceWrites = []struct {
	name  string
	inTx  bool
	write func(ctx context.Context, db *sql.DB) error
}{
	{"exec with arguments", false, func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, `UPDATE balance SET amount = amount + $1 WHERE id = $2`, 100, 1)
		return err
	}},
	{"exec without arguments", false, func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, `UPDATE balance SET amount = amount + 100 WHERE id = 1`)
		return err
	}},
	{"returning with arguments", false, func(ctx context.Context, db *sql.DB) error {
		var amount int64
		return db.QueryRowContext(ctx, `UPDATE balance SET amount = amount + $1 WHERE id = $2 RETURNING amount`, 100, 1).Scan(&amount)
	}},
	{"returning without arguments", false, func(ctx context.Context, db *sql.DB) error {
		var amount int64
		return db.QueryRowContext(ctx, `UPDATE balance SET amount = amount + 100 WHERE id = 1 RETURNING amount`).Scan(&amount)
	}},
	{"prepared by the caller", false, func(ctx context.Context, db *sql.DB) error {
		stmt, err := db.PrepareContext(ctx, `UPDATE balance SET amount = amount + $1 WHERE id = $2`)
		if err != nil {
			return err
		}
		_, err = stmt.ExecContext(ctx, 100, 1)
		_ = stmt.Close() // its own round trip, which changes nothing
		return err
	}},
	{"twice the same statement", false, func(ctx context.Context, db *sql.DB) error {
		for range 2 {
			if _, err := db.ExecContext(ctx, `UPDATE balance SET amount = amount + $1 WHERE id = $2`, 50, 1); err != nil {
				return err
			}
		}
		return nil
	}},
	{"transaction", true, func(ctx context.Context, db *sql.DB) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		var amount int64
		if err := tx.QueryRowContext(ctx, `SELECT amount FROM balance WHERE id = $1 FOR UPDATE`, 1).Scan(&amount); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO entry (balance_id, amount) VALUES ($1, $2)`, 1, 100); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE balance SET amount = $1 WHERE id = $2`, amount+100, 1); err != nil {
			return err
		}
		return tx.Commit()
	}},
}

// Each reply of the server is lost once, for every way to write. Whatever the
// caller is told has to be true, and no write may happen twice.
func TestLostReplyNeverWritesTwice(t *testing.T) {
	t.Parallel()
	for _, test := range balanceWrites {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := testdb.PostgresURL(t)
			direct := testdb.Open(t, url)
			ctx := t.Context()
			mustExec(t, direct.Write, `CREATE TABLE balance (id bigint PRIMARY KEY, amount bigint NOT NULL)`)
			mustExec(t, direct.Write, `CREATE TABLE entry (balance_id bigint NOT NULL, amount bigint NOT NULL)`)
			proxy := testdb.NewProxy(t, url)
			lostAndApplied, lostAndAbsent, cuts := 0, 0, 0
			for n := 1; ; n++ {
				mustExec(t, direct.Write, `TRUNCATE balance, entry`)
				mustExec(t, direct.Write, `INSERT INTO balance (id, amount) VALUES (1, 0)`)
				db, err := database.Open(ctx, proxy.URL(), "")
				if err != nil {
					t.Fatal(err)
				}
				proxy.CutMessage(n)
				err = test.write(ctx, db.Write)
				cut := proxy.Cuts() > 0
				proxy.CutWhen(nil)
				if closeErr := db.Close(); closeErr != nil {
					t.Fatal(closeErr)
				}
				amount := testdb.Count(t, direct.Write, `SELECT amount FROM balance WHERE id = 1`)
				switch {
				case amount > 100:
					t.Errorf("reply %d lost: the balance is %d, the write happened twice (error %v)", n, amount, err)
				case err == nil && amount != 100:
					t.Errorf("reply %d lost: success was reported and the balance is %d", n, amount)
				case database.IsOutcomeUnknown(err) && database.IsRetryable(err):
					t.Errorf("reply %d lost: the error is both unknown and retryable: %v", n, err)
				case database.IsOutcomeUnknown(err) && amount == 100:
					lostAndApplied++
				case database.IsRetryable(err):
					if amount != 0 {
						t.Errorf("reply %d lost: retryable was reported and the balance is %d: %v", n, amount, err)
					}
					lostAndAbsent++
				case err != nil && !database.IsOutcomeUnknown(err):
					t.Errorf("reply %d lost: the error says nothing about the outcome: %v", n, err)
				}
				if !cut {
					if err != nil {
						t.Errorf("nothing was lost: %v", err)
					}
					break
				}
				cuts++
			}
			if cuts < 2 || lostAndApplied == 0 {
				t.Errorf("%d replies lost, %d of them of applied writes: the test has lost its bite", cuts, lostAndApplied)
			}
			if test.inTx != (lostAndAbsent > 0) {
				t.Errorf("%d times nothing was applied and the caller told to retry; in a transaction: %v", lostAndAbsent, test.inTx)
			}
			if test.inTx {
				if entries := testdb.Count(t, direct.Write, `SELECT count(*) FROM entry`); entries != 1 {
					t.Errorf("entries after the undisturbed run = %d, want 1", entries)
				}
			}
		})
	}
}

func TestLostCommitIsUnknown(t *testing.T) {
	t.Parallel()
	url := testdb.PostgresURL(t)
	direct := testdb.Open(t, url)
	mustExec(t, direct.Write, `CREATE TABLE entry (id bigint PRIMARY KEY)`)
	proxy := testdb.NewProxy(t, url)
	db := testdb.Open(t, proxy.URL())
	tx, err := db.Write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `INSERT INTO entry (id) VALUES ($1)`, 1); err != nil {
		t.Fatal(err)
	}
	proxy.CutWhen(func(m testdb.Message) bool { return m.Kind == 'C' && string(m.Body) == "COMMIT\x00" })
	if err := tx.Commit(); !errors.Is(err, database.ErrOutcomeUnknown) {
		t.Errorf("commit: error = %v, want ErrOutcomeUnknown", err)
	}
	if proxy.Cuts() != 1 {
		t.Errorf("cuts = %d, want 1", proxy.Cuts())
	}
	if n := testdb.Count(t, direct.Write, `SELECT count(*) FROM entry`); n != 1 {
		t.Errorf("entries = %d, want 1: the server had committed", n)
	}
	if n := testdb.Count(t, db.Write, `SELECT count(*) FROM entry`); n != 1 {
		t.Errorf("entries read through the healed pool = %d, want 1", n)
	}
}

// A connection that breaks before COMMIT leaves this process commits nothing,
// and the caller is told so.
func TestCommitOnABrokenConnectionIsRetryable(t *testing.T) {
	t.Parallel()
	url := testdb.PostgresURL(t)
	direct := testdb.Open(t, url)
	mustExec(t, direct.Write, `CREATE TABLE entry (id bigint PRIMARY KEY)`)
	proxy := testdb.NewProxy(t, url)
	db := testdb.Open(t, proxy.URL())
	tx, err := db.Write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	proxy.CutMessage(1)
	if _, err := tx.ExecContext(t.Context(), `INSERT INTO entry (id) VALUES ($1)`, 1); !database.IsRetryable(err) {
		t.Errorf("insert: error = %v, want a retryable one", err)
	}
	if err := tx.Commit(); !database.IsRetryable(err) {
		t.Errorf("commit: error = %v, want a retryable one", err)
	}
	if n := testdb.Count(t, direct.Write, `SELECT count(*) FROM entry`); n != 0 {
		t.Errorf("entries = %d, want 0", n)
	}
}

// Sessions that ended while they were idle are found before a write is sent on
// them.
func TestIdleConnectionsThatEndedFailNoWrite(t *testing.T) {
	t.Parallel()
	url := testdb.PostgresURL(t)
	direct := testdb.Open(t, url)
	mustExec(t, direct.Write, `CREATE TABLE entry (id bigint PRIMARY KEY)`)
	proxy := testdb.NewProxy(t, url)
	db := testdb.Open(t, proxy.URL())
	const sessions = 5
	for round := range 3 {
		var held []*sql.Conn
		for range sessions {
			conn, err := db.Write.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, conn)
		}
		for _, conn := range held {
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
		proxy.CutAll()
		for i := range sessions {
			if _, err := db.Write.ExecContext(t.Context(), `INSERT INTO entry (id) VALUES ($1)`, round*sessions+i); err != nil {
				t.Errorf("round %d, insert %d: %v", round, i, err)
			}
		}
	}
	if n := testdb.Count(t, direct.Write, `SELECT count(*) FROM entry`); n != 3*sessions {
		t.Errorf("entries = %d, want %d", n, 3*sessions)
	}
}

func TestServerCrashAndRestart(t *testing.T) {
	t.Parallel()
	server := testdb.StartServer(t)
	db := testdb.Open(t, server.URL(t))
	mustExec(t, db.Write, `CREATE TABLE entry (id bigint PRIMARY KEY)`)
	mustExec(t, db.Write, `INSERT INTO entry (id) VALUES (1)`)
	open, err := db.Write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.ExecContext(t.Context(), `INSERT INTO entry (id) VALUES ($1)`, 2); err != nil {
		t.Fatal(err)
	}

	server.Stop(t, true)
	if err := open.Commit(); err == nil {
		t.Error("commit on a stopped server succeeded")
	}
	if _, err := db.Write.ExecContext(t.Context(), `INSERT INTO entry (id) VALUES ($1)`, 3); err == nil || database.IsOutcomeUnknown(err) {
		t.Errorf("insert while the server is down: error = %v, want one that is not unknown: nothing could be sent", err)
	}

	server.Start(t)
	if _, err := db.Write.ExecContext(t.Context(), `INSERT INTO entry (id) VALUES ($1)`, 4); err != nil {
		t.Errorf("insert after the restart: %v", err)
	}
	if n := testdb.Count(t, db.Write, `SELECT count(*) FROM entry WHERE id IN (1, 4)`); n != 2 {
		t.Errorf("acknowledged entries = %d, want 2", n)
	}
	if n := testdb.Count(t, db.Write, `SELECT count(*) FROM entry WHERE id NOT IN (1, 4)`); n != 0 {
		t.Errorf("entries that nobody acknowledged = %d, want 0", n)
	}
}

func mustExec(t *testing.T, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
