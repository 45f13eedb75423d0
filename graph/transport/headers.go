package transport

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// origins decides which web pages may call the endpoint.
type origins struct {
	listed map[string]bool
	// protection refuses a browser's unsafe requests from other origins. With
	// bearer tokens a foreign page has nothing to ride on; this keeps it so
	// should a cookie ever be accepted.
	protection *http.CrossOriginProtection
}

func newOrigins(allowed []string) (*origins, error) {
	o := &origins{listed: map[string]bool{}, protection: http.NewCrossOriginProtection()}
	for _, origin := range allowed {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || strings.Contains(origin, "*") ||
			(u.Scheme+"://"+u.Host) != origin {
			return nil, fmt.Errorf("allowed origin %q is not of the form https://host[:port]", origin)
		}
		if err := o.protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("allowed origin %q: %w", origin, err)
		}
		o.listed[strings.ToLower(origin)] = true
	}
	return o, nil
}

// own reports whether the request comes from a page of the endpoint's host,
// or from no page at all.
func (o *origins) own(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

func (o *origins) allowed(r *http.Request) bool {
	return o.own(r) || o.listed[strings.ToLower(r.Header.Get("Origin"))]
}

const (
	allowedMethods = "GET, POST, OPTIONS"
	// Beside what is read, what common clients send along.
	allowedHeaders = "Accept, Apollographql-Client-Name, Apollographql-Client-Version, Authorization, Content-Type, " +
		"Idempotency-Key, If-None-Match, Last-Event-ID, Traceparent, Tracestate, X-Request-Id"
	exposedHeaders = "ETag, Retry-After, X-Request-Id"
	// preflightSeconds is the longest that browsers remember a preflight.
	preflightSeconds = "7200"
)

// cors writes the headers for a listed origin. Credentials are never allowed:
// there are no cookies.
func (o *origins) cors(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !o.listed[strings.ToLower(origin)] {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", exposedHeaders)
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Add("Vary", "Access-Control-Request-Method")
		h.Add("Vary", "Access-Control-Request-Headers")
		h.Set("Access-Control-Allow-Methods", allowedMethods)
		h.Set("Access-Control-Allow-Headers", allowedHeaders)
		h.Set("Access-Control-Max-Age", preflightSeconds)
	}
}

// secure writes the headers that keep a browser from making anything else of
// an answer than data.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}
