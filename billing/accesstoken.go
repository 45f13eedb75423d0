package billing

import (
	"context"
	"fmt"
	"slices"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/accesstoken"
	"purser/ent/organization"
	"purser/ent/payersession"
)

// TokenDraft is a new access token.
type TokenDraft struct {
	Name       string
	Scopes     []auth.Scope
	Permission auth.Permission
	ExpiresAt  *time.Time // nil: never
}

// tokenRights is what a token may do and what it is called.
type tokenRights struct {
	name       string
	scopes     []auth.Scope
	permission auth.Permission
	expiresAt  *time.Time
}

// CreateToken makes an access token with no more rights than the caller's own
// and returns its id and its value, which is kept nowhere. Codes: REQUIRED,
// INVALID, EXPIRED.
func (s *Service) CreateToken(ctx context.Context, d TokenDraft) (id string, token auth.Token, err error) {
	name, err := label(d.Name, "name", "the name", nameMax)
	if err != nil {
		return "", token, err
	}
	if len(d.Scopes) == 0 {
		return "", token, refuse(CodeRequired, "scopes", "a token needs at least one scope")
	}
	if slices.Contains(d.Scopes, auth.ScopeSystem) {
		return "", token, refuse(CodeInvalid, "scopes", "SYSTEM is the operator's and cannot be given to an organization's token")
	}
	var expires time.Time
	if d.ExpiresAt != nil {
		expires = d.ExpiresAt.UTC().Truncate(time.Microsecond)
		d.ExpiresAt = &expires
		if !expires.After(s.machine()) {
			return "", token, refuse(CodeExpired, "expiresAt", "the token would have ended already")
		}
	}
	viewer := auth.FromContext(ctx)
	if !auth.CanGrant(viewer, d.Scopes, d.Permission, expires) {
		return "", token, refuse(CodeInvalid, "", "a token cannot have more rights, nor a later end, than the one that makes it")
	}
	if token, err = auth.NewToken(viewer.OrganizationSlug, s.newID(prefixToken), s.source()); err != nil {
		return "", auth.Token{}, err
	}
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		done, err := tx.AccessToken.Query().Where(accesstoken.ID(token.TokenID())).Exist(ctx)
		if err != nil || done {
			return err
		}
		err = tx.createToken(ctx, token, tokenRights{name, d.Scopes, d.Permission, d.ExpiresAt})
		if err != nil {
			return err
		}
		return tx.audit(ctx, "accessToken.create", token.TokenID(), map[string]string{"name": name, "scopes": fmt.Sprint(d.Scopes), "permission": string(d.Permission)})
	})
	if err != nil {
		return "", auth.Token{}, err
	}
	return token.TokenID(), token, nil
}

func (tx *Tx) createToken(ctx context.Context, t auth.Token, r tokenRights) error {
	scopes := make([]string, 0, len(r.scopes))
	for _, s := range r.scopes {
		if !slices.Contains(scopes, string(s)) {
			scopes = append(scopes, string(s))
		}
	}
	err := tx.AccessToken.Create().
		SetID(t.TokenID()).SetName(r.name).SetScopes(scopes).
		SetPermission(accesstoken.Permission(r.permission)).
		SetDigest(auth.Digest(t.Secret.Reveal())).SetHint(t.Hint()).
		SetNillableExpiresAt(r.expiresAt).
		SetCreatedAt(tx.Now).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("store token %s: %w", t.TokenID(), err)
	}
	return nil
}

// RenameToken gives a token another name. Codes: NOT_FOUND, REQUIRED,
// INVALID.
func (s *Service) RenameToken(ctx context.Context, id, name string) error {
	name, err := label(name, "name", "the name", nameMax)
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		n, err := tx.AccessToken.Update().Where(accesstoken.ID(id)).SetName(name).Save(ctx)
		if err != nil {
			return fmt.Errorf("rename token %s: %w", id, err)
		}
		if n == 0 {
			return notFound("id", "access token", id)
		}
		return tx.audit(ctx, "accessToken.rename", id, map[string]string{"name": name})
	})
}

// RevokeToken ends a token at once, and the payer sessions that were made with
// it. Revoking again changes nothing. Codes: NOT_FOUND.
func (s *Service) RevokeToken(ctx context.Context, id string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		t, err := tx.AccessToken.Query().Where(accesstoken.ID(id)).Only(ctx)
		if err != nil {
			return orNotFound(err, "id", "access token", id)
		}
		if t.RevokedAt != nil {
			return nil
		}
		if err := cas(tx.AccessToken.Update().Where(accesstoken.ID(id), accesstoken.RevokedAtIsNil()).SetRevokedAt(tx.Now).Save(ctx)); err != nil {
			return fmt.Errorf("revoke token %s: %w", id, err)
		}
		return tx.audit(ctx, "accessToken.revoke", id, map[string]string{"name": t.Name})
	})
}

