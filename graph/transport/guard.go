package transport

import (
	"net/http"
)

// guardedMethods are what a guarded path accepts.
const guardedMethods = "GET, HEAD, OPTIONS"

// Guard implements Endpoint. One request costs one point.
func (s *server) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = TakeRequestID(w, r)
		secure(w.Header())
		s.origins.cors(w, r)
		defer s.recoverRequest(w, r)

		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodOptions:
			w.Header().Set("Allow", guardedMethods)
			w.WriteHeader(http.StatusNoContent)
			return
		default:
			w.Header().Set("Allow", guardedMethods)
			e := Errorf(CodeBadUserInput, "the method %s is not accepted; use GET", cut(r.Method, 16))
			e.status = http.StatusMethodNotAllowed
			s.fail(w, r, e)
			return
		}
		_, ctx, bad := s.credentials(r)
		if bad != nil {
			if bad.Code == CodeUnauthenticated {
				w.Header().Set("WWW-Authenticate", `Bearer realm="purser"`)
			}
			s.fail(w, r, bad)
			return
		}
		principal := s.principal(ctx)
		if _, wait, ok := s.buckets.take(principal, 1); !ok {
			s.failLater(w, r, rateLimited(wait), wait)
			return
		}
		if !s.requests.enter(principal) {
			s.failLater(w, r, tooManyAtOnce("requests are running", s.limits.InFlight), 1)
			return
		}
		defer s.requests.leave(principal)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
