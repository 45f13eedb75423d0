// Package worldpaysandbox is a stateful service that speaks the XML protocol
// of Worldpay's corporate gateway: orders that are paid on a hosted page or
// with a token, inquiries, modifications, and order notifications. See
// README.md beside the parent package.
//
// A merchant is set up by SetMerchant or the control endpoints; orders and
// tokens never cross merchants. An operation and the notifications it causes
// are committed together before the reply is sent. The service knows no
// idempotency keys: a duplicate order code is refused, and a modification that
// is sent twice happens twice.
package worldpaysandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"purser/sandbox"
)

// ServicePath is where the service takes documents.
const ServicePath = "/jsp/merchant/xml/paymentService.jsp"

// Config is what the sandbox needs; every field may be left out.
type Config struct {
	// HTTPClient delivers notifications. Defaults to one with a time-out of
	// 10 s that follows no redirects.
	HTTPClient *http.Client
	// Logger defaults to discarding everything.
	Logger *slog.Logger
	// Merchants are made by Open unless merchants of their codes exist.
	// Defaults to DemoMerchant alone.
	Merchants []Merchant
	// OwnMerchants makes a merchant of every login whose user name is a
	// merchant code that nobody has: who comes first has it, and no two share
	// one. Its hosted pages are those of any installation. Defaults to refusing
	// logins that are not known.
	OwnMerchants bool
	// Now is the wall clock. Defaults to time.Now.
	Now func() time.Time
	// Path is the SQLite file of the sandbox's own state. Defaults to a
	// temporary file that Close removes.
	Path string
	// PublicURL is the absolute address under which Handler is reached, for
	// hosted pages. Defaults to http://127.0.0.1; set it with SetPublicURL when
	// the port is known only later.
	PublicURL string
	// Random is the source of ids and tickets. Defaults to the system's.
	Random io.Reader
	// RetryBase is the pause after a notification's first failed attempt; it
	// doubles with each further one. Defaults to 1 s.
	RetryBase time.Duration
	// Target says whether notifications may be sent to an address, and if not
	// why, as the end of a sentence. Defaults to sending them anywhere.
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
}

// notificationDays is how long the service tries to deliver a notification.
const notificationDays = 7

// Open opens the sandbox's state, or makes it. It fails when the file cannot
// be opened or was written by a newer program, or a merchant is not valid.
func Open(ctx context.Context, c Config) (*Server, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Merchants == nil {
		c.Merchants = []Merchant{DemoMerchant()}
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
	s := &Server{config: c, faults: &sandbox.Faults{}, random: sandbox.NewRandom(c.Random)}
	s.SetPublicURL(c.PublicURL)
	var err error
	if s.pages, err = sandbox.NewPages(pagesHTML, nil); err != nil {
		return nil, err
	}
	if s.db, err = sandbox.OpenDB(ctx, c.Path, schema); err != nil {
		return nil, err
	}
	s.queue = sandbox.NewQueue(sandbox.QueueConfig{
		Accepted:    acknowledged,
		Client:      c.HTTPClient,
		DB:          s.db,
		Faults:      s.faults,
		GiveUpAfter: notificationDays * 24 * time.Hour,
		Logger:      c.Logger,
		Now:         c.Now,
		Prepare:     s.prepareDelivery,
		RetryBase:   c.RetryBase,
	})
	for _, m := range c.Merchants {
		if err := s.ensureMerchant(ctx, m); err != nil {
			return nil, errors.Join(err, s.db.Close())
		}
	}
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

// Handler serves the XML service (ServicePath), the hosted pages (/pages/…)
// and the control endpoints (/_sandbox/…), alone at / or below
// http.StripPrefix.
func (s *Server) Handler() http.Handler { return s.handler }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+ServicePath, s.serve)
	s.pageRoutes(mux)
	s.controlRoutes(mux)
	return mux
}

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

// Run delivers notifications and lets happen what is due until ctx ends; then
// it returns nil.
func (s *Server) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	workers.Go(func() { s.runDue(ctx) })
	return s.queue.Run(ctx)
}