// The service is where credentials are looked up.
var _ auth.Store = (*Service)(nil)

// Inside returns a context in which a part of the program acts inside the
// organization with the short id; auth.ErrNotFound where there is none. It is
// one of the few statements that span organizations: the credential names the
// organization, and nothing is known of the caller yet.
func (s *Service) Inside(ctx context.Context, part, slug string) (context.Context, error) {
	id, err := s.read.Organization.Query().Where(organization.Slug(slug)).OnlyID(auth.AllTenants(ctx, part))
	if ent.IsNotFound(err) {
		return nil, auth.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("look up organization: %w", err)
	}
	return auth.NewContext(ctx, &auth.Viewer{
		Internal: part, OrganizationID: id, OrganizationSlug: slug, Permission: auth.PermissionReadWrite,
	}), nil
}

// LookupToken implements auth.Store.
func (s *Service) LookupToken(ctx context.Context, slug, id string) (auth.StoredToken, error) {
	ctx, err := s.Inside(ctx, "auth", slug)
	if err != nil {
		return auth.StoredToken{}, err
	}
	t, err := s.read.AccessToken.Query().Where(accesstoken.ID(prefixToken + "_" + id)).Only(ctx)
	if ent.IsNotFound(err) {
		return auth.StoredToken{}, auth.ErrNotFound
	}
	if err != nil {
		return auth.StoredToken{}, fmt.Errorf("read token: %w", err)
	}
	stored := auth.StoredToken{
		ID: t.ID, OrganizationID: t.OrganizationID,
		Permission: auth.Permission(t.Permission), Digest: t.Digest,
		ExpiresAt: orZero(t.ExpiresAt), RevokedAt: orZero(t.RevokedAt), LastUsedAt: orZero(t.LastUsedAt),
	}
	for _, s := range t.Scopes {
		stored.Scopes = append(stored.Scopes, auth.Scope(s))
	}
	return stored, nil
}

// LookupSession implements auth.Store. A session ends with the token that made
// it.
func (s *Service) LookupSession(ctx context.Context, slug, id string) (auth.StoredSession, error) {
	ctx, err := s.Inside(ctx, "auth", slug)
	if err != nil {
		return auth.StoredSession{}, err
	}
	p, err := s.read.PayerSession.Query().Where(payersession.ID(prefixSession + "_" + id)).Only(ctx)
	if ent.IsNotFound(err) {
		return auth.StoredSession{}, auth.ErrNotFound
	}
	if err != nil {
		return auth.StoredSession{}, fmt.Errorf("read session: %w", err)
	}
	stored := auth.StoredSession{
		ID: p.ID, OrganizationID: p.OrganizationID, PayerID: p.PayerID,
		Digest: p.Digest, ExpiresAt: p.ExpiresAt, RevokedAt: orZero(p.RevokedAt),
	}
	// A session is a loan of the rights of the token that made it, and must not
	// be a way to keep them: whoever revokes a leaked token ends what was made
	// with it too. It is read here rather than written by RevokeToken, which
	// cannot see a session that is being made at the same time.
	maker, err := s.read.AccessToken.Query().
		Where(accesstoken.ID(p.CreatedBy), accesstoken.RevokedAtNotNil()).Select(accesstoken.FieldRevokedAt).Only(ctx)
	switch {
	case err == nil:
		stored.RevokedAt = orZero(maker.RevokedAt)
	case !ent.IsNotFound(err):
		return auth.StoredSession{}, fmt.Errorf("read the token of a session: %w", err)
	}
	return stored, nil
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// TouchToken records that the viewer's token was used, to the minute.
func (s *Service) TouchToken(ctx context.Context) error {
	v := auth.FromContext(ctx)
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.AccessToken.Update().
			Where(accesstoken.ID(v.TokenID), accesstoken.Or(accesstoken.LastUsedAtIsNil(), accesstoken.LastUsedAtLT(tx.Now))).
			SetLastUsedAt(tx.Now).Save(ctx)
		if err != nil {
			return fmt.Errorf("record use of %s: %w", v.TokenID, err)
		}
		return nil
	})
}
