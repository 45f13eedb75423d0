package main

import (
	"context"
	"errors"
	"fmt"
)

// migrate brings the tables of the database up to date and names what it did.
func migrate(ctx context.Context, c invocation) (err error) {
	cfg, _, err := c.settings(c.newFlags())
	if err != nil {
		return err
	}
	db, err := openStorage(ctx, cfg, schemaMigrate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, name := range db.applied {
		if _, err := fmt.Fprintln(c.stdout, "applied", name); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if len(db.applied) == 0 {
		if _, err := fmt.Fprintln(c.stdout, "up to date"); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}
