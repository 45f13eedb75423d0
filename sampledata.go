package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"purser/auth"
	"purser/billing"
	"purser/config"
	"purser/demo"
	"purser/gateway"
)

// tokenFile keeps the demo's token in the data folder, so that later starts
// print the same one. It exists in dev alone.
const tokenFile = "demo-token"

// sampleData is the demo organization of a development server, or nothing.
type sampleData struct {
	config demo.Config
	state  demo.State
	// sandboxLost says that the demo is older than the sandbox's file.
	sandboxLost bool
	// shown says that there is a demo whose token may be shown.
	shown bool
}

// newSampleData finds out what there is of the demo and which token it has or
// will have. Production has none, nor has a server without a sandbox.
func newSampleData(ctx context.Context, cfg config.Config, domain *billing.Service, gateways gateway.Directory, sandbox *builtInSandbox) (*sampleData, error) {
	s := &sampleData{state: demo.StateForeign}
	if cfg.Production() || !cfg.Sandbox {
		return s, nil
	}
	var err error
	if s.state, err = demo.Look(ctx, domain); err != nil || s.state == demo.StateForeign {
		return s, err
	}
	s.config = demo.Config{Billing: domain, Gateways: gateways, HTTP: httpClient(), SandboxURL: cfg.SandboxURL, Random: rand.Reader}
	if sandbox != nil {
		s.config.SandboxURL = sandbox.api
		s.sandboxLost = sandbox.fresh && s.state != demo.StateNone
	}
	s.config.WorldpayURL = s.config.SandboxURL + pathWorldpay
	if s.config.Token, err = demoToken(cfg); err != nil {
		return s, err
	}
	s.shown = true
	return s, nil
}

// tokenText is the demo's token; empty where there is no demo.
func (s *sampleData) tokenText() string {
	if !s.shown {
		return ""
	}
	return s.config.Token.Reveal()
}

// prepare makes what is missing of the demo, gives its token the value that
// was set, and has the sandbox's events sent here.
func (s *sampleData) prepare(ctx context.Context, stdout io.Writer) error {
	if !s.shown {
		return nil
	}
	if s.state != demo.StateReady {
		if _, err := fmt.Fprintln(stdout, "preparing demo data…"); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if err := demo.Seed(ctx, s.config); err != nil {
			return err
		}
	} else if err := demo.Connect(ctx, s.config); err != nil {
		return err
	}
	inside, err := s.config.Billing.Inside(ctx, "demo", demo.Slug)
	if err != nil {
		return fmt.Errorf("enter the demo: %w", err)
	}
	return s.config.Billing.SetTokenValue(inside, s.config.Token)
}

// demoToken is the demo's token: the one that was set, else the one that is
// kept in the data folder, which is made where there is none.
func demoToken(cfg config.Config) (auth.Token, error) {
	if cfg.BootstrapToken != "" {
		return auth.ParseToken(cfg.BootstrapToken)
	}
	path := filepath.Join(cfg.Data, tokenFile)
	kept, err := os.ReadFile(path)
	if err == nil {
		t, err := auth.ParseToken(strings.TrimSpace(string(kept)))
		if err != nil {
			return t, fmt.Errorf("%s: %w; remove the file, and a new token is made", path, err)
		}
		return t, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return auth.Token{}, fmt.Errorf("read the demo's token: %w", err)
	}
	t, err := auth.NewToken(demo.Slug, strings.ToLower(rand.Text()[:12]), rand.Reader)
	if err != nil {
		return t, err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return t, fmt.Errorf("make data folder: %w", err)
	}
	return t, keepToken(path, t)
}

// keepToken writes a token that only its owner can read. Whoever finds half of
// one after a crash is told so by the next start, so it appears whole.
func keepToken(path string, t auth.Token) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), tokenFile+".*")
	if err != nil {
		return fmt.Errorf("keep the demo's token: %w", err)
	}
	_, err = temp.WriteString(t.Reveal() + "\n")
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("keep the demo's token: %w", errors.Join(err, os.Remove(temp.Name())))
	}
	return nil
}
