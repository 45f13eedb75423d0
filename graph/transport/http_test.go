package transport

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"purser/auth"
	"purser/graph/transport/transporttest"
)

func get(query string, more ...string) string {
	v := url.Values{"query": {query}}
	for i := 0; i < len(more); i += 2 {
		v.Add(more[i], more[i+1])
	}
	return "?" + v.Encode()
}

func TestCredentialsAreRequired(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	for _, c := range []struct{ name, method, path, body, authorization string }{
		{"no credentials", "POST", "", `{"query":"{ hello }"}`, ""},
		{"introspection without credentials", "POST", "", `{"query":"{ __schema { queryType { name } } }"}`, ""},
		{"over GET", "GET", get("{ hello }"), "", ""},
		{"unknown", "POST", "", `{"query":"{ hello }"}`, "Bearer nobody"},
		{"another scheme", "POST", "", `{"query":"{ hello }"}`, "Basic " + tokenA},
		{"empty", "POST", "", `{"query":"{ hello }"}`, "Bearer "},
		{"before the body is looked at", "POST", "", `not even JSON`, ""},
	} {
		resp := b.send(c.method, c.path, c.body, "Authorization", c.authorization)
		if resp.status != http.StatusUnauthorized || resp.code() != CodeUnauthenticated || resp.Data != nil {
			t.Errorf("%s: %d %s", c.name, resp.status, resp.raw)
		}
		if got := resp.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
			t.Errorf("%s: WWW-Authenticate %q", c.name, got)
		}
	}
	if resp := b.post("{ __schema { queryType { name } } }", nil); resp.raw == "" || resp.Data["__schema"] == nil {
		t.Errorf("introspection with credentials: %s", resp.raw)
	}
	b.tokens.breakWith(errors.New("pq: the database is on fire"))
	resp := b.post("{ hello }", nil)
	if resp.status != http.StatusServiceUnavailable || resp.code() != CodeUnavailable || strings.Contains(resp.raw, "fire") {
		t.Errorf("credentials that cannot be checked: %d %s", resp.status, resp.raw)
	}
	if !strings.Contains(b.log.String(), "fire") {
		t.Error("the reason is not in the log")
	}
}

// TestStatusFollowsTheMediaType: the same refusals are 200 where the caller
// knows plain JSON only.
func TestStatusFollowsTheMediaType(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	for _, c := range []struct {
		name, accept, query, mediaType string
		status                         int
		code                           string
	}{
		{"an answer", "", "{ hello }", mediaJSON, 200, ""},
		{"an answer as graphql", mediaGraphQL, "{ hello }", mediaGraphQL, 200, ""},
		{"no GraphQL", "*/*", "{", mediaJSON, 200, CodeParseFailed},
		{"no GraphQL as graphql", mediaGraphQL, "{", mediaGraphQL, 400, CodeParseFailed},
		{"invalid", mediaJSON, "{ gone }", mediaJSON, 200, CodeValidationFailed},
		{"invalid as graphql", mediaGraphQL + ", " + mediaJSON + ";q=0.9", "{ gone }", mediaGraphQL, 400, CodeValidationFailed},
		{"too much", mediaJSON, "{ " + strings.Repeat("hello ", 60) + "}", mediaJSON, 200, CodeComplexity},
		{"too much as graphql", mediaGraphQL, "{ " + strings.Repeat("hello ", 60) + "}", mediaGraphQL, 400, CodeComplexity},
		{"JSON preferred", mediaGraphQL + ";q=0.5, " + mediaJSON, "{ gone }", mediaJSON, 200, CodeValidationFailed},
		{"a browser", "text/html,application/xhtml+xml,*/*;q=0.8", "{ hello }", mediaJSON, 200, ""},
		{"nothing that can be met", "text/html", "{ hello }", mediaJSON, 200, ""},
		{"a resolver's error", mediaGraphQL, `{ fail(with: "secret") }`, mediaGraphQL, 200, CodeInternal},
	} {
		resp := b.post(c.query, nil, "Accept", c.accept)
		if resp.status != c.status || resp.code() != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.name, resp.status, resp.raw, c.status, c.code)
		}
		if got := resp.header.Get("Content-Type"); got != c.mediaType+"; charset=utf-8" {
			t.Errorf("%s: Content-Type %q", c.name, got)
		}
	}
}

