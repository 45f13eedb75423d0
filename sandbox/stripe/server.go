// Package stripesandbox is a stateful service that speaks Stripe's API
// (version 2023-10-16): an unmodified Stripe client pointed at it can create
// customers, quotes, invoices and payments, gets signed events, and sends its
// payers to hosted pages. See README.md beside the parent package.
//
// Every well-formed test secret key is an account of its own; objects never
// cross accounts. An operation, the reply stored under its idempotency key and
// the events it causes are committed together before the reply is sent.
package stripesandbox

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"purser/sandbox"
)

// APIVersion is the version of Stripe's API that is spoken.
const APIVersion = "2023-10-16"

// Config is what the sandbox needs; every field may be left out.
type Config struct {
	// HTTPClient delivers webhooks. Defaults to one with a time-out of 10 s
	// that follows no redirects.
	HTTPClient *http.Client
	// Logger defaults to discarding everything.
	Logger *slog.Logger
	// Now is the wall clock. Defaults to time.Now.
	Now func() time.Time
	// Path is the SQLite file of the sandbox's own state. Defaults to a
	// temporary file that Close removes.
	Path string
	// PublicURL is the absolute address under which Handler is reached, for
	// hosted pages and receipts. Defaults to http://127.0.0.1; set it with
	// SetPublicURL when the port is known only later.
	PublicURL string
	// Random is the source of ids and secrets. Defaults to the system's.
	Random io.Reader
	// RetryBase is the pause after a webhook's first failed attempt; it
	// doubles with each further one. Defaults to 1 s.
	RetryBase time.Duration
	// Target says whether events may be sent to an address, and if not why, as
	// the end of a sentence. Defaults to sending them anywhere.
	Target func(*url.URL) error
}

// Server is one sandbox. All methods may be used by many goroutines at once.
type Server struct {
	config    Config
	db        *sandbox.DB
	faults    *sandbox.Faults
	handler   http.Handler
	pages     *sandbox.Pages
	publicURL atomic.Value // string
	queue     *sandbox.Queue
	random    *sandbox.Random

	mu       sync.Mutex
	inFlight map[string]bool // idempotency keys being executed, by account
}

// Open opens the sandbox's state, or makes it. It fails when the file cannot
// be opened or was written by a newer program.
func Open(ctx context.Context, c Config) (*Server, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Target == nil {
		c.Target = func(*url.URL) error { return nil }
	}
	if c.PublicURL == "" {
		c.PublicURL = "http://127.0.0.1"
	}
	s := &Server{
		config:   c,
		faults:   &sandbox.Faults{},
		random:   sandbox.NewRandom(c.Random),
		inFlight: map[string]bool{},
	}
	s.SetPublicURL(c.PublicURL)
	var err error
	if s.pages, err = newPages(); err != nil {
		return nil, err
	}
	if s.db, err = sandbox.OpenDB(ctx, c.Path, schema); err != nil {
		return nil, err
	}
	s.queue = sandbox.NewQueue(sandbox.QueueConfig{
		Client:    c.HTTPClient,
		DB:        s.db,
		Delivered: s.delivered,
		Faults:    s.faults,
		Logger:    c.Logger,
		Now:       c.Now,
		Prepare:   s.prepareDelivery,
		RetryBase: c.RetryBase,
	})
	// Faults do not survive a restart, and neither does what they hold back.
	if err := s.queue.Release(ctx, ""); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	s.handler = s.routes()
	return s, nil
}

// Close closes the state. Run must have returned and no request be under way.
func (s *Server) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close the sandbox: %w", err)
	}
	return nil
}

// Handler serves the API (/v1/…), the hosted pages (/pages/…) and the control
// endpoints (/_sandbox/…), alone at / or below http.StripPrefix.
func (s *Server) Handler() http.Handler { return s.handler }

// SetPublicURL sets the absolute address under which Handler is reached; links
// made from now on begin with it.
func (s *Server) SetPublicURL(address string) {
	s.publicURL.Store(strings.TrimRight(address, "/"))
}

// Faults returns the switches that make requests and deliveries go wrong.
func (s *Server) Faults() *sandbox.Faults { return s.faults }

// link makes an absolute address of a hosted page.
func (s *Server) link(path string) string {
	return s.publicURL.Load().(string) + path
}

// Run delivers webhooks and lets time pass (quotes expire, drafts finalize,
// subscriptions renew) until ctx ends; then it returns nil.
func (s *Server) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	workers.Go(func() { s.runDue(ctx) })
	return s.queue.Run(ctx)
}

var (
	secretKeyForm      = regexp.MustCompile(`^sk_test_[A-Za-z0-9_]{8,240}$`)
	publishableKeyForm = regexp.MustCompile(`^pk_test_[A-Za-z0-9_]{8,240}$`)
)

// EnsureAccount makes the account of a secret key unless it exists; any
// request with a well-formed key does the same. The publishable key may be
// empty; a different one replaces the former. It fails when a key does not look
// like a test key.
func (s *Server) EnsureAccount(ctx context.Context, secretKey, publishableKey string) error {
	if !secretKeyForm.MatchString(secretKey) {
		return errors.New("ensure a sandbox account: the secret key must look like sk_test_… with at least 8 letters or digits")
	}
	if publishableKey != "" && !publishableKeyForm.MatchString(publishableKey) {
		return errors.New("ensure a sandbox account: the publishable key must look like pk_test_… with at least 8 letters or digits")
	}
	_, err := s.account(ctx, secretKey, publishableKey)
	return err
}

// account returns the id of a key's account, which it makes when needed. The
// id follows from the key: a sandbox that starts anew gives the same one. Two
// keys that differ only behind two underscores are of one account, as a key
// and the one it was rolled to.
func (s *Server) account(ctx context.Context, secretKey, publishableKey string) (string, error) {
	secretKey, _, _ = strings.Cut(secretKey, "__")
	sum := sha256.Sum256([]byte(secretKey))
	digest := hex.EncodeToString(sum[:])
	id := "acct_" + new(big.Int).SetBytes(sum[:12]).Text(62)
	var stored string
	err := s.db.QueryRowContext(ctx, `SELECT publishable_key FROM accounts WHERE key_digest = ?`, digest).Scan(&stored)
	if err == nil && (publishableKey == "" || publishableKey == stored) {
		return id, nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("look up a sandbox account: %w", err)
	}
	_, err = s.db.ExecContext(ctx, `INSERT INTO accounts (id, key_digest, publishable_key, created_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET publishable_key = excluded.publishable_key WHERE excluded.publishable_key <> ''`,
		id, digest, publishableKey, s.config.Now().Unix())
	if err != nil {
		return "", fmt.Errorf("make a sandbox account: %w", err)
	}
	return id, nil
}
