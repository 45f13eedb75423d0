package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"entgo.io/ent/dialect"
)

// fileName is the embedded database's file in the data folder.
const fileName = "purser.db"

// DB is an open database. Write and Read are safe for concurrent use.
type DB struct {
	// Write runs transactions and everything that changes data. On SQLite it
	// is one connection: writers wait for each other in the pool instead of
	// failing as busy.
	Write *sql.DB

	// Read runs queries. On SQLite its connections refuse to write and see the
	// last committed state without waiting for writers; on PostgreSQL it is
	// the same pool as Write.
	Read *sql.DB

	// Dialect is ent's name of the database: dialect.SQLite or
	// dialect.Postgres.
	Dialect string

	waitMax time.Duration
}

// BeginTx begins a transaction; the function that it returns is called when
// the transaction has ended. On PostgreSQL it waits for one of the pool's
// connections for a second at most and then fails with ErrUnreachable: a
// caller is better told than kept, and what waits behind it is told too. On
// SQLite all transactions wait for each other, as long as ctx allows.
func (d *DB) BeginTx(ctx context.Context) (*sql.Tx, func(), error) {
	if d.waitMax == 0 {
		tx, err := d.Write.BeginTx(ctx, nil)
		return tx, func() {}, err
	}
	for try := 1; ; try++ {
		waiting, done := context.WithTimeout(ctx, d.waitMax)
		conn, err := d.Write.Conn(waiting)
		done()
		if err != nil {
			if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrUnreachable) {
				err = fmt.Errorf("%w: all are in use", ErrUnreachable)
			}
			return nil, nil, err
		}
		tx, err := conn.BeginTx(ctx, nil)
		if err == nil {
			return tx, func() { _ = conn.Close() }, nil
		}
		_ = conn.Close() // gives it back
		// As database/sql does: a connection that is found broken is left.
		if try == beginTriesMax || !errors.Is(err, driver.ErrBadConn) {
			return nil, nil, err
		}
	}
}

// beginTriesMax is on how many connections a transaction tries to begin.
const beginTriesMax = 3

// Option changes how Open opens a database.
type Option func(*options)

type options struct {
	observe  Observer
	connsMax int
	waitMax  time.Duration
}

// WithObserver names a function that is told of every statement.
func WithObserver(observe Observer) Option {
	return func(o *options) { o.observe = observe }
}

// WithConnsMax bounds the open connections of a PostgreSQL pool, or of the
// reading pool of SQLite. Defaults to 20 on PostgreSQL and 4 on SQLite.
func WithConnsMax(n int) Option {
	return func(o *options) { o.connsMax = n }
}

// WithWaitMax changes how long a transaction waits for a connection to
// PostgreSQL. Defaults to a second.
func WithWaitMax(d time.Duration) Option {
	return func(o *options) { o.waitMax = d }
}

// Open opens the database named by url and proves with a round trip that it
// answers. An empty url is the embedded database in dataDir, which is created
// when absent; sqlite:PATH is an embedded database elsewhere; postgres:// and
// postgresql:// are a PostgreSQL server. The caller closes the result. Errors
// never contain the url, which may carry a password.
func Open(ctx context.Context, url, dataDir string, opts ...Option) (*DB, error) {
	o := options{waitMax: time.Second}
	for _, opt := range opts {
		opt(&o)
	}
	switch path, isPath := strings.CutPrefix(url, "sqlite:"); {
	case url == "":
		return openSQLite(ctx, filepath.Join(dataDir, fileName), o)
	case isPath && path != "":
		return openSQLite(ctx, path, o)
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		return openPostgres(ctx, url, o)
	}
	return nil, errors.New("open database: the URL must begin with postgres:// or sqlite:, or be empty for the embedded database")
}

// Ping reports whether the database answers.
func (d *DB) Ping(ctx context.Context) error {
	if err := d.Read.PingContext(ctx); err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return nil
}

// Close closes all connections. It waits for statements that are running.
func (d *DB) Close() error {
	if d.Read == d.Write {
		return d.Write.Close()
	}
	// The writer goes last: closing the last connection of a SQLite database
	// folds the write-ahead log into the file, which a reader must not do.
	return errors.Join(d.Read.Close(), d.Write.Close())
}

func openSQLite(ctx context.Context, path string, o options) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("create database file: %w", err)
	}
	write, err := sqliteConnector(path, true, o.observe)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	read, err := sqliteConnector(path, false, o.observe)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db := &DB{Write: sql.OpenDB(write), Read: sql.OpenDB(read), Dialect: dialect.SQLite}
	db.Write.SetMaxOpenConns(1)
	db.Write.SetMaxIdleConns(1)
	readersMax := 4
	if o.connsMax > 0 {
		readersMax = o.connsMax
	}
	db.Read.SetMaxOpenConns(readersMax)
	db.Read.SetMaxIdleConns(readersMax)
	// The writer comes first: it turns on the write-ahead log, which a
	// connection that refuses to write could not.
	for _, pool := range []*sql.DB{db.Write, db.Read} {
		if err := pool.PingContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.Close())
		}
	}
	return db, nil
}

// createPrivate makes the file, and folders above it, readable by the owner
// only; SQLite gives its log the same mode. An existing file is left alone.
func createPrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

func openPostgres(ctx context.Context, url string, o options) (*DB, error) {
	base, err := postgresConnector(url, o.observe)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	pool := sql.OpenDB(base)
	connsMax := 20
	if o.connsMax > 0 {
		connsMax = o.connsMax
	}
	pool.SetMaxOpenConns(connsMax)
	// Idle connections keep their prepared statements, so they are kept for
	// long; the limits let a pool shrink and follow a failover in the end.
	pool.SetMaxIdleConns(connsMax)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	pool.SetConnMaxLifetime(time.Hour)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), pool.Close())
	}
	return &DB{Write: pool, Read: pool, Dialect: dialect.Postgres, waitMax: o.waitMax}, nil
}
