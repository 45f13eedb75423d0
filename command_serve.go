package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/config"
	"purser/export"
	"purser/gateway"
	"purser/gateway/stripe"
	"purser/gateway/worldpay"
	"purser/graph"
	"purser/graph/transport"
	"purser/jobs"
	"purser/mail"
	"purser/metrics"
	"purser/outbound"
	"purser/web"
	"purser/webhook"
)

// stopTimeout is how long running requests have to finish once the server was
// told to stop: longer than a mutation may take.
const stopTimeout = 30 * time.Second

// serve opens everything, serves until ctx ends, and closes everything in the
// order in which the parts need each other.
func serve(ctx context.Context, c invocation) (err error) {
	cfg, _, err := c.settings(c.newFlags())
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	if !cfg.Production() {
		// What making the demo does is of no interest to who waits for it.
		level.Set(slog.LevelWarn)
	}
	log := newLogger(c.stderr, cfg.LogFormat, level)
	// What was begun outlives the signal to stop.
	lasting := context.WithoutCancel(ctx)

	if cfg.Production() {
		log.InfoContext(ctx, "settings", slog.Any("settings", cfg)) // secrets are masked
	}
	sealer, keys, err := newSealer(cfg)
	if err != nil {
		return err
	}

	// The data folder, unless nothing is kept in it.
	var lock *folderLock
	if cfg.DatabaseURL == "" || cfg.Sandbox && cfg.SandboxURL == "" {
		if lock, err = lockFolder(cfg.Data, serveLock); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, lock.release()) }()
	}

	// The database.
	db, err := openStorage(ctx, cfg, schemaPrepare)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	cursorKey, err := auth.DeriveKey(keys[0], "cursors")
	if err != nil {
		return err
	}

	// The address: only a listener knows which port 0 has become.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.Addr, err)
	}
	defer listener.Close() // once more where the server was never started
	address := publicURL(cfg, listener)
	if lock != nil {
		if err := lock.say(address); err != nil {
			return err
		}
	}

	// The domain and its gateways.
	domain := billing.New(billing.Config{DB: db.DB, Sealer: sealer, Logger: log, Now: c.now, Random: rand.Reader, PublicURL: address, OneOrganization: cfg.DatabaseSpread, WebhookAddresses: cfg.WebhookAddresses})
	if err := checkMasterKey(ctx, cfg, domain, log); err != nil {
		return err
	}
	var sandbox *builtInSandbox
	if cfg.Sandbox && cfg.SandboxURL == "" {
		// The other side of every line about a gateway is worth none of its own.
		if sandbox, err = openSandbox(ctx, cfg, address, newLogger(c.stderr, cfg.LogFormat, slog.LevelWarn)); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, within(lasting, stopTimeout, sandbox.close)) }()
	}
	numbers := metrics.New()
	client, err := outboundClient(cfg, sandbox)
	if err != nil {
		return err
	}
	// Whose addresses organizations name is another matter than where gateways are.
	endpoints, err := outbound.Client(outbound.Options{Local: cfg.WebhookAddresses})
	if err != nil {
		return err
	}
	gateways := gateway.NewDirectory(
		stripe.New(stripe.Config{
			BaseURL: stripeAddress(cfg, sandbox), HTTPClient: client, Logger: log, Now: domain.Now, Observe: numbers.GatewayOperation,
		}),
		worldpay.New(worldpay.Config{
			BaseURL: worldpayAddress(cfg, sandbox), CheckEndpoint: endpointCheck(cfg), HTTPClient: client, Logger: log, Now: domain.Now, Observe: numbers.GatewayOperation,
		}),
	)

	// The front doors.
	door := webhook.New(webhook.Config{Billing: domain, Gateways: gateways, Logger: log})
	mailer, err := newMailer(cfg)
	if err != nil {
		return err
	}
	runner := jobs.New(jobs.Config{Billing: domain, Gateways: gateways, ApplyEvent: door.Apply, Mail: mailer, Webhooks: endpoints, Logger: log})
	numbers.Observe(metrics.Config{Due: runner.Due, OpenCalls: domain.OpenCalls, ReviewCalls: domain.ReviewCalls, MismatchedEvents: domain.MismatchedEvents, UsageWaiting: domain.UsageWaiting, Read: db.Read, Write: db.Write, Version: version()})
	closing := make(chan struct{})
	operator, err := operatorToken(cfg)
	if err != nil {
		return err
	}
	graphql, err := graph.NewHandler(graph.HandlerConfig{
		AllowedOrigins: cfg.AllowedOrigins, Billing: domain, Closing: closing, CursorKey: cursorKey, Gateways: gateways,
		Limits: transport.DefaultLimits().AtRate(cfg.Rate),
		Logger: log, Metrics: numbers, Operator: operator, Production: cfg.Production(), Version: version(),
	})
	if err != nil {
		return err
	}
	sample, err := newSampleData(lasting, cfg, domain, gateways, sandbox)
	if err != nil {
		return err
	}
	tabs, err := web.Tabs()
	if err != nil {
		return err
	}
	d := doors{
		graphql: graphql, webhook: door, export: graphql.Guard(export.New(export.Config{Billing: domain, Logger: log})), metrics: numbers.Handler(), readiness: &readiness{db: db},
		web: web.Handler(web.Options{Endpoint: pathGraphQL, Token: sample.tokenText(), Tabs: tabs, Version: version()}),
	}
	if sandbox != nil {
		d.sandbox, d.worldpay = sandbox.Handler(), sandbox.worldpay.Handler()
		if cfg.Production() {
			d.sandbox, d.worldpay = pagesOnly(d.sandbox), pagesOnly(d.worldpay)
		}
	}

	// From here on requests are served and due work is done.
	server := newHTTPServer(routes(d, log), log)
	server.BaseContext = func(net.Listener) context.Context { return lasting }
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	working, stopWorking := context.WithCancel(lasting)
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		runner.Run(working)
	}()

	err = sample.prepare(ctx, c.stdout)
	if err == nil {
		d.readiness.serving.Store(true)
		err = announce(c.stdout, cfg, address, db, sandbox, sample)
		level.Set(slog.LevelInfo)
		log.InfoContext(ctx, "serving", slog.String("address", address), slog.String("version", version()), slog.String("database", db.Dialect))
	}
	if ctx.Err() != nil {
		// What was being prepared is finished by the next start.
		err = nil
	}
	if err == nil {
		select {
		case <-ctx.Done():
			log.InfoContext(lasting, "stopping")
		case err = <-served:
			err = fmt.Errorf("serve: %w", err)
		}
	}

	// No new requests; streams end, running mutations finish; then due work,
	// and at last, by the deferred calls, sandbox and database.
	d.readiness.serving.Store(false)
	close(closing)
	if stopped := within(lasting, stopTimeout, server.Shutdown); stopped != nil {
		err = errors.Join(err, fmt.Errorf("requests were still running after %s: %w", stopTimeout, stopped), server.Close())
	}
	stopWorking()
	<-worked
	// Usage whose caller did not wait for it.
	if unfinished := within(lasting, stopTimeout, domain.FinishUsage); unfinished != nil {
		err = errors.Join(err, fmt.Errorf("usage was still being booked: %w", unfinished))
	}
	return err
}

