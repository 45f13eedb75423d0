// Package graph is the GraphQL front door: resolvers, one file per aggregate,
// that call one function of package billing each, or one Begin–call–Finish.
//
// A resolver opens no transaction, writes nothing through ent, does not look
// at a provider's kind, calculates no money, retries nothing, reads no clock
// and sends no mail. Queries return an ent query with pagination and field
// collection; mutations return the objects they changed, read again in the
// shape the document asks for.
package graph

import (
	"context"
	"errors"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"purser/auth"
	"purser/billing"
	"purser/ent"
	"purser/gateway"
	"purser/graph/model"
	"purser/graph/transport"
)

// Resolver has what the resolvers need.
type Resolver struct {
	Billing *billing.Service
	// Gateways finds the adapter of a gateway.
	Gateways gateway.Directory
	// CallLimit bounds the gateway call of a mutation.
	CallLimit time.Duration
	// Version is the server's version.
	Version string
}

// client is the client for queries.
func (r *Resolver) client() *ent.Client { return r.Billing.Client() }

// calling returns the context of a mutation's gateway call: with the call's own
// limit, since the client's patience does not bound money that is moving. What
// follows the call must not depend on it, because a gateway that does not
// answer uses it up.
func (r *Resolver) calling(ctx context.Context) (context.Context, context.CancelFunc) {
	return billing.Detached(ctx, r.CallLimit)
}

// payload returns a context in which ent's field collection sees the
// selection under the named field of the mutation's payload, so that the
// object is read again with all it needs in as few statements as a query.
func payload(ctx context.Context, field string) context.Context {
	parent := graphql.GetFieldContext(ctx)
	for _, f := range graphql.CollectFieldsCtx(ctx, nil) {
		if f.Name != field {
			continue
		}
		return graphql.WithFieldContext(ctx, &graphql.FieldContext{Parent: parent, Object: f.ObjectDefinition.Name, Field: f})
	}
	return ctx
}

// refused splits an error of package billing: a refusal becomes data of the
// payload, anything else stays an error. The result is never nil for a
// refusal and an empty list for success, as the schema wants it.
func refused(err error) ([]*model.UserError, error) {
	if err == nil {
		return []*model.UserError{}, nil
	}
	var e *billing.Error
	if !errors.As(err, &e) {
		return nil, err
	}
	u := &model.UserError{Code: model.UserErrorCode(e.Code), Message: e.Message, Field: []string{"input"}}
	u.Field = append(u.Field, e.Field...)
	if d := e.Details; d != nil {
		u.Details = &model.FundsDetails{Required: &d.Required, Available: &d.Available, Held: &d.Held, Shortfall: &d.Shortfall}
	}
	return []*model.UserError{u}, nil
}

// key is the idempotency key of a mutation: the input's, else the header's.
func key(ctx context.Context, given *string) *string {
	if header := transport.IdempotencyKey(ctx); given == nil && header != "" {
		return &header
	}
	return given
}

// organizationID is the caller's tenant.
func organizationID(ctx context.Context) string { return auth.FromContext(ctx).OrganizationID }
