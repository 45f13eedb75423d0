package graph

import (
	"context"
	"fmt"

	"purser/auth"
	"purser/ent"
	"purser/ent/accesstoken"
	"purser/graph/model"
)

// scopes are the scopes of a stored token.
func scopes(t *ent.AccessToken) []auth.Scope {
	out := make([]auth.Scope, len(t.Scopes))
	for i, s := range t.Scopes {
		out[i] = auth.Scope(s)
	}
	return out
}

// accessToken is what a mutation answers about a token.
func (r *Resolver) accessToken(ctx context.Context, id string, err error) (*ent.AccessToken, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	t, err := r.client().AccessToken.Query().Where(accesstoken.ID(id)).Only(ctx)
	if err != nil {
		return nil, u, fmt.Errorf("read access token %s: %w", id, err)
	}
	return t, u, nil
}
