package graph

import (
	"context"
	"log/slog"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"purser/auth"
	"purser/billing"
	"purser/gateway"
	"purser/graph/generated"
	"purser/graph/transport"
	"purser/schema"
)

// callLimit is how long a mutation's gateway call may take.
const callLimit = 18 * time.Second

// HandlerConfig is what the GraphQL endpoint is made of. Billing, Gateways
// and CursorKey are required.
type HandlerConfig struct {
	// AllowedOrigins are the origins whose pages may call the endpoint.
	AllowedOrigins []string
	Billing        *billing.Service
	// CallLimit bounds the gateway call of a mutation. Defaults to 18 s: with
	// the time that Finish has it stays below the limit of a mutation.
	CallLimit time.Duration
	// Closing ends all open streams when it is closed. Defaults to never.
	Closing <-chan struct{}
	// CursorKey signs the cursors of lists: at least 16 bytes, the same on
	// every instance.
	CursorKey []byte
	Gateways  gateway.Directory
	// Limits bound what one request and one caller may do. Defaults to
	// transport.DefaultLimits().
	Limits *transport.Limits
	Logger *slog.Logger
	// Metrics counts operations. Defaults to counting nothing.
	Metrics transport.Metrics
	// Operator is the operator's token; nil: there is no operator.
	Operator *auth.Token
	// Production leaves suggestions out of validation errors.
	Production bool
	// Version is the server's version, which viewer shows.
	Version string
}

// NewHandler returns the GraphQL endpoint. The error says what is wrong with
// the operator's token or with an origin.
func NewHandler(c HandlerConfig) (transport.Endpoint, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.CallLimit == 0 {
		c.CallLimit = callLimit
	}
	store := auth.Shared(c.Billing)
	if c.Operator != nil {
		var err error
		if store, err = auth.WithOperator(store, *c.Operator); err != nil {
			return nil, err
		}
	}
	intercept(c.Billing.Client())
	contract, err := schema.Load()
	if err != nil {
		return nil, err
	}
	executable := generated.NewExecutableSchema(generated.Config{
		Schema:    contract,
		Resolvers: &Resolver{Billing: c.Billing, Gateways: c.Gateways, CallLimit: c.CallLimit, Version: c.Version},
	})
	a := &authenticator{
		Authenticator: auth.NewAuthenticator(store, c.Billing.Now),
		billing:       c.Billing, log: c.Logger,
	}
	return transport.New(transport.Options{
		AllowedOrigins: c.AllowedOrigins,
		Authenticate:   a.authenticate,
		Closing:        c.Closing,
		CursorKey:      c.CursorKey,
		Extensions:     []graphql.HandlerExtension{&gatekeeper{rules: newRules(), schema: contract}, streams{}},
		Limits:         c.Limits,
		Logger:         c.Logger,
		Metrics:        c.Metrics,
		Now:            c.Billing.Now,
		PresentError:   present,
		Production:     c.Production,
		Schema:         executable,
	})
}

// authenticator turns a credential into a context that carries the viewer.
type authenticator struct {
	*auth.Authenticator
	billing *billing.Service
	log     *slog.Logger
}

// touchTimeout bounds the one write that a read may cost, once a minute.
const touchTimeout = time.Second

func (a *authenticator) authenticate(ctx context.Context, bearer string) (context.Context, error) {
	v, stale, err := a.Authenticate(ctx, bearer)
	if err != nil {
		return nil, err
	}
	ctx = auth.NewContext(ctx, v)
	if stale {
		touch, cancel := context.WithTimeout(ctx, touchTimeout)
		defer cancel()
		// The time of last use is a help for people; the request goes on
		// without it.
		if err := a.billing.TouchToken(touch); err != nil {
			a.log.WarnContext(ctx, "time of last use not recorded", slog.String("token_id", v.TokenID), slog.Any("error", err))
		}
	}
	return ctx, nil
}
