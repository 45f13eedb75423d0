package auth

import (
	"slices"
	"time"
)

// Area is a part of the API that is granted as a whole.
type Area string

// The areas of the API.
const (
	// AreaPayer is what belongs to one payer and that payer may see: its
	// balances, cards, quotes, invoices, payments. A session has it for its
	// own payer; that the payer is its own is for the caller to check.
	AreaPayer Area = "PAYER"
	// AreaBilling is the billing of the whole organization, and what only it
	// may do to a payer: usage, holds, reloads by hand, credits, adjustments.
	AreaBilling Area = "BILLING"
	// AreaAccount is the organization's settings, and reading its tokens.
	AreaAccount Area = "ACCOUNT"
	// AreaAdmin is what needs the whole organization: changing its tokens.
	AreaAdmin Area = "ADMIN"
	// AreaSystem is the operator's: organizations and global providers.
	AreaSystem Area = "SYSTEM"
)

// CanRead reports whether the viewer may read the area. A nil viewer may read
// nothing.
func CanRead(v *Viewer, area Area) bool {
	switch {
	case v == nil:
		return false
	case v.Internal != "":
		return area != AreaSystem || v.AllTenants
	case v.IsSession():
		return area == AreaPayer
	}
	switch area {
	case AreaPayer, AreaBilling:
		return v.ofOrganization() && (v.Has(ScopeBilling) || v.Has(ScopeAdmin))
	case AreaAccount:
		return v.ofOrganization() && (v.Has(ScopeAccount) || v.Has(ScopeAdmin))
	case AreaAdmin:
		return v.ofOrganization() && v.Has(ScopeAdmin)
	case AreaSystem:
		return v.OrganizationID == "" && v.Has(ScopeSystem)
	}
	return false
}

// CanWrite reports whether the viewer may change the area: who may read it and
// has READ_WRITE. A session may write what it may read.
func CanWrite(v *Viewer, area Area) bool {
	return CanRead(v, area) && (v.IsSession() || v.Permission == PermissionReadWrite)
}

// CanGrant reports whether the viewer may make a token with these rights. A
// token never gives more than it has, and nothing that outlives it: expiresAt
// zero means never. No scopes at all cannot be granted, nor can SYSTEM.
func CanGrant(v *Viewer, scopes []Scope, permission Permission, expiresAt time.Time) bool {
	if !CanWrite(v, AreaAdmin) || len(scopes) == 0 {
		return false
	}
	for _, s := range scopes {
		if !slices.Contains([]Scope{ScopeBilling, ScopeAccount, ScopeAdmin}, s) {
			return false
		}
	}
	if permission != PermissionRead && permission != PermissionReadWrite {
		return false
	}
	return v.ExpiresAt.IsZero() || !expiresAt.IsZero() && !expiresAt.After(v.ExpiresAt)
}

func (v *Viewer) ofOrganization() bool { return v.OrganizationID != "" }
