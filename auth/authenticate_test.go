package auth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"purser/auth"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// memory is a store of credentials by slug and id.
type memory struct {
	tokens   map[string]auth.StoredToken
	sessions map[string]auth.StoredSession
	err      error
	asked    []string
}

func (m *memory) LookupToken(_ context.Context, slug, id string) (auth.StoredToken, error) {
	m.asked = append(m.asked, slug+"/"+id)
	if m.err != nil {
		return auth.StoredToken{}, m.err
	}
	if t, ok := m.tokens[slug+"/"+id]; ok {
		return t, nil
	}
	return auth.StoredToken{}, fmt.Errorf("token %s: %w", id, auth.ErrNotFound)
}

func (m *memory) LookupSession(_ context.Context, slug, id string) (auth.StoredSession, error) {
	m.asked = append(m.asked, slug+"/"+id)
	if m.err != nil {
		return auth.StoredSession{}, m.err
	}
	if s, ok := m.sessions[slug+"/"+id]; ok {
		return s, nil
	}
	return auth.StoredSession{}, auth.ErrNotFound
}

func storedToken() auth.StoredToken {
	return auth.StoredToken{
		ID: "tok_a1", OrganizationID: "org_1",
		Scopes:     []auth.Scope{auth.ScopeBilling, auth.ScopeAdmin},
		Permission: auth.PermissionReadWrite,
		Digest:     auth.Digest(goodSecret),
		LastUsedAt: now.Add(-10 * time.Second),
	}
}

func storedSession() auth.StoredSession {
	return auth.StoredSession{
		ID: "ses_s1", OrganizationID: "org_1", PayerID: "dev_1",
		Digest: auth.Digest(goodSecret), ExpiresAt: now.Add(time.Hour),
	}
}

func authenticator(store auth.Store) *auth.Authenticator {
	return auth.NewAuthenticator(store, func() time.Time { return now })
}

func TestAuthenticateToken(t *testing.T) {
	t.Parallel()
	stored := storedToken()
	stored.ExpiresAt = now.Add(time.Second)
	store := &memory{tokens: map[string]auth.StoredToken{"demo/a1": stored}}
	v, stale, err := authenticator(store).Authenticate(t.Context(), "pur_demo_a1_"+goodSecret)
	if err != nil {
		t.Fatal(err)
	}
	if v.OrganizationID != "org_1" || v.OrganizationSlug != "demo" || v.TokenID != "tok_a1" || v.Actor() != "tok_a1" ||
		v.SessionID != "" || v.PayerID != "" || v.Internal != "" || v.AllTenants ||
		!v.Has(auth.ScopeBilling) || !v.Has(auth.ScopeAdmin) || v.Has(auth.ScopeAccount) ||
		v.Permission != auth.PermissionReadWrite || !v.ExpiresAt.Equal(stored.ExpiresAt) {
		t.Errorf("viewer is %+v", v)
	}
	if stale {
		t.Error("a token used ten seconds ago is called stale")
	}
	if !slices.Equal(store.asked, []string{"demo/a1"}) {
		t.Errorf("the store was asked for %v", store.asked)
	}
}

