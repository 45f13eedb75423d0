package graph

import (
	"context"
	"errors"
	"fmt"

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

// moneyOf reads an amount of a mutation's input as parse does (money.Parse,
// ParseMinor or ParseLine); what is wrong with it is a refusal at field.
func moneyOf(parse func(money.Decimal, string) (money.Amount, error), field string, d money.Decimal, currency string) (money.Amount, error) {
	a, err := parse(d, currency)
	if err == nil {
		return a, nil
	}
	var m *money.Error
	if !errors.As(err, &m) {
		return a, fmt.Errorf("read amount: %w", err)
	}
	code := billing.CodeInvalid
	if m.Code == money.CodeCurrency || m.Code == money.CodeMismatch {
		code = billing.CodeCurrencyMismatch
	}
	return a, &billing.Error{Code: code, Message: m.Message, Field: []string{field}, Err: err}
}
