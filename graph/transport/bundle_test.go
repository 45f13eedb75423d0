package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"purser/auth"
	"purser/graph/transport/transporttest"
)

// bundle is a running endpoint over the small schema.
type bundle struct {
	t      *testing.T
	url    string
	log    *lockedBuffer
	tokens *tokens
	clock  *clock
	counts *counts
	client *http.Client // nil: the usual one
}

// clock is a clock that stands until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// tokens are the credentials the endpoint knows: viewers by bearer token.
type tokens struct {
	mu      sync.Mutex
	viewers map[string]*auth.Viewer
	broken  error
}

func (t *tokens) authenticate(ctx context.Context, bearer string) (context.Context, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken != nil {
		return nil, t.broken
	}
	v := t.viewers[bearer]
	if v == nil {
		return nil, fmt.Errorf("token: %w", auth.ErrUnauthenticated)
	}
	return auth.NewContext(ctx, v), nil
}

func (t *tokens) set(bearer string, v *auth.Viewer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.viewers[bearer] = v
}

func (t *tokens) breakWith(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.broken = err
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// counts records what Metrics is told.
type counts struct {
	mu         sync.Mutex
	operations []string
	streams    int
}

func (c *counts) Operation(kind ast.Operation, name, code string, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.operations = append(c.operations, fmt.Sprintf("%s %s %s", kind, name, code))
}

func (c *counts) Stream(delta int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams += delta
}

func (c *counts) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams
}

const (
	tokenA = "token-of-a"
	tokenB = "token-of-b"
)

// testKey signs the cursors of tests.
var testKey = []byte("0123456789abcdef0123456789abcdef")

