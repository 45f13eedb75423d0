package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

var (
	// ErrOutcomeUnknown says that a statement or a COMMIT was sent and the
	// connection broke before the reply came: it may or may not have been
	// applied. Never repeat it blindly; read back by key what happened.
	ErrOutcomeUnknown = errors.New("outcome unknown")

	// ErrConnectionLost says that the connection broke and that nothing was
	// applied: the transaction was still open, so the server gives it up. The
	// whole unit of work may be tried again.
	ErrConnectionLost = errors.New("connection lost, nothing was applied")

	// ErrTxAborted answers every statement, and COMMIT, that follows a failed
	// statement in a transaction on SQLite, as PostgreSQL does by itself.
	// Without it a statement after an interrupted write would run, and stay,
	// outside the transaction that SQLite has silently rolled back.
	ErrTxAborted = errors.New("transaction is aborted by an earlier error")

	// ErrUnreachable says that no connection could be had: the server does not
	// answer, or all connections were in use for as long as a transaction waits.
	// Nothing was sent.
	ErrUnreachable = errors.New("no connection to the database")

	// errRowsOpen answers a statement on a PostgreSQL connection whose previous
	// result has not been closed: both would read each other's messages.
	errRowsOpen = errors.New("statement sent while rows of another are open on the same connection")
)

// IsRetryable reports whether the unit of work that returned err was surely
// not applied and may succeed when it is repeated as a whole: serialization
// failures and deadlocks (40001, 40P01), a lock that others kept (55P03), a
// session that the server has ended (57P01, 57P02), stale plans (0A000,
// 26000), SQLite's busy errors, and a connection lost with the transaction
// still open. A statement that took too long (57014) would do so again.
//
// It says nothing about an error returned by COMMIT, whose outcome the caller
// has to look up.
func IsRetryable(err error) bool {
	if err == nil || errors.Is(err, ErrOutcomeUnknown) {
		return false
	}
	if errors.Is(err, ErrConnectionLost) {
		return true
	}
	if isStalePlan(err) || pq.As(err, pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected, pqerror.LockNotAvailable,
		pqerror.AdminShutdown, pqerror.CrashShutdown) != nil {
		return true
	}
	return sqliteCode(err) == sqlitelib.SQLITE_BUSY
}

// IsUnavailable reports whether err tells that the database cannot do its work
// now, whatever it is asked: it is not reached, starts or stops, has no room
// or is too slow. Trying again later may help. A caller whose own time is over
// gets false.
func IsUnavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrUnreachable) {
		return false
	}
	if errors.Is(err, ErrUnreachable) || errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, driver.ErrBadConn) || IsRetryable(err) {
		return true
	}
	var server *pq.Error
	if errors.As(err, &server) {
		switch server.Code.Class() {
		case "08", "53", "57", "58": // connection, resources, operator, its system
			return true
		}
	}
	switch sqliteCode(err) {
	case sqlitelib.SQLITE_READONLY, sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_IOERR, sqlitelib.SQLITE_CANTOPEN:
		return true
	}
	return false
}

// sqliteCode returns the primary code of SQLite's error, 0 for another. The low
// byte is the primary code; 261 (recovery), 517 (snapshot) and 773 (timeout)
// are kinds of busy.
func sqliteCode(err error) int {
	var lite *sqlite.Error
	if !errors.As(err, &lite) {
		return sqlitelib.SQLITE_OK
	}
	return lite.Code() & 0xff
}

// IsOutcomeUnknown reports whether err leaves open if the statement or COMMIT
// was applied.
func IsOutcomeUnknown(err error) bool { return errors.Is(err, ErrOutcomeUnknown) }

// IsUniqueViolation reports whether err is the refusal of a row whose primary
// key or unique columns exist already. Which index refused it is not told:
// names differ between databases and their shards.
func IsUniqueViolation(err error) bool {
	if pq.As(err, pqerror.UniqueViolation) != nil {
		return true
	}
	var lite *sqlite.Error
	if !errors.As(err, &lite) {
		return false
	}
	switch lite.Code() {
	case sqlitelib.SQLITE_CONSTRAINT_UNIQUE, sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY, sqlitelib.SQLITE_CONSTRAINT_ROWID:
		return true
	}
	return false
}

// IsForeignKeyViolation reports whether err is the refusal of a row that names
// another row which does not exist, or of the removal of a row that is named.
func IsForeignKeyViolation(err error) bool {
	if pq.As(err, pqerror.ForeignKeyViolation) != nil {
		return true
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code() == sqlitelib.SQLITE_CONSTRAINT_FOREIGNKEY
}

// isBroken reports whether err, returned by a driver, means that the
// connection itself failed rather than the statement.
func isBroken(err error) bool {
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded)
}

// isStalePlan reports whether err says that a statement prepared earlier no
// longer fits: the tables changed (0A000), or it is unknown to the server
// (26000). Either is found before the statement does anything.
func isStalePlan(err error) bool {
	return pq.As(err, pqerror.FeatureNotSupported, pqerror.InvalidSQLStatementName) != nil
}

// explainCancel lets errors.Is find the context's error in PostgreSQL's
// "canceling statement", which stays in the text.
func explainCancel(ctx context.Context, err error) error {
	if ctx.Err() != nil && pq.As(err, pqerror.QueryCanceled) != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}
