package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"purser/auth"
	"purser/billing"
)

// verify proves the ledger of every organization from its rows.
func verify(ctx context.Context, c invocation) (err error) {
	cfg, _, err := c.settings(c.newFlags())
	if err != nil {
		return err
	}
	db, err := openStorage(ctx, cfg, schemaKeep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// No secret is opened and nothing is written: there is no need for a key.
	domain := billing.New(billing.Config{DB: db.DB, Logger: slog.New(slog.DiscardHandler)})
	reports, err := domain.VerifyAll(auth.AllTenants(ctx, "verify"), billing.VerifyOptions{Progress: progress(c.stderr), SealAge: sealAge})
	for _, r := range reports {
		if _, writeErr := fmt.Fprintf(c.stdout, "%s: %d entries, %d balances, %d seals, %d unsealed, %d holds, %d payments, %d invoices, %d quotes, %d open gateway calls\n",
			r.OrganizationID, r.Entries, r.Balances, r.Seals, r.Unsealed, r.Holds, r.Payments, r.Invoices, r.Quotes, r.OpenCalls); writeErr != nil {
			return errors.Join(err, fmt.Errorf("write: %w", writeErr))
		}
	}
	if err := errors.Join(err, reviewList(ctx, c.stdout, domain)); err != nil {
		return err
	}
	fit := "organizations fit"
	if len(reports) == 1 {
		fit = "organization fits"
	}
	if _, err := fmt.Fprintf(c.stdout, "%d %s\n", len(reports), fit); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// sealAge is how long an entry may wait for its seal: a server that runs needs
// seconds, and one that was stopped before seals it when it starts.
const sealAge = 10 * time.Minute

// reviewMax is how many calls, and how many events, are named.
const reviewMax = 100

// reviewList names the gateway calls and events that a person has to look at.
// They are no fault of the rows: which side is right is not to be seen in them.
func reviewList(ctx context.Context, w io.Writer, domain *billing.Service) error {
	calls, err := domain.CallsToReview(ctx, reviewMax)
	if err != nil {
		return err
	}
	for _, r := range calls {
		if _, err := fmt.Fprintf(w, "%s: the gateway call %s (%s of %s) needs review: %s\n", r.OrganizationID, r.ID, r.Operation, r.Subject, r.Reason); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	events, err := domain.EventsToReview(ctx, reviewMax)
	if err != nil {
		return err
	}
	for _, e := range events {
		if _, err := fmt.Fprintf(w, "%s: the gateway event %s (%s) contradicts what is known here: %s\n", e.OrganizationID, e.ID, e.Type, e.Reason); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

// progressEvery is the time between two lines of progress.
const progressEvery = time.Second

// progress returns a function that tells how far a verification is, a line
// now and then.
func progress(w io.Writer) func(billing.VerifyProgress) {
	last := time.Now()
	return func(p billing.VerifyProgress) {
		if time.Since(last) < progressEvery {
			return
		}
		last = time.Now()
		// Whoever reads the progress may leave; the verification goes on.
		_, _ = fmt.Fprintf(w, "%s: %d rows of %s\n", p.OrganizationID, p.Rows, p.Table)
	}
}
