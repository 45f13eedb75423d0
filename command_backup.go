package main

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"

	"purser/database"
)

// backup copies the embedded database while it is in use.
func backup(ctx context.Context, c invocation) (err error) {
	cfg, rest, err := c.settings(c.newFlags(), "PATH")
	if err != nil {
		return err
	}
	if cfg.DatabaseURL != "" {
		return errors.New("DATABASE_URL names a PostgreSQL database: back it up with pg_dump")
	}
	// Opening must not change what is to be saved, whatever its age.
	db, err := openReadable(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if db.Dialect != dialect.SQLite {
		return fmt.Errorf("%s is not backed up by this command", db.Dialect)
	}
	if err := database.Backup(ctx, db.Read, rest[0]); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.stdout, rest[0])
	return err
}
