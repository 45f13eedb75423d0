package graph

import (
	"context"
	"errors"

	"entgo.io/ent/privacy"
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"purser/billing"
	"purser/ent"
	"purser/ent/schema"
	"purser/graph/transport"
	"purser/money"
)

// present turns an error of a resolver into what the caller sees. What is not
// named here stays unknown, and the transport answers INTERNAL with the
// request's id; nobody sees its text.
func present(ctx context.Context, err error) *gqlerror.Error {
	path := graphql.GetPath(ctx)
	show := func(code, message string) *gqlerror.Error {
		return &gqlerror.Error{Err: err, Message: message, Path: path, Extensions: map[string]any{"code": code}}
	}
	var refusal *billing.Error
	var amount *money.Error
	switch {
	case errors.As(err, &refusal):
		// A refusal outside a mutation's payload: a value in an argument.
		return show(transport.CodeBadUserInput, refusal.Message)
	case errors.As(err, &amount):
		return show(transport.CodeBadUserInput, amount.Message)
	case errors.Is(err, privacy.Deny), errors.Is(err, schema.ErrNoViewer):
		return show(transport.CodeForbidden, forbidden)
	case errors.Is(err, billing.ErrBusy):
		e := show(transport.CodeUnavailable, "too much usage is waiting to be booked: try again in a second with the same idempotency key")
		e.Extensions["retryAfterSeconds"] = 1
		return e
	case billing.IsUnavailable(err):
		return show(transport.CodeUnavailable, "the database cannot answer now: try again, a mutation with the same idempotency key")
	case ent.IsNotFound(err):
		// An object that was there a moment ago. Its type is no news, the
		// text that ent gives it is Go's.
		return show(transport.CodeUnavailable, "an object was removed while it was read: try again")
	}
	return nil
}

// forbidden is the one text for what the credentials do not reach.
const forbidden = "the credentials do not reach this"

// badInput is an argument of a query that cannot be used as it is.
func badInput(err error) error {
	var amount *money.Error
	if errors.As(err, &amount) {
		return badInputf("%s", amount.Message)
	}
	return err
}

func badInputf(format string, args ...any) error {
	return transport.Errorf(transport.CodeBadUserInput, format, args...)
}

// amountRefused turns the refusal of an amount's text into the domain's, at
// the part of the input that is wrong: field is where the amount stands.
func amountRefused(err error, field string) error { return valueRefused(err, field, ".amount") }

// rateRefused is amountRefused for a percentage, which has no parts.
func rateRefused(err error, field string) error { return valueRefused(err, field, "") }

func valueRefused(err error, field, part string) error {
	var m *money.Error
	if !errors.As(err, &m) {
		return err
	}
	if m.Code == money.CodeCurrency || m.Code == money.CodeMismatch {
		return billing.Refusal(billing.CodeCurrencyMismatch, field+".currency", m.Message)
	}
	return billing.Refusal(billing.CodeInvalid, field+part, m.Message)
}
