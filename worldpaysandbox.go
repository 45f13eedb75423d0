package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"

	"purser/config"
	worldpaysandbox "purser/sandbox/worldpay"
)

// sandboxWorldpayFile is the Worldpay sandbox's own state in the data folder.
const sandboxWorldpayFile = "sandbox-worldpay.db"

// worldpaySandbox is the Worldpay sandbox inside this process, behind the same
// address of its own as the one for Stripe.
type worldpaySandbox struct{ *worldpaysandbox.Server }

// openWorldpaySandbox opens the sandbox. The merchant that everybody knows the
// login of is there in dev alone.
func openWorldpaySandbox(ctx context.Context, cfg config.Config, publicURL string, log *slog.Logger) (*worldpaySandbox, error) {
	path, _, err := sandboxPath(cfg, sandboxWorldpayFile)
	if err != nil {
		return nil, err
	}
	s, err := worldpaysandbox.Open(ctx, worldpaysandbox.Config{
		Logger: log, Path: path, PublicURL: publicURL + pathWorldpay, Random: rand.Reader,
		Target: ownTarget(cfg, publicURL),
	})
	if err != nil {
		return nil, fmt.Errorf("open the Worldpay sandbox: %w", err)
	}
	return &worldpaySandbox{s}, nil
}

// together runs functions at once and returns their errors.
func together(ctx context.Context, all ...func(context.Context) error) []error {
	errs := make([]error, len(all))
	var running sync.WaitGroup
	for i, f := range all {
		running.Go(func() { errs[i] = f(ctx) })
	}
	running.Wait()
	return errs
}
