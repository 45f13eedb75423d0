package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
	"ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlite"
	"entgo.io/ent/dialect"
)

// ErrSchemaNewer says that the database was migrated by a newer version of the
// program, whose tables this one does not know.
var ErrSchemaNewer = errors.New("the database was migrated by a newer version")

// MigrationStatus tells which files of a migration directory a database has
// seen, by name and in order.
type MigrationStatus struct {
	Applied []string
	Pending []string
}

// Pending returns the names of the migration files in dir that db has not
// seen, in the order in which Migrate will apply them. It changes nothing.
// Errors as Status.
func Pending(ctx context.Context, db *sql.DB, dialectName string, dir fs.FS) ([]string, error) {
	status, err := Status(ctx, db, dialectName, dir)
	return status.Pending, err
}

// Status compares db with the migration files in dir. It changes nothing. The
// error is ErrSchemaNewer when db has seen files that dir does not hold yet,
// and names the file when dir was tampered with: changed without its atlas.sum,
// or changed after it was applied.
func Status(ctx context.Context, db *sql.DB, dialectName string, dir fs.FS) (MigrationStatus, error) {
	m, err := newMigrator(dialectName, dir)
	if err != nil {
		return MigrationStatus{}, err
	}
	exists, err := m.tableExists(ctx, db)
	if err != nil {
		return MigrationStatus{}, fmt.Errorf("look for the table of applied migrations: %w", err)
	}
	var store *revisions
	if exists {
		if store, err = readRevisions(ctx, db); err != nil {
			return MigrationStatus{}, err
		}
	} else {
		store = new(revisions)
	}
	pending, err := m.pending(ctx, m.driver, store)
	if err != nil {
		return MigrationStatus{}, err
	}
	var status MigrationStatus
	for _, file := range m.files {
		if slices.Contains(pending, file) {
			status.Pending = append(status.Pending, file.Name())
		} else {
			status.Applied = append(status.Applied, file.Name())
		}
	}
	return status, nil
}

// Migrate applies the migration files in dir that db has not seen and returns
// their names. dir holds versioned SQL files and their atlas.sum. Each file
// runs in a transaction of its own together with the record of it, so a file
// that fails leaves nothing behind, the files before it stay, and a later call
// goes on where this one stopped. Servers that migrate at once wait for each
// other. Errors as Status.
func Migrate(ctx context.Context, db *sql.DB, dialectName string, dir fs.FS) (applied []string, err error) {
	m, err := newMigrator(dialectName, dir)
	if err != nil {
		return nil, err
	}
	// One connection for everything: SQLite's switch for foreign keys belongs
	// to the connection that rebuilds a table.
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to migrate: %w", err)
	}
	defer conn.Close()
	if dialectName == dialect.SQLite {
		// Tables are rebuilt by dropping and renaming, which enforced foreign
		// keys forbid, and the switch has no effect inside a transaction. Each
		// file's transaction checks all foreign keys before it commits.
		if _, err := conn.ExecContext(ctx, "PRAGMA foreign_keys = off"); err != nil {
			return nil, fmt.Errorf("prepare to migrate: %w", err)
		}
		defer func() {
			if _, restoreErr := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA foreign_keys = on"); restoreErr != nil {
				// Out of the pool with it: nobody may write unchecked.
				_ = conn.Raw(func(any) error { return driver.ErrBadConn })
				err = errors.Join(err, restoreErr)
			}
		}()
	}
	if err := m.createTable(ctx, conn); err != nil {
		return nil, fmt.Errorf("create the table of applied migrations: %w", err)
	}
	for {
		name, err := m.applyNext(ctx, conn)
		if err != nil || name == "" {
			return applied, err
		}
		applied = append(applied, name)
	}
}

// migrator applies one checked migration directory to databases of one kind.
type migrator struct {
	dialectName string
	dir         *migrate.MemDir
	files       []migrate.File
	sum         migrate.HashFile
	driver      migrate.Driver // for scanning only; it has no connection
}

