package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/config"
	"purser/gateway"
	"purser/graph"
	"purser/graph/transport"
)

// The organization that the bench makes, and how many payers it has unless the
// caller says otherwise.
const (
	benchPart   = "bench"
	benchPayers = 1000
	benchBatch  = 100
)

// bench measures how much usage this machine records. It writes what it
// records into the database, which must be empty.
func bench(ctx context.Context, c invocation) (err error) {
	flags := c.newFlags()
	length := flags.Duration("length", 5*time.Second, "")
	only := flags.String("only", "", "")
	payers := flags.Int("payers", benchPayers, "")
	pgbench := flags.String("pgbench", "", "")
	cfg, _, err := c.settings(flags)
	if err != nil {
		return err
	}
	if *payers < 1 {
		return fmt.Errorf("--payers is %d, want one or more", *payers)
	}
	if cfg.DatabaseURL == "" {
		folder, err := os.MkdirTemp("", "purser-bench-")
		if err != nil {
			return fmt.Errorf("make a folder for the database: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
		cfg.Data = folder
	}
	db, err := openStorage(ctx, cfg, schemaPrepare)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if !db.empty {
		return errors.New("the bench fills the database that DATABASE_URL names, and that one is not empty: make one for it")
	}
	b := &benchmark{db: db, out: c.stdout, only: *only, length: *length}
	if b.pgbench, err = newPgbench(cfg, *pgbench); err != nil {
		return err
	}
	if err := b.prepare(ctx, cfg, *payers); err != nil {
		return err
	}
	return errors.Join(b.run(ctx), b.server.Close())
}

// benchmark is a server with an organization, and who measures it.
type benchmark struct {
	db      *storage
	out     io.Writer
	only    string // how the names of the cases begin that are measured
	length  time.Duration
	pgbench *pgbench // nil where there is none, or nothing for it to do

	server         *http.Server
	address, token string
	organization   string
	payers         []string
}

// prepare starts the server and makes the organization, with payers whose
// balances are there.
func (b *benchmark) prepare(ctx context.Context, cfg config.Config, payers int) error {
	key := make([]byte, auth.MasterKeyBytes)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	sealer, err := auth.NewSealer(key)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	domain := billing.New(billing.Config{DB: b.db.DB, Sealer: sealer, Logger: log, Now: time.Now, Random: rand.Reader, PublicURL: "http://localhost"})
	// The bench is one caller that does the work of many.
	limits := transport.DefaultLimits()
	limits.InFlight, limits.BucketPoints, limits.RestorePerSecond = 1<<20, 1<<30, 1<<30
	handler, err := graph.NewHandler(graph.HandlerConfig{
		Billing: domain, CursorKey: key, Gateways: gateway.NewDirectory(), Limits: limits, Logger: log, Production: true, Version: version(),
	})
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	b.address = listener.Addr().String()
	b.server = newHTTPServer(handler, log)
	go func() { _ = b.server.Serve(listener) }() // ends with Close

	id, token, err := domain.CreateOrganization(auth.AllTenants(ctx, benchPart), billing.OrganizationDraft{
		Slug: benchPart, Name: "Bench", Environment: "SANDBOX", DefaultCurrency: "USD",
	})
	if err != nil {
		return fmt.Errorf("make the organization: %w", err)
	}
	b.organization, b.token = id, token.Reveal()
	inside, err := domain.Inside(ctx, benchPart, benchPart)
	if err != nil {
		return err
	}
	for i := range payers {
		payer, err := domain.CreateDeveloper(inside, billing.PayerDraft{
			Email: fmt.Sprintf("payer%d@example.com", i), Name: "Bench", BillingMode: "PREPAID",
		}, nil)
		if err != nil {
			return fmt.Errorf("make a payer: %w", err)
		}
		b.payers = append(b.payers, payer)
	}
	return b.record(ctx, len(b.payers), benchBatch, 1, nil)
}
