package web_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"purser/web"
)

// get asks the handler as a browser on this machine would.
func get(t *testing.T, h http.Handler, target string, header map[string]string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	r.Host = "127.0.0.1:8080"
	for name, value := range header {
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPageLoadsOnlyItsOwnFiles(t *testing.T) {
	t.Parallel()
	h := web.Handler(web.Options{})
	page := get(t, h, "/", nil)
	if page.StatusCode != http.StatusOK || page.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("page: %s, %s", page.Status, page.Header.Get("Content-Type"))
	}
	html := body(t, page.Body)
	if inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(\s[^>]*)?>[^<]`).FindString(html); inline != "" {
		t.Errorf("the page has inline script or style: %q", inline)
	}
	links := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(html, -1)
	if len(links) != 3 {
		t.Fatalf("the page loads %d files, want icon, style and script: %v", len(links), links)
	}
	for _, link := range links {
		if !strings.HasPrefix(link[1], "/playground/assets/") {
			t.Errorf("the page loads %s, which is not one of its own files", link[1])
			continue
		}
		if asset := get(t, h, link[1], nil); asset.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", link[1], asset.Status)
		}
	}
}

func TestEveryAnswerCarriesStrictHeaders(t *testing.T) {
	t.Parallel()
	h := web.Handler(web.Options{})
	for _, target := range []string{"/", "/playground/config.json", "/playground/licenses.txt", "/nothing", "/playground/assets/", "/playground/assets/../index.html"} {
		answer := get(t, h, target, nil)
		policy := answer.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy+";", want+";") {
				t.Errorf("%s: policy lacks %s", target, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("%s: policy allows too much: %s", target, policy)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options":       "nosniff",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
	}
}

func TestOnlyKnownPathsAndMethods(t *testing.T) {
	t.Parallel()
	h := web.Handler(web.Options{})
	for target, want := range map[string]int{
		"/":                                http.StatusOK,
		"/favicon.ico":                     http.StatusOK,
		"/index.html":                      http.StatusNotFound,
		"/graphql":                         http.StatusNotFound,
		"/playground/assets/":              http.StatusNotFound,
		"/playground/assets/none.js":       http.StatusNotFound,
		"/playground/assets/%2e%2e/web.go": http.StatusNotFound,
	} {
		if got := get(t, h, target, nil).StatusCode; got != want {
			t.Errorf("GET %s: %d, want %d", target, got, want)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("x")))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /: %d, want 405", w.Code)
	}
}

func TestFilesAreCompressedCachedAndRevalidated(t *testing.T) {
	t.Parallel()
	h := web.Handler(web.Options{})
	entries, err := fs.ReadDir(os.DirFS("static"), "assets")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Fatal("static/assets is empty")
	}
	for _, entry := range entries {
		target := "/playground/assets/" + entry.Name()
		plain := get(t, h, target, nil)
		want := body(t, plain.Body)
		if got := plain.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("%s: cached as %q", target, got)
		}
		if !regexp.MustCompile(`-[A-Z0-9]{8}\.[a-z]+$`).MatchString(target) {
			t.Errorf("%s is immutable and has no hash in its name", target)
		}

		compressed := get(t, h, target, map[string]string{"Accept-Encoding": "br, gzip;q=0.8"})
		if compressed.Header.Get("Content-Encoding") != "gzip" || compressed.Header.Get("Vary") != "Accept-Encoding" {
			t.Fatalf("%s: not compressed", target)
		}
		if compressed.Header.Get("Content-Type") != plain.Header.Get("Content-Type") {
			t.Errorf("%s: type changes with compression", target)
		}
		if compressed.Header.Get("ETag") == plain.Header.Get("ETag") {
			t.Errorf("%s: one ETag for two encodings", target)
		}
		reader, err := gzip.NewReader(compressed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got := body(t, reader); got != want {
			t.Errorf("%s: compressed content differs", target)
		}

		again := get(t, h, target, map[string]string{"If-None-Match": plain.Header.Get("ETag")})
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: %s, want 304", target, again.Status)
		}
		if refused := get(t, h, target, map[string]string{"Accept-Encoding": "gzip;q=0, identity"}); refused.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: compressed although refused", target)
		}
	}
	if got := get(t, h, "/", nil).Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("the page is cached as %q: a new version would not be seen", got)
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	opts := web.Options{
		Token:   "pur_demo_1_</script><b>",
		Version: "1.2.3",
		Tabs:    []web.Tab{{Name: "1 A", Query: "# 1 A\n{ a }", Variables: `{"a": "{{b}}"}`}},
	}
	answer := get(t, web.Handler(opts), "/playground/config.json", nil)
	if answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", answer.Header)
	}
	text := body(t, answer.Body)
	var config struct {
		Endpoint, Token, Version string
		Tabs                     []struct{ Name, Query, Variables string }
	}
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	if config.Endpoint != "/graphql" || config.Token != opts.Token || config.Version != opts.Version {
		t.Errorf("configuration %+v", config)
	}
	if len(config.Tabs) != 1 || web.Tab(config.Tabs[0]) != opts.Tabs[0] {
		t.Errorf("tabs %+v", config.Tabs)
	}
	if strings.Contains(text, "<") {
		t.Errorf("markup is not escaped: %s", text)
	}

	var empty map[string]json.RawMessage
	if err := json.NewDecoder(get(t, web.Handler(web.Options{Endpoint: "/api"}), "/playground/config.json", nil).Body).Decode(&empty); err != nil {
		t.Fatal(err)
	}
	if string(empty["tabs"]) != "[]" || string(empty["token"]) != `""` || string(empty["endpoint"]) != `"/api"` {
		t.Errorf("configuration without options: %s", empty)
	}
}

func TestTokenIsGivenToLoopbackNamesOnly(t *testing.T) {
	t.Parallel()
	const token = "pur_demo_1_secret"
	h := web.Handler(web.Options{Token: token})
	for host, want := range map[string]bool{
		"127.0.0.1:8080":         true,
		"127.0.0.1":              true,
		"localhost:8080":         true,
		"LOCALHOST":              true,
		"[::1]:8080":             true,
		"[::1]":                  true,
		"127.8.9.10:1":           true,
		"":                       false,
		"example.com":            false,
		"example.com:8080":       false,
		"localhost.example.com":  false,
		"127.0.0.1.example.com":  false,
		"10.0.0.1:8080":          false,
		"evil.localhost":         false,
		"[::ffff:10.0.0.1]:8080": false,
	} {
		answer := get(t, h, "/playground/config.json", map[string]string{"Host": host})
		if got := strings.Contains(body(t, answer.Body), token); got != want {
			t.Errorf("Host %q: token given %t, want %t", host, got, want)
		}
	}
	for _, target := range []string{"/", "/playground/licenses.txt"} {
		if strings.Contains(body(t, get(t, h, target, nil).Body), token) {
			t.Errorf("%s contains the token", target)
		}
	}
}

func TestLicencesNameWhatThePageContains(t *testing.T) {
	t.Parallel()
	text := body(t, get(t, web.Handler(web.Options{}), "/playground/licenses.txt", nil).Body)
	for _, name := range []string{"graphiql", "react-dom", "codemirror", "graphql-ws", "graphql"} {
		if !regexp.MustCompile(`(?m)^` + name + ` \d+\.\d+\.\d+ \(MIT\)$`).MatchString(text) {
			t.Errorf("licenses.txt does not name %s", name)
		}
	}
}
