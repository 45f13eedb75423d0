package auth_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"purser/auth"
)

// slowStore answers a look-up when it is let to, with how many there were.
type slowStore struct {
	auth.Store
	begun chan struct{}
	let   chan struct{}
	n     atomic.Int64
}

func (s *slowStore) LookupToken(_ context.Context, slug, id string) (auth.StoredToken, error) {
	n := s.n.Add(1)
	s.begun <- struct{}{}
	<-s.let
	if id == "unknown" {
		return auth.StoredToken{}, auth.ErrNotFound
	}
	return auth.StoredToken{ID: id, Digest: []byte{byte(n)}}, nil
}

// Whoever asks while a look-up runs gets the answer of one that began later,
// shared with all who asked meanwhile.
func TestSharedLookups(t *testing.T) {
	t.Parallel()
	slow := &slowStore{begun: make(chan struct{}, 10), let: make(chan struct{})}
	s := auth.Shared(slow)
	look := func(ctx context.Context, id string) (int, error) {
		got, err := s.LookupToken(ctx, "demo", id)
		if err != nil {
			return 0, err
		}
		return int(got.Digest[0]), nil
	}
	var first, others sync.WaitGroup
	first.Go(func() {
		if n, err := look(t.Context(), "a"); n != 1 || err != nil {
			t.Errorf("the first got %d, %v", n, err)
		}
	})
	<-slow.begun
	asked := make(chan struct{}, 5)
	for range 5 {
		others.Go(func() {
			asked <- struct{}{}
			// At least the second one; who comes late shares a later one.
			if n, err := look(t.Context(), "a"); n < 2 || err != nil {
				t.Errorf("asked during a look-up, got %d, %v", n, err)
			}
		})
	}
	for range 5 {
		<-asked
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := look(left, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	go func() {
		if n, err := look(t.Context(), "unknown"); n != 0 || !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("an unknown one: %d, %v", n, err)
		}
	}()
	<-slow.begun // another token waits for nobody
	close(slow.let)
	first.Wait()
	others.Wait()
	if n := slow.n.Load(); n > 4 {
		t.Errorf("looked up %d times", n)
	}
	if n, err := look(t.Context(), "a"); err != nil || n < 3 {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}
