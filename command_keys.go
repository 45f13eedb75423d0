package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"purser/auth"
	"purser/billing"
)

// keysRotate seals every secret in the database with the first master key.
func keysRotate(ctx context.Context, c invocation) (err error) {
	cfg, _, err := c.settings(c.newFlags())
	if err != nil {
		return err
	}
	sealer, _, err := newSealer(cfg)
	if err != nil {
		return err
	}
	db, err := openStorage(ctx, cfg, schemaKeep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	domain := billing.New(billing.Config{DB: db.DB, Sealer: sealer, Logger: slog.New(slog.DiscardHandler)})
	report, err := domain.RotateKeys(auth.AllTenants(ctx, "rotate"))
	if _, writeErr := fmt.Fprintf(c.stdout, "%d secrets, %d sealed anew\n", report.Sealed, report.Rotated); writeErr != nil {
		return errors.Join(err, fmt.Errorf("write: %w", writeErr))
	}
	for _, name := range report.Closed {
		if _, writeErr := fmt.Fprintln(c.stdout, "not opened by any of the keys:", name); writeErr != nil {
			return errors.Join(err, fmt.Errorf("write: %w", writeErr))
		}
	}
	if err == nil && len(report.Closed) > 0 {
		err = fmt.Errorf("%d secrets were sealed with a master key that PURSER_MASTER_KEY does not contain", len(report.Closed))
	}
	return err
}
