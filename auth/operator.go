package auth

import (
	"context"
	"errors"
)

// operatorStore answers for the operator's token, which belongs to no
// organization and so to no table of organizations.
type operatorStore struct {
	Store
	id     string
	digest []byte
}

// WithOperator returns a store that knows the operator's token beside the
// tokens of the given store, with scope SYSTEM and READ_WRITE. The error says
// what is wrong with the token. Without this no `pur_system_…` is accepted,
// unless the given store knows one.
func WithOperator(store Store, operator Token) (Store, error) {
	if operator.Kind != KindToken || !operator.IsOperator() {
		return nil, errors.New("the operator's token begins with pur_system_")
	}
	if err := operator.valid(); err != nil {
		return nil, err
	}
	return operatorStore{Store: store, id: operator.ID, digest: Digest(operator.Secret.Reveal())}, nil
}

// LookupToken implements Store. The operator's time of last use is not kept.
func (s operatorStore) LookupToken(ctx context.Context, slug, id string) (StoredToken, error) {
	if slug != SlugOperator || id != s.id {
		return s.Store.LookupToken(ctx, slug, id)
	}
	return StoredToken{
		ID:         tokenIDPrefix + s.id,
		Scopes:     []Scope{ScopeSystem},
		Permission: PermissionReadWrite,
		Digest:     s.digest,
	}, nil
}
