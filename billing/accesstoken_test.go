package billing

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"purser/auth"
	"purser/ent/accesstoken"
)

func TestAccessTokens(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		a := auth.NewAuthenticator(f.Service, f.clock.Now)
		ends := f.Now().Add(time.Hour)
		id, token, err := f.CreateToken(f.ctx, TokenDraft{
			Name: "CI", Scopes: []auth.Scope{auth.ScopeBilling, auth.ScopeBilling}, Permission: auth.PermissionRead, ExpiresAt: &ends,
		})
		if err != nil {
			t.Fatal(err)
		}
		row, err := f.Client().AccessToken.Query().Where(accesstoken.ID(id)).Only(f.ctx)
		if err != nil || strings.Contains(row.Hint, token.Secret.Reveal()) || string(row.Digest) == token.Secret.Reveal() || len(row.Scopes) != 1 {
			t.Errorf("stored %+v, %v", row, err)
		}
		v, stale, err := a.Authenticate(t.Context(), token.Reveal())
		if err != nil || v.OrganizationID != f.org || v.OrganizationSlug != "demo" || v.TokenID != id || v.Permission != auth.PermissionRead || !v.ExpiresAt.Equal(ends) || !stale {
			t.Fatalf("viewer %+v, stale %t, %v", v, stale, err)
		}
		if err := f.TouchToken(auth.NewContext(t.Context(), v)); err != nil {
			t.Fatal(err)
		}
		if _, stale, err := a.Authenticate(t.Context(), token.Reveal()); stale || err != nil {
			t.Errorf("just touched and stale %t, %v", stale, err)
		}
		if err := f.RenameToken(f.ctx, id, "Build"); err != nil {
			t.Fatal(err)
		}
		wantCode(t, f.RenameToken(f.ctx, id, ""), CodeRequired, "name")

		// Not another organization's, not with another's short id.
		_, other := f.newOrganization(t, "other", "UTC")
		wantCode(t, f.RenameToken(other, id, "Mine"), CodeNotFound, "id")
		wantCode(t, f.RevokeToken(other, id), CodeNotFound, "id")
		if _, _, err := a.Authenticate(t.Context(), strings.Replace(token.Reveal(), "_demo_", "_other_", 1)); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("with another short id: %v", err)
		}
		for range 2 {
			if err := f.RevokeToken(f.ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := a.Authenticate(t.Context(), token.Reveal()); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("revoked: %v", err)
		}
		_, token, err = f.CreateToken(f.ctx, TokenDraft{Name: "Short", Scopes: []auth.Scope{auth.ScopeAdmin}, Permission: auth.PermissionReadWrite, ExpiresAt: &ends})
		if err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(time.Hour)
		if _, _, err := a.Authenticate(t.Context(), token.Reveal()); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("expired: %v", err)
		}
	})
}

// TestTokenRights holds that a token never gives more than its maker has.
func TestTokenRights(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		ends := f.Now().Add(time.Hour)
		maker := func(v auth.Viewer) context.Context {
			v.OrganizationID, v.OrganizationSlug, v.TokenID = f.org, "demo", "tok_maker"
			return auth.NewContext(t.Context(), &v)
		}
		good := TokenDraft{Name: "x", Scopes: []auth.Scope{auth.ScopeBilling}, Permission: auth.PermissionRead}
		for name, c := range map[string]struct {
			ctx    context.Context
			change func(*TokenDraft)
			code   Code
			field  string
		}{
			"no scopes":           {f.ctx, func(d *TokenDraft) { d.Scopes = nil }, CodeRequired, "scopes"},
			"the operator's":      {f.ctx, func(d *TokenDraft) { d.Scopes = []auth.Scope{auth.ScopeSystem} }, CodeInvalid, "scopes"},
			"no name":             {f.ctx, func(d *TokenDraft) { d.Name = "" }, CodeRequired, "name"},
			"ended":               {f.ctx, func(d *TokenDraft) { d.ExpiresAt = ptr(f.Now()) }, CodeExpired, "expiresAt"},
			"by a reader":         {maker(auth.Viewer{Scopes: []auth.Scope{auth.ScopeAdmin}, Permission: auth.PermissionRead}), func(*TokenDraft) {}, CodeInvalid, ""},
			"by billing":          {maker(auth.Viewer{Scopes: []auth.Scope{auth.ScopeBilling}, Permission: auth.PermissionReadWrite}), func(*TokenDraft) {}, CodeInvalid, ""},
			"outliving its maker": {maker(auth.Viewer{Scopes: []auth.Scope{auth.ScopeAdmin}, Permission: auth.PermissionReadWrite, ExpiresAt: ends}), func(*TokenDraft) {}, CodeInvalid, ""},
		} {
			d := good
			c.change(&d)
			if _, _, err := f.CreateToken(c.ctx, d); err == nil {
				t.Errorf("%s: accepted", name)
			} else {
				wantCode(t, err, c.code, c.field)
			}
		}
		if n, err := f.Client().AccessToken.Query().Count(f.ctx); n != 0 || err != nil {
			t.Errorf("%d tokens, %v", n, err)
		}
	})
}

func TestPayerSessions(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		a := auth.NewAuthenticator(f.Service, f.clock.Now)
		p := f.newPayer(t, "PREPAID")
		token, ends, err := f.CreatePayerSession(f.ctx, p.ID, time.Minute)
		if err != nil || !ends.Equal(f.Now().Add(time.Minute)) {
			t.Fatalf("ends %s, %v", ends, err)
		}
		v, _, err := a.Authenticate(t.Context(), token.Reveal())
		if err != nil || !v.IsSession() || v.PayerID != p.ID || v.OrganizationID != f.org {
			t.Errorf("viewer %+v, %v", v, err)
		}
		for _, life := range []time.Duration{0, time.Second, 25 * time.Hour} {
			_, _, err := f.CreatePayerSession(f.ctx, p.ID, life)
			wantCode(t, err, CodeInvalid, "expiresIn")
		}
		_, _, err = f.CreatePayerSession(f.ctx, "dev_nobody", time.Minute)
		wantCode(t, err, CodeNotFound, "payerId")
		_, other := f.newOrganization(t, "other", "UTC")
		_, _, err = f.CreatePayerSession(other, p.ID, time.Minute)
		wantCode(t, err, CodeNotFound, "payerId")
		// Not longer than the token that makes it.
		short := *auth.FromContext(f.ctx)
		short.ExpiresAt = f.Now().Add(10 * time.Second)
		if _, ends, err := f.CreatePayerSession(auth.NewContext(t.Context(), &short), p.ID, time.Hour); err != nil || !ends.Equal(short.ExpiresAt) {
			t.Errorf("ends %s, %v", ends, err)
		}
		f.clock.Advance(time.Minute)
		if _, _, err := a.Authenticate(t.Context(), token.Reveal()); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("ended: %v", err)
		}
	})
}