func newMigrator(dialectName string, dir fs.FS) (*migrator, error) {
	m := &migrator{dialectName: dialectName, dir: new(migrate.MemDir)}
	var err error
	if m.driver, err = m.open(nil); err != nil {
		return nil, err
	}
	if err := copyDir(m.dir, dir); err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	if err := checkSum(m.dir); err != nil {
		return nil, fmt.Errorf("check migrations against %s: %w", migrate.HashFileName, err)
	}
	if m.files, err = m.dir.Files(); err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	if m.sum, err = m.dir.Checksum(); err != nil {
		return nil, fmt.Errorf("sum up migrations: %w", err)
	}
	return m, nil
}

// cleanDriver leaves out the executor's look at a whole database before the
// first file: that the tables to be made are absent is told by the file itself.
type cleanDriver struct{ migrate.Driver }

func (cleanDriver) CheckClean(context.Context, *migrate.TableIdent) error { return nil }

// scanningDriver is a cleanDriver that also splits files into statements as its
// database does.
type scanningDriver struct {
	cleanDriver
	migrate.StmtScanner
}

func (m *migrator) open(db schema.ExecQuerier) (migrate.Driver, error) {
	var base migrate.Driver
	var err error
	switch {
	case m.dialectName == dialect.SQLite:
		base, err = sqlite.Open(db)
	case m.dialectName != dialect.Postgres:
		return nil, fmt.Errorf("migrate: unknown dialect %q", m.dialectName)
	case db == nil:
		base = &postgres.Driver{}
	default:
		base, err = postgres.Open(db)
	}
	if err != nil {
		return nil, fmt.Errorf("open the database for migration: %w", err)
	}
	if scanner, ok := base.(migrate.StmtScanner); ok {
		return scanningDriver{cleanDriver{base}, scanner}, nil
	}
	return cleanDriver{base}, nil
}

func copyDir(to *migrate.MemDir, from fs.FS) error {
	entries, err := fs.ReadDir(from, ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || name != migrate.HashFileName && !strings.HasSuffix(name, ".sql") {
			continue
		}
		content, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		if err := to.WriteFile(name, content); err != nil {
			return err
		}
	}
	return nil
}

func checkSum(dir migrate.Dir) error {
	err := migrate.Validate(dir)
	var mismatch *migrate.ChecksumError
	switch {
	case errors.As(err, &mismatch):
		return fmt.Errorf("%s was %s: %w", mismatch.File, mismatch.Reason, err)
	case errors.Is(err, migrate.ErrChecksumNotFound):
		return fmt.Errorf("%s is missing: %w", migrate.HashFileName, err)
	}
	return err
}

// pending returns the files that the revisions do not cover, after checking
// that the revisions and the files tell the same history.
func (m *migrator) pending(ctx context.Context, driver migrate.Driver, store *revisions) ([]migrate.File, error) {
	for _, revision := range store.list {
		if len(m.files) == 0 || revision.Version > m.files[len(m.files)-1].Version() {
			return nil, fmt.Errorf("%w: it has seen migration %s_%s", ErrSchemaNewer, revision.Version, revision.Description)
		}
		index := slices.IndexFunc(m.files, func(f migrate.File) bool { return f.Version() == revision.Version })
		if index < 0 {
			return nil, fmt.Errorf("migration %s_%s was applied, and its file is missing", revision.Version, revision.Description)
		}
		name := m.files[index].Name()
		hash, err := m.sum.SumByName(name)
		if err != nil {
			return nil, fmt.Errorf("look up migration %s: %w", name, err)
		}
		if hash != revision.Hash {
			return nil, fmt.Errorf("migration %s, or a file before it, was changed after it was applied", name)
		}
	}
	executor, err := m.executor(driver, store)
	if err != nil {
		return nil, err
	}
	files, err := executor.Pending(ctx)
	var outOfOrder *migrate.HistoryNonLinearError
	switch {
	case errors.Is(err, migrate.ErrNoPendingFiles):
		return nil, nil
	case errors.As(err, &outOfOrder):
		return nil, fmt.Errorf("migration %s is older than migrations that were applied without it", outOfOrder.OutOfOrder[0].Name())
	case err != nil:
		return nil, fmt.Errorf("compare applied migrations: %w", err)
	}
	return files, nil
}

