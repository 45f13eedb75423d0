package database_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/database"
	"purser/testdb"
)

// bind writes a query's ? as the database wants its placeholders.
func bind(db *database.DB, query string) string {
	if db.Dialect != dialect.Postgres {
		return query
	}
	for n := 1; strings.Contains(query, "?"); n++ {
		query = strings.Replace(query, "?", fmt.Sprintf("$%d", n), 1)
	}
	return query
}

func TestStatementsArePreparedOncePerConnection(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t, database.WithConnsMax(1))
	const prepared = `SELECT count(*) FROM pg_prepared_statements`
	for i := range 5 {
		if n := testdb.Count(t, db.Write, `SELECT $1::bigint + 1`, i); n != i+1 {
			t.Errorf("result = %d, want %d", n, i+1)
		}
	}
	if n := testdb.Count(t, db.Write, prepared); n != 1 {
		t.Errorf("prepared statements = %d, want 1", n)
	}
	for i := range 300 {
		testdb.Count(t, db.Write, fmt.Sprintf(`SELECT $1::bigint + %d`, i), 1)
	}
	if n := testdb.Count(t, db.Write, prepared); n != 256 {
		t.Errorf("prepared statements = %d, want 256", n)
	}
}

func TestAStalePlanIsPreparedAgain(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]string{
		"result type changed": `ALTER TABLE entry ALTER COLUMN amount TYPE text`,
		"forgotten":           `DEALLOCATE ALL`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.Postgres(t, database.WithConnsMax(1))
			mustExec(t, db.Write, `CREATE TABLE entry (id bigint PRIMARY KEY, amount bigint NOT NULL)`)
			mustExec(t, db.Write, `INSERT INTO entry (id, amount) VALUES (1, 5)`)
			type querier interface {
				QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
			}
			read := func(q querier) error {
				var id, amount int64
				return q.QueryRowContext(t.Context(), `SELECT * FROM entry WHERE id = $1`, 1).Scan(&id, &amount)
			}
			if err := read(db.Write); err != nil {
				t.Fatal(err)
			}
			mustExec(t, db.Write, spoil)
			if err := read(db.Write); err != nil {
				t.Errorf("outside a transaction: %v", err)
			}
			if name == "forgotten" {
				return // the server loses the statements of a session only with it
			}

			mustExec(t, db.Write, `ALTER TABLE entry ALTER COLUMN amount TYPE bigint USING amount::bigint`)
			for attempt, retryable := range []bool{true, false} {
				tx, err := db.Write.BeginTx(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				err = read(tx)
				if database.IsRetryable(err) != retryable || !retryable && err != nil {
					t.Errorf("in a transaction, attempt %d: error = %v, retryable wanted: %v", attempt, err, retryable)
				}
				if err := tx.Rollback(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// On SQLite a prepared statement is also the cursor over its rows; asking the
// same question while reading its answer must not disturb either.
func TestTheSameQueryInsideItself(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	mustExec(t, db.Write, `CREATE TABLE entry (id bigint PRIMARY KEY)`)
	mustExec(t, db.Write, `INSERT INTO entry (id) VALUES (1), (2), (3)`)
	conn, err := db.Read.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	list := func(each func(id int64)) {
		result, err := conn.QueryContext(t.Context(), `SELECT id FROM entry WHERE id > ? ORDER BY id`, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer result.Close()
		for result.Next() {
			var id int64
			if err := result.Scan(&id); err != nil {
				t.Fatal(err)
			}
			each(id)
		}
		if err := result.Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		var seen []int64
		list(func(outer int64) {
			list(func(inner int64) { seen = append(seen, 10*outer+inner) })
		})
		if want := []int64{11, 12, 13, 21, 22, 23, 31, 32, 33}; !slices.Equal(seen, want) {
			t.Errorf("seen = %v, want %v", seen, want)
		}
	}
}

// PostgreSQL's connection carries one conversation at a time; a second
// statement is refused instead of reading the first one's rows.
func TestOverlappingStatementsAreRefusedOnPostgres(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	tx, err := db.Write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	result, err := tx.QueryContext(t.Context(), `SELECT generate_series(1, $1::int)`, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	var n int
	if err := tx.QueryRowContext(t.Context(), `SELECT $1::int`, 1).Scan(&n); err == nil || !strings.Contains(err.Error(), "rows of another are open") {
		t.Errorf("overlapping statement: error = %v, want one about open rows", err)
	}
	rowCount := 0
	for result.Next() { // closes at the end
		rowCount++
	}
	if err := result.Err(); err != nil || rowCount != 1000 {
		t.Errorf("read %d rows with error %v, want 1000", rowCount, err)
	}
	if err := tx.QueryRowContext(t.Context(), `SELECT $1::int`, 7).Scan(&n); err != nil || n != 7 {
		t.Errorf("after closing: %d, %v, want 7", n, err)
	}
}

// After a failed statement both databases refuse the rest of a transaction.
func TestAFailedStatementAbortsItsTransaction(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database.DB) {
		mustExec(t, db.Write, `CREATE TABLE entry (id bigint PRIMARY KEY)`)
		insert := bind(db, `INSERT INTO entry (id) VALUES (?)`)
		tx, err := db.Write.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), insert, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), insert, 1); !database.IsUniqueViolation(err) {
			t.Errorf("second insert: error = %v, want a unique violation", err)
		}
		if _, err := tx.ExecContext(t.Context(), insert, 2); err == nil || database.IsUniqueViolation(err) {
			t.Errorf("insert after a failed one: error = %v, want the transaction to be aborted", err)
		}
		if err := tx.Commit(); err == nil {
			t.Error("an aborted transaction was committed")
		}
		if n := testdb.Count(t, db.Write, `SELECT count(*) FROM entry`); n != 0 {
			t.Errorf("rows = %d, want 0", n)
		}
		mustExec(t, db.Write, insert, 3)
	})
}

func TestASavepointRecoversATransaction(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database.DB) {
		mustExec(t, db.Write, `CREATE TABLE entry (id bigint PRIMARY KEY)`)
		tx, err := db.Write.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		for _, step := range []struct {
			statement string
			fails     bool
		}{
			{`INSERT INTO entry (id) VALUES (1)`, false},
			{`SAVEPOINT here`, false},
			{`INSERT INTO entry (id) VALUES (1)`, true},
			{`ROLLBACK TO SAVEPOINT here`, false},
			{`INSERT INTO entry (id) VALUES (2)`, false},
		} {
			if _, err := tx.ExecContext(t.Context(), step.statement); (err != nil) != step.fails {
				t.Errorf("%s: error = %v", step.statement, err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if n := testdb.Count(t, db.Write, `SELECT count(*) FROM entry`); n != 2 {
			t.Errorf("rows = %d, want 2", n)
		}
	})
}

// A write interrupted in a transaction makes SQLite roll back by itself; what
// follows must not be written outside it.
func TestAnInterruptedWriteAbortsItsTransactionOnSQLite(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	mustExec(t, db.Write, `CREATE TABLE entry (id bigint PRIMARY KEY)`)
	tx, err := db.Write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `INSERT INTO entry (id) VALUES (?)`, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	const endless = `INSERT INTO entry (id) WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i > ?`
	if _, err := tx.ExecContext(ctx, endless, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("endless insert: error = %v, want context.DeadlineExceeded", err)
	}
	if _, err := tx.ExecContext(t.Context(), `INSERT INTO entry (id) VALUES (?)`, 0); !errors.Is(err, database.ErrTxAborted) {
		t.Errorf("insert after the interruption: error = %v, want ErrTxAborted", err)
	}
	if err := tx.Commit(); err == nil {
		t.Error("an interrupted transaction was committed")
	}
	if n := testdb.Count(t, db.Write, `SELECT count(*) FROM entry`); n != 0 {
		t.Errorf("rows = %d, want 0", n)
	}
}

func TestCancelledStatementsNameTheContextsError(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database.DB) {
		slow := `SELECT 1 WHERE pg_sleep($1) IS NOT NULL`
		if db.Dialect == dialect.SQLite {
			slow = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i > ?`
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		var n int64
		err := db.Read.QueryRowContext(ctx, slow, 60).Scan(&n)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want context.DeadlineExceeded", err)
		}
		if database.IsOutcomeUnknown(err) || database.IsRetryable(err) {
			t.Errorf("error = %v, want one that is neither unknown nor retryable", err)
		}
		if n := testdb.Count(t, db.Read, `SELECT 1`); n != 1 {
			t.Errorf("query after a cancelled one = %d, want 1", n)
		}
	})
}

func TestObserverSeesEveryStatement(t *testing.T) {
	t.Parallel()
	for _, open := range []func(testing.TB, ...database.Option) *database.DB{testdb.SQLite, testdb.Postgres} {
		var mu sync.Mutex
		var seen []string
		db := open(t, database.WithObserver(func(_ context.Context, query string, args []driver.NamedValue) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprint(query, " ", len(args)))
		}))
		create, insert, count := `CREATE TABLE entry (id bigint)`, bind(db, `INSERT INTO entry (id) VALUES (?)`), `SELECT count(*) FROM entry`
		mustExec(t, db.Write, create)
		mustExec(t, db.Write, insert, 1)
		tx, err := db.Write.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		prepared, err := tx.PrepareContext(t.Context(), insert)
		if err != nil {
			t.Fatal(err)
		}
		defer prepared.Close()
		if _, err := prepared.ExecContext(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if n := testdb.Count(t, db.Read, count); n != 2 {
			t.Errorf("%s: rows = %d, want 2", db.Dialect, n)
		}
		wantNames(t, db.Dialect+": seen", seen, create+" 0", insert+" 1", insert+" 1", count+" 0")
	}
}

func TestErrorsAreClassified(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database.DB) {
		mustExec(t, db.Write, `CREATE TABLE parent (id bigint PRIMARY KEY, name text UNIQUE)`)
		mustExec(t, db.Write, `CREATE TABLE child (parent_id bigint NOT NULL REFERENCES parent (id))`)
		mustExec(t, db.Write, `INSERT INTO parent (id, name) VALUES (1, 'a')`)
		for _, test := range []struct {
			statement        string
			unique, dangling bool
		}{
			{`INSERT INTO parent (id, name) VALUES (1, 'b')`, true, false},
			{`INSERT INTO parent (id, name) VALUES (2, 'a')`, true, false},
			{`INSERT INTO child (parent_id) VALUES (9)`, false, true},
			{`INSERT INTO child (parent_id) VALUES (NULL)`, false, false},
			{`SELECT nothing FROM nowhere`, false, false},
		} {
			_, err := db.Write.ExecContext(t.Context(), test.statement)
			if err == nil {
				t.Errorf("%s: no error", test.statement)
			}
			wrapped := fmt.Errorf("wrapped: %w", err)
			if got := database.IsUniqueViolation(wrapped); got != test.unique {
				t.Errorf("%s: unique violation = %v, want %v (%v)", test.statement, got, test.unique, err)
			}
			if got := database.IsForeignKeyViolation(wrapped); got != test.dangling {
				t.Errorf("%s: foreign key violation = %v, want %v (%v)", test.statement, got, test.dangling, err)
			}
			if database.IsRetryable(wrapped) || database.IsOutcomeUnknown(wrapped) {
				t.Errorf("%s: error is retryable or unknown: %v", test.statement, err)
			}
		}
		if database.IsUniqueViolation(nil) || database.IsRetryable(nil) || database.IsOutcomeUnknown(nil) {
			t.Error("no error at all is classified as one")
		}
	})
}

func TestConflictsAreRetryable(t *testing.T) {
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		db := testdb.Postgres(t)
		mustExec(t, db.Write, `CREATE TABLE entry (id bigint PRIMARY KEY, amount bigint NOT NULL)`)
		mustExec(t, db.Write, `INSERT INTO entry (id, amount) VALUES (1, 0)`)
		tx, err := db.Write.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		var amount int64
		if err := tx.QueryRowContext(t.Context(), `SELECT amount FROM entry WHERE id = $1`, 1).Scan(&amount); err != nil {
			t.Fatal(err)
		}
		mustExec(t, db.Write, `UPDATE entry SET amount = 1`)
		if _, err := tx.ExecContext(t.Context(), `UPDATE entry SET amount = $1`, 2); !database.IsRetryable(err) {
			t.Errorf("error = %v, want a retryable one", err)
		}
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		db := testdb.SQLite(t)
		mustExec(t, db.Write, `CREATE TABLE entry (id bigint PRIMARY KEY)`)
		tx, err := db.Write.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		// A reader's connection stands for another process that writes.
		other, err := db.Read.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		for _, statement := range []string{`PRAGMA query_only = 0`, `PRAGMA busy_timeout = 1`} {
			if _, err := other.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := other.ExecContext(t.Context(), `INSERT INTO entry (id) VALUES (1)`); !database.IsRetryable(err) {
			t.Errorf("error = %v, want a retryable one", err)
		}
	})
}
