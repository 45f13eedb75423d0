package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"purser/config"
	stripesandbox "purser/sandbox/stripe"
	worldpaysandbox "purser/sandbox/worldpay"
)

// The sandboxes' own state in the data folder: of those inside a server, and
// of those that are served alone.
const (
	sandboxFile       = "sandbox.db"
	sandboxAloneFile  = "sandbox-alone.db"
	worldpayFile      = "sandbox-worldpay.db"
	worldpayAloneFile = "sandbox-worldpay-alone.db"
)

// builtInSandbox is the Stripe sandbox inside this process, with Worldpay's
// beside it. Payers' browsers reach their pages through the server; the
// adapters call them over HTTP on an address of their own that only this
// machine reaches and that stays open while the server stops, so that what was
// begun can be finished.
type builtInSandbox struct {
	*stripesandbox.Server
	worldpay *worldpaysandbox.Server
	// fresh says that there was no file of Stripe's yet.
	fresh bool
	// api is the address that the adapters call: Stripe's API, and below
	// pathWorldpay the other.
	api    string
	http   *http.Server
	cancel context.CancelFunc
	ended  chan error
}

// openSandbox opens the sandbox and starts it.
func openSandbox(ctx context.Context, cfg config.Config, publicURL string, log *slog.Logger) (_ *builtInSandbox, err error) {
	path, fresh, err := sandboxPath(cfg, sandboxFile)
	if err != nil {
		return nil, err
	}
	b := &builtInSandbox{fresh: fresh, ended: make(chan error, 1)}
	log = log.With(slog.String("part", "sandbox"))
	b.Server, err = stripesandbox.Open(ctx, stripesandbox.Config{
		Logger: log, Path: path, PublicURL: publicURL + pathSandbox, Random: rand.Reader,
		Target: ownTarget(cfg, publicURL),
	})
	if err != nil {
		return nil, fmt.Errorf("open the sandbox: %w", err)
	}
	merchants := worldpaysandbox.Config{Logger: log, PublicURL: publicURL + pathWorldpay, Target: ownTarget(cfg, publicURL)}
	if cfg.Production() {
		// The demo's login is known to everybody: whoever used it would have the
		// orders and cards of all others that do.
		merchants.Merchants, merchants.OwnMerchants = []worldpaysandbox.Merchant{}, true
	}
	b.worldpay, err = openWorldpay(ctx, cfg, worldpayFile, merchants)
	if err != nil {
		return nil, errors.Join(err, b.Server.Close())
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for the sandbox: %w", err), b.Server.Close(), b.worldpay.Close())
	}
	b.api = "http://" + listener.Addr().String()
	b.http = newHTTPServer(bothSandboxes(b.Server, b.worldpay), log)
	go func() {
		if err := b.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("sandbox stopped serving", slog.Any("error", err))
		}
	}()
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.cancel = cancel
	go func() { b.ended <- runSandboxes(running, b.Server, b.worldpay) }()
	return b, nil
}

// openWorldpay opens the Worldpay sandbox on the file of that name in the data
// folder.
func openWorldpay(ctx context.Context, cfg config.Config, file string, c worldpaysandbox.Config) (*worldpaysandbox.Server, error) {
	var err error
	if c.Path, _, err = sandboxPath(cfg, file); err != nil {
		return nil, err
	}
	c.Random = rand.Reader
	worldpay, err := worldpaysandbox.Open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open the Worldpay sandbox: %w", err)
	}
	return worldpay, nil
}

// bothSandboxes serves Stripe's API at the root, as its clients want it, and
// Worldpay's below a path of its own.
func bothSandboxes(stripe *stripesandbox.Server, worldpay *worldpaysandbox.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(pathWorldpay+"/", http.StripPrefix(pathWorldpay, worldpay.Handler()))
	mux.Handle("/", stripe.Handler())
	return mux
}

// runSandboxes delivers and lets time pass for both until ctx ends.
func runSandboxes(ctx context.Context, stripe *stripesandbox.Server, worldpay *worldpaysandbox.Server) error {
	ended := make(chan error, 1)
	go func() { ended <- worldpay.Run(ctx) }()
	err := stripe.Run(ctx)
	return errors.Join(err, <-ended)
}

// ownTarget lets the built-in sandbox send events to this server only and, in
// dev, to this machine: it sits inside a network that whoever reaches it may
// not look around in.
func ownTarget(cfg config.Config, publicURL string) func(*url.URL) error {
	own, err := url.Parse(publicURL)
	return func(to *url.URL) error {
		switch ip := net.ParseIP(to.Hostname()); {
		case err == nil && to.Scheme == own.Scheme && strings.EqualFold(to.Host, own.Host):
			return nil
		case !cfg.Production() && (strings.EqualFold(to.Hostname(), "localhost") || ip != nil && ip.IsLoopback()):
			return nil
		}
		return errors.New("the built-in sandbox sends events to its own server only (`purser sandbox` to any address)")
	}
}

// pagesOnly is the part of the sandbox that payers need. In production nobody
// else reaches the rest over the network: the adapter has an address of its
// own, and a stranger would have an account, a clock and faults to play with.
func pagesOnly(sandbox http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/pages/", sandbox)
	return mux
}

// sandboxPath returns the path of the sandbox's file, which only its owner can
// read: it holds the keys and secrets of test accounts. fresh says that it is
// new.
func sandboxPath(cfg config.Config, name string) (path string, fresh bool, err error) {
	path = filepath.Join(cfg.Data, name)
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return "", false, fmt.Errorf("make data folder: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return path, false, nil
	case err != nil:
		return "", false, fmt.Errorf("make the sandbox's file: %w", err)
	}
	return path, true, file.Close()
}

// close stops deliveries and requests, in that order, and closes the file.
func (b *builtInSandbox) close(ctx context.Context) error {
	b.cancel()
	err := <-b.ended
	if stopped := b.http.Shutdown(ctx); stopped != nil {
		err = errors.Join(err, fmt.Errorf("stop the sandbox: %w", stopped), b.http.Close())
	}
	return errors.Join(err, b.Close(), b.worldpay.Close())
}

// Bounds of every HTTP server here. Writing begins when the request was read
// and includes the work, of which a mutation's is the longest; streams and
// sockets lift that bound and set one for each of their writes.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 15 * time.Second
	answerTimeout  = time.Minute
	idleTimeout    = 2 * time.Minute
	headerBytesMax = 32 << 10
)

func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