// setup starts an endpoint. Change edits the options before it starts.
func setup(t *testing.T, resolvers map[string]transporttest.Resolver, change func(*Options)) *bundle {
	t.Helper()
	b, handler := newBundle(t, resolvers, change)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// newBundle returns an endpoint that no server serves yet.
func newBundle(t *testing.T, resolvers map[string]transporttest.Resolver, change func(*Options)) (*bundle, http.Handler) {
	t.Helper()
	b := &bundle{
		t: t, log: &lockedBuffer{}, counts: &counts{},
		clock: &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		tokens: &tokens{viewers: map[string]*auth.Viewer{
			tokenA: {OrganizationID: "org_a", TokenID: "tok_a", Permission: auth.PermissionReadWrite},
			tokenB: {OrganizationID: "org_b", TokenID: "tok_b", Permission: auth.PermissionReadWrite},
		}},
	}
	all := basicResolvers()
	for name, r := range resolvers {
		all[name] = r
	}
	o := Options{
		Schema:       transporttest.New(all),
		Authenticate: b.tokens.authenticate,
		CursorKey:    testKey,
		Logger:       slog.New(slog.NewTextHandler(b.log, nil)),
		Metrics:      b.counts,
		Now:          b.clock.now,
		Revalidate:   10 * time.Millisecond,
		AllowedOrigins: []string{
			"https://app.example.com",
		},
	}
	if change != nil {
		change(&o)
	}
	handler, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return b, handler
}

// basicResolvers answer the small schema: a hundred developers named d1 to
// d100 in one order or the other.
func basicResolvers() map[string]transporttest.Resolver {
	constant := func(v any) transporttest.Resolver {
		return func(context.Context, any, map[string]any) (any, error) { return v, nil }
	}
	developer := map[string]any{"__typename": "Developer", "id": "d1", "name": "d1"}
	return map[string]transporttest.Resolver{
		"Query.hello":    constant("world"),
		"Mutation.hello": constant("world"),
		"Query.payer":    constant(developer),
		"Query.node":     constant(developer),
		"Query.nodes": func(_ context.Context, _ any, arguments map[string]any) (any, error) {
			ids, _ := arguments["ids"].([]any)
			out := make([]any, len(ids))
			for i, id := range ids {
				out[i] = map[string]any{"__typename": "Developer", "id": id, "name": id}
			}
			return out, nil
		},
		"Query.echo": func(_ context.Context, _ any, arguments map[string]any) (any, error) {
			b, err := json.Marshal(arguments)
			return string(b), err
		},
		"Query.fail": func(_ context.Context, _ any, arguments map[string]any) (any, error) {
			return nil, fmt.Errorf("%s", arguments["with"])
		},
		"Mutation.usageRecordBatch": func(ctx context.Context, _ any, arguments map[string]any) (any, error) {
			events, _ := arguments["input"].(map[string]any)["events"].([]any)
			return map[string]any{"recorded": len(events), "key": IdempotencyKey(ctx)}, nil
		},
		"Query.developers":   connection("Developer"),
		"Developer.invoices": connection("Invoice"),
		"Developer.friend":   constant(developer),
		"DeveloperEdge.cursor": func(ctx context.Context, parent any, _ map[string]any) (any, error) {
			return SignCursor(ctx, parent.(map[string]any)["raw"].(string))
		},
		"InvoiceEdge.cursor": func(ctx context.Context, parent any, _ map[string]any) (any, error) {
			return SignCursor(ctx, parent.(map[string]any)["raw"].(string))
		},
		"PageInfo.endCursor": func(ctx context.Context, parent any, _ map[string]any) (any, error) {
			return SignCursor(ctx, parent.(map[string]any)["raw"].(string))
		},
	}
}

// connection answers a page of a hundred objects, numbered from 1, and reads
// its arguments from the document as entgql does.
func connection(typeName string) transporttest.Resolver {
	return func(ctx context.Context, _ any, _ map[string]any) (any, error) {
		field := graphql.GetFieldContext(ctx).Field
		arguments := field.ArgumentMap(graphql.GetOperationContext(ctx).Variables)
		start, n := 1, 100
		if v := arguments["first"]; v != nil {
			first, err := graphql.UnmarshalInt(v)
			if err != nil {
				return nil, err
			}
			n = first
		} else if v := arguments["last"]; v != nil {
			last, err := graphql.UnmarshalInt(v)
			if err != nil {
				return nil, err
			}
			n, start = last, 101-last
		}
		if v, _ := arguments["after"].(string); v != "" {
			payload, err := CursorPayload(v)
			if err != nil {
				return nil, err
			}
			text, err := cursorEncoding.DecodeString(payload)
			if err != nil {
				return nil, err
			}
			seen, err := strconv.Atoi(string(text))
			if err != nil {
				return nil, err
			}
			start = seen + 1
		}
		var edges []any
		raw := ""
		for i := start; i < start+n && i <= 100; i++ {
			raw = cursorEncoding.EncodeToString([]byte(strconv.Itoa(i)))
			name := strings.ToLower(typeName[:1]) + strconv.Itoa(i)
			edges = append(edges, map[string]any{
				"raw": raw,
				"node": map[string]any{
					"__typename": typeName, "id": name, "name": name, "number": name,
				},
			})
		}
		return map[string]any{
			"edges": edges, "totalCount": 100,
			"pageInfo": map[string]any{"raw": raw, "hasNextPage": start+n <= 100, "hasPreviousPage": start > 1},
		}, nil
	}
}

// response is a decoded answer.
type response struct {
	status int
	header http.Header
	raw    string
	Data   map[string]any `json:"data"`
	Errors []struct {
		Message    string         `json:"message"`
		Path       []any          `json:"path"`
		Extensions map[string]any `json:"extensions"`
	} `json:"errors"`
	Extensions map[string]any `json:"extensions"`
}

// code returns the code of the first error.
func (r *response) code() string {
	if len(r.Errors) == 0 {
		return ""
	}
	c, _ := r.Errors[0].Extensions["code"].(string)
	return c
}

func (r *response) message() string {
	if len(r.Errors) == 0 {
		return ""
	}
	return r.Errors[0].Message
}

// post sends a document as tokenA.
func (b *bundle) post(query string, variables map[string]any, headers ...string) *response {
	b.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		b.t.Fatal(err)
	}
	return b.send(http.MethodPost, "", string(body), headers...)
}

// send sends any request. Headers are names and values in turn and replace
// the usual ones; an empty value removes one.
func (b *bundle) send(method, path, body string, headers ...string) *response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+tokenA)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if req.Header.Del(headers[i]); headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	out := &response{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") && resp.Header.Get("Content-Encoding") == "" {
		if err := json.Unmarshal(raw, out); err != nil {
			b.t.Fatalf("answer is not JSON: %v\n%s", err, raw)
		}
	}
	return out
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not happen", what)
		}
		time.Sleep(time.Millisecond)
	}
}