func TestAuthenticateSession(t *testing.T) {
	t.Parallel()
	store := &memory{sessions: map[string]auth.StoredSession{"demo/s1": storedSession()}}
	v, stale, err := authenticator(store).Authenticate(t.Context(), "pus_demo_s1_"+goodSecret)
	if err != nil {
		t.Fatal(err)
	}
	if v.OrganizationID != "org_1" || v.OrganizationSlug != "demo" || v.SessionID != "ses_s1" || v.PayerID != "dev_1" ||
		v.TokenID != "" || len(v.Scopes) != 0 || v.Permission != "" || !v.IsSession() || v.Actor() != "ses_s1" || stale {
		t.Errorf("viewer is %+v, stale %t", v, stale)
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	t.Parallel()
	token := func(change func(*auth.StoredToken)) auth.Store {
		stored := storedToken()
		change(&stored)
		return &memory{tokens: map[string]auth.StoredToken{"demo/a1": stored, "system/a1": stored}}
	}
	session := func(change func(*auth.StoredSession)) auth.Store {
		stored := storedSession()
		change(&stored)
		return &memory{sessions: map[string]auth.StoredSession{"demo/s1": stored}}
	}
	sameToken, sameSession := func(*auth.StoredToken) {}, func(*auth.StoredSession) {}
	const pur, pus = "pur_demo_a1_" + goodSecret, "pus_demo_s1_" + goodSecret
	wrong := strings.Replace(goodSecret, "0", "1", 1)

	for name, tt := range map[string]struct {
		store      auth.Store
		credential string
	}{
		"nothing":               {token(sameToken), ""},
		"malformed":             {token(sameToken), "pur_demo"},
		"another kind":          {token(sameToken), "sk_test_" + goodSecret},
		"unknown token":         {&memory{}, pur},
		"unknown organization":  {token(sameToken), "pur_other_a1_" + goodSecret},
		"another id":            {token(sameToken), "pur_demo_a2_" + goodSecret},
		"wrong secret":          {token(sameToken), "pur_demo_a1_" + wrong},
		"longer secret":         {token(sameToken), pur + "0"},
		"expired":               {token(func(s *auth.StoredToken) { s.ExpiresAt = now.Add(-time.Second) }), pur},
		"expires now":           {token(func(s *auth.StoredToken) { s.ExpiresAt = now }), pur},
		"revoked":               {token(func(s *auth.StoredToken) { s.RevokedAt = now.Add(-time.Second) }), pur},
		"revoked by a fast one": {token(func(s *auth.StoredToken) { s.RevokedAt = now.Add(time.Minute) }), pur},
		"no digest":             {token(func(s *auth.StoredToken) { s.Digest = nil }), pur},
		"cut digest":            {token(func(s *auth.StoredToken) { s.Digest = s.Digest[:8] }), pur},
		"lost its organization": {token(func(s *auth.StoredToken) { s.OrganizationID = "" }), pur},
		"organization's token as operator's": {
			token(sameToken), "pur_system_a1_" + goodSecret,
		},

		"unknown session":                {&memory{}, pus},
		"wrong secret of session":        {session(sameSession), "pus_demo_s1_" + wrong},
		"token read as session":          {token(sameToken), "pus_demo_a1_" + goodSecret},
		"session read as token":          {session(sameSession), "pur_demo_s1_" + goodSecret},
		"expired session":                {session(func(s *auth.StoredSession) { s.ExpiresAt = now }), pus},
		"endless session":                {session(func(s *auth.StoredSession) { s.ExpiresAt = time.Time{} }), pus},
		"revoked session":                {session(func(s *auth.StoredSession) { s.RevokedAt = now }), pus},
		"session without organization":   {session(func(s *auth.StoredSession) { s.OrganizationID = "" }), pus},
		"session without payer":          {session(func(s *auth.StoredSession) { s.PayerID = "" }), pus},
		"session without digest":         {session(func(s *auth.StoredSession) { s.Digest = nil }), pus},
		"session of another short id":    {session(sameSession), "pus_other_s1_" + goodSecret},
		"session that is the operator's": {session(sameSession), "pus_system_s1_" + goodSecret},
	} {
		t.Run(name, func(t *testing.T) {
			v, stale, err := authenticator(tt.store).Authenticate(t.Context(), tt.credential)
			if v != nil || stale {
				t.Errorf("viewer %+v, stale %t", v, stale)
			}
			// Nothing wrapped: whoever prints it tells nothing of the reason.
			if !errors.Is(err, auth.ErrUnauthenticated) || errors.Unwrap(err) != nil {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestAStoreThatFailsIsNoRefusal(t *testing.T) {
	t.Parallel()
	down := errors.New("database is down")
	for _, credential := range []string{"pur_demo_a1_" + goodSecret, "pus_demo_s1_" + goodSecret} {
		v, _, err := authenticator(&memory{err: down}).Authenticate(t.Context(), credential)
		if v != nil || !errors.Is(err, down) || errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("viewer %v, error %v", v, err)
		}
	}
}

func TestLastUseIsRecordedOnceAMinute(t *testing.T) {
	t.Parallel()
	for ago, want := range map[time.Duration]bool{
		0: false, 59 * time.Second: false, time.Minute: true, time.Hour: true, now.Sub(time.Time{}): true,
		-time.Minute: false, // another server's clock is ahead
	} {
		stored := storedToken()
		stored.LastUsedAt = now.Add(-ago)
		store := &memory{tokens: map[string]auth.StoredToken{"demo/a1": stored}}
		_, stale, err := authenticator(store).Authenticate(t.Context(), "pur_demo_a1_"+goodSecret)
		if err != nil || stale != want {
			t.Errorf("used %s ago: stale %t, %v, want %t", ago, stale, err, want)
		}
	}
}

func TestARevokedTokenIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	store := &memory{tokens: map[string]auth.StoredToken{"demo/a1": storedToken()}}
	a := authenticator(store)
	if _, _, err := a.Authenticate(t.Context(), "pur_demo_a1_"+goodSecret); err != nil {
		t.Fatal(err)
	}
	revoked := storedToken()
	revoked.RevokedAt = now
	store.tokens["demo/a1"] = revoked
	if _, _, err := a.Authenticate(t.Context(), "pur_demo_a1_"+goodSecret); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("error is %v", err)
	}
}

func TestScopesThatATokenCannotHaveAreDropped(t *testing.T) {
	t.Parallel()
	stored := storedToken()
	stored.Scopes = []auth.Scope{auth.ScopeSystem, auth.ScopeAccount}
	store := &memory{tokens: map[string]auth.StoredToken{"demo/a1": stored}}
	v, _, err := authenticator(store).Authenticate(t.Context(), "pur_demo_a1_"+goodSecret)
	if err != nil || v.Has(auth.ScopeSystem) || !v.Has(auth.ScopeAccount) {
		t.Errorf("viewer %+v, %v", v, err)
	}
	if len(stored.Scopes) != 2 || stored.Scopes[0] != auth.ScopeSystem {
		t.Error("the stored scopes were changed")
	}
}

func TestOperator(t *testing.T) {
	t.Parallel()
	operator, err := auth.ParseToken("pur_system_op_" + goodSecret)
	if err != nil {
		t.Fatal(err)
	}
	inner := &memory{tokens: map[string]auth.StoredToken{"demo/a1": storedToken(), "demo/op": storedToken()}}
	store, err := auth.WithOperator(inner, operator)
	if err != nil {
		t.Fatal(err)
	}
	a := authenticator(store)
	v, stale, err := a.Authenticate(t.Context(), operator.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if v.OrganizationID != "" || v.OrganizationSlug != "" || v.TokenID != "tok_op" || v.Permission != auth.PermissionReadWrite ||
		!slices.Equal(v.Scopes, []auth.Scope{auth.ScopeSystem}) || v.AllTenants || stale {
		t.Errorf("viewer is %+v, stale %t", v, stale)
	}
	if len(inner.asked) != 0 {
		t.Errorf("the inner store was asked for %v", inner.asked)
	}
	for _, credential := range []string{"pur_demo_a1_" + goodSecret, "pur_demo_op_" + goodSecret} {
		if v, _, err := a.Authenticate(t.Context(), credential); err != nil || v.Has(auth.ScopeSystem) || v.OrganizationID != "org_1" {
			t.Errorf("%s: viewer %+v, %v", credential[:11], v, err)
		}
	}
	for _, credential := range []string{"pur_system_other_" + goodSecret, operator.Reveal() + "x"} {
		if _, _, err := a.Authenticate(t.Context(), credential); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("error is %v", err)
		}
	}
	for _, bad := range []auth.Token{
		{},
		{Kind: auth.KindToken, Slug: "demo", ID: "a1", Secret: goodSecret},
		{Kind: auth.KindToken, Slug: "system", ID: "a1", Secret: "short"},
		{Kind: auth.KindSession, Slug: "system", ID: "a1", Secret: goodSecret},
	} {
		if _, err := auth.WithOperator(inner, bad); err == nil {
			t.Errorf("%v is accepted as the operator's token", bad)
		}
	}
}
