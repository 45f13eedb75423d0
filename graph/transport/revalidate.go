package transport

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"purser/auth"
)

// revalidator checks the credentials of open streams again and again, so that
// a revoked token loses its streams within the interval. Streams of the same
// credentials share one check.
type revalidator struct {
	authenticate func(ctx context.Context, bearer string) (context.Context, error)
	every        time.Duration

	mu      sync.Mutex
	watches map[[sha256.Size]byte]*watch
}

type watch struct {
	streams int
	ended   chan struct{} // closed when the credentials no longer hold
	stop    context.CancelFunc
}

func newRevalidator(authenticate func(context.Context, string) (context.Context, error), every time.Duration) *revalidator {
	return &revalidator{
		authenticate: authenticate, every: every,
		watches: map[[sha256.Size]byte]*watch{},
	}
}

// watch returns a channel that is closed when the credentials, which were
// good for the given viewer, no longer are. Release must be called once.
func (r *revalidator) watch(bearer string, viewer *auth.Viewer) (ended <-chan struct{}, release func()) {
	key := sha256.Sum256([]byte(bearer))
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.watches[key]
	if w == nil {
		ctx, stop := context.WithCancel(context.Background())
		w = &watch{ended: make(chan struct{}), stop: stop}
		r.watches[key] = w
		go r.run(ctx, key, w, bearer, viewer)
	}
	w.streams++
	return w.ended, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if w.streams--; w.streams == 0 {
			w.stop()
			r.forget(key, w)
		}
	}
}

// run checks until the credentials end or nobody listens.
func (r *revalidator) run(ctx context.Context, key [sha256.Size]byte, w *watch, bearer string, viewer *auth.Viewer) {
	ticker := time.NewTicker(r.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		checked, err := r.authenticate(ctx, bearer)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !errors.Is(err, auth.ErrUnauthenticated) {
			// A database that does not answer says nothing about the token,
			// and sends no events either.
			continue
		}
		if err != nil || !sameRights(viewer, auth.FromContext(checked)) {
			r.mu.Lock()
			close(w.ended)
			r.forget(key, w)
			r.mu.Unlock()
			return
		}
	}
}

// forget is called with mu held.
func (r *revalidator) forget(key [sha256.Size]byte, w *watch) {
	if r.watches[key] == w {
		delete(r.watches, key)
	}
}

// sameRights reports whether a stream that was opened with one viewer may go
// on with another. A token whose scopes were changed connects again.
func sameRights(a, b *auth.Viewer) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.OrganizationID == b.OrganizationID && a.TokenID == b.TokenID &&
		a.SessionID == b.SessionID && a.PayerID == b.PayerID &&
		a.Permission == b.Permission && slices.Equal(a.Scopes, b.Scopes)
}
