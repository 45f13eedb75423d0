package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver registered as "sqlite"
)

// DB is the SQLite file of one stand-in. It has exactly one connection, so
// every transaction sees every earlier one and writers never meet a busy error.
type DB struct {
	*sql.DB
	temporary string // folder to remove on Close; empty for a file of the caller
}

// OpenDB opens (or makes) the file at path and brings its schema up to date.
// schema lists every step ever taken, oldest first; steps are only appended,
// and the file remembers how many it has seen. An empty path gives a temporary
// file that Close removes.
//
// It fails when the file cannot be opened, is newer than schema, or a step
// does not apply.
func OpenDB(ctx context.Context, path string, schema []string) (*DB, error) {
	db := &DB{}
	durability := "FULL"
	if path == "" {
		dir, err := os.MkdirTemp("", "sandbox-")
		if err != nil {
			return nil, fmt.Errorf("make a temporary folder for the sandbox: %w", err)
		}
		db.temporary, path = dir, filepath.Join(dir, "sandbox.db")
		// The file goes away with the process, so there is nothing to sync for.
		durability = "OFF"
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=foreign_keys(1)&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(" + durability + ")&_txlock=immediate&_time_format=sqlite&_timezone=UTC&_dqs=0"
	conn, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the sandbox's database %s: %w", path, err), db.Close())
	}
	conn.SetMaxOpenConns(1)
	conn.SetMaxIdleConns(1)
	db.DB = conn
	if err := db.migrate(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the sandbox's database %s: %w", path, err), db.Close())
	}
	return db, nil
}

// Close closes the file, and removes it when it was temporary.
func (db *DB) Close() error {
	var errs []error
	if db.DB != nil {
		errs = append(errs, db.DB.Close())
	}
	if db.temporary != "" {
		errs = append(errs, os.RemoveAll(db.temporary))
	}
	return errors.Join(errs...)
}

// InTx runs f in one immediate transaction and commits it when f returns nil.
// On an error nothing of f remains.
func (db *DB) InTx(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	// After a commit this does nothing; after a panic in f it frees the only
	// connection, without which the whole stand-in would stand still.
	defer func() { _ = tx.Rollback() }()
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (db *DB) migrate(ctx context.Context, schema []string) error {
	return db.InTx(ctx, func(tx *sql.Tx) error {
		var version int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return fmt.Errorf("read the schema version: %w", err)
		}
		if version > len(schema) {
			return fmt.Errorf("the file has schema version %d, this program knows %d", version, len(schema))
		}
		for i, step := range schema[version:] {
			if _, err := tx.ExecContext(ctx, step); err != nil {
				return fmt.Errorf("apply schema step %d: %w", version+i+1, err)
			}
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(schema))); err != nil {
			return fmt.Errorf("store the schema version: %w", err)
		}
		return nil
	})
}
