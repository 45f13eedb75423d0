package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrUnauthenticated is the one answer to a credential that does not hold:
// malformed, unknown, wrong, expired or revoked. It does not say which.
var ErrUnauthenticated = errors.New("the credential is missing, unknown, expired or revoked")

// ErrNotFound is what a Store returns for a credential it does not have.
var ErrNotFound = errors.New("no such credential")

// lastUsedInterval is how exact the time of last use is kept: a write per
// request would cost more than the request.
const lastUsedInterval = time.Minute

// StoredToken is an access token as it is stored.
type StoredToken struct {
	// ID is the stored id, with its prefix.
	ID string
	// OrganizationID is empty for the operator's token, and for no other.
	OrganizationID string
	Scopes         []Scope
	Permission     Permission
	// Digest is Digest(secret).
	Digest []byte
	// ExpiresAt and RevokedAt are zero where the token has no end.
	ExpiresAt time.Time
	RevokedAt time.Time
	// LastUsedAt is zero before the first use.
	LastUsedAt time.Time
}

// StoredSession is a payer session as it is stored.
type StoredSession struct {
	// ID is the stored id, with its prefix.
	ID             string
	OrganizationID string
	PayerID        string
	// Digest is Digest(secret).
	Digest []byte
	// ExpiresAt is always set; RevokedAt is zero where it was not revoked.
	ExpiresAt time.Time
	RevokedAt time.Time
}

// Store looks credentials up. The slug is the one in the credential, the id is
// without its prefix. Both methods return ErrNotFound, or an error that wraps
// it, where the organization or the credential does not exist.
type Store interface {
	LookupToken(ctx context.Context, slug, id string) (StoredToken, error)
	LookupSession(ctx context.Context, slug, id string) (StoredSession, error)
}

// Authenticator turns credentials into viewers. It keeps nothing between two
// calls, so a revoked credential is refused from the next request on.
type Authenticator struct {
	store Store
	now   func() time.Time
}

// NewAuthenticator returns an Authenticator that reads the store and the clock.
func NewAuthenticator(store Store, now func() time.Time) *Authenticator {
	return &Authenticator{store: store, now: now}
}

// Authenticate returns the viewer that a credential stands for, an access
// token or the token of a payer session. It returns ErrUnauthenticated where
// the credential does not hold, and another error where it could not be looked
// up.
//
// stale says that the token's time of last use is a minute old or more, and
// that the caller should record it; it is set for tokens of organizations only.
func (a *Authenticator) Authenticate(ctx context.Context, credential string) (v *Viewer, stale bool, err error) {
	kind, _, _ := strings.Cut(credential, "_")
	switch Kind(kind) {
	case KindToken:
		return a.token(ctx, credential)
	case KindSession:
		v, err = a.session(ctx, credential)
		return v, false, err
	}
	return nil, false, ErrUnauthenticated
}

func (a *Authenticator) token(ctx context.Context, credential string) (*Viewer, bool, error) {
	t, err := ParseToken(credential)
	if err != nil {
		return nil, false, ErrUnauthenticated
	}
	stored, err := a.store.LookupToken(ctx, t.Slug, t.ID)
	if unknown, err := lookup(err); err != nil {
		return nil, false, fmt.Errorf("look up access token: %w", err)
	} else if unknown {
		stored = StoredToken{}
	}
	now := a.now()
	// The comparison comes first and always, so that the time it takes does
	// not tell a known id from an unknown one.
	if !matches(t.Secret, stored.Digest) || ended(now, stored.ExpiresAt, stored.RevokedAt) {
		return nil, false, ErrUnauthenticated
	}
	// Without an organization nothing limits what a token sees, so a row that
	// has lost its organization must not pass for the operator's, nor the
	// other way round.
	if t.IsOperator() != (stored.OrganizationID == "") {
		return nil, false, ErrUnauthenticated
	}
	v := &Viewer{
		OrganizationID: stored.OrganizationID,
		TokenID:        stored.ID,
		Scopes:         grantable(stored.Scopes, t.IsOperator()),
		Permission:     stored.Permission,
		ExpiresAt:      stored.ExpiresAt,
	}
	if t.IsOperator() {
		return v, false, nil
	}
	v.OrganizationSlug = t.Slug
	return v, now.Sub(stored.LastUsedAt) >= lastUsedInterval, nil
}

func (a *Authenticator) session(ctx context.Context, credential string) (*Viewer, error) {
	t, err := ParseSession(credential)
	if err != nil {
		return nil, ErrUnauthenticated
	}
	stored, err := a.store.LookupSession(ctx, t.Slug, t.ID)
	if unknown, err := lookup(err); err != nil {
		return nil, fmt.Errorf("look up payer session: %w", err)
	} else if unknown {
		stored = StoredSession{}
	}
	// A session that never ends is damaged: it is always made with an end.
	if !matches(t.Secret, stored.Digest) || stored.ExpiresAt.IsZero() ||
		ended(a.now(), stored.ExpiresAt, stored.RevokedAt) ||
		stored.OrganizationID == "" || stored.PayerID == "" {
		return nil, ErrUnauthenticated
	}
	return &Viewer{
		OrganizationID:   stored.OrganizationID,
		OrganizationSlug: t.Slug,
		SessionID:        stored.ID,
		PayerID:          stored.PayerID,
		ExpiresAt:        stored.ExpiresAt,
	}, nil
}

// lookup tells an unknown credential from a store that cannot answer.
func lookup(err error) (unknown bool, failure error) {
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}

// matches compares a secret with a stored digest. Without a digest it compares
// with a dummy that no secret has, and says no.
func matches(secret Secret, digest []byte) bool {
	known := len(digest) > 0
	if !known {
		digest = make([]byte, len(Digest("")))
	}
	return Equal(Digest(secret.Reveal()), digest) && known
}

func ended(now, expires, revoked time.Time) bool {
	return !revoked.IsZero() || !expires.IsZero() && !now.Before(expires)
}

// grantable drops the scopes that the kind of token cannot have.
func grantable(scopes []Scope, operator bool) []Scope {
	return slices.DeleteFunc(slices.Clone(scopes), func(s Scope) bool {
		return operator != (s == ScopeSystem)
	})
}
