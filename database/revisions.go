package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// revisionsTable records the applied migration files, one row each.
const revisionsTable = "purser_revisions"

// querier is a pool, a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (m *migrator) tableExists(ctx context.Context, db querier) (bool, error) {
	query := `SELECT to_regclass('` + revisionsTable + `') IS NOT NULL`
	if m.dialectName == dialect.SQLite {
		query = `SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = '` + revisionsTable + `'`
	}
	var exists bool
	err := db.QueryRowContext(ctx, query).Scan(&exists)
	return exists, err
}

func (m *migrator) createTable(ctx context.Context, conn *sql.Conn) error {
	exists, err := m.tableExists(ctx, conn)
	if err != nil || exists {
		return err
	}
	instant := "timestamptz"
	if m.dialectName == dialect.SQLite {
		instant = "datetime"
	}
	_, err = conn.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+revisionsTable+` (
		version text NOT NULL PRIMARY KEY,
		description text NOT NULL,
		statement_count bigint NOT NULL,
		applied_at `+instant+` NOT NULL,
		duration_microseconds bigint NOT NULL,
		hash text NOT NULL
	)`)
	// Two servers that start at once may both find the table absent, and
	// PostgreSQL's IF NOT EXISTS does not hold against that.
	if pq.As(err, pqerror.UniqueViolation, pqerror.DuplicateTable) != nil {
		return nil
	}
	return err
}

// revisions is the store that the executor reads and writes. Reads come from
// memory, loaded once; what the executor writes stays in memory until save, so
// that a file costs one row and not one write per statement.
type revisions struct {
	list    []*migrate.Revision // in order of version
	written *migrate.Revision
}

var _ migrate.RevisionReadWriter = (*revisions)(nil)

func readRevisions(ctx context.Context, db querier) (*revisions, error) {
	result, err := db.QueryContext(ctx, `SELECT version, description, statement_count, applied_at, duration_microseconds, hash FROM `+revisionsTable+` ORDER BY version`)
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	defer result.Close()
	store := new(revisions)
	for result.Next() {
		revision := &migrate.Revision{Type: migrate.RevisionTypeExecute}
		var microseconds int64
		if err := result.Scan(&revision.Version, &revision.Description, &revision.Total, &revision.ExecutedAt, &microseconds, &revision.Hash); err != nil {
			return nil, fmt.Errorf("read applied migrations: %w", err)
		}
		revision.Applied = revision.Total // files are applied as a whole
		revision.ExecutionTime = time.Duration(microseconds) * time.Microsecond
		store.list = append(store.list, revision)
	}
	if err := result.Err(); err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	return store, nil
}

// save stores the revision that the executor has written last.
func (r *revisions) save(ctx context.Context, tx *sql.Tx, dialectName string) error {
	if r.written == nil || r.written.Applied != r.written.Total {
		return errors.New("the migration did not finish")
	}
	values := "(?, ?, ?, ?, ?, ?)"
	if dialectName == dialect.Postgres {
		values = "($1, $2, $3, $4, $5, $6)"
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO `+revisionsTable+` (version, description, statement_count, applied_at, duration_microseconds, hash) VALUES `+values,
		r.written.Version, r.written.Description, r.written.Total,
		r.written.ExecutedAt.UTC().Truncate(time.Microsecond), r.written.ExecutionTime.Microseconds(), r.written.Hash)
	return err
}

// Ident implements migrate.RevisionReadWriter.
func (r *revisions) Ident() *migrate.TableIdent { return &migrate.TableIdent{Name: revisionsTable} }

// ReadRevisions implements migrate.RevisionReadWriter.
func (r *revisions) ReadRevisions(context.Context) ([]*migrate.Revision, error) { return r.list, nil }

// ReadRevision implements migrate.RevisionReadWriter.
func (r *revisions) ReadRevision(_ context.Context, version string) (*migrate.Revision, error) {
	for _, revision := range r.list {
		if revision.Version == version {
			return revision, nil
		}
	}
	return nil, migrate.ErrRevisionNotExist
}

// WriteRevision implements migrate.RevisionReadWriter.
func (r *revisions) WriteRevision(_ context.Context, revision *migrate.Revision) error {
	r.written = revision
	return nil
}

// DeleteRevision implements migrate.RevisionReadWriter. Nothing deletes.
func (r *revisions) DeleteRevision(_ context.Context, version string) error {
	return fmt.Errorf("delete the record of migration %s: records are kept", version)
}
