package auth

import (
	"context"
	"sync"
)

// Shared returns a store that looks the same access token up once for all who
// ask at the same time: whoever asks while a look-up of the token runs waits
// for the next one, which begins after all of them have asked. So nobody gets
// an answer that is older than the question, and a token that was revoked is
// refused from the next request on.
func Shared(s Store) Store { return &sharedStore{Store: s, tokens: map[tokenName]*sharedToken{}} }

type sharedStore struct {
	Store
	mu     sync.Mutex
	tokens map[tokenName]*sharedToken // those that are looked up now
}

type tokenName struct{ slug, id string }

// sharedToken is one token while it is looked up.
type sharedToken struct {
	next *sharedLookup // of those who came since the running one began; nil for none
}

// sharedLookup is one look-up and its answer.
type sharedLookup struct {
	done  chan struct{}
	token StoredToken
	err   error
}

// LookupToken implements Store.
func (s *sharedStore) LookupToken(ctx context.Context, slug, id string) (StoredToken, error) {
	name := tokenName{slug, id}
	s.mu.Lock()
	t, running := s.tokens[name]
	if !running {
		s.tokens[name] = &sharedToken{}
		s.mu.Unlock()
		defer s.ended(ctx, name)
		return s.Store.LookupToken(ctx, slug, id)
	}
	if t.next == nil {
		t.next = &sharedLookup{done: make(chan struct{})}
	}
	mine := t.next
	s.mu.Unlock()
	select {
	case <-mine.done:
		return mine.token, mine.err
	case <-ctx.Done():
		return StoredToken{}, context.Cause(ctx)
	}
}

// ended begins the next look-up of a token, or forgets it where nobody waits.
func (s *sharedStore) ended(ctx context.Context, name tokenName) {
	s.mu.Lock()
	t := s.tokens[name]
	next := t.next
	t.next = nil
	if next == nil {
		delete(s.tokens, name)
	}
	s.mu.Unlock()
	if next == nil {
		return
	}
	// It is for all who wait, whatever becomes of who began it.
	go func() {
		ctx := context.WithoutCancel(ctx)
		defer s.ended(ctx, name)
		defer close(next.done)
		next.token, next.err = s.Store.LookupToken(ctx, name.slug, name.id)
	}()
}
