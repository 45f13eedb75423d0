package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/billing"
	"purser/config"
	"purser/database"
	"purser/migrations"
)

// databaseFile is what package database calls the embedded database.
const databaseFile = "purser.db"

// schemaChange says what a command does about tables that are not as the
// program needs them.
type schemaChange int

const (
	// schemaKeep refuses a database that is behind.
	schemaKeep schemaChange = iota
	// schemaPrepare fills an empty database, and brings SQLite up to date:
	// nobody else can be using the file with an older program.
	schemaPrepare
	// schemaMigrate brings any database up to date.
	schemaMigrate
)

// storage is an open database with what is known about its tables.
type storage struct {
	*database.DB
	// files are the migrations of this program.
	files fs.FS
	// empty says that the database had no tables when it was opened.
	empty bool
	// applied are the migrations that opening it has applied.
	applied []string
}

// openStorage opens the database that the settings name. The error says what
// to do when its tables are not those that this program needs.
func openStorage(ctx context.Context, cfg config.Config, change schemaChange) (*storage, error) {
	return openStorageFor(ctx, cfg, change, migrations.Dir)
}

// openStorageFor is openStorage for a program with the migrations that dir
// returns for a dialect.
func openStorageFor(ctx context.Context, cfg config.Config, change schemaChange, dir func(dialectName string) (fs.FS, error)) (_ *storage, err error) {
	if err := databaseExists(cfg, change); err != nil {
		return nil, err
	}
	db, err := database.Open(ctx, cfg.DatabaseURL, cfg.Data)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	s := &storage{DB: db}
	if s.files, err = dir(db.Dialect); err != nil {
		return nil, err
	}
	status, err := database.Status(ctx, db.Write, db.Dialect, s.files)
	if errors.Is(err, database.ErrSchemaNewer) {
		return nil, fmt.Errorf("%w; start that version of the program", err)
	}
	if err != nil {
		return nil, err
	}
	s.empty = len(status.Applied) == 0
	if len(status.Pending) == 0 {
		return s, nil
	}
	allowed := change == schemaMigrate ||
		change == schemaPrepare && (s.empty || db.Dialect == dialect.SQLite)
	if !allowed {
		return nil, fmt.Errorf("the database is %d migrations behind this program: run `purser migrate` first, with the same settings", len(status.Pending))
	}
	if s.applied, err = database.Migrate(ctx, db.Write, db.Dialect, s.files); err != nil {
		return nil, err
	}
	return s, nil
}

// openReadable opens the database that the settings name, of whatever age.
func openReadable(ctx context.Context, cfg config.Config) (*database.DB, error) {
	if err := databaseExists(cfg, schemaKeep); err != nil {
		return nil, err
	}
	return database.Open(ctx, cfg.DatabaseURL, cfg.Data)
}

// databaseExists refuses to make an empty file for a command that only reads.
func databaseExists(cfg config.Config, change schemaChange) error {
	if change != schemaKeep || cfg.DatabaseURL != "" {
		return nil
	}
	path := filepath.Join(cfg.Data, databaseFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database at %s: `purser serve` makes one; PURSER_DATA or DATABASE_URL name another", path)
	}
	return nil
}

// masterKeys returns the keys that seal secrets. A development server makes
// one and keeps it in the data folder; production does not serve without.
func masterKeys(cfg config.Config) ([][]byte, error) {
	if len(cfg.MasterKeys) > 0 {
		return cfg.MasterKeys, nil
	}
	if cfg.Production() {
		return nil, errors.New("PURSER_MASTER_KEY is required in production: 32 random bytes in base64 or hex, as from `openssl rand -base64 32`")
	}
	key, err := config.MasterKeyFile(cfg.Data, rand.Reader)
	if err != nil {
		return nil, err
	}
	return [][]byte{key}, nil
}

// newSealer returns what seals and opens the secrets of providers.
func newSealer(cfg config.Config) (*auth.Sealer, [][]byte, error) {
	keys, err := masterKeys(cfg)
	if err != nil {
		return nil, nil, err
	}
	sealer, err := auth.NewSealer(keys...)
	return sealer, keys, err
}

// checkMasterKey refuses a start with a master key that opens none of the
// secrets in the database: every payment would fail, one by one. Where it
// opens some, the server has work that it can do.
func checkMasterKey(ctx context.Context, cfg config.Config, domain *billing.Service, log *slog.Logger) error {
	closed, sealed, err := domain.ClosedProviders(auth.AllTenants(ctx, "start"))
	if err != nil || len(closed) == 0 {
		return err
	}
	if len(closed) < sealed {
		log.WarnContext(ctx, "providers are sealed with another master key", slog.Any("provider_ids", closed))
		return nil
	}
	if len(cfg.MasterKeys) > 0 {
		return errors.New("the database holds provider secrets that were sealed with another master key: " +
			"PURSER_MASTER_KEY must contain that one (several are separated by commas; SECURITY.md says what to do if it is lost)")
	}
	return fmt.Errorf("the database holds provider secrets that were sealed with the master key of another data folder: "+
		"either copy that folder's %[1]s to %[2]s (or set PURSER_MASTER_KEY to what it holds), or empty the database for a fresh start",
		config.MasterKeyName, filepath.Join(cfg.Data, config.MasterKeyName))
}
