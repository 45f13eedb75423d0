package model

import (
	"fmt"
	"io"
	"strconv"

	"github.com/99designs/gqlgen/graphql"

	"purser/auth"
)

// MarshalAccessTokenScope writes a scope.
func MarshalAccessTokenScope(s auth.Scope) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(string(s))) // the writer is a buffer
	})
}

// UnmarshalAccessTokenScope reads a scope.
func UnmarshalAccessTokenScope(v any) (auth.Scope, error) {
	s, _ := v.(string)
	switch scope := auth.Scope(s); scope {
	case auth.ScopeBilling, auth.ScopeAccount, auth.ScopeAdmin, auth.ScopeSystem:
		return scope, nil
	}
	return "", fmt.Errorf("%q is not an access token scope", s)
}
