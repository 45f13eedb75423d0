// Package web serves the playground: one page with an editor for GraphQL
// operations, its files embedded in the program, so that it works with no
// network. The page talks to the GraphQL endpoint of the host it came from
// and to nothing else; a strict Content-Security-Policy holds it to that.
//
// The files in static/ are built from playground/ by `npm run build` and
// committed; Go alone is enough to serve them. The package imports nothing
// of Purser's and knows no token but the one it is told to prefill.
package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// The three are named one by one so that a tree without one of them does not
// compile.
//
//go:embed static/index.html static/licenses.txt static/assets
var static embed.FS

// Options configures the playground.
type Options struct {
	// Endpoint is the path of the GraphQL endpoint on the same host; default
	// "/graphql".
	Endpoint string
	// Token is filled into the page's token field; default empty. Whoever can
	// reach the page can read it, so it is for the demo of a development
	// server only. It is given to requests whose Host is this machine's
	// loopback address alone, so that a foreign name which resolves to
	// 127.0.0.1 cannot fetch it.
	Token string
	// Tabs are opened on a browser's first visit; default none.
	Tabs []Tab
	// Version is shown beside the name; default empty.
	Version string
}

// policy allows the page's own scripts and styles and nothing else: no inline
// script or style, no foreign host, no framing, no form.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at "/", its configuration at
// "/playground/config.json", its files under "/playground/assets/", the
// licences of what it contains at "/playground/licenses.txt", and at
// "/favicon.ico" the icon that browsers ask for on the pages of the whole
// host. Every other path is answered 404.
func Handler(opts Options) http.Handler {
	if opts.Endpoint == "" {
		opts.Endpoint = "/graphql"
	}
	withToken := configFile(opts)
	opts.Token = ""
	withoutToken := configFile(opts)

	mux := http.NewServeMux()
	mux.Handle("GET /{$}", staticFile("index.html", "no-cache"))
	mux.Handle("GET /playground/licenses.txt", staticFile("licenses.txt", "no-cache"))
	mux.HandleFunc("GET /playground/config.json", func(w http.ResponseWriter, r *http.Request) {
		if isLoopback(r.Host) {
			withToken.ServeHTTP(w, r)
			return
		}
		withoutToken.ServeHTTP(w, r)
	})
	for _, name := range assetNames() {
		// The names carry a hash of the content, so a file never changes.
		mux.Handle("GET /playground/assets/"+name, staticFile("assets/"+name, "public, max-age=31536000, immutable"))
		if strings.HasPrefix(name, "icon-") {
			mux.Handle("GET /favicon.ico", staticFile("assets/"+name, "public, max-age=86400"))
		}
	}
	return secured(mux)
}

// secured sets the headers that every answer carries, errors included.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// configFile is what the page reads at its start.
func configFile(opts Options) *file {
	type tab struct {
		Name      string `json:"name"`
		Query     string `json:"query"`
		Variables string `json:"variables"`
	}
	tabs := make([]tab, 0, len(opts.Tabs))
	for _, t := range opts.Tabs {
		tabs = append(tabs, tab(t))
	}
	body, err := json.Marshal(struct {
		Endpoint string `json:"endpoint"`
		Token    string `json:"token"`
		Version  string `json:"version"`
		Tabs     []tab  `json:"tabs"`
	}{opts.Endpoint, opts.Token, opts.Version, tabs})
	if err != nil {
		panic(fmt.Sprintf("encode strings as JSON: %v", err))
	}
	return newFile("config.json", "no-store", body)
}

// isLoopback tells whether a Host header names this machine by a name that
// no foreign DNS server can answer for.
func isLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
