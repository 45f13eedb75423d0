package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	stripesandbox "purser/sandbox/stripe"
	worldpaysandbox "purser/sandbox/worldpay"
)

// serveSandbox serves the sandboxes alone until ctx ends: Stripe's at the
// address itself, Worldpay's below pathWorldpay.
func serveSandbox(ctx context.Context, c invocation) (err error) {
	cfg, _, err := c.settings(c.newFlags())
	if err != nil {
		return err
	}
	log := newLogger(c.stderr, cfg.LogFormat, slog.LevelInfo)
	lock, err := lockFolder(cfg.Data, sandboxLock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	path, _, err := sandboxPath(cfg, sandboxAloneFile)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.Addr, err)
	}
	address := publicURL(cfg, listener)
	if err := lock.say(address); err != nil {
		return errors.Join(err, listener.Close())
	}
	sandbox, err := stripesandbox.Open(ctx, stripesandbox.Config{
		Logger: log, Path: path, PublicURL: address, Random: rand.Reader,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("open the sandbox: %w", err), listener.Close())
	}
	defer func() { err = errors.Join(err, sandbox.Close()) }()
	worldpay, err := openWorldpay(ctx, cfg, worldpayAloneFile, worldpaysandbox.Config{Logger: log, PublicURL: address + pathWorldpay})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, worldpay.Close()) }()

	server := newHTTPServer(withRequestIDs(log, bothSandboxes(sandbox, worldpay)), log)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if _, err := fmt.Fprintf(c.stdout, `The Stripe sandbox is ready at %[1]s
Use it as the address of Stripe's API, with any key that begins with sk_test_.
Worldpay's XML service is at %[1]s%[2]s, with the login %[3]s.
`, address, pathWorldpay+worldpaysandbox.ServicePath, worldpaysandbox.DemoMerchant().Login()); err != nil {
		return errors.Join(fmt.Errorf("write: %w", err), server.Close())
	}

	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	delivered := make(chan error, 1)
	go func() { delivered <- runSandboxes(running, sandbox, worldpay) }()
	select {
	case <-ctx.Done():
	case err = <-served:
	}
	stopping, stop := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer stop()
	if stopped := server.Shutdown(stopping); stopped != nil {
		err = errors.Join(err, fmt.Errorf("stop: %w", stopped), server.Close())
	}
	cancel()
	err = errors.Join(err, <-delivered)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
