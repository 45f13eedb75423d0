// Package billing is the domain: every business rule and every transaction.
//
// It owns the tables in ent/schema and their invariants, the ledger, and the
// state machines of quotes, invoices and payments. It does not talk to a
// gateway: a flow that needs one is cut into BeginX, which stores the intent,
// the call, which the front door makes with no transaction open, and FinishX,
// which applies the outcome. It does not know HTTP or GraphQL.
//
// Invariants, checked by Verify and after every test scenario:
//   - every balance equals the ledger entries that name it, its sequence has
//     no gap and its chain no broken link;
//   - held equals the open holds, unpaid the open invoices of the payer;
//   - every payment that succeeded is in the ledger exactly once;
//   - every open gateway call has a time at which somebody looks at it again.
//
// Who calls a function is told by the auth.Viewer in the context; a function
// acts only inside the viewer's organization. Functions return *Error for a
// refusal that the caller can act on; nothing was written then.
package billing

import (
	"context"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/database"
	"purser/ent"
)

// Config is what the domain needs from its surroundings.
type Config struct {
	DB     *database.DB
	Sealer *auth.Sealer
	Logger *slog.Logger
	// Now is the clock; times are cut to microseconds, which is what both
	// databases keep. Default time.Now.
	Now func() time.Time
	// Random makes ids, tokens and secrets.
	Random io.Reader
	// PublicURL is the address under which browsers and gateways reach this
	// server, without a slash at the end.
	PublicURL string
	// WebhookAddresses are addresses, scheme://host[:port], that an organization
	// may have events sent to beside those of the internet.
	WebhookAddresses []string
	// OneOrganization keeps the statements that book usage to one organization
	// each, as a database needs it that is spread over machines.
	OneOrganization bool
}

// Service offers the domain's operations. It is safe for concurrent use.
type Service struct {
	db     *database.DB
	read   *ent.Client
	sealer *auth.Sealer
	log    *slog.Logger
	// machineClock is the machine's clock (clock.go).
	machineClock func() time.Time
	clocks       orgClocks
	random       io.Reader
	publicURL    string
	// webhookAddresses is Config.WebhookAddresses.
	webhookAddresses []string
	changes          *Changes
	committers       committers
}

// New returns the domain over an open, migrated database.
func New(c Config) *Service {
	s := &Service{
		db:        c.DB,
		read:      ent.NewClient(ent.Driver(entsql.OpenDB(c.DB.Dialect, c.DB.Read))),
		sealer:    c.Sealer,
		log:       c.Logger,
		random:    c.Random,
		publicURL: strings.TrimSuffix(c.PublicURL, "/"),
		changes:   newChanges(),

		webhookAddresses: c.WebhookAddresses,
	}
	if s.machineClock = c.Now; c.Now == nil {
		s.machineClock = time.Now
	}
	RollOverReads(s.read, func(ctx context.Context, organizationID string) time.Time {
		return s.clockOf(ctx, organizationID).tell(s.machine())
	})
	s.committers = newCommitters(s, c.OneOrganization)
	return s
}

// Client returns the client for queries. It cannot write: on SQLite its
// connections refuse to, and tests refuse it everywhere.
func (s *Service) Client() *ent.Client { return s.read }

// Changes returns the live feed of changed objects.
func (s *Service) Changes() *Changes { return s.changes }

// PublicURL returns the address under which the world reaches this server.
func (s *Service) PublicURL() string { return s.publicURL }

// publicLink joins a path of ours to the public address.
func (s *Service) publicLink(segments ...string) string {
	for i, p := range segments {
		segments[i] = url.PathEscape(p)
	}
	return s.publicURL + "/" + strings.Join(segments, "/")
}

// embedded reports whether the database is SQLite, which has one writer and
// no row locks.
func (s *Service) embedded() bool { return s.db.Dialect == dialect.SQLite }
