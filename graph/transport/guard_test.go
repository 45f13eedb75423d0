package transport

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"purser/auth"
)

// TestGuard holds another handler to the endpoint's rules.
func TestGuard(t *testing.T) {
	t.Parallel()
	b, handler := newBundle(t, nil, func(o *Options) {
		o.Limits = DefaultLimits()
		o.Limits.BucketPoints, o.Limits.RestorePerSecond, o.Limits.InFlight = 3, 1, 1
	})
	var nested *httptest.ResponseRecorder
	var guarded http.Handler
	ask := func(method, path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, r)
		return w
	}
	guarded = handler.(Endpoint).Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/nested":
			nested = ask("GET", "/", "Authorization", "Bearer "+tokenB)
		case "/broken":
			panic(errors.New("panic with secret words"))
		case "/cut":
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write([]byte(auth.FromContext(r.Context()).OrganizationID))
	}))
	for _, c := range []struct {
		what   string
		answer *httptest.ResponseRecorder
		status int
		body   string
	}{
		{"nobody", ask("GET", "/"), http.StatusUnauthorized, CodeUnauthenticated},
		{"an unknown token", ask("GET", "/", "Authorization", "Bearer x"), http.StatusUnauthorized, CodeUnauthenticated},
		{"a known one", ask("GET", "/", "Authorization", "Bearer "+tokenA, "Origin", "https://app.example.com"), http.StatusOK, "org_a"},
		{"a change", ask("POST", "/", "Authorization", "Bearer "+tokenA), http.StatusMethodNotAllowed, "use GET"},
		{"a preflight", ask("OPTIONS", "/", "Origin", "https://app.example.com"), http.StatusNoContent, ""},
		{"two at once", ask("GET", "/nested", "Authorization", "Bearer "+tokenB), http.StatusOK, "org_b"},
		{"a mistake", ask("GET", "/broken", "Authorization", "Bearer "+tokenA), http.StatusInternalServerError, CodeInternal},
		{"the last point", ask("GET", "/", "Authorization", "Bearer "+tokenA), http.StatusOK, "org_a"},
		{"no points left", ask("GET", "/", "Authorization", "Bearer "+tokenA), http.StatusTooManyRequests, CodeRateLimited},
	} {
		if c.answer.Code != c.status || !strings.Contains(c.answer.Body.String(), c.body) || strings.Contains(c.answer.Body.String(), "secret") {
			t.Errorf("%s: %d %s", c.what, c.answer.Code, c.answer.Body)
		}
		if c.answer.Header().Get("X-Content-Type-Options") != "nosniff" || c.answer.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", c.what, c.answer.Header())
		}
	}
	if nested.Code != http.StatusTooManyRequests || nested.Header().Get("Retry-After") == "" {
		t.Errorf("a second request at once: %d %s", nested.Code, nested.Body)
	}
	b.clock.advance(10)
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint // the server's contract is the bare error
			t.Error("an answer that is cut off was finished")
		}
	}()
	ask("GET", "/cut", "Authorization", "Bearer "+tokenB)
}