func TestGetIsForQueries(t *testing.T) {
	t.Parallel()
	ran := false
	b := setup(t, map[string]transporttest.Resolver{
		"Mutation.hello": func(context.Context, any, map[string]any) (any, error) { ran = true; return "world", nil },
	}, nil)
	if resp := b.send("GET", get("query A { hello } query B { a: hello }", "operationName", "B"), ""); resp.Data["a"] != "world" {
		t.Errorf("query: %s", resp.raw)
	}
	resp := b.send("GET", get("query($t: String) { echo(text: $t) }", "variables", `{"t":"x"}`), "")
	if resp.Data["echo"] != `{"text":"x"}` {
		t.Errorf("variables: %s", resp.raw)
	}
	resp = b.send("GET", get("mutation { hello }"), "")
	if resp.status != http.StatusMethodNotAllowed || resp.header.Get("Allow") != "POST" || ran {
		t.Errorf("mutation: %d %s", resp.status, resp.raw)
	}
	for name, send := range map[string]func() *response{
		"GET":  func() *response { return b.send("GET", get("subscription { tick { id } }"), "") },
		"POST": func() *response { return b.post("subscription { tick { id } }", nil) },
	} {
		if resp := send(); resp.code() != CodeBadUserInput || !strings.Contains(resp.message(), "text/event-stream") {
			t.Errorf("subscription over %s: %s", name, resp.raw)
		}
	}
}

