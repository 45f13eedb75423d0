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
	"fmt"
	"slices"
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

// payload returns contexts in which ent's field collection sees what is
// selected under the named field of the mutation's payload: one for each name
// that the document gives it, none where it does not ask for it. With more
// names it goes further down.
func payload(ctx context.Context, field string, further ...string) []context.Context {
	all := selected(ctx, field)
	for _, name := range further {
		var next []context.Context
		for _, at := range all {
			next = append(next, selected(at, name)...)
		}
		all = next
	}
	return all
}

func selected(ctx context.Context, field string) []context.Context {
	parent := graphql.GetFieldContext(ctx)
	var out []context.Context
	for _, f := range graphql.CollectFieldsCtx(ctx, nil) {
		if f.Name == field {
			out = append(out, graphql.WithFieldContext(ctx, &graphql.FieldContext{Parent: parent, Object: f.ObjectDefinition.Name, Field: f}))
		}
	}
	return out
}

// collector is a query of ent for rows of one kind.
type collector[Q, T any] interface {
	CollectFields(ctx context.Context, types ...string) (Q, error)
	Only(ctx context.Context) (T, error)
}

// show reads the one object of a query in the shape that the named field of a
// mutation's payload asks for, in as few statements as a query of the document
// would take. What the document does not ask for is not read.
func show[Q collector[Q, T], T any](ctx context.Context, q Q, field, typ string) (T, error) {
	var none T
	asked := payload(ctx, field)
	if len(asked) == 0 {
		return none, nil
	}
	for _, at := range asked {
		var err error
		if q, err = q.CollectFields(at, typ, "Node"); err != nil {
			return none, fmt.Errorf("shape %s: %w", field, err)
		}
	}
	row, err := q.Only(ctx)
	if err != nil {
		return none, fmt.Errorf("read %s: %w", field, err)
	}
	return row, nil
}

// onlyIDs reports whether the document asks for nothing but the ids of objects,
// which are known without reading them: callers in a hurry ask for no more.
func onlyIDs(asked []context.Context) bool {
	for _, at := range asked {
		for _, f := range graphql.CollectFieldsCtx(at, nil) {
			if f.Name != "id" && f.Name != "__typename" {
				return false
			}
		}
	}
	return true
}

// refused splits an error of package billing: a refusal becomes data of the
// payload, anything else stays an error. The result is never nil for a
// refusal and an empty list for success, as the schema wants it.
func refused(err error) ([]*model.UserError, error) { return refusedAt(err) }

// refusedAt is refused for a part of the input that stands under at.
func refusedAt(err error, at ...string) ([]*model.UserError, error) {
	if err == nil {
		return []*model.UserError{}, nil
	}
	var e *billing.Error
	if !errors.As(err, &e) {
		return nil, err
	}
	u := &model.UserError{Code: model.UserErrorCode(e.Code), Message: e.Message, Field: slices.Concat([]string{"input"}, at, e.Field)}
	if d := e.Details; d != nil {
		u.Details = &model.FundsDetails{Required: &d.Required, Available: &d.Available, Held: &d.Held, Shortfall: &d.Shortfall}
	}
	if e.GatewayCode != "" {
		u.GatewayCode = &e.GatewayCode
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