// within runs f with a time limit.
func within(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return f(ctx)
}

// publicURL is the address under which the world reaches the listener: what
// was set, else where it listens. Who listens everywhere is called localhost.
func publicURL(cfg config.Config, listener net.Listener) string {
	if cfg.PublicURL != "" {
		return cfg.PublicURL
	}
	at, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return "http://" + listener.Addr().String()
	}
	host := at.IP.String()
	if at.IP.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(at.Port))
}

// operatorToken is the operator's token; nil where there is no operator.
func operatorToken(cfg config.Config) (*auth.Token, error) {
	if cfg.SystemToken == "" {
		return nil, nil
	}
	t, err := auth.ParseToken(cfg.SystemToken)
	if err != nil {
		return nil, err
	}
	return &t, nil
}

// stripeAddress says where Stripe's API is: the sandbox for organizations in
// SANDBOX, Stripe itself for all others.
func stripeAddress(cfg config.Config, sandbox *builtInSandbox) func(gateway.Environment) (api string, err error) {
	return func(e gateway.Environment) (string, error) {
		switch {
		case e != gateway.EnvironmentSandbox:
			return "", nil
		case sandbox != nil:
			return sandbox.api, nil
		case cfg.SandboxURL != "":
			return cfg.SandboxURL, nil
		}
		return "", errors.New("organizations in SANDBOX are not served here: PURSER_SANDBOX is false")
	}
}

// worldpayAddress says where Worldpay's XML service is: below the sandbox's
// address for organizations in SANDBOX, at Worldpay itself for all others.
func worldpayAddress(cfg config.Config, sandbox *builtInSandbox) func(gateway.Environment) (address string, err error) {
	sandboxes := stripeAddress(cfg, sandbox)
	return func(e gateway.Environment) (string, error) {
		address, err := sandboxes(e)
		if err != nil || address == "" {
			return "", err
		}
		return strings.TrimSuffix(address, "/") + pathWorldpay, nil
	}
}

// endpointCheck refuses an address that a provider names as its gateway's: it
// must be the gateway's own or on the operator's list.
func endpointCheck(cfg config.Config) func(endpoint, own string) error {
	return func(endpoint, own string) error {
		return outbound.CheckEndpoint(endpoint, append([]string{own}, cfg.GatewayAddresses...))
	}
}

// outboundClient makes the requests to gateways. Only the sandbox, whose address
// is the operator's own setting, may be on this machine or in its network.
func outboundClient(cfg config.Config, sandbox *builtInSandbox) (*http.Client, error) {
	o := outbound.Options{Listed: cfg.GatewayAddresses}
	switch {
	case sandbox != nil:
		o.Local = []string{sandbox.api}
	case cfg.SandboxURL != "":
		o.Local = []string{cfg.SandboxURL}
	}
	return outbound.Client(o)
}

// newMailer sends mails by the server that was set, or keeps them in the data
// folder.
func newMailer(cfg config.Config) (*mail.Sender, error) {
	c := mail.Config{Folder: filepath.Join(cfg.Data, "mail"), From: cmp.Or(cfg.MailFrom, "no-reply@localhost")}
	if cfg.SMTPURL != "" {
		var err error
		if c.Server, err = url.Parse(cfg.SMTPURL); err != nil {
			return nil, errors.New("the mail server's address cannot be read")
		}
	}
	return mail.NewSender(c), nil
}

// httpClient calls the sandbox's API for what the adapter has no operation
// for.
func httpClient() *http.Client { return &http.Client{Timeout: readTimeout} }