func TestETag(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	first := b.send("GET", get("{ hello }"), "")
	tag := first.header.Get("ETag")
	if tag == "" || first.header.Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("ETag %q, Cache-Control %q", tag, first.header.Get("Cache-Control"))
	}
	again := b.send("GET", get("{ hello }"), "", "If-None-Match", `"other", `+tag)
	if again.status != http.StatusNotModified || again.raw != "" || again.header.Get("ETag") != tag {
		t.Errorf("unchanged: %d %q", again.status, again.raw)
	}
	if other := b.send("GET", get("{ a: hello }"), "", "If-None-Match", tag); other.status != http.StatusOK {
		t.Errorf("changed: %d", other.status)
	}
	if failed := b.send("GET", get(`{ fail(with: "x") }`), ""); failed.header.Get("ETag") != "" || failed.header.Get("Cache-Control") != "no-store" {
		t.Errorf("an answer with errors must not be kept: %v", failed.header)
	}
	if posted := b.post("{ hello }", nil); posted.header.Get("ETag") != "" || posted.header.Get("Cache-Control") != "no-store" {
		t.Errorf("an answer to POST must not be kept: %v", posted.header)
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	long := "{ developers(first: 100) { edges { node { id name } } } }"
	plain := b.post(long, nil, "Accept-Encoding", "identity")
	if plain.header.Get("Content-Encoding") != "" {
		t.Error("compressed for who does not want it")
	}
	if refused := b.post(long, nil, "Accept-Encoding", "gzip;q=0"); refused.header.Get("Content-Encoding") != "" {
		t.Error("compressed for who refuses it")
	}
	packed := b.post(long, nil, "Accept-Encoding", "br, gzip")
	if packed.header.Get("Content-Encoding") != "gzip" || len(packed.raw) >= len(plain.raw) {
		t.Fatalf("not compressed: %v, %d of %d bytes", packed.header, len(packed.raw), len(plain.raw))
	}
	r, err := gzip.NewReader(strings.NewReader(packed.raw))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var a, c response
	if json.Unmarshal(raw, &a) != nil || json.Unmarshal([]byte(plain.raw), &c) != nil {
		t.Fatal("no JSON")
	}
	if edges(t, a.Data["developers"]) != 100 || edges(t, c.Data["developers"]) != 100 {
		t.Error("the answers differ")
	}
	if short := b.post("{ hello }", nil, "Accept-Encoding", "gzip"); short.header.Get("Content-Encoding") != "" {
		t.Error("a short answer was compressed")
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	preflight := []string{"Access-Control-Request-Method", "POST", "Authorization", ""}
	resp := b.send("OPTIONS", "", "", append(preflight, "Origin", "https://app.example.com")...)
	for header, want := range map[string]string{
		"Access-Control-Allow-Origin":      "https://app.example.com",
		"Access-Control-Allow-Methods":     allowedMethods,
		"Access-Control-Allow-Headers":     allowedHeaders,
		"Access-Control-Max-Age":           preflightSeconds,
		"Access-Control-Allow-Credentials": "",
		"Allow":                            allowedMethods,
	} {
		if got := resp.header.Get(header); got != want {
			t.Errorf("preflight: %s is %q, want %q", header, got, want)
		}
	}
	if resp.status != http.StatusNoContent {
		t.Errorf("preflight: %d", resp.status)
	}
	resp = b.send("OPTIONS", "", "", append(preflight, "Origin", "https://evil.example.com")...)
	if got := resp.header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("preflight from elsewhere: %q", got)
	}

	resp = b.post("{ hello }", nil, "Origin", "https://app.example.com", "Sec-Fetch-Site", "cross-site")
	if resp.Data["hello"] != "world" || resp.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" ||
		resp.header.Get("Access-Control-Expose-Headers") != exposedHeaders {
		t.Errorf("from a listed origin: %s %v", resp.raw, resp.header)
	}
	for name, headers := range map[string][]string{
		"another origin":  {"Origin", "https://evil.example.com", "Sec-Fetch-Site", "cross-site"},
		"no Sec-Fetch":    {"Origin", "https://evil.example.com"},
		"a null origin":   {"Origin", "null"},
		"another port":    {"Origin", "https://app.example.com:444"},
		"a subdomain":     {"Origin", "https://x.app.example.com", "Sec-Fetch-Site", "same-site"},
		"another scheme":  {"Origin", "http://app.example.com"},
		"a longer domain": {"Origin", "https://app.example.com.evil.com"},
	} {
		resp := b.post("{ hello }", nil, headers...)
		if resp.status != http.StatusForbidden || resp.code() != CodeForbidden || resp.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("from %s: %d %s", name, resp.status, resp.raw)
		}
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	for _, resp := range []*response{
		b.post("{ hello }", nil),
		b.post("{", nil),
		b.send("PUT", "", ""),
		b.post("{ hello }", nil, "Authorization", ""),
	} {
		for header, want := range map[string]string{
			"X-Content-Type-Options":  "nosniff",
			"Referrer-Policy":         "no-referrer",
			"X-Frame-Options":         "DENY",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if got := resp.header.Get(header); got != want {
				t.Errorf("%d: %s is %q, want %q", resp.status, header, got, want)
			}
		}
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	if resp := b.post("{ hello }", nil, "X-Request-Id", "abc-1"); resp.header.Get("X-Request-Id") != "abc-1" {
		t.Errorf("a given id: %q", resp.header.Get("X-Request-Id"))
	}
	for _, bad := range []string{"a b", "a\"b", strings.Repeat("x", 129), "ä"} {
		if got := b.post("{ hello }", nil, "X-Request-Id", bad).header.Get("X-Request-Id"); got == bad || len(got) < 20 {
			t.Errorf("the id %q became %q", bad, got)
		}
	}
	resp := b.post(`{ fail(with: "secret") }`, nil, "X-Request-Id", "abc-2")
	if resp.Errors[0].Extensions["requestId"] != "abc-2" || !strings.Contains(b.log.String(), "request_id=abc-2") {
		t.Errorf("an internal error does not lead to the log: %s", resp.raw)
	}

	// A request that has its id keeps it, whatever the header says.
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Request-Id", "first")
	r = TakeRequestID(w, r)
	r.Header.Set("X-Request-Id", "second")
	if again := TakeRequestID(w, r); RequestID(again.Context()) != "first" || w.Header().Get("X-Request-Id") != "first" {
		t.Errorf("a second time: %q", RequestID(again.Context()))
	}
}

func TestIdempotencyKeyHeader(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	const one = "mutation { usageRecordBatch(input: {events: []}) { key } }"
	if resp := b.post(one, nil, "Idempotency-Key", "key-1"); resp.Data["usageRecordBatch"].(map[string]any)["key"] != "key-1" {
		t.Errorf("one mutation: %s", resp.raw)
	}
	if resp := b.post(one, nil); resp.Data["usageRecordBatch"].(map[string]any)["key"] != "" {
		t.Errorf("without the header: %s", resp.raw)
	}
	for name, query := range map[string]string{
		"two mutations":             "mutation { a: hello b: hello }",
		"two through a fragment":    "mutation { ...f } fragment f on Mutation { a: hello b: hello }",
		"two that merge, but count": "mutation { hello ...f } fragment f on Mutation { hello }",
	} {
		resp := b.post(query, nil, "Idempotency-Key", "key-1")
		if resp.code() != CodeBadUserInput || !strings.Contains(resp.message(), "belongs to one mutation; the operation has 2") || resp.Data != nil {
			t.Errorf("%s: %s", name, resp.raw)
		}
	}
	if resp := b.post("{ hello }", nil, "Idempotency-Key", "key-1"); resp.Data["hello"] != "world" {
		t.Errorf("a query: %s", resp.raw)
	}
	for _, bad := range []string{strings.Repeat("x", 201), "a b", "a\tb", "ä"} {
		if resp := b.post(one, nil, "Idempotency-Key", bad); resp.status != http.StatusBadRequest || resp.code() != CodeBadUserInput {
			t.Errorf("the key %q: %d %s", bad, resp.status, resp.raw)
		}
	}
}

func TestPersistedQueries(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	send := func(query, hash string, version any) *response {
		body, err := json.Marshal(map[string]any{
			"query":      query,
			"extensions": map[string]any{"persistedQuery": map[string]any{"version": version, "sha256Hash": hash}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return b.send("POST", "", string(body))
	}
	hashOf := func(query string) string {
		sum := sha256.Sum256([]byte(query))
		return hex.EncodeToString(sum[:])
	}
	const query = "{ hello }"
	if resp := send("", hashOf(query), 1); resp.code() != CodePersistedQueryNotFound || resp.message() != "PersistedQueryNotFound" {
		t.Errorf("unknown: %s", resp.raw)
	}
	if resp := send(query, hashOf("another"), 1); resp.code() != CodeBadUserInput || resp.Data != nil {
		t.Errorf("another's hash: %s", resp.raw)
	}
	if resp := send("", hashOf("another"), 1); resp.code() != CodePersistedQueryNotFound {
		t.Errorf("a wrong pair was kept: %s", resp.raw)
	}
	if resp := send(query, hashOf(query), 1); resp.Data["hello"] != "world" {
		t.Errorf("register: %s", resp.raw)
	}
	if resp := send("", hashOf(query), 1); resp.Data["hello"] != "world" {
		t.Errorf("known: %s", resp.raw)
	}
	extensions := fmt.Sprintf(`{"persistedQuery":{"version":1,"sha256Hash":"%s"}}`, hashOf(query))
	if resp := b.send("GET", "?extensions="+url.QueryEscape(extensions), ""); resp.Data["hello"] != "world" {
		t.Errorf("known, over GET: %s", resp.raw)
	}
	for name, resp := range map[string]*response{
		"another version": send(query, hashOf(query), 2),
		"a short hash":    send(query, "abc", 1),
		"no object":       b.send("POST", "", `{"extensions":{"persistedQuery":"x"}}`),
	} {
		if resp.code() != CodeBadUserInput {
			t.Errorf("%s: %s", name, resp.raw)
		}
	}
	attack := doubling(40)
	if resp := send(attack, hashOf(attack), 1); resp.code() != CodeComplexity {
		t.Errorf("attack: %s", resp.raw)
	}
	if resp := send("", hashOf(attack), 1); resp.code() != CodePersistedQueryNotFound {
		t.Errorf("a refused document was kept: %s", resp.raw)
	}
}

func TestSuggestionsOnlyOutsideProduction(t *testing.T) {
	t.Parallel()
	for _, production := range []bool{false, true} {
		b := setup(t, nil, func(o *Options) { o.Production = production })
		for _, query := range []string{
			"{ helo }",
			"{ echo(txt: null) }",
			"{ echo(where: {statu: null}) }",
		} {
			resp := b.post(query, nil)
			if got := strings.Contains(resp.raw, "Did you mean"); got == production || resp.code() != CodeValidationFailed {
				t.Errorf("production %v: %s", production, resp.raw)
			}
		}
	}
}

func TestNewNeedsItsDependencies(t *testing.T) {
	t.Parallel()
	good := Options{
		Schema: transporttest.New(nil),
		Authenticate: func(ctx context.Context, _ string) (context.Context, error) {
			return auth.NewContext(ctx, &auth.Viewer{}), nil
		},
		CursorKey: testKey,
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
	for _, origin := range []string{"https://a.example.com/", "*", "https://*.example.com", "a.example.com", "https://a.example.com:x", "\x00"} {
		o := good
		o.AllowedOrigins = []string{"https://b.example.com", origin}
		if h, err := New(o); err == nil || h != nil || !strings.Contains(err.Error(), strconv.Quote(origin)) {
			t.Errorf("the origin %q: %v", origin, err)
		}
	}
	for name, change := range map[string]func(*Options){
		"no schema":         func(o *Options) { o.Schema = nil },
		"no authentication": func(o *Options) { o.Authenticate = nil },
		"a short key":       func(o *Options) { o.CursorKey = testKey[:15] },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: made a handler", name)
				}
			}()
			o := good
			change(&o)
			_, _ = New(o)
		}()
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Bearer pur_x": "pur_x", "bearer pur_x": "pur_x", "BEARER  pur_x  ": "pur_x",
		"Bearer": "", "Bearer ": "", "": "", "pur_x": "", "Basic cHVyX3g=": "", "Bearerpur_x": "",
	} {
		if got := bearerOf(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

// TestPanicsOutsideTheExecutor are answered INTERNAL as well.
func TestPanicsOutsideTheExecutor(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, func(o *Options) {
		o.Authenticate = func(context.Context, string) (context.Context, error) { panic("secret words") }
	})
	resp := b.post("{ hello }", nil)
	if resp.status != http.StatusInternalServerError || resp.code() != CodeInternal || strings.Contains(resp.raw, "secret") {
		t.Errorf("%d %s", resp.status, resp.raw)
	}
	if !strings.Contains(b.log.String(), "secret words") {
		t.Error("the panic is not in the log")
	}
}

// hooks is an extension made of functions.
type hooks struct {
	operation func(context.Context, graphql.OperationHandler) graphql.ResponseHandler
	response  func(context.Context, graphql.ResponseHandler) *graphql.Response
}

func (hooks) ExtensionName() string                   { return "Hooks" }
func (hooks) Validate(graphql.ExecutableSchema) error { return nil }

func (h hooks) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if h.operation == nil {
		return next(ctx)
	}
	return h.operation(ctx, next)
}

func (h hooks) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	if h.response == nil {
		return next(ctx)
	}
	return h.response(ctx, next)
}

func TestExtensionsThatFail(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]hooks{
		"a panic": {operation: func(context.Context, graphql.OperationHandler) graphql.ResponseHandler { panic("secret words") }},
		"an extension that is no JSON": {response: func(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
			resp := next(ctx)
			resp.Extensions["secret"] = func() {}
			return resp
		}},
		"no answer": {response: func(context.Context, graphql.ResponseHandler) *graphql.Response { return nil }},
	} {
		b := setup(t, nil, func(o *Options) { o.Extensions = []graphql.HandlerExtension{h} })
		resp := b.post("{ hello }", nil)
		if resp.code() != CodeInternal || resp.Data != nil || strings.Contains(resp.raw, "secret") {
			t.Errorf("%s: %d %s", name, resp.status, resp.raw)
		}
	}
}
