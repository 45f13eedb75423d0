package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/crash"
	"purser/database"
	"purser/ent"
	"purser/ent/idempotencyrecord"
	"purser/ent/schema"
)

// Tx is one transaction with one point in time.
type Tx struct {
	*ent.Client
	// Now is the transaction's only time.
	Now time.Time
	s   *Service
	sql *sql.Tx
	// pending is what is told to the live feed after the commit.
	pending []Change
	// after is what is done after the commit, such as logging.
	after []func()
	// sought is the operation of which no earlier run was found.
	sought *operation
}

// How often and how long a transaction is tried again.
const (
	txTriesMax  = 8
	txWaitFirst = 2 * time.Millisecond
	txWaitMax   = 250 * time.Millisecond
)

// inTx runs f in a transaction and commits. It is the only way to write.
//
// f may run several times: when the database asks for it (serialization
// failures, deadlocks, busy), when a compare-and-set was lost (errRetry), when
// another transaction took a unique key first, and when the reply to COMMIT
// was lost. f must therefore find out by itself that it has already happened:
// rows it makes carry ids and idempotency keys made before f ran, state
// changes are compare-and-set. f never calls a gateway.
//
// It also runs again when it refuses and an earlier run of its operation has
// been stored since it looked: the two came at once, and the later one found
// what the first had made before it could find that it was the same.
func (s *Service) inTx(ctx context.Context, f func(ctx context.Context, tx *Tx) error) error {
	wait := txWaitFirst
	// doubtful is what a run has changed whose COMMIT was not answered. The
	// next run may find it done and change nothing itself.
	var doubtful []Change
	for try := 1; ; try++ {
		sought, pending, err := s.runTx(ctx, f)
		if err == nil {
			s.changes.publish(append(doubtful, pending...))
			return nil
		}
		doubtful = append(doubtful, pending...)
		again := errors.Is(err, errRetry) || database.IsRetryable(err) || database.IsUniqueViolation(err) || database.IsOutcomeUnknown(err)
		again = again || s.storedMeanwhile(ctx, sought, err)
		if !again || try == txTriesMax {
			return err
		}
		s.log.DebugContext(ctx, "transaction tried again", "try", try, "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("transaction: %w", errors.Join(context.Cause(ctx), err))
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, txWaitMax)
	}
}

// finishLimit is how long a transaction may take that applies what a gateway
// has said.
const finishLimit = 5 * time.Second

// finishTx is inTx for what a gateway has said. It has a time of its own: that
// of the call before it may be used up, and then the outcome, above all an
// unknown one, would be written nowhere.
func (s *Service) finishTx(ctx context.Context, f func(ctx context.Context, tx *Tx) error) error {
	ctx, cancel := Detached(ctx, finishLimit)
	defer cancel()
	return s.inTx(ctx, f)
}

// IsUnavailable reports whether err tells that the database cannot do its work
// now, or has too much of it.
func IsUnavailable(err error) bool { return errors.Is(err, ErrBusy) || database.IsUnavailable(err) }

// storedMeanwhile reports whether a refusal is that of a duplicate whose first
// run has been stored while it ran.
func (s *Service) storedMeanwhile(ctx context.Context, sought *operation, err error) bool {
	var refusal *Error
	if sought == nil || !errors.As(err, &refusal) {
		return false
	}
	// Should this fail, the refusal stands: it was true when it was made.
	stored, err := s.read.IdempotencyRecord.Query().
		Where(idempotencyrecord.Scope(keyScope), idempotencyrecord.Key(sought.keyOf(ctx))).Exist(ctx)
	return err == nil && stored
}

// runTx runs f once. It returns the operation of which f found no earlier run,
// and what was changed: for certain without an error, perhaps with one.
func (s *Service) runTx(ctx context.Context, f func(ctx context.Context, tx *Tx) error) (sought *operation, changed []Change, err error) {
	clock := s.clock(ctx) // read while no connection is held
	stx, release, err := s.db.BeginTx(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("begin: %w", err)
	}
	defer release()
	defer func() {
		if err != nil {
			// After a failed commit this answers sql.ErrTxDone; the cause
			// is what matters.
			_ = stx.Rollback()
		}
	}()
	tx := &Tx{
		Client: ent.NewClient(ent.Driver(txDriver{entsql.NewDriver(s.db.Dialect, entsql.Conn{ExecQuerier: stx})})),
		Now:    clock.tell(s.machine()),
		s:      s,
		sql:    stx,
	}
	inside := schema.WithinDomain(ctx)
	if err := f(inside, tx); err != nil {
		return tx.sought, nil, err
	}
	if err := tx.announce(inside); err != nil {
		return tx.sought, nil, err
	}
	crash.Point(crash.Committing)
	if err := stx.Commit(); err != nil {
		return nil, tx.pending, fmt.Errorf("commit: %w: %w", database.ErrOutcomeUnknown, err)
	}
	crash.Point(crash.Committed)
	for _, f := range tx.after {
		f()
	}
	return nil, tx.pending, nil
}

// txDriver lets ent open a "transaction" inside the one that is open: ent
// wraps some single operations in one of its own.
type txDriver struct{ *entsql.Driver }

func (d txDriver) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(d), nil }

// forUpdate locks the rows of a query on PostgreSQL and leaves SQLite, which
// has one writer, alone. It saves retries; correctness never needs it.
func (tx *Tx) forUpdate(s *entsql.Selector) {
	if s.Dialect() == dialect.Postgres {
		s.ForUpdate()
	}
}

// organizationID is the tenant the transaction acts for.
func (tx *Tx) organizationID(ctx context.Context) string {
	return auth.FromContext(ctx).OrganizationID
}

// cas turns the count of a conditional update into errRetry when nothing
// matched.
func cas(n int, err error) error {
	if err == nil && n == 0 {
		return errRetry
	}
	return err
}

// committed has f run once the transaction is committed. What is said inside
// of it could be taken back, or be said again by its next run.
func (tx *Tx) committed(f func()) { tx.after = append(tx.after, f) }
