package auth_test

import (
	"testing"
	"time"

	"purser/auth"
)

var areas = []auth.Area{auth.AreaPayer, auth.AreaBilling, auth.AreaAccount, auth.AreaAdmin, auth.AreaSystem}

func tokenViewer(permission auth.Permission, scopes ...auth.Scope) *auth.Viewer {
	return &auth.Viewer{OrganizationID: "org_1", TokenID: "tok_1", Scopes: scopes, Permission: permission}
}

// TestWhoMayDoWhat is the table of rights, one line per caller: r reads,
// w reads and writes, - neither; columns as in areas.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	rw, r := auth.PermissionReadWrite, auth.PermissionRead
	inside := auth.FromContext(auth.Internal(t.Context(), "jobs", "org_1"))
	everywhere := auth.FromContext(auth.AllTenants(t.Context(), "migrate"))
	for name, tt := range map[string]struct {
		viewer *auth.Viewer
		want   string // payer, billing, account, admin, system
	}{
		"nobody":                  {nil, "-----"},
		"empty viewer":            {&auth.Viewer{Permission: rw}, "-----"},
		"BILLING":                 {tokenViewer(rw, auth.ScopeBilling), "ww---"},
		"BILLING read":            {tokenViewer(r, auth.ScopeBilling), "rr---"},
		"ACCOUNT":                 {tokenViewer(rw, auth.ScopeAccount), "--w--"},
		"ACCOUNT read":            {tokenViewer(r, auth.ScopeAccount), "--r--"},
		"BILLING ACCOUNT":         {tokenViewer(rw, auth.ScopeBilling, auth.ScopeAccount), "www--"},
		"ADMIN":                   {tokenViewer(rw, auth.ScopeAdmin), "wwww-"},
		"ADMIN read":              {tokenViewer(r, auth.ScopeAdmin), "rrrr-"},
		"no scope":                {tokenViewer(rw), "-----"},
		"unknown scope":           {tokenViewer(rw, "EVERYTHING"), "-----"},
		"no permission":           {tokenViewer("", auth.ScopeAdmin), "rrrr-"},
		"SYSTEM in organization":  {tokenViewer(rw, auth.ScopeSystem), "-----"},
		"operator":                {&auth.Viewer{TokenID: "tok_0", Scopes: []auth.Scope{auth.ScopeSystem}, Permission: rw}, "----w"},
		"operator read":           {&auth.Viewer{TokenID: "tok_0", Scopes: []auth.Scope{auth.ScopeSystem}, Permission: r}, "----r"},
		"ADMIN lost organization": {&auth.Viewer{TokenID: "tok_0", Scopes: []auth.Scope{auth.ScopeAdmin}, Permission: rw}, "-----"},
		"payer session":           {&auth.Viewer{OrganizationID: "org_1", SessionID: "ses_1", PayerID: "dev_1"}, "w----"},
		"session with scopes":     {&auth.Viewer{OrganizationID: "org_1", SessionID: "ses_1", Scopes: []auth.Scope{auth.ScopeAdmin}, Permission: rw}, "w----"},
		"internal":                {inside, "wwww-"},
		"internal, all tenants":   {everywhere, "wwwww"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, area := range areas {
				switch read, write := auth.CanRead(tt.viewer, area), auth.CanWrite(tt.viewer, area); {
				case write && !read:
					t.Errorf("may write %s without reading it", area)
				case write:
					got += "w"
				case read:
					got += "r"
				default:
					got += "-"
				}
			}
			if got != tt.want {
				t.Errorf("rights are %s, want %s", got, tt.want)
			}
			if auth.CanRead(tt.viewer, "OTHER") && tt.viewer.Internal == "" {
				t.Error("may read an area that does not exist")
			}
		})
	}
}

func TestCanGrant(t *testing.T) {
	t.Parallel()
	admin := tokenViewer(auth.PermissionReadWrite, auth.ScopeAdmin)
	ending := tokenViewer(auth.PermissionReadWrite, auth.ScopeAdmin)
	ending.ExpiresAt = now.Add(time.Hour)
	scopes := func(s ...auth.Scope) []auth.Scope { return s }

	for name, tt := range map[string]struct {
		viewer     *auth.Viewer
		scopes     []auth.Scope
		permission auth.Permission
		expires    time.Time
		want       bool
	}{
		"admin grants admin":        {admin, scopes(auth.ScopeAdmin), auth.PermissionReadWrite, time.Time{}, true},
		"admin grants less":         {admin, scopes(auth.ScopeBilling, auth.ScopeAccount), auth.PermissionRead, now, true},
		"admin grants system":       {admin, scopes(auth.ScopeBilling, auth.ScopeSystem), auth.PermissionRead, now, false},
		"unknown scope":             {admin, scopes("EVERYTHING"), auth.PermissionRead, now, false},
		"no scope":                  {admin, nil, auth.PermissionRead, now, false},
		"unknown permission":        {admin, scopes(auth.ScopeBilling), "WRITE", now, false},
		"reading admin":             {tokenViewer(auth.PermissionRead, auth.ScopeAdmin), scopes(auth.ScopeBilling), auth.PermissionRead, now, false},
		"billing":                   {tokenViewer(auth.PermissionReadWrite, auth.ScopeBilling), scopes(auth.ScopeBilling), auth.PermissionRead, now, false},
		"nobody":                    {nil, scopes(auth.ScopeBilling), auth.PermissionRead, now, false},
		"ends with its maker":       {ending, scopes(auth.ScopeBilling), auth.PermissionRead, ending.ExpiresAt, true},
		"outlives its maker":        {ending, scopes(auth.ScopeBilling), auth.PermissionRead, ending.ExpiresAt.Add(1), false},
		"outlives its maker always": {ending, scopes(auth.ScopeBilling), auth.PermissionRead, time.Time{}, false},
	} {
		if got := auth.CanGrant(tt.viewer, tt.scopes, tt.permission, tt.expires); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
}

func TestViewerInContext(t *testing.T) {
	t.Parallel()
	if v := auth.FromContext(t.Context()); v != nil || v.Actor() != "nobody" || v.Has(auth.ScopeAdmin) || v.IsSession() {
		t.Errorf("an empty context has the viewer %+v", v)
	}
	want := tokenViewer(auth.PermissionRead, auth.ScopeBilling)
	if got := auth.FromContext(auth.NewContext(t.Context(), want)); got != want {
		t.Errorf("viewer is %+v", got)
	}
	inside := auth.FromContext(auth.Internal(t.Context(), "jobs", "org_1"))
	if inside.Actor() != "jobs" || inside.OrganizationID != "org_1" || inside.AllTenants {
		t.Errorf("internal viewer is %+v", inside)
	}
	everywhere := auth.FromContext(auth.AllTenants(t.Context(), "verify"))
	if everywhere.Actor() != "verify" || everywhere.OrganizationID != "" || !everywhere.AllTenants {
		t.Errorf("viewer of all tenants is %+v", everywhere)
	}
}