func (m *migrator) executor(driver migrate.Driver, store *revisions) (*migrate.Executor, error) {
	executor, err := migrate.NewExecutor(driver, m.dir, store, migrate.WithAllowDirty(true))
	if err != nil {
		return nil, fmt.Errorf("set up migration: %w", err)
	}
	return executor, nil
}

// applyNext applies the first pending file and returns its name, or "" when
// there is none. What is pending is read under the lock that keeps other
// servers out.
func (m *migrator) applyNext(ctx context.Context, conn *sql.Conn) (string, error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("begin migration: %w", err)
	}
	defer tx.Rollback()
	if err := m.lock(ctx, tx); err != nil {
		return "", fmt.Errorf("wait for other migrations: %w", err)
	}
	store, err := readRevisions(ctx, tx)
	if err != nil {
		return "", err
	}
	driver, err := m.open(tx)
	if err != nil {
		return "", err
	}
	files, err := m.pending(ctx, driver, store)
	if err != nil || len(files) == 0 {
		return "", err
	}
	executor, err := m.executor(driver, store)
	if err != nil {
		return "", err
	}
	name := files[0].Name()
	if err := executor.Execute(ctx, files[0]); err != nil {
		return "", fmt.Errorf("apply migration %s: %w", name, statementError(err))
	}
	if err := m.checkForeignKeys(ctx, tx); err != nil {
		return "", fmt.Errorf("apply migration %s: %w", name, err)
	}
	if err := store.save(ctx, tx, m.dialectName); err != nil {
		return "", fmt.Errorf("record migration %s: %w", name, err)
	}
	if err := tx.Commit(); err != nil {
		return "", fmt.Errorf("commit migration %s: %w", name, err)
	}
	return name, nil
}

// lockWait is how long a server waits for another one's migration file.
const lockWait = 10 * time.Minute

// lock keeps every other migration out until the transaction ends. On SQLite
// the transaction itself has taken the write lock.
func (m *migrator) lock(ctx context.Context, tx *sql.Tx) error {
	if m.dialectName == dialect.SQLite {
		return nil
	}
	for _, statement := range []string{
		"SET LOCAL statement_timeout = 0",
		"SET LOCAL idle_in_transaction_session_timeout = 0",
		fmt.Sprintf("SET LOCAL lock_timeout = '%ds'", int(lockWait.Seconds())),
		"LOCK TABLE purser_revisions IN SHARE ROW EXCLUSIVE MODE",
		// A file that waits long for a table makes every later query of that
		// table wait behind it; it gives up instead and can be repeated.
		"SET LOCAL lock_timeout = '10s'",
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// checkForeignKeys makes up for the enforcement that is switched off on SQLite
// while a file runs.
func (m *migrator) checkForeignKeys(ctx context.Context, tx *sql.Tx) error {
	if m.dialectName != dialect.SQLite {
		return nil
	}
	var table, parent string
	err := tx.QueryRowContext(ctx, `SELECT "table", "parent" FROM pragma_foreign_key_check LIMIT 1`).Scan(&table, &parent)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check foreign keys: %w", err)
	}
	return fmt.Errorf("it leaves a row in %s whose row in %s does not exist", table, parent)
}

// statementError shortens the executor's error to the statement's beginning
// and what the database said.
func statementError(err error) error {
	var failed *migrate.StmtExecError
	if !errors.As(err, &failed) {
		return err
	}
	text := strings.Join(strings.Fields(failed.Stmt.Text), " ")
	if runes := []rune(text); len(runes) > 120 {
		text = string(runes[:120]) + "…"
	}
	return fmt.Errorf("statement %q: %w", text, failed.Err)
}
