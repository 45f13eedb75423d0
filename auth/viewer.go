// Package auth says who is calling and what the caller may do: access
// tokens, payer sessions, scopes, and the viewer that travels in the
// context. It owns no storage (tokens are looked up through an interface)
// and imports nothing of Purser's.
package auth

import (
	"context"
	"slices"
	"time"
)

// Scope is what an access token reaches.
type Scope string

// The scopes of an access token. ScopeSystem belongs to the operator, whose
// token has no organization.
const (
	ScopeBilling Scope = "BILLING"
	ScopeAccount Scope = "ACCOUNT"
	ScopeAdmin   Scope = "ADMIN"
	ScopeSystem  Scope = "SYSTEM"
)

// Permission says whether a token may only read.
type Permission string

// The permissions of an access token.
const (
	PermissionRead      Permission = "READ"
	PermissionReadWrite Permission = "READ_WRITE"
)

// Viewer is the caller of one request. Exactly one of TokenID, SessionID and
// Internal is set.
type Viewer struct {
	// OrganizationID is the tenant; empty only for the operator and for
	// internal work over all tenants.
	OrganizationID string
	// OrganizationSlug is the tenant's short id.
	OrganizationSlug string
	// TokenID is the access token's id (`tok_…`).
	TokenID string
	// SessionID is the payer session's id, and PayerID its one payer.
	SessionID string
	PayerID   string
	// Scopes and Permission come from the token; a session has none.
	Scopes     []Scope
	Permission Permission
	// ExpiresAt is when the credential ends; zero means never.
	ExpiresAt time.Time
	// Internal names the part of the program that acts by itself
	// ("jobs", "webhook", "migrate").
	Internal string
	// AllTenants lifts the tenant filter. Only internal work on the
	// allow-list of cross-tenant statements sets it.
	AllTenants bool
}

// Has reports whether the viewer's token carries the scope.
func (v *Viewer) Has(s Scope) bool { return v != nil && slices.Contains(v.Scopes, s) }

// IsSession reports whether the caller is a payer session.
func (v *Viewer) IsSession() bool { return v != nil && v.SessionID != "" }

// Actor names the caller in ledger entries and audit events.
func (v *Viewer) Actor() string {
	switch {
	case v == nil:
		return "nobody"
	case v.TokenID != "":
		return v.TokenID
	case v.SessionID != "":
		return v.SessionID
	default:
		return v.Internal
	}
}

type viewerKey struct{}

// NewContext returns a context that carries the viewer.
func NewContext(ctx context.Context, v *Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, v)
}

// FromContext returns the viewer, or nil where nobody is known.
func FromContext(ctx context.Context) *Viewer {
	v, _ := ctx.Value(viewerKey{}).(*Viewer)
	return v
}

// Internal returns a context in which the program acts by itself inside one
// organization.
func Internal(ctx context.Context, part, organizationID string) context.Context {
	return NewContext(ctx, &Viewer{Internal: part, OrganizationID: organizationID, Permission: PermissionReadWrite})
}

// AllTenants returns a context for one of the few statements that span
// organizations (due-work scans, token look-up by slug, migrations, verify).
func AllTenants(ctx context.Context, part string) context.Context {
	return NewContext(ctx, &Viewer{Internal: part, AllTenants: true, Permission: PermissionReadWrite})
}
