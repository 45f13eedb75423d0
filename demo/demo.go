// Package demo makes the sample data of a development server: one organization
// with a payment provider at the sandbox, payers, a catalog, quotes, invoices
// and balances, so that the first query shows something.
//
// Everything is made as a client would make it, through package billing and the
// real gateway adapter, so that what is shown is true: every cent stands in the
// ledger, and the sandbox knows every payment. Each step carries an idempotency
// key of its own or looks at what is there, so that a process that was killed in
// the middle leaves nothing half done: the next one goes on.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/ent"
	"purser/gateway"
)

// Slug is the short id of the demo organization.
const Slug = "demo"

// The demo organization's name says whether its data is complete: there is no
// other place that is written together with the data, and people see it.
const (
	nameUnfinished = "Demo Weather API (being prepared)"
	name           = "Demo Weather API"
)

// part is what the ledger and the audit log call the maker of the demo.
const part = "demo"

// Config is what making the demo needs. All fields but WorldpayURL are
// required.
type Config struct {
	Billing  *billing.Service
	Gateways gateway.Directory
	// HTTP and SandboxURL reach the sandbox's own API, for what gateways have
	// no operation for.
	HTTP       *http.Client
	SandboxURL string
	// WorldpayURL is that of the Worldpay sandbox; empty where there is none, and
	// the demo has no provider there.
	WorldpayURL string
	// Random makes the keys of the sandbox account.
	Random io.Reader
	// Token is the organization's access token, with all rights.
	Token auth.Token
}

// State says what a database holds of the demo.
type State int

// The states. Foreign is a database with organizations, none of which is the
// demo: there the demo is not made.
const (
	StateNone State = iota
	StateUnfinished
	StateReady
	StateForeign
)

// Look says what the database holds of the demo.
func Look(ctx context.Context, b *billing.Service) (State, error) {
	all, err := b.Client().Organization.Query().All(auth.AllTenants(ctx, part))
	if err != nil {
		return 0, fmt.Errorf("look for the demo: %w", err)
	}
	for _, o := range all {
		switch {
		case o.Slug != Slug:
		case o.Name == nameUnfinished:
			return StateUnfinished, nil
		default:
			return StateReady, nil
		}
	}
	if len(all) > 0 {
		return StateForeign, nil
	}
	return StateNone, nil
}

// Seed makes the demo, or what is missing of it after an interrupted start,
// and returns when everything is settled. It is called where Look says
// StateNone or StateUnfinished, while the server answers requests and does due
// work: the sandbox's events arrive meanwhile.
func Seed(ctx context.Context, c Config) error {
	if err := c.organization(ctx); err != nil {
		return err
	}
	inside, err := c.Billing.Inside(ctx, part, Slug)
	if err != nil {
		return fmt.Errorf("enter the demo: %w", err)
	}
	s := &seeder{Config: c}
	for _, step := range []struct {
		what string
		make func(context.Context) error
	}{
		{"currencies", s.currencies},
		{"provider", s.provider},
		{"Worldpay provider", s.worldpay},
		{"payers", s.payers},
		{"catalog", s.catalog},
		{"balances", s.balances},
		{"quotes", s.quotes},
		{"invoices", s.invoices},
		{"subscriptions", s.subscriptions},
		{"events", s.delivered},
	} {
		if err := step.make(inside); err != nil {
			return fmt.Errorf("make the demo's %s: %w", step.what, err)
		}
	}
	finished := name
	if err := c.Billing.UpdateOrganization(inside, billing.OrganizationChange{Name: &finished}); err != nil {
		return fmt.Errorf("finish the demo: %w", err)
	}
	return nil
}

// organization makes the demo organization unless it is there.
func (c Config) organization(ctx context.Context) error {
	_, _, err := c.Billing.CreateOrganization(auth.AllTenants(ctx, part), billing.OrganizationDraft{
		Slug: Slug, Name: nameUnfinished, Environment: "SANDBOX", DefaultCurrency: "USD", Token: &c.Token,
	})
	var refusal *billing.Error
	if errors.As(err, &refusal) && refusal.Code == billing.CodeTaken {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make the demo organization: %w", err)
	}
	return nil
}

// seeder makes the demo's data step by step and remembers the ids.
type seeder struct {
	Config
	ada, linus, acme string            // payers
	prices           map[string]string // by nickname
}

// key names a step for ever, so that doing it again finds what it made.
func key(step string) *string {
	k := "demo-" + step
	return &k
}

// callTimeout bounds one gateway call.
const callTimeout = 30 * time.Second

// How long and how often a step is looked at that another process had begun
// and was killed in: the call it left behind is taken over after its lease.
const (
	settleTimeout = 2 * time.Minute
	settleEvery   = 100 * time.Millisecond
)

// settle repeats a step until done says that its effect is there. A step that
// was begun by a process that is gone answers INVALID_STATE, or nothing at all,
// until due work has finished it.
func settle(ctx context.Context, step func(context.Context) error, done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for {
		if ok, err := done(ctx); err != nil || ok {
			return err
		}
		err := step(ctx)
		var refusal *billing.Error
		if err != nil && !(errors.As(err, &refusal) && refusal.Code == billing.CodeInvalidState) {
			return err
		}
		if ok, failed := done(ctx); failed != nil || ok {
			return failed
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("not settled after %s: %w", settleTimeout, context.Cause(ctx)), err)
		case <-time.After(settleEvery):
		}
	}
}

// account returns the demo's provider, or nil where there is none yet.
func account(ctx context.Context, b *billing.Service) (*ent.Provider, error) {
	return providerWith(ctx, b, providerSlug)
}

// providerWith returns the demo's provider of a slug, or nil where there is
// none.
func providerWith(ctx context.Context, b *billing.Service, slug string) (*ent.Provider, error) {
	all, err := b.Client().Provider.Query().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for the demo's provider: %w", err)
	}
	for _, p := range all {
		if p.Slug == slug {
			return p, nil
		}
	}
	return nil, nil
}

// The demo's provider, and the slug that its name gives it.
const (
	providerName = "Stripe"
	providerSlug = "stripe"
)

// provider makes the sandbox account and connects it.
func (s *seeder) provider(ctx context.Context) error {
	p, err := account(ctx, s.Billing)
	if err != nil {
		return err
	}
	if p == nil {
		secret, err := auth.NewSecret(s.Random)
		if err != nil {
			return err
		}
		publishable, err := auth.NewSecret(s.Random)
		if err != nil {
			return err
		}
		keys, ok := gateway.Capability[gateway.Credentials](s.Gateways, gateway.KindStripe)
		if !ok {
			return errors.New("the Stripe adapter checks no keys")
		}
		description := "A merchant account at the sandbox: no money moves"
		_, err = s.Billing.CreateProvider(ctx, billing.ProviderDraft{
			Name: providerName, Description: &description, MakeDefault: true,
			Credentials: billing.Credentials{
				Kind:           gateway.KindStripe,
				SecretKey:      auth.Secret("sk_test_" + strings.ReplaceAll(secret.Reveal(), "_", "")),
				PublishableKey: "pk_test_" + publishable.Reveal(),
			},
		}, keys)
		if err != nil {
			return err
		}
	}
	return Connect(ctx, s.Config)
}
