package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup writes a consistent copy of the embedded database db to a new file at
// path, readable by the owner only, while the database is in use. Writers are
// not held up when db is the reading pool. The file appears under its name
// only when it is complete and on disk; an existing file is refused.
func Backup(ctx context.Context, db *sql.DB, path string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("back up database: %s exists already", path)
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("back up database: %w", err)
	}
	// SQLite accepts an empty file, and making it here gives it its mode.
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".partial-*")
	if err != nil {
		return fmt.Errorf("back up database: %w", err)
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			err = errors.Join(fmt.Errorf("back up database: %w", err), os.Remove(file.Name()))
		}
	}()
	if err := vacuumInto(ctx, db, file.Name()); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	// A link, unlike a rename, never replaces a file that came meanwhile.
	if err := os.Link(file.Name(), path); err != nil {
		return err
	}
	if err := os.Remove(file.Name()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// vacuumInto copies the database on a connection of db. A reading connection
// refuses even to write another file, so it is allowed to for so long.
func vacuumInto(ctx context.Context, db *sql.DB, path string) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var refuses bool
	if err := conn.QueryRowContext(ctx, "PRAGMA query_only").Scan(&refuses); err != nil {
		return err
	}
	if refuses {
		defer func() {
			if _, restoreErr := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA query_only = 1"); restoreErr != nil {
				_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // out of the pool with it
				err = errors.Join(err, restoreErr)
			}
		}()
		if _, err := conn.ExecContext(ctx, "PRAGMA query_only = 0"); err != nil {
			return err
		}
	}
	_, err = conn.ExecContext(ctx, "VACUUM INTO ?", path)
	return err
}

// syncDir puts the names in a folder on disk.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
